//! Sixteen floats and sixty-four codes at a time: the only file with intrinsics.
//!
//! Both implementations have sixteen lanes (AVX2 holds them in two registers) and reduce in the same order, so the
//! algorithms of `generic` give equal bits on both.
//!
//! There are no closures here, for closures do not inherit the target features of the shell that they end up in.
//!
//! # Safety
//! Every method takes a machine that has the instruction set of its type; the shells in `mod.rs` are the only
//! callers and carry the matching `#[target_feature]`. Pointers are valid for as many elements as the method reads.
#![allow(clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)] // the module's contract covers them all

use std::arch::x86_64::*;

/// Floats in one vector.
pub(super) const LANES: usize = 16;

/// Arithmetic that the kernels are written in.
pub(super) trait Vector: Copy {
    /// 64 eight-bit codes: two blocks.
    type Codes: Copy;
    /// Tokens that share one unpacking of the weights: as many as the registers hold sums for; a power of two.
    const TILE: usize;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn load_f16(from: *const u16) -> Self;
    unsafe fn load_bf16(from: *const u16) -> Self;
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
    /// To the nearest whole number, ties to even.
    unsafe fn round(self) -> Self;
    /// 2^self for whole numbers from -126 to 127.
    unsafe fn exp2_whole(self) -> Self;
    /// Lanes 0–7 and 8–15 added, then as [`sum8`].
    unsafe fn sum(self) -> f32;
    /// The largest of lanes 0–7 and the largest of lanes 8–15.
    unsafe fn max_halves(self) -> (f32, f32);
    /// `[a; 8] ++ [b; 8]` of `pair` = `[a, _, b, _]`.
    unsafe fn spread(pair: __m128) -> Self;
    /// Rounds 16 values that lie within ±127 to i8.
    unsafe fn store_codes(self, to: *mut i8);

    /// 64 codes.
    unsafe fn codes(from: *const i8) -> Self::Codes;
    /// 32 codes from each of two places.
    unsafe fn bytes(first: *const u8, second: *const u8) -> Self::Codes;
    /// 32 four-bit codes from each of two places, low nibbles first.
    unsafe fn nibbles(first: *const u8, second: *const u8) -> Self::Codes;
    /// Dot products of u8 weights (≤ 15) with i8 codes, four neighbours a lane.
    unsafe fn dot_nibbles(weights: Self::Codes, codes: Self::Codes) -> Self;
    /// Dot products of i8 weights with i8 codes (≥ -127), four neighbours a lane.
    unsafe fn dot_bytes(weights: Self::Codes, codes: Self::Codes) -> Self;
}

