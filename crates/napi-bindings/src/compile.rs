//! Compiling for the simulated card.

use std::path::{Path, PathBuf};

use napi_derive::napi;

use crate::error::{from_engine, off_thread};

/// What to compile, and where to.
#[napi(object)]
pub struct CompileOptions {
    /// The GGUF file, or the folder in Hugging Face layout.
    pub weights: String,
    /// The folder that the archive's tree is put in.
    pub out_dir: String,
    /// Name of the model: one plain file name.
    pub name: String,
    /// Tokens of prompt and reply together.
    pub context_length: u32,
}

/// What a compilation has written, all below `outDir`.
#[napi(object)]
pub struct CompiledModel {
    /// What the runtime loads.
    pub model_json: String,
    /// The embedding rows.
    pub embeddings: String,
    /// The tokenizer files, packed.
    pub tokenizer_zip: String,
    /// The tokenizer files.
    pub tokenizer_dir: String,
}

/// Tokens that a GGUF file or a folder in Hugging Face layout is compiled for where nobody asks for others.
#[napi(catch_unwind)]
pub async fn usual_context(weights: String) -> napi::Result<u32> {
    off_thread(move || Ok(engine::usual_context(Path::new(&weights)).map_err(from_engine)? as u32)).await
}

/// Turns a GGUF file or a folder in Hugging Face layout into what the simulated card loads, off the JavaScript thread.
#[napi(catch_unwind)]
pub async fn compile(options: CompileOptions) -> napi::Result<CompiledModel> {
    off_thread(move || {
        let made = engine::compile(&engine::CompileOptions {
            weights: PathBuf::from(options.weights),
            out: PathBuf::from(options.out_dir),
            name: options.name,
            context_length: options.context_length as usize,
        })
        .map_err(from_engine)?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        Ok(CompiledModel {
            model_json: text(&made.model_json),
            embeddings: text(&made.embeddings),
            tokenizer_zip: text(&made.tokenizer_zip),
            tokenizer_dir: text(&made.tokenizer_dir),
        })
    })
    .await
}
