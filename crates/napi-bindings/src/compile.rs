//! Compiling for the simulated card.

use std::path::{Path, PathBuf};

use napi_derive::napi;

use crate::error::{from_engine, off_thread};

/// What to compile, and where to.
#[napi(object)]
pub struct CompileOptions {
    /// The GGUF file.
    pub weights: String,
    /// The folder that the archive's tree is put in.
    pub out_dir: String,
    /// Name of the model: one plain file name.
    pub name: String,
    /// Tokens of prompt and reply together; absent: 1024.
    pub context_length: Option<u32>,
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

/// Turns a GGUF file into what the simulated card loads, off the JavaScript thread.
#[napi(catch_unwind)]
pub async fn compile(options: CompileOptions) -> napi::Result<CompiledModel> {
    off_thread(move || {
        let made = engine::compile(&engine::CompileOptions {
            weights: PathBuf::from(options.weights),
            out: PathBuf::from(options.out_dir),
            name: options.name,
            context_length: options.context_length.map(|n| n as usize),
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
