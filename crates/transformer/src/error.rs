//! Why a model cannot be loaded, and why it cannot be run: two families, two remedies.

use std::path::PathBuf;

use crate::gguf::GgufError;

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file itself.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A file of a folder that could not be read.
    #[error("could not read {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder without weights that may be opened.
    #[error("{path:?} has neither model.safetensors nor model.safetensors.index.json")]
    NoWeights {
        /// The folder.
        path: PathBuf,
    },
    /// A JSON file that is none, or lacks what it should hold.
    #[error("{path:?} is invalid: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// A safetensors file that is none.
    #[error("{path:?} is damaged: {reason}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What the library said.
        reason: String,
    },
    /// An architecture that the decoder does not have.
    #[error("{path:?} holds a model of architecture {found:?}, this build runs {known}")]
    Architecture {
        /// The file.
        path: PathBuf,
        /// `general.architecture`.
        found: String,
        /// The architectures that there are.
        known: &'static str,
    },
    /// Metadata that a decoder cannot do without.
    #[error("{path:?} lacks {key:?}")]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The metadata key.
        key: String,
    },
    /// Metadata outside what makes sense.
    #[error("{path:?}: {key:?} is {found}, expected {expected}")]
    BadValue {
        /// The file.
        path: PathBuf,
        /// The metadata key.
        key: String,
        /// Its value.
        found: String,
        /// What a decoder can work with.
        expected: String,
    },
    /// A tensor that the architecture needs.
    #[error("{path:?} lacks tensor {name:?}")]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor that the decoder would have to leave out.
    #[error("{path:?} has tensor {name:?}, which this build's decoder does not use")]
    UnusedTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// There is no memory for the weights.
    #[error("no memory for the weights of {path:?}")]
    Memory {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A tensor of another shape than the metadata says.
    #[error("{path:?}: tensor {name:?} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its dimensions, innermost first.
        found: Vec<usize>,
        /// Those that the metadata asks for.
        expected: Vec<usize>,
    },
    /// The instruction set that was asked for.
    #[error(transparent)]
    Isa(#[from] kernels::UnavailableIsa),
}

/// Why a forward pass could not be run. Nothing has been added to the sequence then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// No tokens.
    #[error("the input is empty, expected at least one token")]
    Empty,
    /// More tokens than the KV cache has room for.
    #[error("context full: {len} positions in use and {added} more asked for, capacity {capacity}")]
    ContextFull {
        /// Positions in use.
        len: usize,
        /// Positions asked for.
        added: usize,
        /// What the cache was made for.
        capacity: usize,
    },
    /// The system has no memory for the KV cache.
    #[error("no memory for a KV cache of {positions} positions")]
    Memory {
        /// Positions in use and asked for.
        positions: usize,
    },
    /// A token id outside the vocabulary.
    #[error("token id {id} is outside the vocabulary of {vocab_size}")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Ids below this exist.
        vocab_size: usize,
    },
    /// Embedding rows of another width.
    #[error("{len} embedding values are no whole rows of {embedding_dim}")]
    RowLength {
        /// Values given.
        len: usize,
        /// Values of one row.
        embedding_dim: usize,
    },
    /// An output of another length.
    #[error("room for {len} values, expected {expected}")]
    OutputLength {
        /// Values that the output holds.
        len: usize,
        /// Values that the model gives.
        expected: usize,
    },
    /// A sequence that another model made.
    #[error("the sequence belongs to a model of another shape")]
    ForeignSequence,
}
