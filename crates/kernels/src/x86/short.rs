//! Spread codes of 5 and 6 bits. They count from 0, so that `vpmaddubsw` takes them without turning signs, and two of its results
//! fit into 16 bits together: half as many are widened as of 8-bit codes.
#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use std::arch::x86_64::*;

use super::{
    avx2::Avx2,
    panel::{Panel, Place},
    vector::{Vector, same_lanes},
};
use crate::{
    Activations, BLOCK,
    activations::{Tile, fact},
    packed::{Layout, ROWS, Reals},
};

/// AVX2 without dot products.
type V = Avx2<false>;

/// Codes of `BITS` bits, spread to bytes that count from 0, with 32-bit floats.
pub(super) struct Short<const BITS: u8, const HALVES: bool, const MINIMA: bool>;

impl<const BITS: u8, const HALVES: bool, const MINIMA: bool> Panel for Short<BITS, HALVES, MINIMA> {
    const PAIRS: bool = false;

    #[inline(always)]
    unsafe fn dot<W: Vector, const G: usize, const N: usize>(
        panels: [&[u8]; G],
        x: &Activations,
        tile: &Tile,
    ) -> [[W; N]; G] {
        let layout = Layout { bits: 8, halves: HALVES, minima: MINIMA, reals: Reals::F32 };
        let quads = BLOCK / 4 / layout.scales();
        // SAFETY: handed on from the caller, who spreads for AVX2 alone; the tile has as many blocks of codes and facts.
        unsafe {
            let mut sums = [V::splat(0.0); N];
            for b in 0..x.blocks() {
                let place = Place::of(layout, panels[0], b, x.blocks());
                let facts = tile.facts.add(b * tile.facts_len * N);
                for half in 0..layout.scales() {
                    let first = half * quads;
                    let weights = place.block.add(first * 4 * ROWS);
                    let codes = tile.codes.add((b * BLOCK / 4 + first) * N * 4);
                    let offsets = facts.add(N * if HALVES { fact::HALF_BYTES + half } else { fact::BYTES });
                    let dots = dots::<BITS, MINIMA, N>((weights, quads), codes, offsets.cast());
                    if MINIMA {
                        let minima: V = place.minima(layout, half);
                        let of = facts.add(N * if HALVES { fact::HALF_SUMS + half } else { fact::SUM });
                        for n in 0..N {
                            sums[n] = minima.fma(V::splat(*of.add(n)), sums[n]);
                        }
                    }
                    let scales: V = place.scales(layout, half);
                    for n in 0..N {
                        let of = V::splat(*facts.add(fact::SCALE * N + n));
                        sums[n] = dots[n].mul(scales).fma(of, sums[n]);
                    }
                }
            }
            same_lanes(sums)
        }
    }
}

/// Dot products of so many quads of codes, an even number, with those of `N` tokens; `offsets` are -128 × the sums of theirs.
///
/// # Safety
/// There are as many, on a machine that has AVX2.
#[inline(always)]
unsafe fn dots<const BITS: u8, const MINIMA: bool, const N: usize>(
    (weights, quads): (*const u8, usize),
    codes: *const i8,
    offsets: *const i32,
) -> [V; N] {
    // SAFETY: handed on from the caller. Two results are 4 · 63 · 127 at most: 32,004.
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let mut sums = [(_mm256_setzero_si256(), _mm256_setzero_si256()); N];
        if !MINIMA {
            for n in 0..N {
                // 2ᵇ⁻¹ × what activations add up to
                let offset = _mm256_set1_epi32(*offsets.add(n) >> (8 - BITS));
                sums[n] = (offset, offset);
            }
        }
        for quad in (0..quads).step_by(2) {
            let [first, second] =
                [V::codes(weights.add(quad * 4 * ROWS)), V::codes(weights.add((quad + 1) * 4 * ROWS))];
            for n in 0..N {
                let (x, y) =
                    (V::quad(codes.add((quad * N + n) * 4)), V::quad(codes.add(((quad + 1) * N + n) * 4)));
                let low =
                    _mm256_add_epi16(_mm256_maddubs_epi16(first.0, x.0), _mm256_maddubs_epi16(second.0, y.0));
                let high =
                    _mm256_add_epi16(_mm256_maddubs_epi16(first.1, x.1), _mm256_maddubs_epi16(second.1, y.1));
                sums[n].0 = _mm256_add_epi32(sums[n].0, _mm256_madd_epi16(low, ones));
                sums[n].1 = _mm256_add_epi32(sums[n].1, _mm256_madd_epi16(high, ones));
            }
        }
        let mut floats = [V::splat(0.0); N];
        for n in 0..N {
            floats[n] = V::wide_sum(sums[n]);
        }
        floats
    }
}