/// Sum of eight lanes: halves, then quarters, then neighbours.
#[inline(always)]
unsafe fn sum8(v: __m256) -> f32 {
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

#[inline(always)]
unsafe fn max8(v: __m256) -> f32 {
    unsafe {
        let four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
    }
}

/// 32 four-bit codes from 16 bytes.
#[inline(always)]
unsafe fn nibbles32(from: *const u8) -> __m256i {
    unsafe {
        let packed = _mm_loadu_si128(from.cast());
        let both = _mm256_set_m128i(_mm_srli_epi16::<4>(packed), packed);
        _mm256_and_si256(both, _mm256_set1_epi8(15))
    }
}

/// Dot products of 32 u8 with 32 i8, four neighbours a lane.
#[inline(always)]
unsafe fn dot32(unsigned: __m256i, signed: __m256i) -> __m256 {
    unsafe {
        let pairs = _mm256_maddubs_epi16(unsigned, signed);
        _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
}

#[inline(always)]
unsafe fn bf16x8(from: *const u16) -> __m256 {
    unsafe {
        let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
    }
}

#[inline(always)]
unsafe fn exp2x8(whole: __m256) -> __m256 {
    unsafe {
        let biased = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
    }
}

/// AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256, __m256);

impl Avx2 {
    #[inline(always)]
    unsafe fn dot(unsigned: (__m256i, __m256i), signed: (__m256i, __m256i)) -> Self {
        unsafe { Self(dot32(unsigned.0, signed.0), dot32(unsigned.1, signed.1)) }
    }
}

impl Vector for Avx2 {
    type Codes = (__m256i, __m256i);
    const TILE: usize = 4;

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
    unsafe fn round(self) -> Self {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        unsafe { Self(_mm256_round_ps::<NEAREST>(self.0), _mm256_round_ps::<NEAREST>(self.1)) }
    }
    #[inline(always)]
    unsafe fn exp2_whole(self) -> Self {
        unsafe { Self(exp2x8(self.0), exp2x8(self.1)) }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { sum8(_mm256_add_ps(self.0, self.1)) }
    }
    #[inline(always)]
    unsafe fn max_halves(self) -> (f32, f32) {
        unsafe { (max8(self.0), max8(self.1)) }
    }
    #[inline(always)]
    unsafe fn spread(pair: __m128) -> Self {
        unsafe {
            let second = _mm_movehl_ps(pair, pair);
            Self(_mm256_broadcastss_ps(pair), _mm256_broadcastss_ps(second))
        }
    }
    #[inline(always)]
    unsafe fn store_codes(self, to: *mut i8) {
        unsafe {
            let words = _mm256_packs_epi32(_mm256_cvtps_epi32(self.0), _mm256_cvtps_epi32(self.1));
            let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let low = _mm256_castsi256_si128(ordered);
            let high = _mm256_extracti128_si256::<1>(ordered);
            _mm_storeu_si128(to.cast(), _mm_packs_epi16(low, high));
        }
    }
    #[inline(always)]
    unsafe fn codes(from: *const i8) -> Self::Codes {
        unsafe { (_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())) }
    }
    #[inline(always)]
    unsafe fn bytes(first: *const u8, second: *const u8) -> Self::Codes {
        unsafe { (_mm256_loadu_si256(first.cast()), _mm256_loadu_si256(second.cast())) }
    }
    #[inline(always)]
    unsafe fn nibbles(first: *const u8, second: *const u8) -> Self::Codes {
        unsafe { (nibbles32(first), nibbles32(second)) }
    }
    #[inline(always)]
    unsafe fn dot_nibbles(weights: Self::Codes, codes: Self::Codes) -> Self {
        unsafe { Self::dot(weights, codes) }
    }
    #[inline(always)]
    unsafe fn dot_bytes(w: Self::Codes, c: Self::Codes) -> Self {
        // |w| ≤ 128 and |c| ≤ 127: two products stay below 2^15
        unsafe {
            let unsigned = (_mm256_abs_epi8(w.0), _mm256_abs_epi8(w.1));
            Self::dot(unsigned, (_mm256_sign_epi8(c.0, w.0), _mm256_sign_epi8(c.1, w.1)))
        }
    }
}

/// AVX-512 F, BW, VL and VNNI.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

impl Avx512 {
    #[inline(always)]
    unsafe fn halves(self) -> (__m256, __m256) {
        unsafe {
            let high = _mm512_extracti64x4_epi64::<1>(_mm512_castps_si512(self.0));
            (_mm512_castps512_ps256(self.0), _mm256_castsi256_ps(high))
        }
    }
}

impl Vector for Avx512 {
    type Codes = __m512i;
    const TILE: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Self(_mm512_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(_mm512_loadu_ps(from)) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self {
        unsafe { Self(_mm512_cvtph_ps(_mm256_loadu_si256(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self {
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide)))
        }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, o: Self) -> Self {
        unsafe { Self(_mm512_add_ps(self.0, o.0)) }
    }
    #[inline(always)]
    unsafe fn sub(self, o: Self) -> Self {
        unsafe { Self(_mm512_sub_ps(self.0, o.0)) }
    }
    #[inline(always)]
    unsafe fn mul(self, o: Self) -> Self {
        unsafe { Self(_mm512_mul_ps(self.0, o.0)) }
    }
    #[inline(always)]
    unsafe fn div(self, o: Self) -> Self {
        unsafe { Self(_mm512_div_ps(self.0, o.0)) }
    }
    #[inline(always)]
    unsafe fn fma(self, f: Self, a: Self) -> Self {
        unsafe { Self(_mm512_fmadd_ps(self.0, f.0, a.0)) }
    }
    #[inline(always)]
    unsafe fn max(self, o: Self) -> Self {
        unsafe { Self(_mm512_max_ps(self.0, o.0)) }
    }
    #[inline(always)]
    unsafe fn min(self, o: Self) -> Self {
        unsafe { Self(_mm512_min_ps(self.0, o.0)) }
    }
    #[inline(always)]
    unsafe fn abs(self) -> Self {
        unsafe { Self(_mm512_abs_ps(self.0)) }
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        unsafe { Self(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0)) }
    }
    #[inline(always)]
    unsafe fn exp2_whole(self) -> Self {
        unsafe {
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased)))
        }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe {
            let (low, high) = self.halves();
            sum8(_mm256_add_ps(low, high))
        }
    }
    #[inline(always)]
    unsafe fn max_halves(self) -> (f32, f32) {
        unsafe {
            let (low, high) = self.halves();
            (max8(low), max8(high))
        }
    }
    #[inline(always)]
    unsafe fn spread(pair: __m128) -> Self {
        unsafe {
            let lanes = _mm512_set_epi32(2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0);
            Self(_mm512_permutexvar_ps(lanes, _mm512_castps128_ps512(pair)))
        }
    }
    #[inline(always)]
    unsafe fn store_codes(self, to: *mut i8) {
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(self.0))) }
    }
    #[inline(always)]
    unsafe fn codes(from: *const i8) -> Self::Codes {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn bytes(first: *const u8, second: *const u8) -> Self::Codes {
        unsafe {
            let low = _mm512_castsi256_si512(_mm256_loadu_si256(first.cast()));
            _mm512_inserti64x4::<1>(low, _mm256_loadu_si256(second.cast()))
        }
    }
    #[inline(always)]
    unsafe fn nibbles(first: *const u8, second: *const u8) -> Self::Codes {
        unsafe {
            let (first, second) = (_mm_loadu_si128(first.cast()), _mm_loadu_si128(second.cast()));
            let packed = _mm512_castsi256_si512(_mm256_set_m128i(second, first));
            // each block twice, the second time shifted to its high nibbles
            let twice = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), packed);
            let low = _mm512_srlv_epi64(twice, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4));
            _mm512_and_si512(low, _mm512_set1_epi8(15))
        }
    }
    #[inline(always)]
    unsafe fn dot_nibbles(weights: Self::Codes, codes: Self::Codes) -> Self {
        unsafe { Self(_mm512_cvtepi32_ps(_mm512_dpbusd_epi32(_mm512_setzero_si512(), weights, codes))) }
    }
    #[inline(always)]
    unsafe fn dot_bytes(weights: Self::Codes, codes: Self::Codes) -> Self {
        // vpdpbusd takes one unsigned side: codes + 128, with 128·Σweights taken off beforehand
        unsafe {
            let offset = _mm512_set1_epi8(-128);
            let zero = _mm512_setzero_si512();
            let excess = _mm512_dpbusd_epi32(zero, offset, weights);
            let start = _mm512_sub_epi32(zero, excess);
            let dot = _mm512_dpbusd_epi32(start, _mm512_xor_si512(codes, offset), weights);
            Self(_mm512_cvtepi32_ps(dot))
        }
    }
}
