//! What an accelerator's model needs of the original beside the compiled part: embedding rows and tokenizer files.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::Path,
};

use half::f16;
use transformer::{Checkpoint, LoadError};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{CompileError, Embeddings, Error, Tokenizer};

/// The tensor with one row a token.
const ROWS: &str = "token_embd.weight";

/// The tokenizer's files in a folder in Hugging Face layout, as far as it has them.
const TOKENIZER_FILES: [&str; 10] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
];

/// Rows and columns of what was extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddingShape {
    /// Tokens.
    pub vocab_size: usize,
    /// Numbers of a token.
    pub dim: usize,
}

/// Writes the embedding rows of a GGUF file or a folder in Hugging Face layout as a NumPy archive of 16-bit floats.
///
/// Only headers and that one tensor are read.
///
/// # Errors
/// When there is no such tensor, a number has no 16-bit float, or a file cannot be read or written.
pub fn extract_embeddings(weights: &Path, out: &Path) -> Result<EmbeddingShape, Error> {
    write_embeddings(&Checkpoint::open(weights)?, out)
}

pub(crate) fn write_embeddings(checkpoint: &Checkpoint, out: &Path) -> Result<EmbeddingShape, Error> {
    let missing = || LoadError::MissingTensor { path: checkpoint.path().into(), name: ROWS.into() };
    let tensor = checkpoint.tensor(ROWS)?.ok_or_else(missing)?;
    let [dim, vocab_size] = tensor.dims[..] else {
        return Err(LoadError::Shape {
            path: checkpoint.path().into(),
            name: ROWS.into(),
            found: tensor.dims.clone(),
            expected: vec![0, 0],
        }
        .into());
    };
    let matrix = tensor.matrix();
    let mut row = vec![0.0; dim];
    Embeddings::write_npz(out, vocab_size, dim, |id, halves| -> Result<(), Error> {
        matrix.dequantise_row(id as usize, &mut row);
        for (half, value) in halves.iter_mut().zip(&row) {
            *half = f16::from_f32(*value);
            if !half.is_finite() {
                return Err(CompileError::NotHalf { token: id, value: *value }.into());
            }
        }
        Ok(())
    })?;
    Ok(EmbeddingShape { vocab_size, dim })
}

/// Writes a zip of the tokenizer files of a GGUF file or of a folder in Hugging Face layout, and gives their names.
/// The same tokenizer gives the same bytes.
///
/// # Errors
/// When there is no tokenizer, or a file cannot be read or written.
pub fn extract_tokenizer(from: &Path, out: &Path) -> Result<Vec<String>, Error> {
    if from.is_dir() {
        // what is no tokenizer for this program is none for those that take the zip
        Tokenizer::from_dir(from)?;
        return zip_files(out, folder_files(from));
    }
    let checkpoint = Checkpoint::open(from)?;
    let gguf = checkpoint.gguf().expect("what is no folder is a GGUF file");
    let files = Tokenizer::files_of(gguf)?;
    zip_files(out, files.iter().map(|(name, text)| Ok((*name, text))))
}

/// Name and content.
pub(crate) type NamedFile = (&'static str, Vec<u8>);

/// The tokenizer's files in a folder.
pub(crate) fn folder_files(dir: &Path) -> impl Iterator<Item = Result<NamedFile, Error>> {
    let present = TOKENIZER_FILES.into_iter().filter(|name| dir.join(name).is_file());
    present.map(|name| Ok((name, read(&dir.join(name))?)))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    Ok(fs::read(path).map_err(|source| LoadError::Read { path: path.into(), source })?)
}

/// The file appears under its name only when it is complete.
pub(crate) fn zip_files<'a, T: AsRef<[u8]>>(
    out: &Path,
    files: impl IntoIterator<Item = Result<(&'a str, T), Error>>,
) -> Result<Vec<String>, Error> {
    let failed = |source| CompileError::Write { path: out.into(), source };
    let mut temporary = crate::embeddings::temporary_beside(out).map_err(failed)?;
    let mut zip = ZipWriter::new(BufWriter::new(temporary.as_file_mut()));
    let mut names = Vec::new();
    for file in files {
        let (name, content) = file?;
        zip.start_file(name, SimpleFileOptions::default()).map_err(io::Error::other).map_err(failed)?;
        zip.write_all(content.as_ref()).map_err(failed)?;
        names.push(name.to_owned());
    }
    zip.finish().map_err(io::Error::other).and_then(|mut writer| writer.flush()).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(out).map_err(|error| failed(error.error))?;
    Ok(names)
}
