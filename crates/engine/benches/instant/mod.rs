//! A model of Llama 3.2's size for the simulated card with `AXSIM_INSTANT=1`, which needs no weights: made by the bench
//! of the host path and by `examples/instant_model.rs`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use engine::{Embeddings, EmbeddingsError};
use half::f16;

pub const VOCABULARY: usize = 128_256;
pub const COLUMNS: usize = 2048;

/// Writes `model.json` and `embeddings.npz` into `folder`.
///
/// # Panics
/// Without room for a gigabyte there, half of it for the rows that the first open inflates.
pub fn write(folder: &Path, context: usize) -> (PathBuf, PathBuf) {
    let embeddings = folder.join("embeddings.npz");
    let mut state = 1_u32;
    Embeddings::write_npz(&embeddings, VOCABULARY, COLUMNS, |_, row| {
        // numbers of a model do not deflate to nothing, and a file whose numbers do is refused
        for value in row {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value = f16::from_bits((state >> 18) as u16); // below 2: finite
        }
        Ok::<_, EmbeddingsError>(())
    })
    .expect("room for half a gigabyte of embeddings");
    let model = folder.join("model.json");
    let json = format!(
        r#"{{"model_version":"5.0","name":"instant","context_length":{context},"vocab_size":{VOCABULARY},
        "embedding_dim":{COLUMNS},"logits":{{"scale":0.1,"zero_point":0}},
        "payload":{{"format":"axsim-gguf","file":"model.json"}}}}"#
    );
    fs::write(&model, json).expect("a writable folder");
    (model, embeddings)
}
