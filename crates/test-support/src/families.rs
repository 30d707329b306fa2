//! Tiny random models of every family, with what transformers computes from them (`scripts/make-families.py`), and
//! blocks of every quantised type with what they decode to (`scripts/make-blocks.py`).

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

/// One family's model.
#[derive(Debug, Deserialize)]
pub struct Family {
    /// The ids that the logits belong to.
    pub prompt: Vec<u32>,
    /// Some positions of the prompt.
    pub positions: Vec<usize>,
    /// All logits at them.
    pub logits: Vec<Vec<f32>>,
    /// 32 ids that follow the prompt, each the likeliest.
    pub greedy: Vec<u32>,
    /// The mean of the states before the head.
    pub mean_state: Vec<f32>,
    /// The first of them.
    pub first_state: Vec<f32>,
    /// The last of them.
    pub last_state: Vec<f32>,
    /// Logits after the first ids alone, where fewer positions change what the model does (long-rope).
    pub short: Option<Short>,
}

/// The beginning of a prompt.
#[derive(Debug, Deserialize)]
pub struct Short {
    /// How many ids.
    pub len: usize,
    /// Logits after the last of them.
    pub logits: Vec<f32>,
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/families"))
}

/// All families by name.
///
/// # Panics
/// When the fixture does not parse.
pub fn families() -> BTreeMap<String, Family> {
    serde_json::from_str(include_str!("../families/families.json")).unwrap()
}

/// A family's folder in Hugging Face layout.
pub fn family_folder(name: &str) -> PathBuf {
    folder().join(name)
}

/// The same weights as a GGUF file.
pub fn family_gguf(name: &str) -> PathBuf {
    folder().join(format!("{name}.gguf"))
}

/// Blocks of one type and the floats that they stand for.
#[derive(Debug)]
pub struct Blocks {
    /// ggml's name of the type.
    pub name: String,
    /// As they lie in a file.
    pub bytes: Vec<u8>,
    /// What llama.cpp's Python package decodes them to.
    pub values: Vec<f32>,
}

/// Blocks of every quantised type.
///
/// # Panics
/// When the fixture does not parse.
pub fn blocks() -> Vec<Blocks> {
    #[derive(Deserialize)]
    struct Hex {
        bytes: String,
        values: String,
    }
    let fixture: BTreeMap<String, Hex> = serde_json::from_str(include_str!("../blocks.json")).unwrap();
    let bytes = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let of = |(name, hex): (String, Hex)| Blocks {
        name,
        bytes: bytes(&hex.bytes),
        values: bytes(&hex.values).as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    };
    fixture.into_iter().map(of).collect()
}
