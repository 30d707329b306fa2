//! Embeddings and tokenizer out of a model's files.

use std::path::PathBuf;

use napi_derive::napi;

use crate::error::{from_engine, off_thread};

/// Rows and columns of an embedding matrix.
#[napi(object)]
pub struct EmbeddingShape {
    /// Tokens.
    pub vocab_size: u32,
    /// Numbers of a token.
    pub embedding_dim: u32,
}

/// Writes the embeddings of a GGUF file or a folder in Hugging Face layout as `.npz`, off the JavaScript thread.
#[napi(catch_unwind)]
pub async fn extract_embeddings(weights: String, out: String) -> napi::Result<EmbeddingShape> {
    off_thread(move || {
        let (weights, out) = (PathBuf::from(weights), PathBuf::from(out));
        let shape = engine::extract_embeddings(&weights, &out).map_err(from_engine)?;
        Ok(EmbeddingShape { vocab_size: shape.vocab_size as u32, embedding_dim: shape.dim as u32 })
    })
    .await
}

/// Writes the tokenizer files of a GGUF file or a folder in Hugging Face layout as a zip, and gives their names.
#[napi(catch_unwind)]
pub async fn extract_tokenizer(from: String, out: String) -> napi::Result<Vec<String>> {
    off_thread(move || {
        engine::extract_tokenizer(&PathBuf::from(from), &PathBuf::from(out)).map_err(from_engine)
    })
    .await
}
