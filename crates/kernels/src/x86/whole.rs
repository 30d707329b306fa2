//! Spread 4-bit codes whose scales are whole numbers, which `vpmaddwd` applies as it adds pairs of sums: no product is needed for it.
//!
//! A scale is a 16-bit float, eleven bits and an exponent. Where those of a row are no further than sixteen times from each other, as
//! nearly always, they all are 15-bit multiples of one power of two, the row's unit. Sums are counted in units until all is added
//! up, and as these change exponents alone, the bits are those that floats give.

#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use std::arch::x86_64::*;

use super::{
    avx2::Avx2,
    dots::spread_sums,
    four_asm::{TOKENS, dot_whole},
    panel::{Panel, Place},
    spread,
    vector::{Vector, same_lanes},
};
use crate::{
    Activations, BLOCK,
    activations::{Tile, fact},
    packed::{Layout, ROWS, Reals},
};

/// AVX2 without dot products.
type V = Avx2<false>;

/// How they lie: a byte a code, each scale twice in 16 bits, minima in units as floats. Behind the blocks are the units.
pub(super) const fn layout(minima: bool) -> Layout {
    Layout { bits: 8, halves: false, minima, reals: Reals::F32 }
}

/// Bytes of the units.
pub(super) const UNITS: usize = ROWS * size_of::<f32>();

/// Spreads a group of codes; whether it has whole scales.
///
/// # Safety
/// There is room for the blocks of the panel and [`UNITS`], from a cache line on; the machine has AVX2, FMA and F16C.
#[inline(always)]
pub(super) unsafe fn unpack(from: Layout, panel: (&[u8], usize), to: *mut u8) -> bool {
    // SAFETY: handed on from the caller; the parameter is what the layout says.
    unsafe {
        match from {
            Layout { bits: 4, halves: false, reals: Reals::F16, minima: true } => {
                unpack_blocks::<true>(from, panel, to)
            }
            Layout { bits: 4, halves: false, reals: Reals::F16, minima: false } => {
                unpack_blocks::<false>(from, panel, to)
            }
            _ => false,
        }
    }
}

/// The same for 16-bit scales, one a block.
///
/// # Safety
/// As for [`unpack`].
#[inline(always)]
unsafe fn unpack_blocks<const MINIMA: bool>(
    from: Layout,
    (panel, blocks): (&[u8], usize),
    to: *mut u8,
) -> bool {
    let block_bytes = layout(MINIMA).block_bytes();
    let places = (0..blocks).map(|n| Place::of(from, panel, n, blocks));
    // SAFETY: handed on from the caller; a block has these scales and minima.
    unsafe {
        let (units, by_units) = units(from, places.clone());
        let mut are_whole = _mm256_set1_epi32(-1);
        units.store(to.add(blocks * block_bytes).cast());
        for (n, place) in places.enumerate() {
            let to = to.add(n * block_bytes);
            spread::unpack_codes(from, place.block, to);
            place.ask_ahead::<V>(from);
            let scales = place.scales::<V>(from, 0).mul(by_units);
            let to = to.add(BLOCK * ROWS);
            for (at, scales) in [scales.0, scales.1].into_iter().enumerate() {
                let whole = _mm256_cvtps_epi32(scales);
                let is_whole = _mm256_cmp_ps::<_CMP_EQ_OQ>(_mm256_cvtepi32_ps(whole), scales);
                are_whole = _mm256_and_si256(are_whole, _mm256_castps_si256(is_whole));
                let twice = _mm256_blend_epi16::<0b1010_1010>(whole, _mm256_slli_epi32::<16>(whole));
                _mm256_store_si256(to.add(at * 32).cast(), twice);
            }
            if MINIMA {
                place.minima::<V>(from, 0).mul(by_units).store(to.add(64).cast());
            }
        }
        _mm256_movemask_epi8(are_whole) == -1
    }
}

