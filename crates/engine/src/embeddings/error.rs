use std::path::PathBuf;

/// What can be wrong with an embeddings file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddingsError {
    /// The file cannot be read.
    #[error("cannot read embeddings file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write embeddings file {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no archive, or one with two members of a name.
    #[error("embeddings file {path} is no sound .npz archive: {reason}")]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The archive lacks an array.
    #[error("embeddings file {path} has no array `{member}`")]
    MissingMember {
        /// The file.
        path: PathBuf,
        /// The array's name.
        member: &'static str,
    },
    /// An array that holds Python objects: reading one runs code.
    #[error("array `{member}` of {path} holds pickled objects, and pickle is code")]
    Pickle {
        /// The file.
        path: PathBuf,
        /// The array's name.
        member: &'static str,
    },
    /// An array is not what it has to be.
    #[error("array `{member}` of {path} has {got}, expected {expected}")]
    InvalidArray {
        /// The file.
        path: PathBuf,
        /// The array's name.
        member: &'static str,
        /// What it has.
        got: String,
        /// What it should have.
        expected: String,
    },
    /// A token that the matrix has no row for.
    #[error("token {id} has no embedding: the matrix has {vocab_size} rows")]
    IdOutOfRange {
        /// The token.
        id: u32,
        /// Rows of the matrix.
        vocab_size: usize,
    },
}

impl EmbeddingsError {
    /// The stable code that programs tell errors apart by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "embeddings_unreadable",
            Self::Write { .. } => "embeddings_unwritable",
            Self::IdOutOfRange { .. } => "token_out_of_range",
            _ => "embeddings_invalid",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } => Some("check that the file is there and may be read, or fetch it again".into()),
            Self::Write { .. } => None,
            Self::IdOutOfRange { .. } => Some("tokenizer and embeddings are of different models".into()),
            Self::Pickle { .. } => Some("extract the embeddings with `axextractembeddings`".into()),
            _ => Some("fetch the embeddings again, or extract them from the model".into()),
        }
    }
}
