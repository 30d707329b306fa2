//! The language-model runner without a front end.
//!
//! Modules stand in the order in which a token passes through them: a model is opened from files, a session builds
//! the prompt, the backend runs it, the sampler chooses, the stream releases text. Nothing here prints, and nothing
//! here knows Node.

mod error;
mod request;

mod embeddings;
mod tokenizer;

mod prompt;

mod backend;
mod devices;

mod sampler;
mod stream;

mod cancel;
mod cpu_time;
mod draft;
mod embed;
mod model;
mod session;
mod timing;

mod compile;
mod extract;

pub use axruntime_sys::Device;
pub use backend::{AipuOptions, Place};
pub use cancel::Cancel;
pub use compile::{CompileError, CompileOptions, Compiled, compile, usual_context};
pub use devices::{
    Configuration, DeviceError, Runtime, SystemChain, inspect as inspect_devices, list as list_devices,
    runtime,
};
pub use embed::{EmbedError, EmbedInput};
pub use embeddings::{Embeddings, EmbeddingsError};
pub use error::Error;
pub use extract::{EmbeddingShape, extract_embeddings, extract_tokenizer};
pub use model::{Model, ModelOptions, Source};
pub use prompt::{
    ChatTemplate, Message, Overflow, Prompt, PromptBuilder, PromptError, PromptOptions, Rendered, Role,
    reserve,
};
pub use request::{Chunk, Finish, Request, Step, TokenLogprob};
pub use sampler::{Logits, Sampler, SamplerError, SamplerOptions};
pub use session::{Reply, Session};
pub use stream::TextStream;
pub use timing::Timings;
pub use tokenizer::{Segment, Tokenizer, TokenizerError};
pub use transformer::{Dtype, Isa, LoadOptions, UnavailableIsa, UnknownDtype};
