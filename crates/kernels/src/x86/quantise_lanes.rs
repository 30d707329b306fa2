//! What [`quantise_fours`](super::quantise_fours) needs, in registers of 256 and of 512 bits: two blocks of four tokens, and four.
#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers
#![allow(clippy::undocumented_unsafe_blocks)] // the trait states the contract

use std::arch::x86_64::*;

use super::{quantise::squares, quantise_fours::Lanes};
use crate::activations::SHORTER;

/// Of two packed vectors, which have two bytes a token in each half, one's and the other's by turns: a token's beside each other.
const TURNS: [u8; 16] = [0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15];

impl Lanes<2, 8> for __m256i {
    type Floats = __m256;

    #[inline(always)]
    unsafe fn floats(from: &[f32; 8]) -> __m256 {
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn store(floats: __m256, to: &mut [f32; 8]) {
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), floats) }
    }
    #[inline(always)]
    unsafe fn columns([low, high]: [*const f32; 2], width: usize) -> [__m256; 4] {
        unsafe {
            let mut rows = [_mm256_setzero_ps(); 4];
            for token in 0..4 {
                rows[token] = _mm256_loadu2_m128(high.add(token * width), low.add(token * width));
            }
            let [a, b, c, d] = rows;
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (left, right) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            [
                _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd),
                _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd),
                _mm256_shuffle_ps::<0b01_00_01_00>(left, right),
                _mm256_shuffle_ps::<0b11_10_11_10>(left, right),
            ]
        }
    }
    #[inline(always)]
    unsafe fn larger(size: __m256, value: __m256) -> __m256 {
        unsafe { _mm256_max_ps(size, _mm256_andnot_ps(_mm256_set1_ps(-0.0), value)) }
    }
    #[inline(always)]
    unsafe fn words([a, b]: [__m256; 2], up: __m256) -> Self {
        unsafe {
            let (a, b) = (_mm256_cvtps_epi32(_mm256_mul_ps(a, up)), _mm256_cvtps_epi32(_mm256_mul_ps(b, up)));
            let turns = _mm256_broadcastsi128_si256(_mm_loadu_si128(TURNS.as_ptr().cast()));
            _mm256_shuffle_epi8(_mm256_packs_epi32(a, b), turns)
        }
    }
    #[inline(always)]
    unsafe fn steps(of: &[f32; 8]) -> Self {
        unsafe {
            let wide = _mm256_cvtps_epi32(_mm256_loadu_ps(of.as_ptr()));
            _mm256_or_si256(wide, _mm256_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn zeros() -> Self {
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    unsafe fn add_squares(self, words: Self, steps: Self) -> Self {
        unsafe { _mm256_add_epi32(self, squares(words, steps)) }
    }
    #[inline(always)]
    unsafe fn to_floats(self, to: &mut [f32; 8]) {
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtepi32_ps(self)) }
    }
    #[inline(always)]
    unsafe fn codes(self, steps: Self) -> Self {
        unsafe { _mm256_mulhrs_epi16(self, steps) }
    }
    #[inline(always)]
    unsafe fn add_sum(self, [ab, cd]: [Self; 2]) -> Self {
        unsafe {
            let sums = _mm256_madd_epi16(_mm256_add_epi16(ab, cd), _mm256_set1_epi16(1));
            _mm256_add_epi32(self, sums)
        }
    }
    #[inline(always)]
    unsafe fn store_quads([ab, cd]: [Self; 2], [low, high]: [*mut i8; 2]) {
        unsafe {
            let turns = _mm256_broadcastsi128_si256(_mm_loadu_si128(TURNS.as_ptr().cast()));
            let bytes = _mm256_shuffle_epi8(_mm256_packs_epi16(ab, cd), turns);
            _mm_storeu_si128(low.cast(), _mm256_castsi256_si128(bytes));
            _mm_storeu_si128(high.cast(), _mm256_extracti128_si256::<1>(bytes));
        }
    }
}

impl Lanes<4, 16> for __m512i {
    type Floats = __m512;

    #[inline(always)]
    unsafe fn floats(from: &[f32; 16]) -> __m512 {
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn store(floats: __m512, to: &mut [f32; 16]) {
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), floats) }
    }
    #[inline(always)]
    unsafe fn columns([first, second, third, fourth]: [*const f32; 4], width: usize) -> [__m512; 4] {
        unsafe {
            let mut rows = [_mm512_setzero_ps(); 4];
            for token in 0..4 {
                let at = token * width;
                let row = _mm512_castps128_ps512(_mm_loadu_ps(first.add(at)));
                let row = _mm512_insertf32x4::<1>(row, _mm_loadu_ps(second.add(at)));
                let row = _mm512_insertf32x4::<2>(row, _mm_loadu_ps(third.add(at)));
                rows[token] = _mm512_insertf32x4::<3>(row, _mm_loadu_ps(fourth.add(at)));
            }
            let [a, b, c, d] = rows;
            let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
            let (left, right) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
            [
                _mm512_shuffle_ps::<0b01_00_01_00>(ab, cd),
                _mm512_shuffle_ps::<0b11_10_11_10>(ab, cd),
                _mm512_shuffle_ps::<0b01_00_01_00>(left, right),
                _mm512_shuffle_ps::<0b11_10_11_10>(left, right),
            ]
        }
    }
    #[inline(always)]
    unsafe fn larger(size: __m512, value: __m512) -> __m512 {
        unsafe { _mm512_max_ps(size, _mm512_abs_ps(value)) }
    }
    #[inline(always)]
    unsafe fn words([a, b]: [__m512; 2], up: __m512) -> Self {
        unsafe {
            let (a, b) = (_mm512_cvtps_epi32(_mm512_mul_ps(a, up)), _mm512_cvtps_epi32(_mm512_mul_ps(b, up)));
            let turns = _mm512_broadcast_i32x4(_mm_loadu_si128(TURNS.as_ptr().cast()));
            _mm512_shuffle_epi8(_mm512_packs_epi32(a, b), turns)
        }
    }
    #[inline(always)]
    unsafe fn steps(of: &[f32; 16]) -> Self {
        unsafe {
            let wide = _mm512_cvtps_epi32(_mm512_loadu_ps(of.as_ptr()));
            _mm512_or_si512(wide, _mm512_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn zeros() -> Self {
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    unsafe fn add_squares(self, words: Self, steps: Self) -> Self {
        unsafe {
            let off = _mm512_mullo_epi16(words, _mm512_add_epi16(steps, steps));
            let off = _mm512_srai_epi16::<{ SHORTER as u32 }>(off);
            _mm512_add_epi32(self, _mm512_madd_epi16(off, off))
        }
    }
    #[inline(always)]
    unsafe fn to_floats(self, to: &mut [f32; 16]) {
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), _mm512_cvtepi32_ps(self)) }
    }
    #[inline(always)]
    unsafe fn codes(self, steps: Self) -> Self {
        unsafe { _mm512_mulhrs_epi16(self, steps) }
    }
    #[inline(always)]
    unsafe fn add_sum(self, [ab, cd]: [Self; 2]) -> Self {
        unsafe {
            let sums = _mm512_madd_epi16(_mm512_add_epi16(ab, cd), _mm512_set1_epi16(1));
            _mm512_add_epi32(self, sums)
        }
    }
    #[inline(always)]
    unsafe fn store_quads([ab, cd]: [Self; 2], [first, second, third, fourth]: [*mut i8; 4]) {
        unsafe {
            let turns = _mm512_broadcast_i32x4(_mm_loadu_si128(TURNS.as_ptr().cast()));
            let bytes = _mm512_shuffle_epi8(_mm512_packs_epi16(ab, cd), turns);
            _mm_storeu_si128(first.cast(), _mm512_castsi512_si128(bytes));
            _mm_storeu_si128(second.cast(), _mm512_extracti32x4_epi32::<1>(bytes));
            _mm_storeu_si128(third.cast(), _mm512_extracti32x4_epi32::<2>(bytes));
            _mm_storeu_si128(fourth.cast(), _mm512_extracti32x4_epi32::<3>(bytes));
        }
    }
}
