//! GGUF weight files and the Llama-family decoder on the CPU.
//!
//! Read in the order of a token's way: file → configuration → weights → KV cache → decoder → logits.

mod gguf;
mod mapped;

mod config;
mod error;
mod weights;

mod rope;
mod sequence;

mod decoder;
mod logits;
mod model;

pub use config::Config;
pub use error::{ForwardError, LoadError};
pub use gguf::{Gguf, GgufError, Tensor};
pub use kernels::{Isa, UnavailableIsa};
pub use logits::quantise_logits;
pub use mapped::Mapped;
pub use model::{Input, LoadOptions, Model, Part};
pub use sequence::Sequence;
