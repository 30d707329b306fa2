//! The oracle: every kernel as the formula reads, summed in 64 bits, no intrinsics.
#![allow(unsafe_code)] // only to write through the raw output of a matrix product

use std::ops::Range;

use half::f16;

use crate::{
    Activations, Attention, BLOCK, Format, Isa, Matrix,
    activations::PAIR,
    table::{Out, Table},
};

pub(crate) static TABLE: Table = Table { isa: Isa::Scalar, quantise, linear, rms_norm, swiglu, attend };

fn quantise(x: &mut Activations) {
    x.reserve_codes();
    let pairs = x.pairs();
    for token in 0..x.tokens {
        for block in 0..x.cols.div_ceil(BLOCK) {
            let values = &x.values[token * x.cols..][..x.cols];
            let values = &values[block * BLOCK..x.cols.min((block + 1) * BLOCK)];
            let largest = values.iter().fold(0f32, |m, v| m.max(v.abs()));
            let scale = largest / 127.0;
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            let mut sum = 0i32;
            let at = (token * pairs * PAIR + block) * BLOCK;
            for (code, value) in x.codes[at..].iter_mut().zip(values) {
                *code = (value * inverse).round_ties_even() as i8;
                sum += i32::from(*code);
            }
            let pair = &mut x.scales[token * pairs + block / PAIR];
            pair[2 * (block % PAIR)] = scale;
            pair[2 * (block % PAIR) + 1] = scale * sum as f32;
        }
    }
}

/// # Safety
/// As `Table::linear` says.
unsafe fn linear(weights: &Matrix<'_>, rows: Range<usize>, x: &Activations, out: Out) {
    let mut decoded = vec![0.0; weights.cols()];
    for row in rows {
        for token in 0..x.tokens() {
            let dot = if weights.format().is_quantised() {
                blocks(weights.format(), weights.row(row), x, token)
            } else {
                weights.dequantise_row(row, &mut decoded);
                decoded.iter().zip(x.row(token)).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum()
            };
            // SAFETY: the caller gives an output that holds `[tokens][rows]`.
            unsafe { out.base.add(token * out.stride + row).write(dot as f32) };
        }
    }
}

/// Σ over blocks of `d·s·Σ(code·q) + m·s·Σq`.
fn blocks(format: Format, row: &[u8], x: &Activations, token: usize) -> f64 {
    let codes = x.codes(token).chunks_exact(BLOCK);
    let mut dot = 0f64;
    for (i, (block, q)) in row.chunks_exact(format.block_bytes()).zip(codes).enumerate() {
        let [scale, scaled_sum] = x.scales(token)[i / PAIR].as_chunks().0[i % PAIR];
        let (d, m) = format.scale_and_min(block);
        let w = &block[format.codes_at()..];
        let products: i32 = if format == Format::Q8_0 {
            w.iter().zip(q).map(|(w, q)| i32::from(w.cast_signed()) * i32::from(*q)).sum()
        } else {
            let (low, high) = q.split_at(BLOCK / 2);
            let halves = w.iter().zip(low).zip(high);
            halves
                .map(|((w, l), h)| i32::from(w & 15) * i32::from(*l) + i32::from(w >> 4) * i32::from(*h))
                .sum()
        };
        dot += f64::from(d * scale) * f64::from(products);
        dot += f64::from(m) * f64::from(scaled_sum);
    }
    dot
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
