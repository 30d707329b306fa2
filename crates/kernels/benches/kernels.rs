//! Every kernel by shape, with its share of what the machine can do: `cargo bench -p kernels [-- PART OF A NAME]`.
//!
//! The limit is what takes longer: reading the weights from memory, or the products at the peak of 8-bit dot products or of
//! 32-bit floats; half of the former for floats on tiles, as prompts are where phases differ. Each call has another copy of the
//! weights, as a decoder has another layer, so that no matrix stays in the cache (keys and values do: they may be above 100 %).
//! Best of several rounds, on all cores.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a measuring program

mod probes;

use std::{
    cell::Cell,
    hint::black_box,
    time::{Duration, Instant},
};

use kernels::{
    Activations, Aligned, Arena, Attention, Compute, Format, Kind, KvCache, Lane, Linear, Matrix, Packed,
    Phase,
};

const ROUND: Duration = Duration::from_millis(150);

/// Rows and columns: SmolLM2 135M's and Llama 3.2 1B's, and a head.
const SHAPES: [(usize, usize); 7] =
    [(576, 576), (1536, 576), (576, 1536), (2048, 2048), (8192, 2048), (2048, 8192), (49152, 576)];
const TOKENS: [usize; 4] = [1, 8, 32, 256];
/// Bytes of all copies of a matrix together: more than a cache holds.
const COPIES: usize = 192 << 20;
/// Work of a thread in the measurement of fork and join.
const WORK: Duration = Duration::from_micros(10);

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let compute = Compute::new(None, 0).unwrap();
    let threads = compute.threads();
    let limits = Limits::new(threads);
    limits.print(&compute);
    // bytes, operations, and what they are
    let bench = |name: String, (bytes, operations, product): (f64, f64, Product), body: &mut dyn FnMut()| {
        if !name.contains(&filter) {
            return;
        }
        let seconds = best(body);
        let (reading, multiplying) = (bytes / limits.read.get(), operations / limits.products(product));
        let (rate, unit) =
            if reading > multiplying { (bytes / seconds, "GB/s") } else { (operations / seconds, "Gop/s") };
        let share = reading.max(multiplying) / seconds * 100.0;
        // what has no products here stays in the cache
        let share = if operations > 0.0 { format!(", {share:.0} % of the limit") } else { String::new() };
        println!("{name:50} {:9.2} µs {:8.1} {unit}{share}", seconds * 1e6, rate / 1e9);
    };
    let phases: &[Phase] =
        if compute.has_phases() { &[Phase::Prefill, Phase::Decode] } else { &[Phase::Decode] };
    for format in [Format::Q4_0, Format::Q4_1, Format::Q8_0, Format::Q4K, Format::Q6K, Format::F16] {
        for (rows, cols) in SHAPES.into_iter().filter(|(_, cols)| cols.is_multiple_of(format.block_len())) {
            let shape = format!("linear {format:?} {rows}×{cols}");
            let names = TOKENS.map(|tokens| format!("{shape}, {tokens} tokens"));
            if !names.iter().any(|name| name.contains(&filter)) {
                continue;
            }
            limits.measure();
            let bytes = format.bytes(rows * cols).unwrap();
            let copies = weights(&compute, format, (rows, cols), 1 + COPIES / bytes);
            let mut turn = copies.iter().cycle();
            let product = match copies[0].kind() {
                Kind::Tiles => Product::Tile,
                _ if format.is_quantised() => Product::Code,
                _ => Product::Float,
            };
            for ((name, tokens), phase) in
                names.iter().zip(TOKENS).flat_map(|case| phases.iter().map(move |phase| (case, *phase)))
            {
                let prefill = phase == Phase::Prefill;
                let x = activate(&compute, phase, &copies[0], tokens);
                let mut out = Aligned::default();
                out.resize(rows * tokens, 0.0);
                let mut body = || {
                    let weights = turn.next().unwrap();
                    compute.linear(&mut [Linear { weights, out: &mut out, add: false }], &x);
                };
                let product = if prefill { Product::Tile } else { product };
                let operations = (2 * rows * cols * tokens) as f64;
                bench(named(name, prefill), (bytes as f64, operations, product), &mut body);
            }
        }
    }
    for (format, (rows, cols)) in [(Format::Q4_1, (1536, 576)), (Format::Q4_0, (8192, 2048))] {
        let names = [1, 64, 512].map(|tokens| format!("gated {format:?} {rows}×{cols}, {tokens} tokens"));
        if !names.iter().any(|name| name.contains(&filter)) {
            continue;
        }
        limits.measure();
        let bytes = 2 * format.bytes(rows * cols).unwrap();
        let copies = weights(&compute, format, (rows, cols), 2 * (1 + COPIES / bytes));
        let mut turn = copies.as_chunks::<2>().0.iter().cycle();
        for ((name, tokens), phase) in
            names.iter().zip([1, 64, 512]).flat_map(|case| phases.iter().map(move |phase| (case, *phase)))
        {
            let prefill = phase == Phase::Prefill;
            let x = activate(&compute, phase, &copies[0], tokens);
            let mut out = Activations::default();
            let mut body = || {
                let [gate, up] = turn.next().unwrap();
                compute.gated(&mut out, (&[gate.kind()], phase), [gate, up], &x);
            };
            let product = if prefill { Product::Tile } else { Product::Code };
            let operations = (4 * rows * cols * tokens) as f64;
            bench(named(name, prefill), (bytes as f64, operations, product), &mut body);
        }
    }
    for (heads, group, dim) in [(3, 3, 64), (8, 4, 64)] {
        for (positions, tokens) in [(64, 1), (1024, 1), (4096, 1), (512, 256), (2048, 256)] {
            let mut cache = KvCache::new(1, heads, dim);
            cache.reserve(positions).unwrap();
            let all: Vec<_> = (0..positions).map(|position| Lane { sequence: 0, position }).collect();
            let mut keys = vec![0.5; positions * heads * dim];
            let values = keys.clone();
            compute.store(&mut [&mut cache], 0, &all, (&mut keys, &values), |_, _, _| {});
            let lanes = &all[positions - tokens..];
            let queries = vec![0.1; tokens * heads * group * dim];
            let mut out = queries.clone();
            let caches = [&cache];
            let name = format!("attention {heads}×{group}×{dim}, {tokens} at {positions}");
            let seen: usize = lanes.iter().map(|lane| lane.position + 1).sum();
            let operations = (seen * heads * group * dim * 4) as f64;
            for phase in phases.iter().copied() {
                let (window, queries, scale) = (None, &queries[..], 0.1);
                let job = Attention { caches: &caches, layer: 0, lanes, window, queries, scale, phase };
                let mut body = || compute.attend(&job, &mut out);
                let prefill = phase == Phase::Prefill;
                let product = if prefill { Product::Tile } else { Product::Float };
                let bytes = (positions * heads * dim * 4) as f64;
                bench(named(&name, prefill), (bytes, operations, product), &mut body);
            }
        }
    }
    let (x, weight) = (vec![0.3; 2048], vec![0.7; 2048]);
    let mut out = x.clone();
    bench("norm of 2,048".into(), (8192.0, 0.0, Product::Float), &mut || {
        compute.rms_norm(&x, (&weight, 1e-5), 0..2048, &mut out)
    });
    let (gate, mut out) = (vec![0.3; 8192], vec![0.0; 8192]);
    bench("swiglu of 8,192".into(), (65536.0, 0.0, Product::Float), &mut || {
        compute.swiglu(Phase::Decode, &gate, &[0.5; 8192], &mut out);
    });
    let head = weights(&compute, Format::Q4_0, (16, 2048), 1);
    let mut activations = Activations::default();
    bench("quantise 64 × 2,048".into(), (64.0 * 8192.0, 0.0, Product::Float), &mut || {
        compute.activate(
            &mut activations,
            (64, 2048),
            (&[head[0].kind()], Phase::Decode),
            |_, columns, row| row.copy_from_slice(&x[columns]),
        );
    });
    if "fork and join".contains(&filter) {
        let mut spins = 1000;
        while best_of(ROUND / 10, &mut || spin(spins)) < WORK.as_secs_f64() {
            spins += spins / 8;
        }
        let mut cells = vec![0u8; threads];
        let (mut alone, mut shared) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..3 {
            alone = alone.min(best(&mut || spin(spins)));
            shared = shared.min(best(&mut || compute.chunks(&mut cells, 1, |_, _| spin(spins))));
        }
        let empty = best(&mut || compute.chunks(&mut cells, 1, |_, _| {}));
        println!(
            "fork and join: {:.2} µs beside {:.1} µs of work a thread, {:.2} µs where there is nothing to do",
            (shared - alone) * 1e6,
            alone * 1e6,
            empty * 1e6
        );
    }
    limits.measure();
    limits.print(&compute);
}

