//! GGUF weight files: metadata and tensors, memory-mapped, every length checked against the file.
//!
//! Format: `docs/gguf.md` of the ggml project, versions 2 and 3 (little-endian).

mod cursor;
mod error;
mod split;
mod tensor;
mod value;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use cursor::Cursor;
pub use error::GgufError;
use tensor::TensorInfo;
use value::Value;

use crate::{
    mapped::Mapped,
    tensor::{Span, Tensor},
};

/// Alignment of tensor data where the file names none.
const DEFAULT_ALIGNMENT: u64 = 32;
/// More entries than any model has; keeps a hostile header from reserving memory.
const MOST_ENTRIES: u64 = 65_536;
/// The longest key or tensor name: the specification's limit for keys.
const MOST_NAME_BYTES: usize = 65_535;

/// An open GGUF file, or all files of a split one.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    /// The file; of a split one all parts, the first of which has the metadata.
    parts: Vec<Mapped>,
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, TensorInfo>,
}

impl Gguf {
    /// Maps `path` and reads its header; of a split file (`…-00001-of-00003.gguf`) any part may be named. Tensor data
    /// is not touched.
    ///
    /// # Errors
    /// [`GgufError`] when the file is no GGUF, is truncated or breaks the format; the message names the field.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let one = Self::open_one(path)?;
        match one.unsigned("split.count")? {
            Some(count) if count > 1 => split::open(one, count),
            _ => Ok(one),
        }
    }

    fn open_one(path: &Path) -> Result<Self, GgufError> {
        let bytes = Mapped::open(path).map_err(|source| GgufError::Open { path: path.into(), source })?;
        let (metadata, tensors) = read(path, &bytes)?;
        Ok(Self { path: path.into(), parts: vec![bytes], metadata, tensors })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length of the file in bytes, of all parts of a split one.
    pub fn file_size(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }

    pub(crate) fn parts(&self) -> &[Mapped] {
        &self.parts
    }

    /// The bytes that have the metadata.
    fn bytes(&self) -> &[u8] {
        &self.parts[0]
    }

    /// The text at `key`; `None` where the file has no such key.
    ///
    /// # Errors
    /// When the value is of another type; so for the other accessors.
    pub fn string(&self, key: &str) -> Result<Option<&str>, GgufError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::String(range)) => Ok(std::str::from_utf8(&self.bytes()[range.clone()]).ok()),
            Some(other) => Err(self.wrong_type(key, other, "a string")),
        }
    }

    /// The whole number ≥ 0 at `key`.
    pub fn unsigned(&self, key: &str) -> Result<Option<u64>, GgufError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Unsigned(value)) => Ok(Some(*value)),
            Some(Value::Signed(value)) if *value >= 0 => Ok(Some(value.unsigned_abs())),
            Some(other) => Err(self.wrong_type(key, other, "a whole number of at least 0")),
        }
    }

    /// The number at `key`.
    pub fn float(&self, key: &str) -> Result<Option<f64>, GgufError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Float(value)) => Ok(Some(*value)),
            Some(other) => Err(self.wrong_type(key, other, "a float")),
        }
    }

    /// The truth value at `key`.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, GgufError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(self.wrong_type(key, other, "a bool")),
        }
    }

    /// The strings of the array at `key`, borrowed from the file.
    pub fn strings(&self, key: &str) -> Result<Option<Vec<&str>>, GgufError> {
        self.array(key, "an array of strings", |value| match value {
            Value::String(range) => std::str::from_utf8(&self.bytes()[range]).ok(),
            _ => None,
        })
    }

    /// The whole numbers of the array at `key`.
    pub fn integers(&self, key: &str) -> Result<Option<Vec<i64>>, GgufError> {
        self.array(key, "an array of whole numbers", |value| match value {
            Value::Unsigned(value) => i64::try_from(value).ok(),
            Value::Signed(value) => Some(value),
            Value::Bool(value) => Some(value.into()),
            _ => None,
        })
    }

    /// The numbers of the array at `key`.
    pub fn floats(&self, key: &str) -> Result<Option<Vec<f32>>, GgufError> {
        self.array(key, "an array of floats", |value| match value {
            Value::Float(value) => Some(value as f32),
            _ => None,
        })
    }

    /// The tensor called `name`; `None` where the file has none.
    ///
    /// # Errors
    /// When its type is one that this build cannot read.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor<'_>>, GgufError> {
        self.tensors.get(name).map(|info| info.view(&self.path, name, &self.parts)).transpose()
    }

    fn array<T>(
        &self,
        key: &str,
        expected: &str,
        take: impl Fn(Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, GgufError> {
        let (kind, count, start) = match self.metadata.get(key) {
            None => return Ok(None),
            Some(Value::Array { kind, count, start }) => (*kind, *count, *start),
            Some(other) => return Err(self.wrong_type(key, other, expected)),
        };
        let mut cursor = Cursor { path: &self.path, bytes: self.bytes(), at: start };
        // the count was checked against the file when the header was read
        let mut values = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let value = Value::scalar(&mut cursor, kind, key)?;
            let shown = format_args!("an array of {kind:?}").to_string();
            values.push(take(value).ok_or_else(|| cursor.invalid(key, shown, expected))?);
        }
        Ok(Some(values))
    }

    fn wrong_type(&self, key: &str, found: &Value, expected: &str) -> GgufError {
        GgufError::Invalid {
            path: self.path.clone(),
            what: key.into(),
            found: format!("{found:?}"),
            expected: expected.into(),
        }
    }
}

