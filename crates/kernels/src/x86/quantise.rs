//! Quantisation of activations over any [`Vector`].
//!
//! Sixteen blocks go through each step together, so that scales are divided a vector at a time and no block waits for
//! its own reductions. Each block gets the bits that it would get alone.

use std::arch::x86_64::*;

use super::vector::{LANES, Vector};
use crate::{
    BLOCK,
    activations::{SHORTER, STEPS, TINY, WORD, WORTHS},
    places::{Blocks, Place, Places, write_facts},
};

/// Blocks that go through the steps together: one a lane of what is found about them.
const TOGETHER: usize = LANES;
const _: () = assert!(STEPS.len().is_multiple_of(4), "errors are reduced by fours");

/// Whole blocks of some tokens.
#[inline(always)]
pub(super) unsafe fn quantise<V: Vector>(values: &[f32], (to, of): (&Places, Blocks)) {
    let (mut values, mut of) = (values, of);
    // SAFETY: handed on from the caller.
    let tokens = unsafe { V::quantise_fours(values, (to, of)) };
    values = &values[tokens * of.each * BLOCK..];
    of.token += tokens;
    for (n, values) in values.chunks(TOGETHER * BLOCK).enumerate() {
        let mut places = [Place::NOWHERE; TOGETHER];
        let places = &mut places[..values.len() / BLOCK];
        to.find(of, n * TOGETHER, places);
        // SAFETY: a whole block a place.
        unsafe { blocks::<V>(values.as_ptr(), places) };
    }
}

/// Quantises a block of 32 values a place, of which there are up to [`TOGETHER`].
#[inline(always)]
unsafe fn blocks<V: Vector>(values: *const f32, places: &[Place]) {
    let count = places.len();
    // SAFETY: the caller gives so many values, and `n` stays below `count`.
    unsafe {
        let mut largest = [0.0; TOGETHER];
        for (four, largest) in largest.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let mut sizes = [V::splat(0.0); 4];
            for (size, n) in sizes.iter_mut().zip(four * 4..count) {
                let (a, b) = block::<V>(values, n);
                *size = a.abs().max(b.abs());
            }
            *largest = V::largests(sizes);
        }
        let mut ups = [0.0; TOGETHER];
        for n in 0..TOGETHER {
            ups[n] = up(largest[n]);
        }
        let mut words = [[_mm256_setzero_si256(); 2]; TOGETHER];
        let mut errors = [[0.0; TOGETHER]; STEPS.len()];
        for n in 0..count {
            let (a, b) = block::<V>(values, n);
            let up = V::splat(ups[n]);
            let to = words[n].as_mut_ptr().cast::<i16>();
            a.mul(up).store_words(to);
            b.mul(up).store_words(to.add(LANES));
            let mut of = [_mm256_setzero_si256(); STEPS.len()];
            for (of, steps) in of.iter_mut().zip(STEPS) {
                let steps = _mm256_set1_epi16(steps);
                *of = _mm256_add_epi32(squares(words[n][0], steps), squares(words[n][1], steps));
            }
            for (errors, of) in errors.as_chunks_mut::<4>().0.iter_mut().zip(of.as_chunks::<4>().0) {
                let mut fours = [0.0; 4];
                _mm_storeu_ps(fours.as_mut_ptr(), _mm_cvtepi32_ps(sums(*of)));
                for (errors, of) in errors.iter_mut().zip(fours) {
                    errors[n] = of;
                }
            }
        }
        let (best, scales) = code_scales(&largest, &errors);
        let (mut low, mut high) = ([0.0; TOGETHER], [0.0; TOGETHER]);
        let ones = _mm256_set1_epi16(1);
        for n in 0..count {
            let steps = _mm256_set1_epi16(best[n] as i16);
            let (a, b) = (_mm256_mulhrs_epi16(words[n][0], steps), _mm256_mulhrs_epi16(words[n][1], steps));
            let bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(a, b));
            let mut codes = [0; BLOCK];
            _mm256_storeu_si256(codes.as_mut_ptr().cast(), bytes);
            places[n].write_codes(&codes);
            let (a, b) = (_mm256_madd_epi16(a, ones), _mm256_madd_epi16(b, ones));
            let mut of = [0.0; 4];
            _mm_storeu_ps(of.as_mut_ptr(), _mm_cvtepi32_ps(sums([a, b, a, b])));
            [low[n], high[n], ..] = of;
        }
        write_facts(V::WORDS, places, &scales, [&low, &high]);
    }
}

/// What makes [words](WORD) of a block's values, whose largest magnitude this is.
#[inline(always)]
pub(super) fn up(largest: f32) -> f32 {
    if (TINY..f32::INFINITY).contains(&largest) { WORD / largest } else { 0.0 }
}

/// For each of some blocks the steps that leave the least of the squared errors, and the scale that goes with them.
#[inline(always)]
pub(super) fn code_scales<const N: usize>(
    largest: &[f32; N],
    errors: &[[f32; N]; STEPS.len()],
) -> ([f32; N], [f32; N]) {
    // step by step for all blocks, which a compiler turns into vectors
    let (mut best, mut least) = ([0.0; N], [f32::INFINITY; N]);
    for ((steps, worth), errors) in STEPS.into_iter().zip(WORTHS).zip(errors) {
        for n in 0..N {
            let error = errors[n] * worth;
            best[n] = if error < least[n] { f32::from(steps) } else { best[n] };
            least[n] = if error < least[n] { error } else { least[n] };
        }
    }
    let mut scales = [0.0; N];
    for n in 0..N {
        let scale = if largest[n] < f32::INFINITY { largest[n] / best[n] } else { f32::NAN };
        scales[n] = if largest[n] < TINY { 0.0 } else { scale };
    }
    (best, scales)
}

/// Squares of what is rounded off of sixteen [words](WORD), two added up in each lane.
///
/// # Safety
/// The machine has AVX2.
#[inline(always)]
pub(super) unsafe fn squares(words: __m256i, steps: __m256i) -> __m256i {
    // SAFETY: only arithmetic.
    unsafe {
        let off = _mm256_mullo_epi16(words, _mm256_add_epi16(steps, steps));
        let off = _mm256_srai_epi16::<SHORTER>(off);
        _mm256_madd_epi16(off, off)
    }
}

/// What the lanes of each vector add up to.
#[inline(always)]
unsafe fn sums([a, b, c, d]: [__m256i; 4]) -> __m128i {
    // SAFETY: only arithmetic.
    unsafe {
        let halves = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
        _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves))
    }
}

/// Block `n` of the values.
#[inline(always)]
unsafe fn block<V: Vector>(values: *const f32, n: usize) -> (V, V) {
    // SAFETY: the caller gives so many blocks.
    unsafe { (V::load(values.add(n * BLOCK)), V::load(values.add(n * BLOCK + LANES))) }
}
