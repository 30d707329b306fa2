//! Folders in Hugging Face layout: `config.json` and safetensors, single or sharded.
//!
//! Pickled weights (`.bin`, `.pt`) are never opened: they are programs.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    io::Read,
    path::{Component, Path, PathBuf},
};

use kernels::Format;
use safetensors::{Dtype, SafeTensors, tensor::TensorInfo};
use serde::Deserialize;

use super::names;
use crate::{
    config::Config,
    error::LoadError,
    mapped::Mapped,
    tensor::{Span, Tensor},
};

/// Larger than any configuration or index.
const MOST_JSON: u64 = 64 << 20;
/// More files than any model has.
const MOST_FILES: usize = 1_000;

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    config: Vec<u8>,
    /// `config.json`, and the index of a sharded model.
    descriptions: Vec<PathBuf>,
    parts: Vec<Mapped>,
    tensors: HashMap<String, Place>,
}

#[derive(Debug)]
struct Place {
    dtype: Dtype,
    /// Innermost first.
    dims: Vec<usize>,
    span: Span,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Folder {
    /// Reads `config.json` and the headers of `model.safetensors`, or of the files that
    /// `model.safetensors.index.json` lists.
    pub(super) fn open(path: &Path) -> Result<Self, LoadError> {
        let config_path = path.join("config.json");
        let config = read(&config_path)?;
        let mut descriptions = vec![config_path];
        let index_path = path.join("model.safetensors.index.json");
        let single = path.join("model.safetensors");
        let files: Vec<PathBuf> = if single.exists() {
            vec![single]
        } else if index_path.exists() {
            let index: Index = serde_json::from_slice(&read(&index_path)?)
                .map_err(|source| LoadError::Json { path: index_path.clone(), source })?;
            let mut names: Vec<String> = index.weight_map.into_values().collect();
            names.sort();
            names.dedup();
            let bad = |found: &str, expected: &str| LoadError::BadValue {
                path: index_path.clone(),
                key: "weight_map".into(),
                found: found.into(),
                expected: expected.into(),
            };
            if names.len() > MOST_FILES {
                return Err(bad("a list of too many files", "at most 1000"));
            }
            let odd = names.iter().find(|name| !is_plain(name));
            if let Some(name) = odd {
                return Err(bad(&format!("{name:?}"), "names of safetensors files in the same folder"));
            }
            descriptions.push(index_path);
            names.iter().map(|name| path.join(name)).collect()
        } else {
            return Err(LoadError::NoWeights { path: path.into() });
        };
        let mut folder =
            Self { path: path.into(), config, descriptions, parts: Vec::new(), tensors: HashMap::new() };
        for file in files {
            folder.add(file)?;
        }
        Ok(folder)
    }

    fn add(&mut self, path: PathBuf) -> Result<(), LoadError> {
        let bytes = Mapped::open(&path).map_err(|source| LoadError::Read { path: path.clone(), source })?;
        let invalid = |reason: String| LoadError::Safetensors { path: path.clone(), reason };
        let (header, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|error| invalid(error.to_string()))?;
        let start = header + 8;
        for (name, TensorInfo { dtype, shape, data_offsets: (from, to) }) in metadata.tensors() {
            if shape.contains(&0) {
                return Err(invalid(format!("tensor {name:?} has no weights")));
            }
            let place = Place {
                dtype: *dtype,
                dims: shape.iter().rev().copied().collect(),
                span: Span { part: self.parts.len(), range: start + from..start + to },
            };
            if place.span.range.end > bytes.len() {
                return Err(invalid(format!("tensor {name:?} lies beyond the end of the file")));
            }
            if self.tensors.insert(name.clone(), place).is_some() {
                return Err(invalid(format!("tensor {name:?} is there twice")));
            }
        }
        self.parts.push(bytes);
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn descriptions(&self) -> &[PathBuf] {
        &self.descriptions
    }

    pub(super) fn parts(&self) -> &[Mapped] {
        &self.parts
    }

    pub(super) fn config(&self) -> Result<Config, LoadError> {
        let path = self.path.join("config.json");
        let config = Config::of_folder(&path, &self.config)?;
        Ok(config)
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<Tensor<'_>>, LoadError> {
        let found = names::of_folder(name).into_iter().find_map(|own| self.tensors.get_key_value(&own));
        let Some((own, place)) = found else { return Ok(None) };
        let format = match place.dtype {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::Bf16,
            other => {
                return Err(LoadError::BadValue {
                    path: self.path.clone(),
                    key: format!("the type of tensor {own}"),
                    found: format!("{other:?}"),
                    expected: "F32, F16 or BF16".into(),
                });
            }
        };
        let bytes = &self.parts[place.span.part][place.span.range.clone()];
        Ok(Some(Tensor { format, dims: place.dims.clone(), bytes, span: place.span.clone() }))
    }
}

/// Whether a name of the index stays in the folder.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
        && name.ends_with(".safetensors")
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Read { path: path.into(), source };
    // asked before it is opened: opening a pipe would wait for its writer
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(MOST_JSON).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}
