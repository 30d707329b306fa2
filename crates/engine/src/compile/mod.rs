//! `axllm compile`: a model as the simulated Metis loads it, laid out like a published archive.

mod calibrate;
mod error;
mod payload;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::json;
use transformer::{Checkpoint, LoadOptions, Model};

pub use error::CompileError;

use crate::{
    Error, Tokenizer,
    extract::{NamedFile, folder_files, write_embeddings, zip_files},
};

/// What to compile, and where to.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// The GGUF file, or the folder in Hugging Face layout.
    pub weights: PathBuf,
    /// The folder that the archive's tree is put in.
    pub out: PathBuf,
    /// Name of the model: one plain file name.
    pub name: String,
    /// Positions that the model is compiled for.
    pub context_length: usize,
}

/// Context of a published Metis model.
const CONTEXT_LENGTH: usize = 1024;
/// The model format that the newest runtime takes.
const MODEL_VERSION: &str = "5.0";

/// What a compilation has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// `<out>/<name>/model/model.json`
    pub model_json: PathBuf,
    /// `<out>/<name>/<name>_embeddings.npz`
    pub embeddings: PathBuf,
    /// `<out>/<name>/<name>_tokenizer.zip`
    pub tokenizer_zip: PathBuf,
    /// `<out>/tokenizers/<name>`, that zip extracted.
    pub tokenizer_dir: PathBuf,
}

/// Positions that the weights are compiled for where nobody asks for others: 1024, or the model's own where it has less.
///
/// # Errors
/// When the weights are no model that runs.
pub fn usual_context(weights: &Path) -> Result<usize, Error> {
    Ok(CONTEXT_LENGTH.min(Checkpoint::open(weights)?.config()?.context_length))
}

/// Compiles. Existing files of the same names are replaced; `model.json` comes last.
///
/// # Errors
/// When the weights are no model that runs, or a file cannot be written.
pub fn compile(options: &CompileOptions) -> Result<Compiled, Error> {
    let CompileOptions { weights, out, name, context_length } = options;
    let odd = name.starts_with('.') || name.contains(|c: char| c.is_control() || c == '\\');
    if odd || Path::new(name).file_name() != Some(name.as_ref()) {
        return Err(CompileError::Name { name: name.clone() }.into());
    }
    let model = Model::open(weights, &LoadOptions::default())?;
    let config = model.config();
    if !(1..=config.context_length).contains(context_length) {
        return Err(CompileError::Context { asked: *context_length, most: config.context_length }.into());
    }
    let (tokenizer, files) = tokenizer_of(model.checkpoint())?;
    tokenizer.check_fits(config.vocab_size)?;

    let model_dir = out.join(name).join("model");
    let made = Compiled {
        model_json: model_dir.join("model.json"),
        embeddings: out.join(name).join(format!("{name}_embeddings.npz")),
        tokenizer_zip: out.join(name).join(format!("{name}_tokenizer.zip")),
        tokenizer_dir: out.join("tokenizers").join(name),
    };
    for dir in [&model_dir, &made.tokenizer_dir] {
        fs::create_dir_all(dir).map_err(writing(dir))?;
    }
    zip_files(&made.tokenizer_zip, files.iter().map(|(name, text)| Ok((*name, text))))?;
    for (name, text) in &files {
        let path = made.tokenizer_dir.join(name);
        fs::write(&path, text).map_err(writing(&path))?;
    }
    write_embeddings(model.checkpoint(), &made.embeddings)?;
    let payload = payload::write(model.checkpoint(), &model_dir)?;

    let logits = calibrate::logits(&model, &tokenizer)?;
    let description = json!({
        "model_version": MODEL_VERSION,
        "name": name,
        "context_length": context_length,
        "vocab_size": config.vocab_size,
        "embedding_dim": config.embedding_dim,
        "logits": { "scale": logits.scale, "zero_point": logits.zero_point },
        "payload": payload,
    });
    fs::write(&made.model_json, format!("{description:#}\n")).map_err(writing(&made.model_json))?;
    Ok(made)
}

/// The tokenizer and its files.
fn tokenizer_of(checkpoint: &Checkpoint) -> Result<(Tokenizer, Vec<NamedFile>), Error> {
    match checkpoint {
        Checkpoint::Gguf(gguf) => {
            let files = Tokenizer::files_of(gguf)?.map(|(name, text)| (name, text.into_bytes()));
            Ok((Tokenizer::from_gguf(gguf)?, files.into()))
        }
        Checkpoint::Folder(_) => {
            let dir = checkpoint.path();
            Ok((Tokenizer::from_dir(dir)?, folder_files(dir).collect::<Result<_, _>>()?))
        }
    }
}

fn writing(path: &Path) -> impl Fn(io::Error) -> CompileError + '_ {
    move |source| CompileError::Write { path: path.into(), source }
}
