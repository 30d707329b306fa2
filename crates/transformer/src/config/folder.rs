//! The shape of a decoder in the `config.json` of a Hugging Face folder.

use std::path::Path;

use serde::Deserialize;

use super::{
    Config, LongRope, Names, Pooling, RopeScaling, bad, most,
    scaling::{Llama3, long_magnitude},
};
use crate::error::LoadError;

/// Values of `model_type` that the decoder runs.
const KNOWN: [&str; 5] = ["llama", "mistral", "phi3", "qwen2", "qwen3"];
const KNOWN_NAMES: &str = "llama, mistral, phi3, qwen2 and qwen3";

/// The keys that matter; a folder's file has many more.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    model_type: String,
    hidden_size: Option<u64>,
    num_hidden_layers: Option<u64>,
    num_attention_heads: Option<u64>,
    num_key_value_heads: Option<u64>,
    head_dim: Option<u64>,
    intermediate_size: Option<u64>,
    max_position_embeddings: Option<u64>,
    original_max_position_embeddings: Option<u64>,
    vocab_size: Option<u64>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    /// Older files.
    rope_scaling: Option<Rope>,
    /// What newer versions of transformers write.
    rope_parameters: Option<Rope>,
    hidden_act: Option<String>,
    tie_word_embeddings: Option<bool>,
    sliding_window: Option<u64>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<u64>,
}

#[derive(Clone, Default, Deserialize)]
struct Rope {
    rope_type: Option<String>,
    #[serde(rename = "type")]
    old_type: Option<String>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<u64>,
    attention_factor: Option<f64>,
    short_factor: Option<Vec<f32>>,
    long_factor: Option<Vec<f32>>,
}

impl Config {
    /// The shape that the text of the `config.json` at `path` describes.
    pub(crate) fn of_folder(path: &Path, text: &[u8]) -> Result<Self, LoadError> {
        let invalid = |source| LoadError::Json { path: path.into(), source };
        let file: File = serde_json::from_slice(text).map_err(invalid)?;
        if !KNOWN.contains(&file.model_type.as_str()) {
            let found = file.model_type;
            return Err(LoadError::Architecture { path: path.into(), found, known: KNOWN_NAMES });
        }
        if let Some(other) = file.hidden_act.as_deref().filter(|act| !["silu", "swish"].contains(act)) {
            return Err(bad(path, "hidden_act", other, "silu"));
        }
        let optional = |key: &str, value: Option<u64>, most: u64| match value {
            None => Ok(None),
            Some(value) if (1..=most).contains(&value) => Ok(Some(value as usize)),
            Some(value) => Err(bad(path, key, value, format_args!("1 to {most}"))),
        };
        let needed = |key: &str, value: Option<u64>, most: u64| {
            let missing = || LoadError::MissingKey { path: path.into(), key: key.into() };
            optional(key, value, most)?.ok_or_else(missing)
        };
        let float = |key: &str, value: f64| {
            let fine = value.is_finite() && value > 0.0;
            if fine { Ok(value) } else { Err(bad(path, key, value, "a number above 0")) }
        };

        let embedding_dim = needed("hidden_size", file.hidden_size, most::EMBEDDING)?;
        let heads = needed("num_attention_heads", file.num_attention_heads, most::HEADS)?;
        let head_dim = optional("head_dim", file.head_dim, most::HEAD_DIM)?.unwrap_or(embedding_dim / heads);
        let rope = file.rope_parameters.clone().or_else(|| file.rope_scaling.clone()).unwrap_or_default();
        let share = file.partial_rotary_factor.or(rope.partial_rotary_factor).unwrap_or(1.0);
        let share = float("partial_rotary_factor", share)?.min(1.0);
        let rope_dim = (head_dim as f64 * share) as usize;
        let rope_base = float("rope_theta", file.rope_theta.or(rope.rope_theta).unwrap_or(10_000.0))?;
        let context_length = needed("max_position_embeddings", file.max_position_embeddings, most::CONTEXT)?;
        let original = optional(
            "original_max_position_embeddings",
            rope.original_max_position_embeddings.or(file.original_max_position_embeddings),
            most::CONTEXT,
        )?;
        // Qwen2 names a window and says elsewhere whether it is used
        let windowed = file.use_sliding_window.unwrap_or(!file.model_type.starts_with("qwen"));
        let full_layers = file.max_window_layers.filter(|_| file.model_type.starts_with("qwen"));
        let config = Self {
            vocab_size: needed("vocab_size", file.vocab_size, most::VOCAB)?,
            embedding_dim,
            layers: needed("num_hidden_layers", file.num_hidden_layers, most::LAYERS)?,
            heads,
            kv_heads: optional("num_key_value_heads", file.num_key_value_heads, most::HEADS)?
                .unwrap_or(heads),
            head_dim,
            ff_dim: needed("intermediate_size", file.intermediate_size, most::FF)?,
            context_length,
            rope_dim,
            rope_base,
            rope_scaling: rope.scaling(path, (rope_dim, rope_base), (context_length, original))?,
            rope_halves: true,
            sliding_window: optional("sliding_window", file.sliding_window, most::CONTEXT)?
                .filter(|_| windowed),
            full_layers: full_layers.map_or(0, |layers| usize::try_from(layers).unwrap_or(usize::MAX)),
            tied_head: file.tie_word_embeddings.unwrap_or(false),
            norm_eps: float("rms_norm_eps", file.rms_norm_eps.unwrap_or(1e-6))? as f32,
            pooling: Some(Pooling::default()),
        };
        let names = Names {
            kv_heads: "num_key_value_heads".into(),
            heads: "num_attention_heads".into(),
            rope_dim: "partial_rotary_factor".into(),
        };
        config.checked(path, &names)
    }
}

