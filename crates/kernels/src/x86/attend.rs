//! One tile of attention over any [`Vector`]: scores with a lane a position, values with a lane a column.
//!
//! Every query has accumulators of its own and adds in the order of the positions, whatever shares its tile. What a
//! query does not see is computed where a neighbour needs it and weighs exactly nothing.
//!
//! Few queries wait for memory: while keys are read it is asked for the values, and meanwhile for the next keys. Cores with AVX2 alone
//! had better see themselves that values are a stream.

#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use super::{
    rows::{exp, words},
    vector::{LANES, Vector, prefetch, prefetch_far},
};
use crate::{
    attention::{Partial, QUERIES, Scratch, Tile, factor, parts},
    kv::{self, APART, PAIR, SCALES, SEGMENT, block_lines, most_of_key},
};

const _: () = assert!(LANES == kv::LANES);
/// Queries beside which four vectors fit into the registers, not only two.
const HALF: usize = QUERIES / 2;
/// Queries that pass a cache quickly enough to wait for memory.
const FEW: usize = 4;
/// Bytes of a vector of keys or values.
const LINE: usize = LANES * size_of::<u32>();

#[inline(always)]
pub(super) unsafe fn attend<V: Vector>(tile: &Tile<'_>, scratch: &mut Scratch, out: &mut Partial) {
    for (first, len) in parts(tile.count, V::ROOMY) {
        // SAFETY: handed on from the caller; the part lies within the tile.
        unsafe {
            match len {
                12 => part::<V, 12>(tile, first, scratch, out),
                6 => part::<V, 6>(tile, first, scratch, out),
                4 => part::<V, 4>(tile, first, scratch, out),
                3 => part::<V, 3>(tile, first, scratch, out),
                2 => part::<V, 2>(tile, first, scratch, out),
                _ => part::<V, 1>(tile, first, scratch, out),
            }
        }
    }
}

/// Vectors that are taken at once beside `N` queries: as many as registers hold sums for, of those that are `left`.
macro_rules! at_once {
    ($left:expr, |$count:ident| $call:expr) => {
        if V::ROOMY && N <= HALF && $left >= 4 {
            const $count: usize = 4;
            $call
        } else if (V::ROOMY || N <= 3) && $left >= 2 {
            const $count: usize = 2;
            $call
        } else {
            const $count: usize = 1;
            $call
        }
    };
}

#[inline(always)]
unsafe fn part<V: Vector, const N: usize>(
    tile: &Tile<'_>,
    first: usize,
    scratch: &mut Scratch,
    out: &mut Partial,
) {
    let seen = &tile.seen[first..first + N];
    let std::ops::Range { start: low, end: high } = tile.range(first..first + N);
    let (width, dim) = (tile.dim.next_multiple_of(LANES), tile.dim.next_multiple_of(PAIR));
    let (kept, block) = (tile.kept, block_lines(tile.dim) * LANES);
    let scores = scratch.scores[..N * SEGMENT].as_mut_ptr();
    let weighed = scratch.weights[..N * SEGMENT].as_mut_ptr();
    let values = out.values[first * width..][..N * width].as_mut_ptr();
    // SAFETY: low and high are positions of the segment, whose keys and values the tile has; pointers as above.
    unsafe {
        let (mut units, most) = ([0.0; N], most_of_key(tile.dim));
        for (n, query) in scratch.queries[..N * dim].chunks_exact_mut(dim).enumerate() {
            let from = &tile.queries[tile.at[first + n]..][..tile.dim];
            query[tile.dim..].fill(0);
            units[n] = words::<V>(from, most, &mut query[..tile.dim]) * tile.scale;
        }
        // the last few positions sixteen at a time
        let (mut at, high) = (low / LANES * LANES, high.next_multiple_of(LANES));
        while at < high {
            let keys = kept.keys.as_ptr().add(at / LANES * block);
            let next = kept.values.as_ptr().wrapping_add(kv::column(at, 0));
            let queries = (scratch.queries.as_ptr(), &units);
            let to = scores.add(at);
            at += LANES
                * at_once!((high - at) / LANES, |M| products::<V, M, N>(queries, (keys, next), dim, to));
        }
        for (n, seen) in seen.iter().enumerate() {
            let row = (scores.add(n * SEGMENT), weighed.add(n * SEGMENT));
            let weights = weights::<V>(row, (kept.keys.as_ptr(), block), low..high, *seen);
            (out.largest[first + n], out.total[first + n], units[n]) = weights;
        }
        let mut at = 0;
        while at < width {
            let rows = (kept.values.as_ptr().add(kv::column(0, at)), tile.next.wrapping_add(at));
            let (weights, to) = ((weighed.cast_const(), &units), values.add(at));
            at += LANES
                * at_once!((width - at) / LANES, |D| weighted::<V, D, N>(
                    weights,
                    rows,
                    width,
                    low..high,
                    to
                ));
        }
    }
}

