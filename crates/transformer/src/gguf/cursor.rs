//! A bounds-checked reader over the header of a GGUF file.

use std::path::Path;

use super::GgufError;

/// Reads little-endian values front to back; every read is checked against the end of the file.
pub(super) struct Cursor<'a> {
    pub(super) path: &'a Path,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

macro_rules! read_number {
    ($($name:ident: $t:ty),*) => {$(
        pub(super) fn $name(&mut self, what: &str) -> Result<$t, GgufError> {
            let bytes = self.take(what, size_of::<$t>() as u64)?;
            Ok(<$t>::from_le_bytes(bytes.try_into().expect("take returns the length it was asked for")))
        }
    )*};
}

impl<'a> Cursor<'a> {
    read_number!(u8: u8, i8: i8, u16: u16, i16: i16, u32: u32, i32: i32, u64: u64, i64: i64, f32: f32, f64: f64);

    /// The next `len` bytes.
    pub(super) fn take(&mut self, what: &str, len: u64) -> Result<&'a [u8], GgufError> {
        let rest = &self.bytes[self.at..];
        match usize::try_from(len).ok().and_then(|len| rest.get(..len)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => Err(GgufError::Truncated {
                path: self.path.into(),
                what: what.into(),
                offset: self.at as u64,
                needed: len,
                size: self.bytes.len() as u64,
            }),
        }
    }

    /// A string: u64 length, then UTF-8.
    pub(super) fn string(&mut self, what: &str) -> Result<&'a str, GgufError> {
        let len = self.u64(what)?;
        let bytes = self.take(what, len)?;
        std::str::from_utf8(bytes).map_err(|_| self.invalid(what, "not UTF-8", "UTF-8 text"))
    }

    pub(super) fn invalid(&self, what: &str, found: impl ToString, expected: impl ToString) -> GgufError {
        GgufError::Invalid {
            path: self.path.into(),
            what: what.into(),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }
}
