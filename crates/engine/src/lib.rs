//! The language-model runner without a front end.
//!
//! Modules stand in the order in which a token passes through them.

mod embeddings;
//
mod tokenizer;
//
mod prompt;
//
mod sampler;
//
mod stream;

pub use embeddings::{Embeddings, EmbeddingsError};
pub use prompt::{
    ChatTemplate, Message, Overflow, Prompt, PromptBuilder, PromptError, PromptOptions, Rendered, Role,
    reserve,
};
pub use sampler::{Logits, Sampler, SamplerError, SamplerOptions};
pub use stream::TextStream;
pub use tokenizer::{Segment, Tokenizer, TokenizerError};