impl Rope {
    fn scaling(
        self,
        path: &Path,
        (dim, base): (usize, f64),
        (context, original): (usize, Option<usize>),
    ) -> Result<RopeScaling, LoadError> {
        let missing =
            |key: &str| LoadError::MissingKey { path: path.into(), key: format!("rope_scaling.{key}") };
        let number = |key: &str, value: Option<f64>| match value {
            Some(value) if value.is_finite() && value > 0.0 => Ok(value),
            Some(value) => Err(bad(path, &format!("rope_scaling.{key}"), value, "a number above 0")),
            None => Err(missing(key)),
        };
        let original = || original.ok_or_else(|| missing("original_max_position_embeddings"));
        let plain = RopeScaling::default();
        match self.rope_type.as_deref().or(self.old_type.as_deref()).unwrap_or("default") {
            "default" => Ok(plain),
            "linear" => {
                let factor = number("factor", self.factor)? as f32;
                Ok(RopeScaling { factors: vec![factor; dim / 2], ..plain })
            }
            "llama3" => {
                let parameters = Llama3 {
                    factor: number("factor", self.factor)?,
                    low_freq_factor: number("low_freq_factor", self.low_freq_factor)?,
                    high_freq_factor: number("high_freq_factor", self.high_freq_factor)?,
                    original: original()? as f64,
                };
                Ok(RopeScaling { factors: parameters.factors(dim, base), ..plain })
            }
            "longrope" | "su" => {
                let factors = |key: &str, factors: Option<Vec<f32>>| {
                    let factors = factors.ok_or_else(|| missing(key))?;
                    if factors.len() == dim / 2
                        && factors.iter().all(|factor| factor.is_finite() && *factor > 0.0)
                    {
                        return Ok(factors);
                    }
                    let expected = format!("{} numbers above 0", dim / 2);
                    Err(bad(
                        path,
                        &format!("rope_scaling.{key}"),
                        format_args!("{} numbers", factors.len()),
                        expected,
                    ))
                };
                let original = original()?;
                let magnitude = match self.attention_factor {
                    Some(factor) => number("attention_factor", Some(factor))?,
                    None => long_magnitude(context, original),
                };
                let long = LongRope { above: original, factors: factors("long_factor", self.long_factor)? };
                Ok(RopeScaling {
                    factors: factors("short_factor", self.short_factor)?,
                    long: Some(long),
                    magnitude,
                })
            }
            other => {
                let expected = "default, linear, llama3 or longrope";
                Err(bad(path, "rope_scaling.rope_type", other, expected))
            }
        }
    }
}