/// Scores of `M` vectors of positions: `[N][SEGMENT]`; returns `M`. Memory is asked for as much of what comes `next`.
#[inline(always)]
unsafe fn products<V: Vector, const M: usize, const N: usize>(
    (queries, units): (*const i16, &[f32; N]),
    (keys, next): (*const u32, *const u32),
    dim: usize,
    scores: *mut f32,
) -> usize {
    // SAFETY: the caller gives so many keys, and room for as many scores.
    unsafe {
        let mut sums = [[V::wide(0); N]; M];
        let lines = block_lines(dim);
        if N <= FEW {
            for m in 0..M {
                prefetch(keys.wrapping_add((M + m) * lines * LANES).cast(), SCALES * LINE);
            }
        }
        for n in 0..dim / PAIR {
            let line = keys.wrapping_add((SCALES + n) * LANES);
            if N <= FEW {
                for m in 0..M {
                    prefetch(line.wrapping_add((M + m) * lines * LANES).cast(), LINE);
                }
                if V::ROOMY {
                    // the rows of as many positions, sixteen columns after sixteen columns
                    let (columns, row) = (n / (LANES / PAIR), n % (LANES / PAIR));
                    prefetch_far(next.wrapping_add(columns * APART + row * M * LANES).cast(), M * LINE);
                }
            }
            V::pairs_add_all(&mut sums, (line, lines * LANES), (queries.add(n * PAIR), dim));
        }
        for m in 0..M {
            let scale = V::load(keys.add(m * lines * LANES).cast());
            for n in 0..N {
                let score = V::wide_sum(sums[m][n]).mul(V::splat(units[n])).mul(scale);
                score.store(scores.add(n * SEGMENT + m * LANES));
            }
        }
    }
    M
}

/// Sixteen times `outside`, `inside`, and `outside` again: what [`within`] cuts vectors from.
const fn edges(outside: f32, inside: f32) -> [f32; 3 * LANES] {
    let mut edges = [outside; 3 * LANES];
    let mut n = LANES;
    while n < 2 * LANES {
        edges[n] = inside;
        n += 1;
    }
    edges
}
/// What a score is at most, and what a weight is multiplied by.
const BOUNDS: [f32; 3 * LANES] = edges(f32::NEG_INFINITY, f32::INFINITY);
const FACTORS: [f32; 3 * LANES] = edges(0.0, 1.0);
/// What the scale of a value is at most: there may be no number outside, left over from another text.
const FINITE: [f32; 3 * LANES] = edges(0.0, f32::INFINITY);

/// The vector for the positions from `start` on: inside for those from `from` up to `to`, else outside.
#[inline(always)]
unsafe fn within<V: Vector>(edges: &[f32; 3 * LANES], start: usize, (from, to): (usize, usize)) -> V {
    let lanes = |position: usize| position.saturating_sub(start).min(LANES);
    // SAFETY: sixteen floats follow either place.
    unsafe {
        let (from, to) = (edges.as_ptr().add(LANES - lanes(from)), edges.as_ptr().add(2 * LANES - lanes(to)));
        V::load(from).min(V::load(to))
    }
}

/// Makes of scores what their values are weighed with: e^(score − largest) by the scale of the value, exactly 0 for what is not seen, as
/// whole numbers. Returns the largest score, the sum of all e^(score − largest), and what 1 is in those numbers.
#[inline(always)]
unsafe fn weights<V: Vector>(
    (scores, weights): (*mut f32, *mut i16),
    (keys, block): (*const u32, usize),
    range: std::ops::Range<usize>,
    seen: (usize, usize),
) -> (f32, f32, f32) {
    let starts = (range.start / LANES * LANES..range.end).step_by(LANES);
    let whole = |start: usize| start >= seen.0 && start + LANES <= seen.1;
    // SAFETY: vectors of scores and scales that the caller has, and room for as many weights.
    unsafe {
        let mut largest = V::splat(f32::NEG_INFINITY);
        for start in starts.clone() {
            let mut score = V::load(scores.add(start));
            if !whole(start) {
                score = score.min(within(&BOUNDS, start, seen));
            }
            largest = largest.max(score);
        }
        let largest = largest.largest();
        let (mut total, mut sum, mut most) = (V::splat(0.0), V::splat(0.0), V::splat(0.0));
        for start in starts.clone() {
            let at = scores.add(start);
            let mut weight = exp(V::load(at).sub(V::splat(largest)));
            let mut scale = V::load(keys.add(start / LANES * block + LANES).cast());
            if !whole(start) {
                weight = weight.mul(within(&FACTORS, start, seen));
                scale = scale.min(within(&FINITE, start, seen));
            }
            total = total.add(weight);
            let weight = weight.mul(scale);
            weight.store(at);
            sum = sum.add(weight);
            most = most.max(weight);
        }
        let factor = factor(sum.sum(), most.largest());
        for start in starts {
            V::load(scores.add(start)).mul(V::splat(factor)).store_words(weights.add(start));
        }
        (largest, total.sum(), 1.0 / factor)
    }
}

/// `D` vectors of the weighted values of `N` queries; returns `D`. Memory is asked for as much of what comes `next`.
#[inline(always)]
unsafe fn weighted<V: Vector, const D: usize, const N: usize>(
    (weights, units): (*const i16, &[f32; N]),
    (values, next): (*const u32, *const u32),
    width: usize,
    seen: std::ops::Range<usize>,
    out: *mut f32,
) -> usize {
    // SAFETY: the caller gives `D` vectors of every row, and weights of every position in `seen`, of whole vectors of them.
    unsafe {
        let mut sums = [[V::wide(0); N]; D];
        for position in (seen.start / PAIR * PAIR..seen.end).step_by(PAIR) {
            let row = position / PAIR;
            if N <= FEW {
                prefetch_far(next.wrapping_add(row * width).cast(), D * LINE);
            }
            let rows = (values.add(row * LANES), APART);
            V::pairs_add_all(&mut sums, rows, (weights.add(position), SEGMENT));
        }
        for d in 0..D {
            for n in 0..N {
                V::wide_sum(sums[d][n]).mul(V::splat(units[n])).store(out.add(n * width + d * LANES));
            }
        }
    }
    D
}
