//! One tile of attention over any [`Vector`]: scores with a lane a position, values with a lane a column.
//!
//! Every query has accumulators of its own and adds in the order of the positions, whatever shares its tile. What a
//! query does not see is computed where a neighbour needs it and weighs exactly nothing.
//!
//! Few queries wait for memory: while keys are read it is asked for the values, and meanwhile for the next keys.

#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use super::{
    rows::exp,
    vector::{LANES, Number, Vector, prefetch, prefetch_far},
};
use crate::{
    attention::{Partial, QUERIES, Tile, parts},
    kv::{self, SEGMENT},
};

const _: () = assert!(LANES == kv::LANES);
/// Queries beside which four vectors fit into the registers, not only two.
const HALF: usize = QUERIES / 2;
/// Queries that pass a cache quickly enough to wait for memory.
const FEW: usize = 4;

#[inline(always)]
pub(super) unsafe fn attend<V: Vector, T: Number>(tile: &Tile<'_, T>, scores: &mut [f32], out: &mut Partial) {
    for (first, len) in parts(tile.count, V::ROOMY) {
        // SAFETY: handed on from the caller; the part lies within the tile.
        unsafe {
            match len {
                12 => part::<V, T, 12>(tile, first, scores, out),
                6 => part::<V, T, 6>(tile, first, scores, out),
                4 => part::<V, T, 4>(tile, first, scores, out),
                3 => part::<V, T, 3>(tile, first, scores, out),
                2 => part::<V, T, 2>(tile, first, scores, out),
                _ => part::<V, T, 1>(tile, first, scores, out),
            }
        }
    }
}

#[inline(always)]
unsafe fn part<V: Vector, T: Number, const N: usize>(
    tile: &Tile<'_, T>,
    first: usize,
    scores: &mut [f32],
    out: &mut Partial,
) {
    let seen = &tile.seen[first..first + N];
    let std::ops::Range { start: low, end: high } = tile.range(first..first + N);
    let width = tile.dim.next_multiple_of(LANES);
    let mut queries = [std::ptr::null(); N];
    for n in 0..N {
        queries[n] = tile.queries[tile.at[first + n]..][..tile.dim].as_ptr();
    }
    let scores = scores[..N * SEGMENT].as_mut_ptr();
    let values = out.values[first * width..][..N * width].as_mut_ptr();
    // SAFETY: low and high are positions of the segment, whose keys and values the tile has; pointers as above.
    unsafe {
        // as many positions at once as registers hold sums for, the last few sixteen at a time
        let (mut at, high) = (low / LANES * LANES, high.next_multiple_of(LANES));
        while at < high {
            let keys = tile.keys.as_ptr().add(at * tile.dim);
            let next = tile.values.as_ptr().wrapping_add(at * width);
            let to = scores.add(at);
            let scaled = (tile.dim, V::splat(tile.scale));
            at += LANES
                * if V::ROOMY && N <= HALF && high - at >= 4 * LANES {
                    products::<V, T, 4, N>(&queries, (keys, next), scaled, to)
                } else if (V::ROOMY || N <= 3) && high - at >= 2 * LANES {
                    products::<V, T, 2, N>(&queries, (keys, next), scaled, to)
                } else {
                    products::<V, T, 1, N>(&queries, (keys, next), scaled, to)
                };
        }
        for (n, seen) in seen.iter().enumerate() {
            let row = scores.add(n * SEGMENT);
            (out.largest[first + n], out.total[first + n]) = weights::<V>(row, low..high, *seen);
        }
        let mut at = 0;
        while at < width {
            let left = (width - at) / LANES;
            let (from, to) = ((tile.values.as_ptr().add(at), tile.next.wrapping_add(at)), values.add(at));
            at += LANES
                * if V::ROOMY && N <= HALF && left >= 4 {
                    weighted::<V, T, 4, N>(scores, from, width, low..high, to)
                } else if (V::ROOMY || N <= 3) && left >= 2 {
                    weighted::<V, T, 2, N>(scores, from, width, low..high, to)
                } else {
                    weighted::<V, T, 1, N>(scores, from, width, low..high, to)
                };
        }
    }
}

/// Scores of `M` vectors of positions: `[N][SEGMENT]`; returns `M`. Memory is asked for as much of what comes `next`.
#[inline(always)]
unsafe fn products<V: Vector, T: Number, const M: usize, const N: usize>(
    queries: &[*const f32; N],
    (keys, next): (*const T, *const T),
    (dim, scale): (usize, V),
    scores: *mut f32,
) -> usize {
    // SAFETY: the caller gives so many keys, and room for as many scores.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; M];
        for d in 0..dim {
            if N <= FEW {
                // two columns of a block of keys are a line
                if d % 2 == 0 {
                    for m in 0..M {
                        prefetch(keys.wrapping_add(((M + m) * dim + d) * LANES).cast(), 1);
                    }
                }
                if M > 1 || d % 2 == 0 {
                    prefetch_far(next.wrapping_add(d * M * LANES).cast(), M * LANES * size_of::<T>());
                }
            }
            let mut at = *queries;
            for n in 0..N {
                at[n] = queries[n].add(d);
            }
            V::fma_all(&mut sums, (keys.add(d * LANES), dim * LANES), &at);
        }
        for m in 0..M {
            for n in 0..N {
                sums[m][n].mul(scale).store(scores.add(n * SEGMENT + m * LANES));
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

/// Makes scores e^(score − largest), exactly 0 for what is not seen; returns the largest and the sum.
#[inline(always)]
unsafe fn weights<V: Vector>(
    scores: *mut f32,
    range: std::ops::Range<usize>,
    seen: (usize, usize),
) -> (f32, f32) {
    let starts = (range.start / LANES * LANES..range.end).step_by(LANES);
    let whole = |start: usize| start >= seen.0 && start + LANES <= seen.1;
    // SAFETY: vectors of scores that the caller has.
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
        let mut sum = V::splat(0.0);
        for start in starts {
            let at = scores.add(start);
            let mut weight = exp(V::load(at).sub(V::splat(largest)));
            if !whole(start) {
                weight = weight.mul(within(&FACTORS, start, seen));
            }
            weight.store(at);
            sum = sum.add(weight);
        }
        (largest, sum.sum())
    }
}

/// `D` vectors of the weighted values of `N` queries; returns `D`. Memory is asked for as much of what comes `next`.
#[inline(always)]
unsafe fn weighted<V: Vector, T: Number, const D: usize, const N: usize>(
    weights: *const f32,
    (values, next): (*const T, *const T),
    width: usize,
    seen: std::ops::Range<usize>,
    out: *mut f32,
) -> usize {
    // SAFETY: the caller gives `D` vectors of every row, and weights of every position in `seen`.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; D];
        for position in seen {
            let row = values.add(position * width);
            if N <= FEW {
                prefetch_far(next.wrapping_add(position * width).cast(), D * LANES * size_of::<T>());
            }
            let mut at = [weights; N];
            for n in 0..N {
                at[n] = weights.add(n * SEGMENT + position);
            }
            V::fma_all(&mut sums, (row, LANES), &at);
        }
        for d in 0..D {
            for n in 0..N {
                sums[d][n].store(out.add(n * width + d * LANES));
            }
        }
    }
    D
}
