//! The decoder: one layer, prompt passes of several lengths, decoding at several depths and with several sequences.
#![allow(missing_docs)] // criterion's macros write undocumented functions

use std::time::Duration;

use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use test_support::{GgufWriter, default_model};
use transformer::{Input, LoadOptions, Model, Output, Part, Phase, Sequence};

const PROMPTS: [usize; 4] = [16, 64, 256, 1024];
const DEPTHS: [usize; 4] = [0, 512, 1024, 4096];
const TOGETHER: [usize; 4] = [1, 2, 4, 8];

fn ids(count: usize, vocab: usize) -> Vec<u32> {
    (0..count).map(|n| (n * 7919 % vocab) as u32).collect()
}

fn passes(criterion: &mut Criterion) {
    let model = Model::open(&default_model(), &LoadOptions::default()).expect("the default model");
    let mut group = criterion.benchmark_group("prompt");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    prompts(&mut group, &model, &PROMPTS);
    group.finish();

    let mut group = criterion.benchmark_group("decode");
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    let vocab = model.config().vocab_size;
    for depth in DEPTHS {
        let mut sequence = filled(&model, depth);
        let mut logits = vec![0.0; vocab];
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("at depth {depth}"), |bencher| {
            bencher.iter(|| {
                sequence.truncate(depth);
                model.decode(&mut sequence, Input::Tokens(&[7]), &mut logits).expect("it fits");
            });
        });
    }
    for count in TOGETHER {
        let mut sequences: Vec<_> = (0..count).map(|_| filled(&model, 64)).collect();
        let mut logits = vec![vec![0.0; vocab]; count];
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count} sequences"), |bencher| {
            bencher.iter(|| {
                sequences.iter_mut().for_each(|sequence| sequence.truncate(64));
                let parts = sequences.iter_mut().zip(&mut logits);
                let mut parts: Vec<_> = parts
                    .map(|(sequence, logits)| Part {
                        sequence,
                        tokens: &[7],
                        phase: Phase::Decode,
                        output: Output::Logits(logits),
                    })
                    .collect();
                model.step(&mut parts).expect("it fits");
            });
        });
    }
}

fn prompts(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    model: &Model,
    lengths: &[usize],
) {
    let vocab = model.config().vocab_size;
    for length in lengths {
        let (ids, mut logits) = (ids(*length, vocab), vec![0.0; vocab]);
        group.throughput(Throughput::Elements(*length as u64));
        group.bench_function(format!("{length} tokens"), |bencher| {
            bencher.iter_batched_ref(
                || model.sequence(*length),
                |sequence| model.forward(sequence, Input::Tokens(&ids), &mut logits).expect("it fits"),
                BatchSize::PerIteration,
            );
        });
    }
}

fn filled(model: &Model, depth: usize) -> Sequence {
    let mut sequence = model.sequence(depth + 1);
    if depth > 0 {
        let ids = ids(depth, model.config().vocab_size);
        model.prefill(&mut sequence, Input::Tokens(&ids)).expect("it fits");
    }
    sequence
}

/// One block of SmolLM2 135M's shape in Q4_0, with a vocabulary that costs nothing.
fn layer(criterion: &mut Criterion) {
    let (dim, kv, ff, vocab) = (576u64, 192u64, 1536u64, 32u64);
    let quantised = |dims: &[u64]| {
        let blocks = (dims.iter().product::<u64>() / 32) as usize;
        let block = [&[0x00, 0x20][..], &[0x97; 16]].concat(); // f16 2⁻⁷ and nibbles 7 and 9
        block.repeat(blocks)
    };
    let norm = |dim: u64| (0..dim).flat_map(|_| 1f32.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = GgufWriter::default()
        .string("general.architecture", "llama")
        .u32("llama.block_count", 1)
        .u32("llama.context_length", 2048)
        .u32("llama.embedding_length", dim as u32)
        .u32("llama.feed_forward_length", ff as u32)
        .u32("llama.attention.head_count", 9)
        .u32("llama.attention.head_count_kv", 3)
        .f32("llama.rope.freq_base", 10_000.0)
        .u32("llama.rope.dimension_count", 64)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .u32("llama.vocab_size", vocab as u32)
        .tensor("token_embd.weight", &[dim, vocab], 2, quantised(&[dim, vocab]))
        .tensor("output_norm.weight", &[dim], 0, norm(dim));
    for name in ["attn_norm", "ffn_norm"] {
        file = file.tensor(&format!("blk.0.{name}.weight"), &[dim], 0, norm(dim));
    }
    for (name, dims) in [
        ("attn_q", [dim, dim]),
        ("attn_k", [dim, kv]),
        ("attn_v", [dim, kv]),
        ("attn_output", [dim, dim]),
        ("ffn_gate", [dim, ff]),
        ("ffn_up", [dim, ff]),
        ("ffn_down", [ff, dim]),
    ] {
        file = file.tensor(&format!("blk.0.{name}.weight"), &dims, 2, quantised(&dims));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("layer.gguf");
    std::fs::write(&path, file.bytes()).expect("a writable folder");
    let model = Model::open(&path, &LoadOptions::default()).expect("the file just written");
    let mut group = criterion.benchmark_group("one layer");
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    for length in [1, 8, 64, 256] {
        let tokens = ids(length, vocab as usize);
        // logits of all positions: of a last layer nothing else is computed
        let mut logits = vec![0.0; length * vocab as usize];
        group.throughput(Throughput::Elements(length as u64));
        group.bench_function(format!("{length} tokens"), |bencher| {
            bencher.iter_batched_ref(
                || model.sequence(length),
                |sequence| {
                    model.forward_all(sequence, Input::Tokens(&tokens), &mut logits).expect("it fits");
                },
                BatchSize::PerIteration,
            );
        });
    }
}

/// A minute or two in all: what is measured takes milliseconds, and each sample many rounds.
fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2))
}

criterion_group! {
    name = benches;
    config = short();
    targets = layer, passes
}
criterion_main!(benches);
