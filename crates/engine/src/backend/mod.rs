//! Where a model runs: one interface, one folder or file per place.
//!
//! A [`Backend`] is a model on a device or on the CPU; a [`Cache`] is one conversation's hold on it. The session
//! drives both and knows neither.

mod aipu;
mod batch;
mod cpu;
mod embed;
mod plan;
mod reread;

pub use aipu::{Aipu, AipuOptions};
pub use cpu::Cpu;

use crate::{Cancel, EmbedError, Error, Logits};

/// What a backend is, for logs and statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `transformers` or `transformers-aipu`, the guide's names.
    pub pipeline: &'static str,
    /// The device's name, or `cpu`.
    pub device: String,
    /// Instruction set of the CPU kernels, empty on a device.
    pub isa: &'static str,
    /// Threads of the CPU kernels, 0 on a device.
    pub threads: usize,
    /// Lines that a start-up log shows.
    pub notes: Vec<String>,
}

/// A loaded model, shared by any number of conversations.
pub trait Backend: Send + Sync {
    /// What and where it is.
    fn place(&self) -> &Place;
    /// Logits per position.
    fn vocab_size(&self) -> usize;
    /// Values of an embedding row.
    fn embedding_dim(&self) -> usize;
    /// Positions of prompt and reply together.
    fn context_length(&self) -> usize;
    /// A KV cache for one conversation.
    fn cache(&self) -> Box<dyn Cache>;
    /// What makes vectors of texts.
    ///
    /// # Errors
    /// Why there is nothing that does.
    fn embedder(&self) -> Result<&dyn Embedder, EmbedError> {
        Err(EmbedError::Device { device: self.place().device.clone() })
    }
    /// The hottest core in °C, where it can be read.
    fn core_temperature(&self) -> Option<f64> {
        None
    }
}

/// What makes vectors of token ids.
pub trait Embedder {
    /// A vector an input, of any length other than 0; what it is depends on the input alone.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `cancel` is set meanwhile.
    fn embed(&self, inputs: &[Vec<u32>], cancel: &Cancel) -> Result<Vec<Vec<f32>>, Error>;
}

/// One conversation's KV cache.
///
/// A reply is `acquire`, `begin`, then `run` over the rest of the prompt and each new token, then `release`. What a
/// cache answers depends on the tokens of this reply alone, never on those of another conversation.
pub trait Cache: Send {
    /// Waits for the device where replies take turns.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `cancel` is set meanwhile.
    fn acquire(&mut self, cancel: &Cancel) -> Result<(), Error>;

    /// Keeps what it holds of `prompt` (not empty) and drops the rest; gives the number of leading tokens that it holds already,
    /// fewer than the prompt has.
    ///
    /// # Errors
    /// When the prompt has an unknown token or is longer than the context.
    fn begin(&mut self, prompt: &[u32]) -> Result<usize, Error>;

    /// At most so many of the prompt's tokens, one or more, go into the next run: a cancel is heard in between.
    fn piece(&self) -> usize;

    /// Adds tokens; the logits after the last `wanted` of them are asked for. A place that cannot take back what it has
    /// read gives those after the last only.
    ///
    /// # Errors
    /// When the device fails. The cache then holds nothing that a later reply would build on.
    fn run(&mut self, tokens: &[u32], wanted: usize) -> Result<(), Error>;

    /// Logits after the last run's first wanted token, or the one that [`Cache::look_at`] says.
    fn logits(&self) -> Logits<'_>;

    /// Whether tokens can be taken back, and logits of several asked for.
    fn takes_back(&self) -> bool {
        false
    }

    /// Makes [`Cache::logits`] those after the n-th of the last run's wanted tokens.
    fn look_at(&mut self, n: usize) {
        debug_assert_eq!(n, 0, "there are logits of one token only");
    }

    /// Forgets the last `tokens`.
    fn take_back(&mut self, tokens: usize) {
        debug_assert_eq!(tokens, 0, "nothing can be taken back here");
    }

    /// Lets others have the device. Called however the reply ended.
    fn release(&mut self);

    /// Forgets the conversation.
    fn clear(&mut self);
}
