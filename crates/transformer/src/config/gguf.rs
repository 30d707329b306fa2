//! The shape of a decoder in a GGUF file's metadata.

use super::{Config, LongRope, Names, Pooling, RopeScaling, bad, most, scaling::long_magnitude};
use crate::{error::LoadError, gguf::Gguf};

/// Architectures of the GGUF specification that the decoder runs, and whether they rotate halves.
const KNOWN: [(&str, bool); 4] = [("llama", false), ("phi3", true), ("qwen2", true), ("qwen3", true)];
const KNOWN_NAMES: &str = "llama, phi3, qwen2 and qwen3";

impl Config {
    /// The shape of the model in `gguf`.
    pub(crate) fn of_gguf(gguf: &Gguf) -> Result<Self, LoadError> {
        let path = || gguf.path().to_path_buf();
        let architecture = gguf.string("general.architecture")?.unwrap_or_default();
        let Some((_, rope_halves)) = KNOWN.iter().find(|(name, _)| *name == architecture) else {
            return Err(LoadError::Architecture {
                path: path(),
                found: architecture.into(),
                known: KNOWN_NAMES,
            });
        };
        let keys = Keys { gguf, architecture };
        let embedding_dim = keys.needed("embedding_length", most::EMBEDDING)?;
        let heads = keys.needed("attention.head_count", most::HEADS)?;
        let head_dim =
            keys.optional("attention.key_length", most::HEAD_DIM)?.unwrap_or(embedding_dim / heads);
        let value_dim = keys.optional("attention.value_length", most::HEAD_DIM)?.unwrap_or(head_dim);
        if value_dim != head_dim {
            let expected = format!("the key's {head_dim}");
            return Err(bad(gguf.path(), &keys.name("attention.value_length"), value_dim, expected));
        }
        let rope_dim = keys.optional("rope.dimension_count", most::HEAD_DIM)?.unwrap_or(head_dim);
        let vocab_size = match gguf.tensor("token_embd.weight")? {
            Some(tensor) if tensor.dims.len() == 2 && tensor.dims[1] as u64 <= most::VOCAB => tensor.dims[1],
            Some(tensor) => {
                return Err(LoadError::Shape {
                    path: path(),
                    name: "token_embd.weight".into(),
                    found: tensor.dims.clone(),
                    expected: vec![embedding_dim, keys.optional("vocab_size", most::VOCAB)?.unwrap_or(0)],
                });
            }
            None => return Err(LoadError::MissingTensor { path: path(), name: "token_embd.weight".into() }),
        };
        let context_length = keys.needed("context_length", most::CONTEXT)?;
        let config = Self {
            vocab_size,
            embedding_dim,
            layers: keys.needed("block_count", most::LAYERS)?,
            heads,
            kv_heads: keys.optional("attention.head_count_kv", most::HEADS)?.unwrap_or(heads),
            head_dim,
            ff_dim: keys.needed("feed_forward_length", most::FF)?,
            context_length,
            rope_dim,
            rope_base: keys.float("rope.freq_base", 10_000.0)?,
            rope_scaling: keys.scaling(rope_dim, context_length)?,
            rope_halves: *rope_halves,
            sliding_window: keys.window()?,
            full_layers: 0,
            tied_head: gguf.tensor("output.weight")?.is_none(),
            norm_eps: keys.float("attention.layer_norm_rms_epsilon", 1e-5)? as f32,
            pooling: keys.pooling()?,
        };
        let names = Names {
            kv_heads: keys.name("attention.head_count_kv"),
            heads: keys.name("attention.head_count"),
            rope_dim: keys.name("rope.dimension_count"),
        };
        config.checked(gguf.path(), &names)
    }
}

/// The keys of one architecture.
struct Keys<'a> {
    gguf: &'a Gguf,
    architecture: &'a str,
}

impl Keys<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn optional(&self, name: &str, most: u64) -> Result<Option<usize>, LoadError> {
        match self.gguf.unsigned(&self.name(name))? {
            None => Ok(None),
            Some(value) if (1..=most).contains(&value) => Ok(Some(value as usize)),
            Some(value) => Err(bad(self.gguf.path(), &self.name(name), value, format_args!("1 to {most}"))),
        }
    }

    fn needed(&self, name: &str, most: u64) -> Result<usize, LoadError> {
        let missing = || LoadError::MissingKey { path: self.gguf.path().into(), key: self.name(name) };
        self.optional(name, most)?.ok_or_else(missing)
    }

    fn float(&self, name: &str, default: f64) -> Result<f64, LoadError> {
        let value = self.gguf.float(&self.name(name))?.unwrap_or(default);
        if value.is_finite() && value > 0.0 {
            Ok(value)
        } else {
            Err(bad(self.gguf.path(), &self.name(name), value, "a number above 0"))
        }
    }

    /// 0 means that there is no window.
    fn window(&self) -> Result<Option<usize>, LoadError> {
        let window = self.gguf.unsigned(&self.name("attention.sliding_window"))?;
        Ok(window.filter(|window| *window > 0).and_then(|window| usize::try_from(window).ok()))
    }

    /// llama.cpp's numbers: none, mean, first, last, and a rank, which takes a head of its own. Whoever asks for the vector
    /// of a model that has no kind gets the mean.
    fn pooling(&self) -> Result<Option<Pooling>, LoadError> {
        Ok(match self.gguf.unsigned(&self.name("pooling_type"))? {
            None | Some(0 | 1) => Some(Pooling::Mean),
            Some(2) => Some(Pooling::First),
            Some(3) => Some(Pooling::Last),
            Some(_) => None,
        })
    }

    fn scaling(&self, rope_dim: usize, context: usize) -> Result<RopeScaling, LoadError> {
        let pairs = rope_dim / 2;
        let tensor = |name: &str| -> Result<Option<Vec<f32>>, LoadError> {
            let Some(tensor) = self.gguf.tensor(name)? else { return Ok(None) };
            tensor.vector(self.gguf.path(), name, pairs).map(Some)
        };
        let factors = tensor("rope_freqs.weight")?;
        let (short, long) = (tensor("rope_factors_short.weight")?, tensor("rope_factors_long.weight")?);
        if let (Some(short), Some(long)) = (short, long) {
            let original = self.needed("rope.scaling.original_context_length", most::CONTEXT)?;
            let magnitude = self.float("rope.scaling.attn_factor", long_magnitude(context, original))?;
            let long = Some(LongRope { above: original, factors: long });
            return Ok(RopeScaling { factors: short, long, magnitude });
        }
        let kind_key = self.name("rope.scaling.type");
        match self.gguf.string(&kind_key)? {
            None | Some("none") => {}
            Some("linear") if factors.is_none() => {
                let factor = self.float("rope.scaling.factor", 1.0)? as f32;
                return Ok(RopeScaling { factors: vec![factor; pairs], ..RopeScaling::default() });
            }
            Some(kind) => {
                let expected = "none, linear, or factors in rope_freqs or rope_factors_short and _long";
                return Err(bad(self.gguf.path(), &kind_key, kind, expected));
            }
        }
        Ok(RopeScaling { factors: factors.unwrap_or_default(), ..RopeScaling::default() })
    }
}
