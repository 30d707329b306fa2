//! The shape of a decoder, read from a model's metadata and checked.

mod folder;
mod gguf;
mod scaling;

use std::path::Path;

pub use scaling::{LongRope, RopeScaling};

use crate::error::LoadError;

/// A decoder as the model's metadata describes it.
///
/// Biases, norms of heads and a head of its own are used where the files have their tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Rows of the embedding table, logits per position.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub embedding_dim: usize,
    /// Decoder blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Values in a head.
    pub head_dim: usize,
    /// Width of the feed-forward layer.
    pub ff_dim: usize,
    /// Positions that the model was trained for.
    pub context_length: usize,
    /// Values of a head that are rotated, the first ones; even.
    pub rope_dim: usize,
    /// Base of the rotation's frequencies.
    pub rope_base: f64,
    /// What stretches the rotation to longer contexts.
    pub rope_scaling: RopeScaling,
    /// Whether value `i` of a head is rotated with value `i + rope_dim/2`, as Hugging Face stores them; else neighbours
    /// are a pair.
    pub rope_halves: bool,
    /// Positions that a token attends to, itself included; `None`: all before it.
    pub sliding_window: Option<usize>,
    /// The first layers, which attend to all positions whatever `sliding_window` says.
    pub full_layers: usize,
    /// Whether the output head is the embedding table.
    pub tied_head: bool,
    /// Added to the mean square in the norms.
    pub norm_eps: f32,
    /// How the states of a text become one vector; `None`: in a way that is not known here.
    pub pooling: Option<Pooling>,
}

/// How the states of a text's positions become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean; also where the files say nothing.
    #[default]
    Mean,
    /// The first one.
    First,
    /// The last one, which has seen all others.
    Last,
}

impl Config {
    /// Values of all key (or value) heads of a position.
    pub fn kv_dim(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Values of all query heads of a position.
    pub fn q_dim(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Bytes of KV cache that `positions` take: keys and values of every layer, 16 bits each, and a scale for those of a head.
    pub fn kv_bytes(&self, positions: usize) -> u64 {
        2 * (2 * self.kv_dim() + 4 * self.kv_heads) as u64 * self.layers as u64 * positions as u64
    }

    /// Positions that a token of `layer` attends to; `None`: all.
    pub fn window(&self, layer: usize) -> Option<usize> {
        self.sliding_window.filter(|_| layer >= self.full_layers)
    }
}

/// Limits that keep a hostile file from asking for absurd amounts; models stay far below.
mod most {
    pub const EMBEDDING: u64 = 1 << 20;
    pub const HEADS: u64 = 1 << 12;
    pub const HEAD_DIM: u64 = 1 << 12;
    pub const LAYERS: u64 = 1 << 10;
    pub const FF: u64 = 1 << 22;
    pub const CONTEXT: u64 = 1 << 26;
    pub const VOCAB: u64 = 1 << 24;
}

/// What the metadata calls the fields that depend on each other.
struct Names {
    kv_heads: String,
    heads: String,
    rope_dim: String,
}

impl Config {
    fn checked(self, path: &Path, names: &Names) -> Result<Self, LoadError> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            let expected = format!("a divisor of the {} heads", self.heads);
            return Err(bad(path, &names.kv_heads, self.kv_heads, expected));
        }
        if self.head_dim == 0 || self.q_dim() > most::EMBEDDING as usize {
            return Err(bad(path, &names.heads, self.heads, "heads that divide the embedding"));
        }
        if self.rope_dim > self.head_dim || !self.rope_dim.is_multiple_of(2) {
            let expected = format!("an even number up to the head's {}", self.head_dim);
            return Err(bad(path, &names.rope_dim, self.rope_dim, expected));
        }
        Ok(self)
    }
}

fn bad(path: &Path, key: &str, found: impl ToString, expected: impl ToString) -> LoadError {
    LoadError::BadValue {
        path: path.into(),
        key: key.into(),
        found: found.to_string(),
        expected: expected.to_string(),
    }
}
