//! Weight files (GGUF and safetensors) and one decoder for the Llama, Mistral, Phi-3 and Qwen families on the CPU.
//!
//! Read in the order of a token's way: file → configuration → weights → KV cache → decoder → logits.

mod checkpoint;
mod gguf;
mod mapped;
mod tensor;

mod config;
mod dtype;
mod error;
mod weights;

mod rope;
mod sequence;

mod decoder;
mod logits;
mod model;
mod part;

pub use checkpoint::{Checkpoint, Folder};
pub use config::{Config, LongRope, Pooling, RopeScaling};
pub use dtype::{Dtype, UnknownDtype};
pub use error::{ForwardError, LoadError};
pub use gguf::{Gguf, GgufError};
pub use kernels::{Isa, Phase, UnavailableIsa, weigh};
pub use logits::quantise_logits;
pub use mapped::Mapped;
pub use model::{Input, LoadOptions, Model};
pub use part::{Output, Part};
pub use sequence::Sequence;
pub use tensor::Tensor;
