//! Whole-number dot products of blocks of codes: what a block gives before its scales.
//!
//! Where they are to `ask`, each line of weights asks for the one ahead of it: a block's all at once would hold up everything
//! else.
#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use super::vector::{Vector, prefetch_ahead};
use crate::{BLOCK, activations::fact, packed::ROWS};

/// Line `nth` of a block's codes; where `ask`, memory is asked for the one that comes [`Vector::AHEAD`] of it.
#[inline(always)]
unsafe fn line<V: Vector>(block: *const u8, nth: usize, ask: bool) -> V::Codes {
    // SAFETY: the caller gives a block with so many lines.
    unsafe {
        let from = block.add(nth * 4 * ROWS);
        if ask {
            prefetch_ahead::<V>(from, 4 * ROWS);
        }
        V::codes(from)
    }
}

/// Whole-number dot products of blocks of 4-bit codes with `N` tokens that lie `width` apart, of their halves where `HALVES`.
#[inline(always)]
pub(super) unsafe fn nibble_dots<
    V: Vector,
    const HALVES: bool,
    const MINIMA: bool,
    const G: usize,
    const N: usize,
>(
    blocks: [*const u8; G],
    codes: *const i8,
    facts: *const f32,
    width: usize,
    ask: bool,
) -> [[[V; N]; G]; 2] {
    // SAFETY: the caller gives blocks, and codes and facts of as many columns of `N` tokens.
    unsafe {
        let offset = |half: usize, n: usize| {
            let of = if HALVES { fact::HALF_NIBBLES + half } else { fact::NIBBLES };
            if MINIMA { 0 } else { facts.add(of * width + n).cast::<i32>().read() }
        };
        let mut sums = [[[V::narrow(0); N]; G]; 2];
        let high_sum = usize::from(HALVES);
        for half in 0..=high_sum {
            for n in 0..N {
                let start = V::narrow(offset(half, n));
                for g in 0..G {
                    sums[half][g][n] = start;
                }
            }
        }
        for quad in 0..BLOCK / 8 {
            let mut low = [V::codes(blocks[0]); G];
            let mut high = low;
            for g in 0..G {
                (low[g], high[g]) = V::nibbles(line::<V>(blocks[g], quad, ask));
            }
            V::narrow_add_all(&mut sums[0], &low, codes.add(quad * width * 4));
            V::narrow_add_all(&mut sums[high_sum], &high, codes.add((quad + BLOCK / 8) * width * 4));
        }
        let mut dots = [[[V::splat(0.0); N]; G]; 2];
        for half in 0..=high_sum {
            for g in 0..G {
                for n in 0..N {
                    dots[half][g][n] = V::narrow_sum(sums[half][g][n], offset(half, n));
                }
            }
        }
        dots
    }
}

/// The same for 8-bit codes.
#[inline(always)]
pub(super) unsafe fn byte_dots<V: Vector, const HALVES: bool, const G: usize, const N: usize>(
    blocks: [*const u8; G],
    codes: *const i8,
    facts: *const f32,
    width: usize,
    ask: bool,
) -> [[[V; N]; G]; 2] {
    // SAFETY: as above.
    unsafe {
        let mut sums = [[[V::wide(0); N]; G]; 2];
        for half in 0..=usize::from(HALVES) {
            let of = if HALVES { fact::HALF_BYTES + half } else { fact::BYTES };
            for n in 0..N {
                let start = V::wide(facts.add(of * width + n).cast::<i32>().read());
                for g in 0..G {
                    sums[half][g][n] = start;
                }
            }
        }
        for quad in 0..BLOCK / 4 {
            let mut weights = [V::bytes(V::codes(blocks[0])); G];
            for g in 0..G {
                weights[g] = V::bytes(line::<V>(blocks[g], quad, ask));
            }
            let half = if HALVES { quad / (BLOCK / 8) } else { 0 };
            V::wide_add_all(&mut sums[half], &weights, codes.add(quad * width * 4));
        }
        let mut dots = [[[V::splat(0.0); N]; G]; 2];
        for half in 0..=usize::from(HALVES) {
            for g in 0..G {
                for n in 0..N {
                    dots[half][g][n] = V::wide_sum(sums[half][g][n]);
                }
            }
        }
        dots
    }
}
