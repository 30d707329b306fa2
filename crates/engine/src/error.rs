//! One error for all stages, with the stable code that reaches JavaScript and HTTP, and a remedy.

use axruntime_sys::{CallError, LoadError as RuntimeError, Status};
use transformer::{ForwardError, LoadError, UnavailableIsa};

use crate::{
    EmbedError, EmbeddingsError, PromptError, SamplerError, TokenizerError, compile::CompileError,
    devices::DeviceError,
};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A weight file.
    #[error(transparent)]
    Weights(#[from] LoadError),
    /// The instruction set that was asked for.
    #[error(transparent)]
    Isa(#[from] UnavailableIsa),
    /// Tokenizer files.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The conversation.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// Sampling options, or what the model answered.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// The embedding matrix.
    #[error(transparent)]
    Embeddings(#[from] EmbeddingsError),
    /// Texts that are to become vectors.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The runtime library.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Choosing a device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A call of the runtime, before the first token.
    #[error("{0}")]
    Call(#[from] CallError),
    /// A run on the device in the middle of a reply.
    #[error("device {device} failed at step {step}: {source}")]
    Step {
        /// The device.
        device: String,
        /// Runs of this reply, counted from 1.
        step: usize,
        /// What the runtime said.
        source: CallError,
    },
    /// Parts of a compiled model that do not belong together.
    #[error("model and runtime disagree: {what} is {got}, expected {expected}")]
    Mismatch {
        /// What was compared.
        what: &'static str,
        /// What one side has.
        got: String,
        /// What the other has.
        expected: String,
    },
    /// A forward pass on the CPU.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// Compiling for the simulated card.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The caller wants it no more.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// A stable word for programs; texts may change, codes do not.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Isa(_) | Self::Weights(LoadError::Isa(_)) => "unavailable_isa",
            Self::Weights(_) => "bad_model_file",
            Self::Tokenizer(error) => error.code(),
            Self::Prompt(error) => error.code(),
            Self::Sampler(error) => error.code(),
            Self::Embeddings(error) => error.code(),
            Self::Embed(error) => error.code(),
            Self::Runtime(RuntimeError::MissingSymbols { .. }) => "missing_symbols",
            Self::Runtime(RuntimeError::Version { .. }) => "version_mismatch",
            Self::Runtime(_) => "bad_runtime",
            Self::Device(error) => error.code(),
            Self::Call(error) if error.status == Status::DeviceInUse => "device_in_use",
            Self::Call(error) if error.text.contains(UNSUPPORTED_VERSION) => "version_mismatch",
            Self::Call(_) | Self::Step { .. } => "device_failed",
            Self::Mismatch { .. } => "mismatch",
            Self::Forward(ForwardError::ContextFull { .. }) => "context_length_exceeded",
            Self::Forward(_) => "internal",
            Self::Compile(error) => error.code(),
            Self::Cancelled => "cancelled",
        }
    }

    /// Of a prompt that does not fit: its tokens, and the room that there is.
    pub fn counts(&self) -> Option<(usize, usize)> {
        match self {
            Self::Prompt(error) => error.counts(),
            Self::Embed(error) => error.counts(),
            _ => None,
        }
    }

    /// Of several inputs, counted from 0, the one that is at fault.
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::Embed(error) => error.index(),
            _ => None,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Isa(_) | Self::Weights(LoadError::Isa(_)) => {
                "leave the instruction set out to get the machine's best"
            }
            Self::Weights(LoadError::NoWeights { .. }) => {
                "a model folder needs safetensors weights; pickled ones (.bin, .pt) are programs and never opened"
            }
            Self::Weights(_) => {
                "fetch the files again, or use a model whose format and architecture this version supports"
            }
            Self::Tokenizer(error) => return error.hint(),
            Self::Prompt(error) => return error.hint(),
            Self::Sampler(error) => return error.hint(),
            Self::Embeddings(error) => return error.hint(),
            Self::Embed(error) => return error.hint(),
            Self::Runtime(error) => return Some(runtime_hint(error)),
            Self::Device(error) => return error.hint(),
            Self::Call(error) if error.status == Status::DeviceInUse => {
                "wait until the other program ends, or choose another device with -d"
            }
            Self::Call(error) if error.text.contains(UNSUPPORTED_VERSION) => {
                "remove the model from the build root and download the archive for this runtime"
            }
            Self::Call(_) | Self::Step { .. } => {
                "try again; if it persists, reset the card or answer on the CPU with --pipeline transformers"
            }
            Self::Mismatch { .. } => "download or compile the model again, so that its parts belong together",
            Self::Forward(ForwardError::ContextFull { .. }) => "start a new conversation",
            Self::Forward(_) => "this is a fault of axllm: please report it",
            Self::Compile(error) => return error.hint(),
            Self::Cancelled => return None,
        };
        Some(text.into())
    }
}

/// The vendor's words when an archive is older than the runtime.
const UNSUPPORTED_VERSION: &str = "Unsupported model version";

fn runtime_hint(error: &RuntimeError) -> String {
    match error {
        RuntimeError::MissingSymbols { .. } | RuntimeError::Version { .. } => {
            "install a Voyager SDK whose libaxruntime matches this version of axllm"
        }
        _ => "check the file that AXLLM_RUNTIME_LIB or AXELERA_RUNTIME_DIR names",
    }
    .into()
}
