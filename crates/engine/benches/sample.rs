//! One choice over Llama 3's vocabulary, from quantised scores and from floats.

use criterion::{Criterion, Throughput, criterion_group};
use engine::{Logits, Sampler, SamplerOptions};

const VOCABULARY: usize = 128_256;

fn sample(criterion: &mut Criterion) {
    // Scores as a model has them: a bell with few large ones, the best in the middle.
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as i32 - 128
    };
    let mut values: Vec<i8> =
        (0..VOCABULARY).map(|_| ((next() + next() + next() + next()) / 5) as i8).collect();
    values[VOCABULARY / 2] = 127;
    let logits = Logits::I8 { values: &values, scale: 0.12, zero_point: -4 };
    let floats: Vec<f32> = values.iter().map(|value| f32::from(*value) * 0.12).collect();
    let recent: Vec<u32> = (0..64).collect();

    let base = SamplerOptions { seed: Some(1), ..SamplerOptions::default() };
    let warm = SamplerOptions { temperature: 0.8, ..base.clone() };
    let cases = [
        ("argmax", base),
        ("temperature", warm.clone()),
        ("top_k 40", SamplerOptions { top_k: 40, ..warm.clone() }),
        ("top_p 0.9", SamplerOptions { top_p: 0.9, ..warm.clone() }),
        ("everything", SamplerOptions { top_k: 40, top_p: 0.95, min_p: 0.05, repeat_penalty: 1.1, ..warm }),
    ];
    let mut group = criterion.benchmark_group("sample");
    group.throughput(Throughput::Elements(VOCABULARY as u64));
    for (name, options) in cases {
        for (kind, logits) in [("", logits), (", floats", Logits::F32(&floats))] {
            let mut sampler = Sampler::new(options.clone()).expect("options within their ranges");
            group.bench_function(format!("{name}{kind}"), |bencher| {
                bencher.iter(|| sampler.sample(logits, &recent).expect("valid scores"));
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = crate::short();
    targets = sample
}
