//! What the tests of several crates need: the default model and the reference outputs computed from it.
#![allow(clippy::unwrap_used)] // a broken fixture is a failed test

mod families;
mod gguf;
pub mod memory;

use std::{env, path::PathBuf};

pub use families::{Blocks, Family, Short, blocks, families, family_folder, family_gguf};
pub use gguf::{GgufWriter, kind, string, tiny};

use serde::Deserialize;

/// The default model's file: `AXLLM_TEST_MODEL`, else where the store keeps it.
///
/// # Panics
/// When it is not there: a test that needs the model fails, it is never skipped.
pub fn default_model() -> PathBuf {
    let path = env::var_os("AXLLM_TEST_MODEL").map_or_else(
        || build_root().join("smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"),
        PathBuf::from,
    );
    assert!(path.is_file(), "default model not found at {path:?}: run `npm test`, which fetches it");
    path
}

fn build_root() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("AXELERA_BUILD_ROOT")
        .or_else(|| set("AXELERA_FRAMEWORK").map(|root| root.join("build")))
        .or_else(|| set("XDG_CACHE_HOME").map(|root| root.join("axllm")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/axllm")))
        .expect("HOME is set")
}

/// Reference outputs of the default model: Hugging Face transformers, 32-bit floats, same file.
#[derive(Debug, Deserialize)]
pub struct Oracle {
    /// Conversations with the template rendered and greedy replies.
    pub chats: Vec<Chat>,
    /// Texts with logits at every position.
    pub texts: Vec<Text>,
}

/// One conversation.
#[derive(Debug, Deserialize)]
pub struct Chat {
    /// What it exercises.
    pub name: String,
    /// The conversation, the new user message last.
    pub messages: Vec<Message>,
    /// The prompt as the model's own template renders it.
    pub rendered: String,
    /// The prompt's ids.
    pub prompt_ids: Vec<u32>,
    /// Up to 64 greedy tokens, the end token included.
    pub greedy_ids: Vec<u32>,
    /// Top-1 minus top-2 logit at each greedy step.
    pub greedy_margins: Vec<f32>,
    /// Text of the greedy tokens.
    pub greedy_text: String,
    /// Logits at the last prompt position.
    pub last: Top,
}

/// One message.
#[derive(Debug, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// One text, teacher-forced.
#[derive(Debug, Deserialize)]
pub struct Text {
    /// What it is.
    pub name: String,
    /// The text.
    pub text: String,
    /// Its ids.
    pub ids: Vec<u32>,
    /// Logits after each of them.
    pub positions: Vec<Top>,
}

/// The greatest logits at a position.
#[derive(Debug, Deserialize)]
pub struct Top {
    /// Token ids, greatest logit first.
    pub ids: Vec<u32>,
    /// Their logits.
    pub logits: Vec<f64>,
    /// log Σ exp over the whole vocabulary.
    pub logsumexp: f64,
}

/// The reference outputs.
///
/// # Panics
/// When the fixture does not parse.
pub fn oracle() -> Oracle {
    serde_json::from_str(include_str!("../oracle.json")).unwrap()
}

/// Index of the greatest value, the lowest where several are.
pub fn argmax(logits: &[f32]) -> u32 {
    let better = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    (0..logits.len()).reduce(better).unwrap_or(0) as u32
}

impl Top {
    /// Kullback–Leibler divergence of `logits` (the whole vocabulary) from the reference, over the listed tokens and
    /// one bucket for the rest.
    pub fn divergence(&self, logits: &[f32]) -> f64 {
        let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let total: f64 = logits.iter().map(|l| (f64::from(*l) - largest).exp()).sum();
        let logsumexp = largest + total.ln();
        let (mut divergence, mut p_rest, mut q_rest) = (0.0, 1.0, 1.0);
        for (id, logit) in self.ids.iter().zip(&self.logits) {
            let log_p = logit - self.logsumexp;
            let log_q = f64::from(logits[*id as usize]) - logsumexp;
            divergence += log_p.exp() * (log_p - log_q);
            p_rest -= log_p.exp();
            q_rest -= log_q.exp();
        }
        if p_rest > 1e-9 && q_rest > 1e-9 {
            divergence += p_rest * (p_rest / q_rest).ln();
        }
        divergence
    }

    /// The reference's margin between its first and second choice.
    pub fn margin(&self) -> f64 {
        self.logits[0] - self.logits[1]
    }
}
