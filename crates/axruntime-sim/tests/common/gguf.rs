//! Writes a tiny Llama as a GGUF file: random weights, but always the same ones.

use std::path::Path;

pub const LAYERS: usize = 2;
pub const DIM: usize = 32;
pub const VOCAB: usize = 64;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const FF: usize = 64;
/// What the tiny model was "trained" for.
pub const CONTEXT: usize = 64;
const ALIGNMENT: usize = 32;

enum Value {
    U32(u32),
    F32(f32),
    Text(&'static str),
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn metadata() -> Vec<(&'static str, Value)> {
    vec![
        ("general.architecture", Value::Text("llama")),
        ("llama.block_count", Value::U32(LAYERS as u32)),
        ("llama.context_length", Value::U32(CONTEXT as u32)),
        ("llama.embedding_length", Value::U32(DIM as u32)),
        ("llama.feed_forward_length", Value::U32(FF as u32)),
        ("llama.attention.head_count", Value::U32(HEADS as u32)),
        ("llama.attention.head_count_kv", Value::U32(KV_HEADS as u32)),
        ("llama.rope.freq_base", Value::F32(10_000.0)),
        ("llama.rope.dimension_count", Value::U32((DIM / HEADS) as u32)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.vocab_size", Value::U32(VOCAB as u32)),
    ]
}

/// Names with dimensions, the fastest first.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let kv = DIM / HEADS * KV_HEADS;
    let mut tensors =
        vec![("token_embd.weight".into(), vec![DIM, VOCAB]), ("output_norm.weight".into(), vec![DIM])];
    for layer in 0..LAYERS {
        for (name, dims) in [
            ("attn_norm", vec![DIM]),
            ("ffn_norm", vec![DIM]),
            ("attn_q", vec![DIM, DIM]),
            ("attn_k", vec![DIM, kv]),
            ("attn_v", vec![DIM, kv]),
            ("attn_output", vec![DIM, DIM]),
            ("ffn_gate", vec![DIM, FF]),
            ("ffn_up", vec![DIM, FF]),
            ("ffn_down", vec![FF, DIM]),
        ] {
            tensors.push((format!("blk.{layer}.{name}.weight"), dims));
        }
    }
    tensors
}

/// From -1 to 1, and the same in every run.
pub fn random(seed: &mut u64) -> f32 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((*seed >> 40) as f32 / (1u32 << 23) as f32) - 1.0
}

pub fn write(path: &Path) {
    let (metadata, tensors) = (metadata(), tensors());
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        string(&mut out, key);
        match value {
            Value::U32(value) => {
                out.extend(4u32.to_le_bytes());
                out.extend(value.to_le_bytes());
            }
            Value::F32(value) => {
                out.extend(6u32.to_le_bytes());
                out.extend(value.to_le_bytes());
            }
            Value::Text(value) => {
                out.extend(8u32.to_le_bytes());
                string(&mut out, value);
            }
        }
    }
    let (mut data, mut seed) = (Vec::new(), 1);
    for (name, dims) in tensors {
        data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
        string(&mut out, &name);
        out.extend((dims.len() as u32).to_le_bytes());
        dims.iter().for_each(|dim| out.extend((*dim as u64).to_le_bytes()));
        out.extend(0u32.to_le_bytes()); // F32
        out.extend((data.len() as u64).to_le_bytes());
        for _ in 0..dims.iter().product() {
            let norm = if name.contains("norm") { 1.0 } else { 0.0 };
            data.extend((norm + 0.3 * random(&mut seed)).to_le_bytes());
        }
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    out.extend(data);
    std::fs::write(path, out).unwrap();
}
