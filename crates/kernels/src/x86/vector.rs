//! Sixteen floats and sixty-four codes at a time: what an instruction set has to offer.
//!
//! Both implementations have sixteen lanes (AVX2 holds them in two registers) and reduce in the same order, so the
//! algorithms beside this file give equal bits on both.
//!
//! There are no closures here, for closures do not inherit the target features of the shell that they end up in.
//!
//! # Safety
//! Every method takes a machine that has the instruction set of its type; the shells in `mod.rs` are the only
//! callers and carry the matching `#[target_feature]`. Pointers are valid for as many elements as the method reads.
#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers
#![allow(clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)] // the module's contract covers them all

use std::arch::x86_64::*;

use crate::places::{Blocks, Places};

/// Floats in one vector.
pub(super) const LANES: usize = 16;

/// `sums[group][token] = add(…, weights[group], quad)` for the quads of all tokens; a macro, as there are no closures here.
macro_rules! add_all {
    ($add:path, $sums:ident, $weights:ident, $quads:ident) => {
        for n in 0..N {
            let quad = Self::quad($quads.add(n * 4));
            for g in 0..G {
                $sums[g][n] = $add($sums[g][n], $weights[g], quad);
            }
        }
    };
}
pub(super) use add_all;

/// Arithmetic that the kernels are written in.
pub(super) trait Vector: Copy {
    /// 64 codes: four of each of sixteen rows.
    type Codes: Copy;
    /// Sums of products of 4-bit codes, a row a lane, or two of 16 bits where `WORDS`.
    type Narrow: Copy;
    /// 64 signed codes made ready.
    type Bytes: Copy;
    /// Sums of products of 8-bit codes, a row a lane, or of 16-bit numbers.
    type Wide: Copy;
    /// Tokens that share one unpacking of the weights, most first: as many as the registers hold sums for.
    const TILES: &[usize];
    /// Whether sums of products of 4-bit codes have 16 bits, two a row, each for half of a block's columns.
    ///
    /// That is enough: where codes count from 0, 16 · 15 · 127 is 30,480. Where they count from -8, one of the two begins with -8
    /// times the sum of all activations: it ends with what its own columns give, 16 · 8 · 127 at most, and -8 times the sum of
    /// the others, as much again, 32,512 in all. What overflows on the way there comes back.
    const WORDS: bool;
    /// Whether there are 32 registers of a whole vector each, not 16 of half of one.
    const ROOMY: bool;
    /// How far ahead of their use weights are asked for, in bytes: into the first-level cache, and into the second where
    /// that is farther. Measured, see docs/performance.md.
    const AHEAD: [usize; 2] = [8192, 8192];

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn load_f16(from: *const u16) -> Self;
    unsafe fn load_bf16(from: *const u16) -> Self;
    unsafe fn load_i8(from: *const i8) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// `self · factor + addend`, rounded once.
    unsafe fn fma(self, factor: Self, addend: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    unsafe fn abs(self) -> Self;
    /// `self · 2ⁿ` for whole numbers `n` in the last bits of `shifted`; neither `self` nor the result is subnormal.
    unsafe fn times_power_of_two(self, shifted: Self) -> Self;
    /// Lanes 0–7 and 8–15 added, then as [`sum8`].
    unsafe fn sum(self) -> f32;
    /// The largest lane.
    unsafe fn largest(self) -> f32;
    /// [`Vector::largest`] of each.
    #[inline(always)]
    unsafe fn largests(vectors: [Self; 4]) -> [f32; 4] {
        let [a, b, c, d] = vectors;
        unsafe { [a.largest(), b.largest(), c.largest(), d.largest()] }
    }
    /// Rounds 16 values to i16, ties to even; what is larger than any becomes the largest.
    unsafe fn store_words(self, to: *mut i16);

    /// [`quantise_fours::quantise`](super::quantise_fours::quantise) in registers of its width.
    unsafe fn quantise_fours(values: &[f32], to: (&Places, Blocks)) -> usize;

    /// Four codes of each of sixteen rows; or the four-bit codes of twice as many columns.
    unsafe fn codes(from: *const u8) -> Self::Codes;
    /// Writes 64 codes.
    unsafe fn store_line(codes: Self::Codes, to: *mut u8);
    /// Low and high nibbles.
    unsafe fn nibbles(packed: Self::Codes) -> (Self::Codes, Self::Codes);
    /// Codes of more than four bits: nibbles, and beside them what `upper` has `by` bits lower, or higher, under `mask`; plus `offset`.
    unsafe fn lengthen(low: Self::Codes, upper: Self::Codes, by: i32, mask: u8, offset: i8) -> Self::Codes;
    /// The same four activations for all rows.
    unsafe fn quad(from: *const i8) -> Self::Codes;
    /// What sums of products of 4-bit codes begin with: nothing, or a [fact](crate::activations::fact) of the activations.
    unsafe fn narrow(start: i32) -> Self::Narrow;
    /// Adds four products a row; up to eight times.
    unsafe fn narrow_add(sum: Self::Narrow, weights: Self::Codes, quad: Self::Codes) -> Self::Narrow;
    /// The same for `G` groups of rows and `N` tokens, whose quads follow each other from `quads` on.
    #[inline(always)]
    unsafe fn narrow_add_all<const G: usize, const N: usize>(
        sums: &mut [[Self::Narrow; N]; G],
        weights: &[Self::Codes; G],
        quads: *const i8,
    ) {
        unsafe { add_all!(Self::narrow_add, sums, weights, quads) }
    }
    /// The rows' sums.
    unsafe fn narrow_sum(sum: Self::Narrow) -> Self;
    /// Signed 8-bit codes, made ready for `wide_add`.
    unsafe fn bytes(codes: Self::Codes) -> Self::Bytes;
    /// An empty sum of products of 8-bit codes; `offset` is -128 × the sum of the activations that will meet them.
    unsafe fn wide(offset: i32) -> Self::Wide;
    /// Adds four products a row; activations lie within ±127.
    unsafe fn wide_add(sum: Self::Wide, weights: Self::Bytes, quad: Self::Codes) -> Self::Wide;
    /// The same for `G` groups of rows and `N` tokens, whose quads follow each other from `quads` on.
    #[inline(always)]
    unsafe fn wide_add_all<const G: usize, const N: usize>(
        sums: &mut [[Self::Wide; N]; G],
        weights: &[Self::Bytes; G],
        quads: *const i8,
    ) {
        unsafe { add_all!(Self::wide_add, sums, weights, quads) }
    }
    /// The rows' sums.
    unsafe fn wide_sum(sum: Self::Wide) -> Self;
    /// Adds two products of 16-bit numbers a lane to a sum that began with 0; `pair` has the same two for all lanes.
    unsafe fn pairs_add(sum: Self::Wide, numbers: Self::Codes, pair: Self::Codes) -> Self::Wide;
    /// The same for `M` vectors, which lie `apart`, and `N` pairs, which lie a `stride` apart.
    #[inline(always)]
    unsafe fn pairs_add_all<const M: usize, const N: usize>(
        sums: &mut [[Self::Wide; N]; M],
        from: (*const u32, usize),
        pairs: (*const i16, usize),
    ) {
        unsafe { pairs_each::<Self, M, N>(sums, from, pairs) }
    }
}

/// [`Vector::pairs_add_all`], as a compiler makes it.
#[inline(always)]
pub(super) unsafe fn pairs_each<V: Vector, const M: usize, const N: usize>(
    sums: &mut [[V::Wide; N]; M],
    (from, apart): (*const u32, usize),
    (pairs, stride): (*const i16, usize),
) {
    unsafe {
        let mut numbers = [V::codes(from.cast()); M];
        for m in 1..M {
            numbers[m] = V::codes(from.add(m * apart).cast());
        }
        for n in 0..N {
            let pair = V::quad(pairs.add(n * stride).cast());
            for m in 0..M {
                sums[m][n] = V::pairs_add(sums[m][n], numbers[m], pair);
            }
        }
    }
}

/// Asks for the cache lines of `bytes` bytes from `from` on; any address will do, for a prefetch never faults.
#[inline(always)]
pub(super) fn prefetch(from: *const u8, bytes: usize) {
    for line in (0..bytes).step_by(64) {
        // SAFETY: nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(line).cast()) };
    }
}

/// The same, no nearer than the second-level cache.
#[inline(always)]
pub(crate) fn prefetch_far(from: *const u8, bytes: usize) {
    for line in (0..bytes).step_by(64) {
        // SAFETY: nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.wrapping_add(line).cast()) };
    }
}

/// Asks for the cache lines of some bytes, to be written.
#[inline(always)]
pub(crate) fn prefetch_write(from: *const u8, bytes: usize) {
    for line in (0..bytes).step_by(64) {
        // SAFETY: nothing is touched.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(from.wrapping_add(line).cast()) };
    }
}

/// Sums of a single group as another kind of vector: kernels for one instruction set hand their results to what is shared.
///
/// # Safety
/// The machine has both.
#[inline(always)]
pub(super) unsafe fn same_lanes<V: Vector, W: Vector, const G: usize, const N: usize>(
    of_group: [V; N],
) -> [[W; N]; G] {
    // SAFETY: there is room for sixteen lanes.
    unsafe {
        let mut sums = [[W::splat(0.0); N]; G];
        for (sum, from) in sums[0].iter_mut().zip(of_group) {
            let mut lanes = [0.0; LANES];
            from.store(lanes.as_mut_ptr());
            *sum = W::load(lanes.as_ptr());
        }
        sums
    }
}

/// Asks for what comes [`Vector::AHEAD`] of the `bytes` bytes of weights from `from` on.
#[inline(always)]
pub(super) fn prefetch_ahead<V: Vector>(from: *const u8, bytes: usize) {
    let [near, far] = V::AHEAD;
    prefetch(from.wrapping_add(near), bytes);
    if far > near {
        prefetch_far(from.wrapping_add(far), bytes);
    }
}

/// Sum of eight lanes: halves, then quarters, then neighbours.
#[inline(always)]
pub(super) unsafe fn sum8(v: __m256) -> f32 {
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

#[inline(always)]
pub(super) unsafe fn max8(v: __m256) -> f32 {
    unsafe {
        let four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
    }
}

/// Eight bf16 as floats.
#[inline(always)]
pub(super) unsafe fn bf16x8(from: *const u16) -> __m256 {
    unsafe {
        let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
    }
}
