//! Quantisation of activations over any [`Vector`].
//!
//! Sixteen blocks go through each step together, so that scales are divided a vector at a time and no block waits for
//! its own reductions. Each block gets the bits that it would get alone.

use std::arch::x86_64::*;

use super::{
    quantise_fours,
    vector::{LANES, Vector},
};
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
    if const { V::TILES[0] == 4 } {
        // SAFETY: handed on from the caller; whoever has a `Vector` has AVX2.
        let tokens = unsafe { quantise_fours::quantise(values, (to, of), V::WORDS) };
        values = &values[tokens * of.each * BLOCK..];
        of.token += tokens;
    }
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
            let usable = largest[n] >= TINY && largest[n].is_finite();
            ups[n] = if usable { WORD / largest[n] } else { 0.0 };
        }
        let mut words = [[_mm256_setzero_si256(); 2]; TOGETHER];
        let mut errors = [[0.0; STEPS.len()]; TOGETHER];
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
            for (errors, of) in errors[n].as_chunks_mut::<4>().0.iter_mut().zip(of.as_chunks::<4>().0) {
                _mm_storeu_ps(errors.as_mut_ptr(), _mm_cvtepi32_ps(sums(*of)));
            }
        }
        let (mut best, mut scales) = ([0; TOGETHER], [0.0; TOGETHER]);
        for n in 0..TOGETHER {
            let mut least = f32::INFINITY;
            for ((steps, worth), error) in STEPS.into_iter().zip(WORTHS).zip(&errors[n]) {
                let error = error * worth;
                (best[n], least) = if error < least { (steps, error) } else { (best[n], least) };
            }
            scales[n] = if largest[n] < TINY {
                0.0
            } else if largest[n].is_finite() {
                largest[n] / f32::from(best[n])
            } else {
                f32::NAN
            };
        }
        let (mut low, mut high) = ([0.0; TOGETHER], [0.0; TOGETHER]);
        let ones = _mm256_set1_epi16(1);
        for n in 0..count {
            let steps = _mm256_set1_epi16(best[n]);
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
