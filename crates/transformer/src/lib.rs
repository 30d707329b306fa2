//! GGUF weight files and the Llama-family decoder on the CPU.
//!
//! Read in the order of a token's way: file → configuration → weights → KV cache → decoder.

mod gguf;
mod mapped;

pub use gguf::{Gguf, GgufError, Tensor};
