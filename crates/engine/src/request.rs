//! What can differ from one call to the next.

use crate::{Overflow, SamplerOptions};

/// Parameters of one reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Never guess ahead: greedy replies on the CPU are the same without, only slower where they repeat themselves or
    /// the prompt.
    pub no_drafts: bool,
    /// How tokens are chosen.
    pub sampler: SamplerOptions,
    /// Most tokens of the reply; `None`: as many as the context has room for.
    pub max_tokens: Option<usize>,
    /// Texts that end the reply; they are not part of it.
    pub stop: Vec<String>,
    /// What to do with a conversation that has outgrown the context.
    pub overflow: Overflow,
}

/// A piece of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Whole characters; empty only in a last piece, for tokens that gave no text.
    pub text: String,
    /// Tokens that it took since the piece before.
    pub tokens: usize,
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it, or a stop text came.
    Stop,
    /// `max_tokens` or the context was reached.
    Length,
    /// It was cancelled.
    Cancelled,
}

impl Finish {
    /// The word that APIs use: `stop`, `length` or `cancelled`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Cancelled => "cancelled",
        }
    }
}
