//! Whole-number dot products of blocks of codes: what a block gives before its scales.
//!
//! Each line of weights asks for the one ahead of it: a block's all at once would hold up everything else. There is no branch
//! about it, which a compiler would gather at the start of a block.
#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use super::vector::{Vector, prefetch_ahead};
use crate::{
    BLOCK,
    activations::fact,
    packed::{Layout, ROWS},
};

/// Line `nth` of a block's codes; memory is asked for the one that comes [`Vector::AHEAD`] of it.
#[inline(always)]
pub(super) unsafe fn line<V: Vector>(block: *const u8, nth: usize) -> V::Codes {
    // SAFETY: the caller gives a block with so many lines.
    unsafe {
        let from = block.add(nth * 4 * ROWS);
        prefetch_ahead::<V>(from, 4 * ROWS);
        V::codes(from)
    }
}

/// `[half][group][token]` of `$value`, of one half where not `HALVES`; a macro, as sums have types of their own and there are no
/// closures over vectors here.
macro_rules! for_each {
    ($empty:expr, |$half:ident, $g:ident, $n:ident| $value:expr) => {{
        let mut all = [[[$empty; N]; G]; 2];
        for $half in 0..=usize::from(HALVES) {
            for $n in 0..N {
                for $g in 0..G {
                    all[$half][$g][$n] = $value;
                }
            }
        }
        all
    }};
}

/// Whole-number dot products of blocks of 4-bit codes with `N` tokens that lie `width` apart, of their halves where `HALVES`;
/// each code is a byte where `SPREAD`.
#[inline(always)]
pub(super) unsafe fn nibble_dots<
    V: Vector,
    const HALVES: bool,
    const MINIMA: bool,
    const SPREAD: bool,
    const G: usize,
    const N: usize,
>(
    blocks: [*const u8; G],
    codes: *const i8,
    facts: *const f32,
    width: usize,
) -> [[[V; N]; G]; 2] {
    // SAFETY: the caller gives blocks, and codes and facts of as many columns of `N` tokens.
    unsafe {
        if SPREAD {
            let sums = spread_sums::<V, HALVES, MINIMA, G, N>(blocks, codes, facts, width);
            return for_each!(V::splat(0.0), |half, g, n| V::narrow_sum(sums[half][g][n]));
        }
        let mut sums = starts::<V, HALVES, MINIMA, G, N>(facts, width);
        let high_sum = usize::from(HALVES);
        for quad in 0..BLOCK / 8 {
            let mut low = [V::codes(blocks[0]); G];
            let mut high = low;
            for g in 0..G {
                (low[g], high[g]) = V::nibbles(line::<V>(blocks[g], quad));
            }
            V::narrow_add_all(&mut sums[0], &low, codes.add(quad * width * 4));
            V::narrow_add_all(&mut sums[high_sum], &high, codes.add((quad + BLOCK / 8) * width * 4));
        }
        for_each!(V::splat(0.0), |half, g, n| V::narrow_sum(sums[half][g][n]))
    }
}

/// What gives [`nibble_dots`] of spread codes, once the sums of each row are added up.
#[inline(always)]
pub(super) unsafe fn spread_sums<
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
) -> [[[V::Narrow; N]; G]; 2] {
    // SAFETY: as above.
    unsafe {
        let mut sums = starts::<V, HALVES, MINIMA, G, N>(facts, width);
        for quad in 0..BLOCK / 4 {
            let mut weights = [V::codes(blocks[0]); G];
            for g in 0..G {
                weights[g] = V::codes(blocks[g].add(quad * 4 * ROWS));
            }
            let half = if HALVES { quad / (BLOCK / 8) } else { 0 };
            V::narrow_add_all(&mut sums[half], &weights, codes.add(quad * width * 4));
        }
        sums
    }
}

/// What sums of 4-bit codes begin with.
#[inline(always)]
unsafe fn starts<V: Vector, const HALVES: bool, const MINIMA: bool, const G: usize, const N: usize>(
    facts: *const f32,
    width: usize,
) -> [[[V::Narrow; N]; G]; 2] {
    // SAFETY: as above.
    unsafe {
        let start = |half: usize, n: usize| {
            let of = if HALVES { fact::HALF_NIBBLES + half } else { fact::NIBBLES };
            if MINIMA { 0 } else { facts.add(of * width + n).cast::<i32>().read() }
        };
        for_each!(V::narrow(0), |half, g, n| V::narrow(start(half, n)))
    }
}

