//! Every kernel by shape, with its share of what the machine can do: `cargo bench -p kernels [-- PART OF A NAME]`.
//!
//! Products of many tokens are compared with the 8-bit peak, those of few and attention at one token with the bandwidth of
//! memory (a share above 100 % is a matrix that stays in the cache). Best of several rounds, on all cores.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a measuring program

mod probes;

use std::time::{Duration, Instant};

use kernels::{Activations, Arena, Attention, Compute, Format, KvCache, Lane, Linear, Matrix, Packed};

const ROUND: Duration = Duration::from_millis(150);

/// Rows and columns: SmolLM2 135M's and Llama 3.2 1B's, and a head.
const SHAPES: [(usize, usize); 7] =
    [(576, 576), (1536, 576), (576, 1536), (2048, 2048), (8192, 2048), (2048, 8192), (49152, 576)];
const TOKENS: [usize; 4] = [1, 8, 32, 256];

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let compute = Compute::new(None, 0).unwrap();
    let threads = compute.threads();
    let (int8, read) = (probes::int8(threads), probes::read(threads, true));
    println!(
        "{} on {threads} threads; limits: {:.0} Gop/s of 8-bit products, {:.1} GB/s read",
        compute.isa(),
        int8 / 1e9,
        read / 1e9
    );
    let bench = |name: String, units: f64, unit: &str, limit: f64, body: &mut dyn FnMut()| {
        if name.contains(&filter) {
            let rate = units / best(body);
            let share = if limit > 0.0 {
                format!(", {:.0} % of the limit", rate / limit * 100.0)
            } else {
                String::new()
            };
            println!("{name:48} {:9.2} µs {:9.1} {unit}{share}", units / rate * 1e6, rate / 1e9);
        }
    };
    for format in [Format::Q4_0, Format::Q4_1, Format::Q8_0, Format::F16] {
        for (rows, cols) in SHAPES {
            let weights = weights(&compute, format, rows, cols);
            let bytes = format.bytes(rows * cols).unwrap() as f64;
            for tokens in TOKENS {
                let x = activate(&compute, &weights, tokens);
                let mut out = vec![0.0; rows * tokens];
                let name = format!("linear {format:?} {rows}×{cols}, {tokens} tokens");
                let mut body =
                    || compute.linear(&mut [Linear { weights: &weights, out: &mut out, add: false }], &x);
                if tokens <= 8 {
                    bench(name, bytes, "GB/s", read, &mut body);
                } else {
                    bench(name, (2 * rows * cols * tokens) as f64, "Gop/s", int8, &mut body);
                }
            }
        }
    }
    for (heads, group, dim) in [(3, 3, 64), (8, 4, 64)] {
        for (positions, tokens) in [(64, 1), (1024, 1), (4096, 1), (512, 256), (2048, 256)] {
            let mut cache = KvCache::new(1, heads, dim);
            cache.reserve(positions).unwrap();
            let all: Vec<_> = (0..positions).map(|position| Lane { sequence: 0, position }).collect();
            let mut keys = vec![0.5; positions * heads * dim];
            let values = keys.clone();
            compute.store(&mut [&mut cache], 0, &all, (&mut keys, &values), |_, _| {});
            let lanes = &all[positions - tokens..];
            let queries = vec![0.1; tokens * heads * group * dim];
            let mut out = queries.clone();
            let caches = [&cache];
            let job =
                Attention { caches: &caches, layer: 0, lanes, window: None, queries: &queries, scale: 0.1 };
            let name = format!("attention {heads}×{group}×{dim}, {tokens} at {positions}");
            let mut body = || compute.attend(&job, &mut out);
            if tokens == 1 {
                bench(name, (positions * heads * dim * 4) as f64, "GB/s", read, &mut body);
            } else {
                let seen: usize = lanes.iter().map(|lane| lane.position + 1).sum();
                // floats: a quarter of the 8-bit peak
                bench(name, (seen * heads * group * dim * 4) as f64, "Gop/s", int8 / 4.0, &mut body);
            }
        }
    }
    let (x, weight) = (vec![0.3; 2048], vec![0.7; 2048]);
    let mut out = x.clone();
    bench("norm of 2,048".into(), 8192.0, "GB/s", 0.0, &mut || compute.rms_norm(&x, &weight, 1e-5, &mut out));
    let mut gate = vec![0.3; 8192];
    bench("swiglu of 8,192".into(), 65536.0, "GB/s", 0.0, &mut || {
        gate.fill(0.3);
        compute.swiglu(&mut gate[..], &[0.5; 8192]);
    });
    let head = weights(&compute, Format::Q4_0, 16, 2048);
    let mut activations = Activations::default();
    bench("quantise 64 × 2,048".into(), 64.0 * 8192.0, "GB/s", 0.0, &mut || {
        compute.activate(&mut activations, (64, 2048), &[head.kind()], |_, row| row.copy_from_slice(&x));
    });
    let mut cells = vec![0u8; 64];
    let join = best(&mut || compute.chunks(&mut cells, 4, |_, _| {}));
    println!("fork and join: {:.2} µs", join * 1e6);
}

/// Seconds of one call, the best mean of three rounds.
fn best(body: &mut dyn FnMut()) -> f64 {
    body();
    let round = |body: &mut dyn FnMut()| {
        let (started, mut calls) = (Instant::now(), 0);
        while started.elapsed() < ROUND {
            (0..4).for_each(|_| body());
            calls += 4;
        }
        started.elapsed().as_secs_f64() / f64::from(calls)
    };
    (0..3).map(|_| round(body)).fold(f64::INFINITY, f64::min)
}

fn weights(compute: &Compute, format: Format, rows: usize, cols: usize) -> Packed {
    let size = format.bytes(rows * cols).unwrap();
    let bytes: Vec<u8> = (0..size).map(|n| ((n * 7919) >> 3) as u8 & 0x3f).collect();
    let matrix = Matrix::new(format, rows, cols, &bytes).unwrap();
    compute.pack(&matrix, &mut Arena::expecting(size)).unwrap()
}

fn activate(compute: &Compute, weights: &Packed, tokens: usize) -> Activations {
    let mut x = Activations::default();
    compute.activate(&mut x, (tokens, weights.cols()), &[weights.kind()], |token, row| {
        for (n, value) in row.iter_mut().enumerate() {
            *value = ((n * 31 + token * 17) % 97) as f32 / 97.0 - 0.5;
        }
    });
    x
}
