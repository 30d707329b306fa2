//! What can differ from one call to the next.

use crate::{Overflow, SamplerOptions};

/// Parameters of one reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Never guess ahead: replies on the CPU are the same without, only slower where they repeat themselves or the prompt.
    pub no_drafts: bool,
    /// How tokens are chosen.
    pub sampler: SamplerOptions,
    /// Most tokens of the reply; `None`: as many as the context has room for.
    pub max_tokens: Option<usize>,
    /// Texts that end the reply; they are not part of it.
    pub stop: Vec<String>,
    /// What to do with a conversation that has outgrown the context.
    pub overflow: Overflow,
    /// Also tell each token's log-probability, beside those of this many of the likeliest; `None`: tell none.
    pub logprobs: Option<usize>,
}

/// A token with the natural logarithm of its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub token: u32,
    /// The bytes that it adds to the text.
    pub bytes: Vec<u8>,
    /// By the model's own scores, before any option of the sampler.
    pub logprob: f64,
}

/// A token of a reply, and what the model would rather have said.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The token that was chosen.
    pub chosen: TokenLogprob,
    /// The likeliest tokens, the best first.
    pub top: Vec<TokenLogprob>,
}

/// A piece of a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Whole characters; empty only in a last piece, for tokens that gave no text.
    pub text: String,
    /// Tokens that it took since the piece before.
    pub tokens: usize,
    /// Each of those tokens, where the request asks for them.
    pub steps: Vec<Step>,
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
