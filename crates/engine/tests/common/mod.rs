//! What tests share: the default model and the reference's cases.
#![allow(dead_code)] // each test binary uses a part
#![allow(clippy::unwrap_used)]

use serde::Deserialize;
use std::env::var_os;
use std::path::PathBuf;

/// The default model's file; a test without it fails, it is never skipped.
pub fn model_path() -> PathBuf {
    let path = var_os("AXLLM_TEST_MODEL").map_or_else(
        || build_root().join("smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"),
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "default model not found at {}: run `npm test`, which fetches it",
        path.display()
    );
    path
}

fn build_root() -> PathBuf {
    let set = |name| var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("AXELERA_BUILD_ROOT")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("axllm")))
        .unwrap_or_else(|| set("HOME").expect("HOME is set").join(".cache/axllm"))
}

/// Outputs of the default model computed by Hugging Face transformers in 32-bit floats.
#[derive(Deserialize)]
pub struct Oracle {
    pub eos_token_id: u32,
    pub chats: Vec<Chat>,
    pub texts: Vec<Text>,
}

/// One conversation: see shared/oracle's README for the fields.
#[derive(Deserialize)]
pub struct Chat {
    pub name: String,
    pub messages: Vec<ChatMessage>,
    pub rendered: String,
    pub prompt_ids: Vec<u32>,
    pub greedy_ids: Vec<u32>,
    pub greedy_margins: Vec<f32>,
    pub greedy_text: String,
    pub last: Position,
}

#[derive(Deserialize)]
pub struct ChatMessage {
    pub role: String,
    pub content: String,
}

/// One teacher-forced text.
#[derive(Deserialize)]
pub struct Text {
    pub name: String,
    pub text: String,
    pub ids: Vec<u32>,
    pub positions: Vec<Position>,
}

/// The top logits at one position.
#[derive(Deserialize)]
pub struct Position {
    pub ids: Vec<u32>,
    pub logits: Vec<f32>,
    pub logsumexp: f64,
}

pub fn oracle() -> Oracle {
    serde_json::from_str(include_str!("../fixtures/oracle.json")).unwrap()
}
