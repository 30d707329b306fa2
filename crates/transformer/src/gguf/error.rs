//! What can be wrong with a GGUF file.

use std::{io, path::PathBuf};

/// Why a GGUF file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The file could not be opened or mapped.
    #[error("could not open {path:?}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The first four bytes are not `GGUF`.
    #[error("{path:?} is not a GGUF file: it begins with {found:02x?}, expected \"GGUF\"")]
    Magic {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// A version other than 2 and 3.
    #[error("{path:?} is GGUF version {found}, expected 2 or 3")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The file ends before what its header announces.
    #[error("{path:?} is truncated: {what} needs {needed} bytes at offset {offset}, the file has {size}")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What was being read.
        what: String,
        /// Where.
        offset: u64,
        /// How many bytes it takes.
        needed: u64,
        /// The length of the file.
        size: u64,
    },
    /// A value breaks a rule of the format.
    #[error("{path:?} is damaged: {what} is {found}, expected {expected}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which field.
        what: String,
        /// What it holds.
        found: String,
        /// What the format allows.
        expected: String,
    },
}