/// What is multiplied.
#[derive(Clone, Copy)]
enum Product {
    /// 8-bit codes.
    Code,
    /// 16-bit floats on tiles, two bytes where codes have one.
    Tile,
    /// 32-bit floats.
    Float,
}

/// Operations and bytes a second that this machine can do: the best so far, for others can only take from it.
struct Limits {
    threads: usize,
    codes: Cell<f64>,
    floats: Cell<f64>,
    read: Cell<f64>,
}

impl Limits {
    fn new(threads: usize) -> Self {
        let [codes, floats, read] = [const { Cell::new(0.0) }; 3];
        let limits = Self { threads, codes, floats, read };
        limits.measure();
        limits
    }

    fn measure(&self) {
        let raise = |best: &Cell<f64>, to: f64| best.set(best.get().max(to));
        raise(&self.codes, probes::int8(self.threads));
        raise(&self.floats, probes::floats(self.threads));
        raise(&self.read, probes::read(self.threads, true));
    }

    /// Operations a second.
    fn products(&self, product: Product) -> f64 {
        match product {
            Product::Code => self.codes.get(),
            Product::Tile => 0.5 * self.codes.get(),
            Product::Float => self.floats.get(),
        }
    }

    fn print(&self, compute: &Compute) {
        println!(
            "{} on {} threads; limits: {:.0} Gop/s of 8-bit products, {:.0} of 32-bit floats, {:.1} GB/s read",
            compute.isa(),
            self.threads,
            self.codes.get() / 1e9,
            self.floats.get() / 1e9,
            self.read.get() / 1e9
        );
    }
}

