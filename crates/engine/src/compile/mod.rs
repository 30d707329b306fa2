//! `axllm compile`: a GGUF file as the simulated Metis loads it, laid out like a published archive.

mod calibrate;
mod error;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::json;
use transformer::{LoadOptions, Model};

pub use error::CompileError;

use crate::{
    Error, Tokenizer,
    extract::{write_embeddings, zip_files},
};

/// What to compile, and where to.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// The GGUF file.
    pub weights: PathBuf,
    /// The folder that the archive's tree is put in.
    pub out: PathBuf,
    /// Name of the model: one plain file name.
    pub name: String,
    /// Positions that the model is compiled for; `None`: 1024, or the model's own where that is less.
    pub context_length: Option<usize>,
}

/// Context of a published Metis model.
const CONTEXT_LENGTH: usize = 1024;
/// The model format that the newest runtime takes.
const MODEL_VERSION: &str = "5.0";
/// The simulator's payload: the weights as they are.
const PAYLOAD: (&str, &str) = ("axsim-gguf", "weights.gguf");

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
    let context_length = match context_length {
        None => CONTEXT_LENGTH.min(config.context_length),
        Some(asked) if (1..=config.context_length).contains(asked) => *asked,
        Some(asked) => {
            return Err(CompileError::Context { asked: *asked, most: config.context_length }.into());
        }
    };
    let gguf = model.checkpoint().gguf().ok_or_else(|| CompileError::NotGguf { path: weights.clone() })?;
    let tokenizer = Tokenizer::from_gguf(gguf)?;

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
    let files = Tokenizer::files_of(gguf)?;
    zip_files(&made.tokenizer_zip, files.iter().map(|(name, text)| Ok((*name, text))))?;
    for (name, text) in &files {
        let path = made.tokenizer_dir.join(name);
        fs::write(&path, text).map_err(writing(&path))?;
    }
    write_embeddings(model.checkpoint(), &made.embeddings)?;
    let payload = model_dir.join(PAYLOAD.1);
    link_or_copy(weights, &payload).map_err(writing(&payload))?;

    let logits = calibrate::logits(&model, &tokenizer)?;
    let description = json!({
        "model_version": MODEL_VERSION,
        "name": name,
        "context_length": context_length,
        "vocab_size": config.vocab_size,
        "embedding_dim": config.embedding_dim,
        "logits": { "scale": logits.scale, "zero_point": logits.zero_point },
        "payload": { "format": PAYLOAD.0, "file": PAYLOAD.1 },
    });
    fs::write(&made.model_json, format!("{description:#}\n")).map_err(writing(&made.model_json))?;
    Ok(made)
}

/// The weights do not change: a link saves their size on disk where the file system allows one.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        fs::remove_file(to)?;
    }
    let from = from.canonicalize()?;
    fs::hard_link(&from, to).or_else(|_| fs::copy(&from, to).map(drop))
}

fn writing(path: &Path) -> impl Fn(io::Error) -> CompileError + '_ {
    move |source| CompileError::Write { path: path.into(), source }
}