type Header = (HashMap<String, Value>, HashMap<String, TensorInfo>);

fn read(path: &Path, bytes: &[u8]) -> Result<Header, GgufError> {
    let mut cursor = Cursor { path, bytes, at: 0 };
    let magic = &bytes[..bytes.len().min(4)];
    if magic != b"GGUF" {
        return Err(GgufError::Magic { path: path.into(), found: magic.to_vec() });
    }
    cursor.at = 4;
    let version = cursor.u32("the version")?;
    if !(2..=3).contains(&version) {
        return Err(GgufError::Version { path: path.into(), found: version });
    }
    let tensor_count = count(&mut cursor, "the number of tensors")?;
    let entry_count = count(&mut cursor, "the number of metadata entries")?;

    let mut metadata = HashMap::new();
    for _ in 0..entry_count {
        let key = name(&mut cursor, "a metadata key")?;
        let value = Value::read(&mut cursor, &key)?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(cursor.invalid("a metadata key", format!("a second {key:?}"), "each key once"));
        }
    }
    let alignment = match metadata.get("general.alignment") {
        None => DEFAULT_ALIGNMENT,
        Some(&Value::Unsigned(a)) if a.is_power_of_two() && a <= 1 << 20 => a,
        Some(other) => {
            return Err(cursor.invalid(
                "general.alignment",
                format!("{other:?}"),
                "a power of two up to 2^20",
            ));
        }
    };
    let mut tensors = HashMap::new();
    for _ in 0..tensor_count {
        let key = name(&mut cursor, "a tensor name")?;
        let info = TensorInfo::read(&mut cursor, &key, alignment)?;
        if tensors.insert(key.clone(), info).is_some() {
            return Err(cursor.invalid("a tensor name", format!("a second {key:?}"), "each name once"));
        }
    }
    let data_start = (cursor.at as u64).next_multiple_of(alignment);
    tensor::place(&cursor, &mut tensors, data_start)?;
    Ok((metadata, tensors))
}

fn count(cursor: &mut Cursor<'_>, what: &str) -> Result<u64, GgufError> {
    let count = cursor.u64(what)?;
    if count > MOST_ENTRIES {
        return Err(cursor.invalid(what, count, format_args!("at most {MOST_ENTRIES}")));
    }
    Ok(count)
}

fn name(cursor: &mut Cursor<'_>, what: &str) -> Result<String, GgufError> {
    let text = cursor.string(what)?;
    if text.is_empty() || text.len() > MOST_NAME_BYTES {
        let found = format!("{} bytes long", text.len());
        return Err(cursor.invalid(what, found, format_args!("1 to {MOST_NAME_BYTES} bytes")));
    }
    Ok(text.to_owned())
}
