//! What can go wrong when compiling, beside the weights themselves.

use std::{io, path::PathBuf};

/// Why a model could not be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The name would lead out of the folder.
    #[error("model name {name:?} is no plain file name")]
    Name {
        /// The name.
        name: String,
    },
    /// A context that the model does not have.
    #[error("context of {asked} tokens, expected 1 to the model's {most}")]
    Context {
        /// What was asked for.
        asked: usize,
        /// What the model was trained for.
        most: usize,
    },
    /// An embedding that half precision cannot hold.
    #[error("the embedding of token {token} holds {value}, expected numbers of at most 65504")]
    NotHalf {
        /// The token.
        token: u32,
        /// Its number.
        value: f32,
    },
    /// The disk.
    #[error("could not write {path:?}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl CompileError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } | Self::Context { .. } => "invalid_option",
            Self::NotHalf { .. } => "bad_model_file",
            Self::Write { .. } => "write_failed",
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Name { .. } => "use letters, digits, dots and dashes".into(),
            Self::Context { most, .. } => format!("ask for at most {most} tokens with --max-tokens"),
            Self::NotHalf { .. } => "the weights are damaged; fetch them again".into(),
            Self::Write { .. } => "check free space and permissions, or choose another folder".into(),
        })
    }
}
