//! The shape of a decoder, read from a file's metadata and checked.

use crate::{error::LoadError, gguf::Gguf};

/// Architectures of the GGUF specification that the decoder runs.
const KNOWN: &str = "llama";

/// A decoder as the file's metadata describes it.
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
    /// Added to the mean square in the norms.
    pub norm_eps: f32,
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

    /// Bytes of KV cache that `positions` take (16-bit keys and values of every layer).
    pub fn kv_bytes(&self, positions: usize) -> u64 {
        2 * 2 * self.layers as u64 * self.kv_dim() as u64 * positions as u64
    }

    pub(crate) fn read(gguf: &Gguf) -> Result<Self, LoadError> {
        let path = || gguf.path().to_path_buf();
        let architecture = gguf.string("general.architecture")?.unwrap_or_default();
        if architecture != KNOWN {
            return Err(LoadError::Architecture { path: path(), found: architecture.into(), known: KNOWN });
        }
        let bad = |key: &str, found: String, expected: &str| LoadError::BadValue {
            path: path(),
            key: key.into(),
            found,
            expected: expected.into(),
        };
        let key = |name: &str| format!("{architecture}.{name}");
        let optional = |name: &str, most: u64| -> Result<Option<usize>, LoadError> {
            match gguf.unsigned(&key(name))? {
                None => Ok(None),
                Some(value) if (1..=most).contains(&value) => Ok(Some(value as usize)),
                Some(value) => Err(bad(&key(name), value.to_string(), &format!("1 to {most}"))),
            }
        };
        let needed = |name: &str, most: u64| -> Result<usize, LoadError> {
            optional(name, most)?.ok_or_else(|| LoadError::MissingKey { path: path(), key: key(name) })
        };
        let float = |name: &str, default: f64| -> Result<f64, LoadError> {
            let value = gguf.float(&key(name))?.unwrap_or(default);
            if value.is_finite() && value > 0.0 {
                Ok(value)
            } else {
                Err(bad(&key(name), value.to_string(), "a number above 0"))
            }
        };

        let embedding_dim = needed("embedding_length", 1 << 20)?;
        let heads = needed("attention.head_count", 1 << 12)?;
        let kv_heads = optional("attention.head_count_kv", 1 << 12)?.unwrap_or(heads);
        let head_dim = optional("attention.key_length", 1 << 12)?.unwrap_or(embedding_dim / heads);
        if !heads.is_multiple_of(kv_heads) {
            let expected = format!("a divisor of the {heads} heads");
            return Err(bad(&key("attention.head_count_kv"), kv_heads.to_string(), &expected));
        }
        if head_dim == 0 || heads * head_dim > 1 << 20 {
            return Err(bad(
                &key("attention.head_count"),
                heads.to_string(),
                "heads that divide the embedding",
            ));
        }
        let rope_dim = optional("rope.dimension_count", 1 << 12)?.unwrap_or(head_dim);
        if rope_dim > head_dim || !rope_dim.is_multiple_of(2) {
            let expected = format!("an even number up to the head's {head_dim}");
            return Err(bad(&key("rope.dimension_count"), rope_dim.to_string(), &expected));
        }
        if let Some(kind) = gguf.string(&key("rope.scaling.type"))?
            && kind != "none"
        {
            return Err(bad(&key("rope.scaling.type"), kind.into(), "none, or factors in rope_freqs.weight"));
        }
        let vocab_size = match gguf.tensor("token_embd.weight")? {
            Some(tensor) if tensor.dims.len() == 2 && tensor.dims[1] <= 1 << 24 => tensor.dims[1],
            Some(tensor) => {
                return Err(LoadError::Shape {
                    path: path(),
                    name: "token_embd.weight".into(),
                    found: tensor.dims.to_vec(),
                    expected: vec![embedding_dim, optional("vocab_size", 1 << 24)?.unwrap_or(0)],
                });
            }
            None => return Err(LoadError::MissingTensor { path: path(), name: "token_embd.weight".into() }),
        };
        Ok(Self {
            vocab_size,
            embedding_dim,
            layers: needed("block_count", 1 << 10)?,
            heads,
            kv_heads,
            head_dim,
            ff_dim: needed("feed_forward_length", 1 << 22)?,
            context_length: needed("context_length", 1 << 26)?,
            rope_dim,
            rope_base: float("rope.freq_base", 10_000.0)?,
            norm_eps: float("attention.layer_norm_rms_epsilon", 1e-5)? as f32,
        })
    }
}