/// The rows' units, and one by them: the largest scale of a row lies from 2¹⁴ units up to 2¹⁵.
///
/// # Safety
/// As for [`unpack`].
#[inline(always)]
unsafe fn units(from: Layout, places: impl Iterator<Item = Place>) -> (V, V) {
    const EXPONENT: i32 = 0x7f80_0000;
    const SHIFT: u32 = f32::MANTISSA_DIGITS - 1;
    // SAFETY: handed on from the caller.
    unsafe {
        // no scale but 0 is smaller
        let mut largest = V::splat(1.0 / 16_777_216.0);
        for place in places {
            largest = place.scales::<V>(from, 0).abs().max(largest);
        }
        let (mut units, mut by_units) = (largest, largest);
        for (largest, unit, by_unit) in
            [(largest.0, &mut units.0, &mut by_units.0), (largest.1, &mut units.1, &mut by_units.1)]
        {
            let exponent = _mm256_and_si256(_mm256_castps_si256(largest), _mm256_set1_epi32(EXPONENT));
            let down = _mm256_set1_epi32(14 << SHIFT);
            *unit = _mm256_castsi256_ps(_mm256_sub_epi32(exponent, down));
            let up = _mm256_set1_epi32((2 * 127 + 14) << SHIFT);
            *by_unit = _mm256_castsi256_ps(_mm256_sub_epi32(up, exponent));
        }
        (units, by_units)
    }
}

/// What [`unpack`] makes of a group.
pub(super) struct Whole<const MINIMA: bool>;

impl<const MINIMA: bool> Panel for Whole<MINIMA> {
    const PAIRS: bool = false;

    #[inline(always)]
    unsafe fn dot<W: Vector, const G: usize, const N: usize>(
        panels: [&[u8]; G],
        x: &Activations,
        tile: &Tile,
    ) -> [[W; N]; G] {
        // SAFETY: handed on from the caller, who spreads for AVX2 alone, to where a cache line begins; the units are behind the blocks.
        unsafe {
            let units = panels[0].as_ptr().add(x.blocks() * layout(MINIMA).block_bytes());
            let mut of_group: [V; N] = if N == TOKENS {
                dot_whole::<V, N, MINIMA>(panels[0], x, tile)
            } else {
                few::<N, MINIMA>(panels[0], x, tile)
            };
            for sum in &mut of_group {
                *sum = sum.mul(V::load(units.cast()));
            }
            same_lanes(of_group)
        }
    }
}

/// The same for fewer tokens than the assembler's, in units.
///
/// # Safety
/// As for `Panel::dot`.
#[inline(always)]
unsafe fn few<const N: usize, const MINIMA: bool>(panel: &[u8], x: &Activations, tile: &Tile) -> [V; N] {
    // SAFETY: the panel has the blocks of the activations, the tile as many of codes and facts.
    unsafe {
        let mut sums = [V::splat(0.0); N];
        for (b, block) in panel.chunks_exact(layout(MINIMA).block_bytes()).take(x.blocks()).enumerate() {
            let codes = tile.codes.add(b * BLOCK * N);
            let facts = tile.facts.add(b * tile.facts_len * N);
            let fact = |fact: usize, n: usize| *facts.add(fact * N + n);
            let [[dots], _] = spread_sums::<V, false, MINIMA, 1, N>([block.as_ptr()], codes, facts, N);
            let reals = block.as_ptr().add(BLOCK * ROWS);
            let scales = V::codes(reals);
            for n in 0..N {
                if MINIMA {
                    let minima = V::load(reals.add(ROWS * size_of::<f32>()).cast());
                    sums[n] = minima.fma(V::splat(fact(fact::SUM, n)), sums[n]);
                }
                let dots = (_mm256_madd_epi16(dots[n].0, scales.0), _mm256_madd_epi16(dots[n].1, scales.1));
                sums[n] = V::wide_sum(dots).fma(V::splat(fact(fact::SCALE, n)), sums[n]);
            }
        }
        sums
    }
}
