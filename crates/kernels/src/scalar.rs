//! The oracle: every kernel as the formula reads, summed in 64 bits, no intrinsics.
#![allow(unsafe_code)] // only to read tiles and to write products through raw pointers

use std::ops::Range;

use crate::{
    BLOCK, Isa, Packed,
    activations::{SHORTER, STEPS, TINY, Tile as TokenTile, Tiling, WORD, WORTHS, fact},
    attention::{Partial, Scratch, Tile, factor},
    kv::{LANES, most_of_key},
    packed::{Kind, Layout, ROWS, code, float, minimum, place, scale},
    places::{Blocks, Place, Places, write_facts},
    table::{LARGEST, Norm, Out, Softmax, Table, Tiles, word_scale},
};

pub(crate) static TABLE: Table = Table {
    isa: Isa::Scalar,
    tiling: Tiling::quads(&[1]),
    quantise,
    bf16: None,
    linear,
    spread: None,
    rms_norm,
    swiglu,
    weigh,
    words,
    attend,
};

/// # Safety
/// As `Table::quantise` says.
unsafe fn quantise(values: &[f32], (to, of): (&Places, Blocks)) {
    for (n, values) in values.chunks(BLOCK).enumerate() {
        let largest = values.iter().fold(0f32, |m, v| m.max(v.abs()));
        let mut codes = [0; BLOCK];
        let scale = if largest < TINY || !largest.is_finite() {
            if largest < TINY { 0.0 } else { f32::NAN }
        } else {
            let words = values.iter().map(|value| (value * (WORD / largest)).round_ties_even() as i16);
            let words: Vec<_> = words.collect();
            let miss = |word: i16, steps: i16| i32::from(word.wrapping_mul(2 * steps) >> SHORTER);
            let error = |steps: i16| words.iter().map(|word| miss(*word, steps).pow(2)).sum::<i32>() as f32;
            let least = |a: (f32, i16), b: (f32, i16)| if b.0 < a.0 { b } else { a };
            let errors = STEPS.into_iter().zip(WORTHS).map(|(steps, worth)| (error(steps) * worth, steps));
            let steps = errors.reduce(least).map_or(STEPS[0], |(_, steps)| steps);
            for (code, word) in codes.iter_mut().zip(words) {
                *code = ((i32::from(word) * i32::from(steps) + (1 << 14)) >> 15) as i8;
            }
            largest / f32::from(steps)
        };
        let (low, high) = codes.split_at(BLOCK / 2);
        let [low, high] = [low, high].map(|half| [half.iter().map(|code| f32::from(*code)).sum()]);
        let mut place = [Place::NOWHERE];
        to.find(of, n, &mut place);
        // SAFETY: handed on from the caller.
        unsafe {
            place[0].write_codes(&codes);
            write_facts(false, &place, &[scale], [&low, &high]);
        }
    }
}

