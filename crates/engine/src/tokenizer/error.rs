use std::path::{Path, PathBuf};

/// What can be wrong with a tokenizer, or with a text given to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// A file of the tokenizer cannot be read.
    #[error("cannot read tokenizer file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is wrong with the tokenizer of this file or folder.
    #[error("{path}: {source}")]
    In {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        source: Box<TokenizerError>,
    },
    /// The folder lacks the one file that a tokenizer cannot do without.
    #[error("no tokenizer.json in {dir}")]
    NoTokenizerFile {
        /// The folder.
        dir: PathBuf,
    },
    /// A link leads out of the tokenizer's folder.
    #[error("tokenizer file {path} leads out of its folder to {target}")]
    OutsideFolder {
        /// The file as named.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A file is larger than any real tokenizer's.
    #[error("tokenizer file {path} has {size} bytes, more than the {limit} allowed")]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A file is no valid JSON, or not JSON of a tokenizer.
    #[error("tokenizer file {path} is invalid: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// The weight file's metadata cannot be read.
    #[error("tokenizer metadata: {source}")]
    Gguf {
        /// What the reader said.
        #[from]
        source: transformer::GgufError,
    },
    /// The weight file lacks something that its kind of tokenizer needs.
    #[error("tokenizer metadata `{key}` is missing")]
    MissingKey {
        /// The metadata key.
        key: &'static str,
    },
    /// A kind of tokenizer, or a way to split text into words, that is not known here.
    #[error("{what} `{got}` is not supported")]
    Unsupported {
        /// Which setting it is.
        what: &'static str,
        /// Its value.
        got: String,
    },
    /// Two lists that belong together differ in length.
    #[error("tokenizer metadata `{key}` has {got} entries, expected {expected}")]
    LengthMismatch {
        /// The metadata key.
        key: &'static str,
        /// Entries found.
        got: usize,
        /// Entries of the vocabulary.
        expected: usize,
    },
    /// A token id that the vocabulary does not have.
    #[error("{what} has token id {id}, the vocabulary {vocab_size} entries")]
    IdOutOfRange {
        /// Where the id stands.
        what: &'static str,
        /// The id.
        id: i64,
        /// Size of the vocabulary.
        vocab_size: usize,
    },
    /// Somebody asks for the text of a token that there is none of.
    #[error("there is no token {id}, expected 0 to {}", vocab_size.saturating_sub(1))]
    UnknownId {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        vocab_size: usize,
    },
    /// More entries than any real vocabulary.
    #[error("the vocabulary has {got} entries, more than the {limit} allowed")]
    VocabularyTooLarge {
        /// Entries.
        got: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// The tokenizer was refused by the library that runs it.
    #[error("the tokenizer is invalid: {reason}")]
    Invalid {
        /// What the library said.
        reason: String,
    },
    /// Encoding failed, which a sound tokenizer never does.
    #[error("encoding a text of {bytes} bytes failed: {reason}")]
    Encode {
        /// Length of the text.
        bytes: usize,
        /// What the library said.
        reason: String,
    },
    /// The tokenizer made a control token of ordinary text, which would let text act as an instruction.
    #[error("the tokenizer turns ordinary text into the control token {id} `{token}`")]
    ControlFromText {
        /// The token's id.
        id: u32,
        /// The token's text.
        token: String,
    },
    /// A text that cannot fit, refused before it is encoded.
    #[error("text of {bytes} bytes is at least {at_least} tokens, more than {limit}")]
    TooLong {
        /// Length of the text.
        bytes: usize,
        /// A lower bound of its tokens.
        at_least: usize,
        /// The most that was asked for.
        limit: usize,
    },
}

impl TokenizerError {
    /// With the file or folder that was read, where the error does not name one itself.
    pub(crate) fn of(self, path: &Path) -> Self {
        match self {
            Self::Io { .. }
            | Self::NoTokenizerFile { .. }
            | Self::OutsideFolder { .. }
            | Self::FileTooLarge { .. }
            | Self::Json { .. }
            | Self::Gguf { .. }
            | Self::In { .. } => self,
            other => Self::In { path: path.into(), source: Box::new(other) },
        }
    }

    /// The stable code that programs tell errors apart by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::In { source, .. } => source.code(),
            Self::Io { .. } | Self::NoTokenizerFile { .. } => "tokenizer_unreadable",
            Self::Unsupported { .. } => "tokenizer_unsupported",
            Self::TooLong { .. } => "context_length_exceeded",
            Self::Encode { .. } => "tokenizer_failed",
            Self::UnknownId { .. } => "unknown_token",
            _ => "tokenizer_invalid",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::In { source, .. } => source.hint(),
            Self::NoTokenizerFile { .. } => {
                Some("the folder needs the model's tokenizer.json, as its Hugging Face page has it".into())
            }
            Self::OutsideFolder { .. } => Some("copy the files themselves into the folder (cp -L)".into()),
            Self::TooLong { .. } => Some("shorten the text".into()),
            Self::Unsupported { .. } => {
                Some("use a model with a byte-level BPE or SentencePiece tokenizer".into())
            }
            Self::Io { .. } | Self::Encode { .. } | Self::UnknownId { .. } => None,
            _ => Some("fetch the model again; if the error stays, the published file is at fault".into()),
        }
    }
}