/// Keeps a core busy, without memory.
fn spin(times: u64) {
    (0..times).for_each(|n| {
        black_box(n);
    });
}

/// Seconds of one call, the best mean of three rounds.
fn best(body: &mut dyn FnMut()) -> f64 {
    best_of(ROUND, body)
}

fn best_of(length: Duration, body: &mut dyn FnMut()) -> f64 {
    body();
    let round = |body: &mut dyn FnMut()| {
        let (started, mut calls) = (Instant::now(), 0);
        while started.elapsed() < length {
            (0..4).for_each(|_| body());
            calls += 4;
        }
        started.elapsed().as_secs_f64() / f64::from(calls)
    };
    (0..3).map(|_| round(body)).fold(f64::INFINITY, f64::min)
}

fn weights(compute: &Compute, format: Format, (rows, cols): (usize, usize), copies: usize) -> Vec<Packed> {
    let size = format.bytes(rows * cols).unwrap();
    // as 16-bit floats from 0.125 to 0.25, as near to each other as a model's scales
    let bytes: Vec<u8> = (0..size).map(|n| ((n * 7919) >> 3) as u8 & 0x33 | 0x30).collect();
    let matrix = Matrix::new(format, rows, cols, &bytes).unwrap();
    let mut arena = Arena::expecting(size * copies);
    (0..copies).map(|_| compute.pack(&matrix, &mut arena).unwrap()).collect()
}

/// The name of a case in a phase that differs.
fn named(name: &str, prefill: bool) -> String {
    format!("{name}{}", if prefill { ", prefill" } else { "" })
}

fn activate(compute: &Compute, phase: Phase, weights: &Packed, tokens: usize) -> Activations {
    let mut x = Activations::default();
    compute.activate(&mut x, (tokens, weights.cols()), (&[weights.kind()], phase), |token, columns, row| {
        for (n, value) in columns.zip(row) {
            *value = ((n * 31 + token * 17) % 97) as f32 / 97.0 - 0.5;
        }
    });
    x
}
