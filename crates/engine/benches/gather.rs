//! Embedding rows of some tokens: a copy, to be compared with the memory's bandwidth.

use criterion::{Criterion, Throughput, criterion_group};
use engine::{Embeddings, EmbeddingsError};
use half::f16;

/// Llama 3.2 1B's width; the vocabulary is larger than the caches.
const COLUMNS: usize = 2048;
const VOCABULARY: usize = 16_384;

/// One decoding step, a short prompt, a whole compiled context.
const ROWS: [usize; 3] = [1, 64, 1024];

fn gather(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("embeddings.npz");
    let mut state = 1u32;
    let numbers = |_, row: &mut [f16]| -> Result<(), EmbeddingsError> {
        for number in row {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *number = f16::from_f32((state >> 16) as f32 / 65536.0);
        }
        Ok(())
    };
    Embeddings::write_npz(&path, VOCABULARY, COLUMNS, numbers).expect("a writable folder");
    let embeddings = Embeddings::open(&path).expect("the archive just written");
    let mut group = criterion.benchmark_group("gather");
    for rows in ROWS {
        let ids: Vec<u32> = (0..rows).map(|at| (at * 7919 % VOCABULARY) as u32).collect();
        let mut out = vec![];
        group.throughput(Throughput::Bytes((rows * COLUMNS * 2) as u64));
        group.bench_function(format!("{rows}x{COLUMNS}"), |bencher| {
            bencher.iter(|| embeddings.gather(&ids, &mut out).expect("ids within the vocabulary"));
        });
    }
}

criterion_group! {
    name = benches;
    config = crate::short();
    targets = gather
}