/// What stands for quads `nth` and `nth + 4` of a block of 5- or 6-bit codes: as many signed bytes.
///
/// # Safety
/// It is a block of this layout; `nth` is less than 4.
#[inline(always)]
pub(super) unsafe fn long_codes<V: Vector>(layout: Layout, block: *const u8, nth: usize) -> [V::Codes; 2] {
    let at = nth as i32;
    // lines of upper bits, and how far these are from where they belong
    let (lines, by, mask) =
        if layout.bits == 5 { (1, [4 - at, -at], 0x10) } else { (2, [4 - 2 * at; 2], 0x30) };
    // SAFETY: four lines of nibbles, and one or two of upper bits. There are no closures over vectors, which would be called.
    unsafe {
        let (low, high) = V::nibbles(line::<V>(block, nth));
        let from = block.add(4 * 4 * ROWS);
        if nth == 0 {
            prefetch_ahead::<V>(from, lines * 4 * ROWS);
        }
        let uppers = [V::codes(from), V::codes(from.add((lines - 1) * 4 * ROWS))];
        let offset = -layout.offset();
        [V::lengthen(low, uppers[0], by[0], mask, offset), V::lengthen(high, uppers[1], by[1], mask, offset)]
    }
}

/// The same as [`nibble_dots`] for codes of 5 or 6 bits.
#[inline(always)]
pub(super) unsafe fn long_dots<V: Vector, const HALVES: bool, const G: usize, const N: usize>(
    layout: Layout,
    blocks: [*const u8; G],
    codes: *const i8,
    facts: *const f32,
    width: usize,
) -> [[[V; N]; G]; 2] {
    // SAFETY: as above.
    unsafe {
        let mut sums = byte_starts::<V, HALVES, G, N>(facts, width);
        for nth in 0..BLOCK / 8 {
            let mut weights = [[V::bytes(V::codes(blocks[0])); G]; 2];
            for g in 0..G {
                let quads = long_codes::<V>(layout, blocks[g], nth);
                for n in 0..2 {
                    weights[n][g] = V::bytes(quads[n]);
                }
            }
            for n in 0..2 {
                let half = if HALVES { n } else { 0 };
                let quads = codes.add((nth + n * BLOCK / 8) * width * 4);
                V::wide_add_all(&mut sums[half], &weights[n], quads);
            }
        }
        for_each!(V::splat(0.0), |half, g, n| V::wide_sum(sums[half][g][n]))
    }
}

/// What sums of 8-bit codes begin with.
#[inline(always)]
unsafe fn byte_starts<V: Vector, const HALVES: bool, const G: usize, const N: usize>(
    facts: *const f32,
    width: usize,
) -> [[[V::Wide; N]; G]; 2] {
    // SAFETY: as above.
    unsafe {
        let offset = |half: usize, n: usize| {
            let of = if HALVES { fact::HALF_BYTES + half } else { fact::BYTES };
            facts.add(of * width + n).cast::<i32>().read()
        };
        for_each!(V::wide(0), |half, g, n| V::wide(offset(half, n)))
    }
}

/// The same as [`nibble_dots`] for 8-bit codes, line after line: two at a time, as above, cost one token 6 percent.
#[inline(always)]
pub(super) unsafe fn byte_dots<V: Vector, const HALVES: bool, const G: usize, const N: usize>(
    blocks: [*const u8; G],
    codes: *const i8,
    facts: *const f32,
    width: usize,
) -> [[[V; N]; G]; 2] {
    // SAFETY: as above.
    unsafe {
        let mut sums = byte_starts::<V, HALVES, G, N>(facts, width);
        for quad in 0..BLOCK / 4 {
            let mut weights = [V::bytes(V::codes(blocks[0])); G];
            for g in 0..G {
                weights[g] = V::bytes(line::<V>(blocks[g], quad));
            }
            let half = if HALVES { quad / (BLOCK / 8) } else { 0 };
            V::wide_add_all(&mut sums[half], &weights, codes.add(quad * width * 4));
        }
        for_each!(V::splat(0.0), |half, g, n| V::wide_sum(sums[half][g][n]))
    }
}
