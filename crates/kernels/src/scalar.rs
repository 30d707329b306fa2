//! The oracle: every kernel as the formula reads, summed in 64 bits, no intrinsics.
#![allow(unsafe_code)] // only to write through the raw output of a matrix product

use std::ops::Range;

use half::f16;

use crate::{
    Activations, Attention, BLOCK, Isa, Packed,
    activations::{BlockScale, STEPS},
    packed::{Kind, Layout, ROWS, code, float, minimum, scale},
    table::{Out, Table},
};

pub(crate) static TABLE: Table = Table { isa: Isa::Scalar, quantise, linear, rms_norm, swiglu, attend };

fn quantise(values: &[f32], codes: &mut [i8], scales: &mut [BlockScale]) {
    codes.fill(0);
    for ((values, codes), of) in values.chunks(BLOCK).zip(codes.chunks_exact_mut(BLOCK)).zip(scales) {
        let largest = values.iter().fold(0f32, |m, v| m.max(v.abs()));
        if largest == 0.0 || !largest.is_finite() {
            *of = BlockScale::of(if largest == 0.0 { 0.0 } else { f32::NAN }, codes);
            continue;
        }
        let code = |value: &f32, steps: f32| (value * (steps / largest)).round_ties_even();
        let error = |steps: f32| -> f64 {
            let one = |v: &f32| f64::from(*v) - f64::from(code(v, steps)) * f64::from(largest / steps);
            values.iter().map(|v| one(v).powi(2)).sum()
        };
        let best =
            STEPS.into_iter().map(|steps| (error(steps), steps)).reduce(|a, b| if b.0 < a.0 { b } else { a });
        let steps = best.map_or(STEPS[0], |(_, steps)| steps);
        for (out, value) in codes.iter_mut().zip(values) {
            *out = code(value, steps) as i8;
        }
        *of = BlockScale::of(largest / steps, codes);
    }
}

/// # Safety
/// As `Table::linear` says.
unsafe fn linear(weights: &Packed, groups: Range<usize>, x: &Activations, out: Out) {
    for row in groups.start * ROWS..weights.rows.min(groups.end * ROWS) {
        let (group, lane) = (weights.group(row / ROWS), row % ROWS);
        let row_of: Box<dyn Fn(usize) -> f64> = match weights.kind {
            Kind::Codes(layout) => {
                let row = Row::of(layout, group, lane);
                Box::new(move |token| row.dot(x, token))
            }
            kind => {
                let row: Vec<_> =
                    (0..x.cols).map(|column| float(kind, group, column * ROWS + lane)).collect();
                Box::new(move |token| {
                    row.iter().zip(x.row(token)).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum()
                })
            }
        };
        for token in 0..x.tokens {
            // SAFETY: the caller gives an output that holds `[tokens][rows]`.
            unsafe {
                let (at, dot) = (out.base.add(token * out.stride + row), row_of(token) as f32);
                at.write(if out.add { *at + dot } else { dot });
            }
        }
    }
}

/// One row of codes, unpacked.
struct Row {
    codes: Vec<i8>,
    /// `[scale, minimum]` of every `width` columns.
    scales: Vec<[f32; 2]>,
    width: usize,
}

impl Row {
    fn of(layout: Layout, group: &[u8], lane: usize) -> Self {
        let (mut codes, mut scales) = (Vec::new(), Vec::new());
        for block in group.chunks_exact(layout.block_bytes()) {
            codes.extend((0..BLOCK).map(|column| code(layout, block, lane, column) as i8));
            let halves = 0..layout.scales();
            scales.extend(
                halves.map(|half| [scale(layout, block, lane, half), minimum(layout, block, lane, half)]),
            );
        }
        Self { codes, scales, width: BLOCK / layout.scales() }
    }

    /// Σ of `d·s·Σ(code·q) + m·s·Σq`.
    fn dot(&self, x: &Activations, token: usize) -> f64 {
        let widths = self.codes.chunks_exact(self.width).zip(x.codes(token).chunks_exact(self.width));
        let scales = self.scales.iter().enumerate();
        let parts = widths.zip(scales).map(|((weights, codes), (n, [d, m]))| {
            let products: i32 = weights.iter().zip(codes).map(|(w, q)| i32::from(*w) * i32::from(*q)).sum();
            let sum: i32 = codes.iter().map(|q| i32::from(*q)).sum();
            let step = x.scales(token)[n * self.width / BLOCK].scale;
            f64::from(d * step) * f64::from(products) + f64::from(*m) * f64::from(step) * f64::from(sum)
        });
        parts.sum()
    }
}

fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let squares: f64 = x.iter().map(|v| f64::from(*v).powi(2)).sum();
    let factor = 1.0 / (squares / x.len() as f64 + f64::from(eps)).sqrt();
    for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
        *out = (f64::from(*x) * factor) as f32 * w;
    }
}

fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        let g = f64::from(*gate);
        *gate = (g / (1.0 + (-g).exp())) as f32 * up;
    }
}

fn attend(job: &Attention<'_>, scores: &mut [f32], out: &mut [f32]) {
    let dim = job.head_dim;
    let half = |bits: &u16| f64::from(f16::from_bits(*bits).to_f32());
    let scores = &mut scores[..job.positions()];
    for (query, out) in job.queries.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
        for (score, key) in scores.iter_mut().zip(job.kv.keys.chunks_exact(dim)) {
            let dot: f64 = query.iter().zip(key).map(|(q, k)| f64::from(*q) * half(k)).sum();
            *score = dot as f32 * job.scale;
        }
        let largest = scores.iter().fold(f32::NEG_INFINITY, |m, s| m.max(*s));
        let total: f64 = scores.iter().map(|s| f64::from(s - largest).exp()).sum();
        for (i, out) in out.iter_mut().enumerate() {
            let column = job.kv.values.chunks_exact(dim).map(|row| half(&row[i]));
            let sum: f64 = scores.iter().zip(column).map(|(s, v)| f64::from(s - largest).exp() * v).sum();
            *out = (sum / total) as f32;
        }
    }
}