/// # Safety
/// As `Table::linear` says.
unsafe fn linear(weights: &Packed, groups: Range<usize>, (x, tiles): Tiles<'_>, out: Out) {
    for row in groups.start * ROWS..weights.rows.min(groups.end * ROWS) {
        let (group, lane) = (weights.group(row / ROWS), row % ROWS);
        let row_of: Box<dyn Fn(&TokenTile) -> f64> = match weights.kind {
            Kind::Codes(layout) => {
                let row = Row::of(layout, (group, x.blocks()), lane);
                Box::new(move |tile| row.dot(tile))
            }
            kind => {
                let row: Vec<_> =
                    (0..x.cols).map(|column| float(kind, group, place(kind, lane, column))).collect();
                Box::new(move |tile| {
                    row.iter().zip(x.row(tile.first)).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum()
                })
            }
        };
        for tile in x.tiles_in(tiles.clone()) {
            // SAFETY: the caller gives an output that holds `[tokens][rows]`.
            unsafe {
                let (at, dot) = (out.at(tile.first, row), row_of(&tile) as f32);
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
    fn of(layout: Layout, (group, blocks): (&[u8], usize), lane: usize) -> Self {
        let (mut codes, mut scales) = (Vec::new(), Vec::new());
        for block in layout.blocks(group, blocks) {
            codes.extend((0..BLOCK).map(|column| code(layout, block.bytes, lane, column) as i8));
            let halves = 0..layout.scales();
            scales.extend(
                halves.map(|half| [scale(layout, block, lane, half), minimum(layout, block, lane, half)]),
            );
        }
        Self { codes, scales, width: BLOCK / layout.scales() }
    }

    /// Σ of `d·s·Σ(code·q) + m·s·Σq`. A tile of one token is a plain row.
    fn dot(&self, tile: &TokenTile) -> f64 {
        let parts = self.codes.chunks_exact(self.width).zip(&self.scales).enumerate();
        let parts = parts.map(|(n, (weights, [d, m]))| {
            // SAFETY: the tile has as many codes as the row, and a scale for every 32.
            let (codes, step) = unsafe {
                let block = n * self.width / BLOCK;
                (
                    std::slice::from_raw_parts(tile.codes.add(n * self.width), self.width),
                    *tile.facts.add(block * tile.facts_len + fact::SCALE),
                )
            };
            let products: i32 = weights.iter().zip(codes).map(|(w, q)| i32::from(*w) * i32::from(*q)).sum();
            let sum: i32 = codes.iter().map(|q| i32::from(*q)).sum();
            f64::from(d * step) * f64::from(products) + f64::from(*m) * f64::from(step) * f64::from(sum)
        });
        parts.sum()
    }
}

fn rms_norm(x: &[f32], (weight, eps): Norm<'_>, columns: Range<usize>, out: &mut [f32]) {
    let squares: f64 = x.iter().map(|v| f64::from(*v).powi(2)).sum();
    let factor = 1.0 / (squares / x.len() as f64 + f64::from(eps)).sqrt();
    for ((out, x), w) in out.iter_mut().zip(&x[columns.clone()]).zip(&weight[columns]) {
        *out = (f64::from(*x) * factor) as f32 * w;
    }
}

fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        let g = f64::from(*gate);
        *out = (g / (1.0 + (-g).exp())) as f32 * up;
    }
}

fn weigh(scores: &[f32], (largest, temperature): Softmax, weights: &mut [f32]) -> f32 {
    for (weight, score) in weights.iter_mut().zip(scores) {
        *weight = f64::from((score - largest) / temperature).exp() as f32;
    }
    weights.iter().map(|weight| f64::from(*weight)).sum::<f64>() as f32
}

fn words(x: &[f32], most: f32, out: &mut [i16]) -> f32 {
    let (factor, scale) = word_scale(x.iter().fold(0.0, |m, v| v.abs().max(m)).min(LARGEST), most);
    for (out, x) in out.iter_mut().zip(x) {
        *out = (x.clamp(-LARGEST, LARGEST) * factor).round_ties_even() as i16;
    }
    if x.iter().any(|v| v.is_nan()) { f32::NAN } else { scale }
}

fn attend(tile: &Tile<'_>, scratch: &mut Scratch, out: &mut Partial) {
    let (dim, width, kept) = (tile.dim, tile.dim.next_multiple_of(LANES), tile.kept);
    let query = &mut scratch.queries[..dim];
    for n in 0..tile.count {
        let unit = words(&tile.queries[tile.at[n]..][..dim], most_of_key(dim), query);
        let seen = tile.seen[n].0..tile.seen[n].1.max(tile.seen[n].0);
        let score = |at: usize| {
            let dot = query.iter().enumerate().map(|(d, number)| {
                let key = kept.key(dim, at, d);
                i64::from(*number) * i64::from(key)
            });
            dot.sum::<i64>() as f32 * (unit * tile.scale) * kept.scales(dim, at)[0]
        };
        let scores: Vec<f32> = seen.clone().map(score).collect();
        let largest = scores.iter().fold(f32::NEG_INFINITY, |m, s| m.max(*s));
        let weights: Vec<f64> = scores.iter().map(|score| f64::from(score - largest).exp()).collect();
        out.largest[n] = largest;
        out.total[n] = weights.iter().sum::<f64>() as f32;
        let scaled = weights.iter().zip(seen.clone()).map(|(w, at)| w * f64::from(kept.scales(dim, at)[1]));
        let weights: Vec<f64> = scaled.collect();
        let (sum, most) = (weights.iter().sum::<f64>(), weights.iter().fold(0f64, |m, w| m.max(*w)));
        let factor = f64::from(factor(sum as f32, most as f32));
        for (i, out) in out.values[n * width..][..dim].iter_mut().enumerate() {
            let column = seen.clone().zip(&weights).map(|(at, weight)| {
                let value = kept.value(at, i);
                (weight * factor).round_ties_even() * f64::from(value)
            });
            *out = (column.sum::<f64>() / factor) as f32;
        }
    }
}
