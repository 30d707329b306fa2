//! Sixteen lanes in two registers of AVX2.
#![allow(clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)] // `vector.rs` states the contract

use std::arch::x86_64::*;

use super::{
    avx2_asm::{multiply_four, pairs_six, pairs_twice_three},
    quantise_fours,
    vector::{Vector, add_all, bf16x8, max8, pairs_each, sum8},
};
use crate::places::{Blocks, Places};

/// AVX2, FMA and F16C; with AVX-VNNI where `DOT`.
#[derive(Clone, Copy)]
pub(super) struct Avx2<const DOT: bool>(pub(super) __m256, pub(super) __m256);

impl<const DOT: bool> Vector for Avx2<DOT> {
    type Codes = (__m256i, __m256i);
    type Narrow = (__m256i, __m256i);
    type Bytes = (Self::Codes, Self::Codes);
    type Wide = (__m256i, __m256i);
    const TILES: &[usize] = if DOT { &[6, 4, 2, 1] } else { &[4, 3, 2, 1] };
    const WORDS: bool = !DOT;
    const ROOMY: bool = false;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Self(_mm256_set1_ps(value), _mm256_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        unsafe {
            let (low, high) = (_mm_loadu_si128(from.cast()), _mm_loadu_si128(from.add(8).cast()));
            Self(_mm256_cvtph_ps(low), _mm256_cvtph_ps(high))
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        unsafe { Self(bf16x8(from), bf16x8(from.add(8))) }
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self {
        unsafe {
            let bytes = _mm_loadu_si128(from.cast());
            let (low, high) =
                (_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes)));
            Self(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high))
        }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }
    #[inline(always)]
    unsafe fn add(self, o: Self) -> Self {
        unsafe { Self(_mm256_add_ps(self.0, o.0), _mm256_add_ps(self.1, o.1)) }
    }
    #[inline(always)]
    unsafe fn sub(self, o: Self) -> Self {
        unsafe { Self(_mm256_sub_ps(self.0, o.0), _mm256_sub_ps(self.1, o.1)) }
    }
    #[inline(always)]
    unsafe fn mul(self, o: Self) -> Self {
        unsafe { Self(_mm256_mul_ps(self.0, o.0), _mm256_mul_ps(self.1, o.1)) }
    }
    #[inline(always)]
    unsafe fn div(self, o: Self) -> Self {
        unsafe { Self(_mm256_div_ps(self.0, o.0), _mm256_div_ps(self.1, o.1)) }
    }
    #[inline(always)]
    unsafe fn fma(self, f: Self, a: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(self.0, f.0, a.0), _mm256_fmadd_ps(self.1, f.1, a.1)) }
    }
    #[inline(always)]
    unsafe fn max(self, o: Self) -> Self {
        unsafe { Self(_mm256_max_ps(self.0, o.0), _mm256_max_ps(self.1, o.1)) }
    }
    #[inline(always)]
    unsafe fn min(self, o: Self) -> Self {
        unsafe { Self(_mm256_min_ps(self.0, o.0), _mm256_min_ps(self.1, o.1)) }
    }
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            Self(_mm256_andnot_ps(sign, self.0), _mm256_andnot_ps(sign, self.1))
        }
    }
    #[inline(always)]
    unsafe fn times_power_of_two(self, shifted: Self) -> Self {
        unsafe {
            let (a, b) = (_mm256_castps_si256(shifted.0), _mm256_castps_si256(shifted.1));
            let a = _mm256_add_epi32(_mm256_castps_si256(self.0), _mm256_slli_epi32::<23>(a));
            let b = _mm256_add_epi32(_mm256_castps_si256(self.1), _mm256_slli_epi32::<23>(b));
            Self(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b))
        }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { sum8(_mm256_add_ps(self.0, self.1)) }
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        unsafe { max8(_mm256_max_ps(self.0, self.1)) }
    }
    #[inline(always)]
    unsafe fn store_words(self, to: *mut i16) {
        unsafe {
            let words = _mm256_packs_epi32(_mm256_cvtps_epi32(self.0), _mm256_cvtps_epi32(self.1));
            _mm256_storeu_si256(to.cast(), _mm256_permute4x64_epi64::<0b11_01_10_00>(words));
        }
    }
    #[inline(always)]
    unsafe fn quantise_fours(values: &[f32], to: (&Places, Blocks)) -> usize {
        unsafe { quantise_fours::quantise::<__m256i, 2, 8>(values, to, Self::WORDS) }
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> Self::Codes {
        unsafe { (_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())) }
    }
    #[inline(always)]
    unsafe fn store_line(codes: Self::Codes, to: *mut u8) {
        unsafe {
            _mm256_storeu_si256(to.cast(), codes.0);
            _mm256_storeu_si256(to.add(32).cast(), codes.1);
        }
    }
    #[inline(always)]
    unsafe fn nibbles(packed: Self::Codes) -> (Self::Codes, Self::Codes) {
        unsafe {
            let mask = _mm256_set1_epi8(15);
            let low = (_mm256_and_si256(packed.0, mask), _mm256_and_si256(packed.1, mask));
            let (a, b) = (_mm256_srli_epi16::<4>(packed.0), _mm256_srli_epi16::<4>(packed.1));
            (low, (_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)))
        }
    }
    #[inline(always)]
    unsafe fn lengthen(low: Self::Codes, upper: Self::Codes, by: i32, mask: u8, offset: i8) -> Self::Codes {
        unsafe {
            let count = _mm_cvtsi32_si128(by.abs());
            let (mask, offset) = (_mm256_set1_epi8(mask.cast_signed()), _mm256_set1_epi8(offset));
            let (a, b) = if by > 0 {
                (_mm256_sll_epi16(upper.0, count), _mm256_sll_epi16(upper.1, count))
            } else {
                (_mm256_srl_epi16(upper.0, count), _mm256_srl_epi16(upper.1, count))
            };
            let a = _mm256_or_si256(low.0, _mm256_and_si256(a, mask));
            let b = _mm256_or_si256(low.1, _mm256_and_si256(b, mask));
            (_mm256_add_epi8(a, offset), _mm256_add_epi8(b, offset))
        }
    }
    #[inline(always)]
    unsafe fn quad(from: *const i8) -> Self::Codes {
        unsafe {
            let quad = _mm256_set1_epi32(from.cast::<i32>().read_unaligned());
            (quad, quad)
        }
    }
    #[inline(always)]
    unsafe fn narrow(start: i32) -> Self::Narrow {
        unsafe {
            let start = _mm256_set1_epi32(start);
            (start, start)
        }
    }
    #[inline(always)]
    unsafe fn narrow_add(sum: Self::Narrow, weights: Self::Codes, quad: Self::Codes) -> Self::Narrow {
        unsafe {
            if DOT {
                let a = _mm256_dpbusd_avx_epi32(sum.0, weights.0, quad.0);
                return (a, _mm256_dpbusd_avx_epi32(sum.1, weights.1, quad.1));
            }
            // [`Vector::WORDS`] tells why 16 bits are enough
            let a = _mm256_add_epi16(sum.0, _mm256_maddubs_epi16(weights.0, quad.0));
            (a, _mm256_add_epi16(sum.1, _mm256_maddubs_epi16(weights.1, quad.1)))
        }
    }
    #[inline(always)]
    unsafe fn narrow_add_all<const G: usize, const N: usize>(
        sums: &mut [[Self::Narrow; N]; G],
        weights: &[Self::Codes; G],
        quads: *const i8,
    ) {
        unsafe {
            if !DOT && G == 1 && N == 4 {
                return multiply_four(&mut *(&raw mut *sums).cast(), weights[0], quads);
            }
            add_all!(Self::narrow_add, sums, weights, quads)
        }
    }
    #[inline(always)]
    unsafe fn narrow_sum(sum: Self::Narrow) -> Self {
        unsafe {
            if DOT {
                return Self(_mm256_cvtepi32_ps(sum.0), _mm256_cvtepi32_ps(sum.1));
            }
            let ones = _mm256_set1_epi16(1);
            let (a, b) = (_mm256_madd_epi16(sum.0, ones), _mm256_madd_epi16(sum.1, ones));
            Self(_mm256_cvtepi32_ps(a), _mm256_cvtepi32_ps(b))
        }
    }
    #[inline(always)]
    unsafe fn bytes(codes: Self::Codes) -> Self::Bytes {
        unsafe {
            if DOT {
                // vpdpbusd takes one unsigned side: codes + 128, which `wide` takes off
                let flip = _mm256_set1_epi8(-128);
                return (codes, (_mm256_xor_si256(codes.0, flip), _mm256_xor_si256(codes.1, flip)));
            }
            (codes, (_mm256_abs_epi8(codes.0), _mm256_abs_epi8(codes.1)))
        }
    }
    #[inline(always)]
    unsafe fn wide(offset: i32) -> Self::Wide {
        unsafe {
            let start = if DOT { _mm256_set1_epi32(offset) } else { _mm256_setzero_si256() };
            (start, start)
        }
    }
    #[inline(always)]
    unsafe fn wide_add(sum: Self::Wide, weights: Self::Bytes, quad: Self::Codes) -> Self::Wide {
        unsafe {
            let (codes, sizes) = weights;
            if DOT {
                let a = _mm256_dpbusd_avx_epi32(sum.0, sizes.0, quad.0);
                return (a, _mm256_dpbusd_avx_epi32(sum.1, sizes.1, quad.1));
            }
            // |w| · (a with w's sign): pairs stay below 2 · 128 · 127 = 32,512
            let ones = _mm256_set1_epi16(1);
            let a = _mm256_maddubs_epi16(sizes.0, _mm256_sign_epi8(quad.0, codes.0));
            let b = _mm256_maddubs_epi16(sizes.1, _mm256_sign_epi8(quad.1, codes.1));
            (
                _mm256_add_epi32(sum.0, _mm256_madd_epi16(a, ones)),
                _mm256_add_epi32(sum.1, _mm256_madd_epi16(b, ones)),
            )
        }
    }
    #[inline(always)]
    unsafe fn wide_sum(sum: Self::Wide) -> Self {
        unsafe { Self(_mm256_cvtepi32_ps(sum.0), _mm256_cvtepi32_ps(sum.1)) }
    }
    #[inline(always)]
    unsafe fn pairs_add(sum: Self::Wide, numbers: Self::Codes, pair: Self::Codes) -> Self::Wide {
        unsafe {
            if DOT {
                let a = _mm256_dpwssd_avx_epi32(sum.0, numbers.0, pair.0);
                return (a, _mm256_dpwssd_avx_epi32(sum.1, numbers.1, pair.1));
            }
            let a = _mm256_add_epi32(sum.0, _mm256_madd_epi16(numbers.0, pair.0));
            (a, _mm256_add_epi32(sum.1, _mm256_madd_epi16(numbers.1, pair.1)))
        }
    }
    #[inline(always)]
    unsafe fn pairs_add_all<const M: usize, const N: usize>(
        sums: &mut [[Self::Wide; N]; M],
        from: (*const u32, usize),
        pairs: (*const i16, usize),
    ) {
        unsafe {
            if !DOT && M == 1 && N == 6 {
                return pairs_six(&mut *(&raw mut *sums).cast(), from.0, pairs);
            }
            if !DOT && M == 2 && N == 3 {
                return pairs_twice_three(&mut *(&raw mut *sums).cast(), from, pairs);
            }
            pairs_each::<Self, M, N>(sums, from, pairs)
        }
    }
}
