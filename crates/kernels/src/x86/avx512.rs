//! Sixteen lanes in one register of AVX-512.
#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers
#![allow(clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)] // `vector.rs` states the contract

use std::arch::x86_64::*;

use super::{
    quantise_fours,
    vector::{Vector, add_all, max8, sum8},
};
use crate::places::{Blocks, Places};

/// AVX-512 F, BW and VL; with VNNI where `DOT`; for a memory that answers late where `FAR`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Avx512<const DOT: bool, const FAR: bool = false>(__m512);

impl<const DOT: bool, const FAR: bool> Avx512<DOT, FAR> {
    #[inline(always)]
    unsafe fn halves(self) -> (__m256, __m256) {
        unsafe {
            let high = _mm512_extracti64x4_epi64::<1>(_mm512_castps_si512(self.0));
            (_mm512_castps512_ps256(self.0), _mm256_castsi256_ps(high))
        }
    }
}

impl<const DOT: bool, const FAR: bool> Vector for Avx512<DOT, FAR> {
    type Codes = __m512i;
    type Narrow = __m512i;
    type Bytes = (__m512i, __m512i);
    type Wide = __m512i;
    const TILES: &[usize] = &[12, 8, 4, 2, 1];
    const WORDS: bool = !DOT;
    const ROOMY: bool = true;
    const AHEAD: [usize; 2] = if FAR { [1024, 16384] } else { [8192, 8192] };

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
    unsafe fn load_i8(from: *const i8) -> Self {
        unsafe { Self(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast())))) }
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
    unsafe fn times_power_of_two(self, shifted: Self) -> Self {
        unsafe {
            let n = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted.0));
            Self(_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), n)))
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
    unsafe fn largest(self) -> f32 {
        unsafe {
            let (low, high) = self.halves();
            max8(_mm256_max_ps(low, high))
        }
    }
    #[inline(always)]
    unsafe fn largests(vectors: [Self; 4]) -> [f32; 4] {
        unsafe {
            let [a, b, c, d] = vectors;
            let low = _mm512_shuffle_f32x4::<0x44>(a.0, b.0);
            let ab = _mm512_max_ps(low, _mm512_shuffle_f32x4::<0xEE>(a.0, b.0));
            let low = _mm512_shuffle_f32x4::<0x44>(c.0, d.0);
            let cd = _mm512_max_ps(low, _mm512_shuffle_f32x4::<0xEE>(c.0, d.0));
            let even = _mm512_shuffle_f32x4::<0x88>(ab, cd);
            let fours = _mm512_max_ps(even, _mm512_shuffle_f32x4::<0xDD>(ab, cd));
            let twos = _mm512_max_ps(fours, _mm512_permute_ps::<0b11_10_11_10>(fours));
            let ones = _mm512_max_ps(twos, _mm512_permute_ps::<0b01_01_01_01>(twos));
            let first_of_fours = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
            let mut largest = [0.0; 4];
            let packed = _mm512_castps512_ps128(_mm512_permutexvar_ps(first_of_fours, ones));
            _mm_storeu_ps(largest.as_mut_ptr(), packed);
            largest
        }
    }
    #[inline(always)]
    unsafe fn store_words(self, to: *mut i16) {
        unsafe { _mm256_storeu_si256(to.cast(), _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(self.0))) }
    }
    #[inline(always)]
    unsafe fn quantise_fours(values: &[f32], to: (&Places, Blocks)) -> usize {
        unsafe { quantise_fours::quantise::<__m512i, 4, 16>(values, to, Self::WORDS) }
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> Self::Codes {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_line(codes: Self::Codes, to: *mut u8) {
        unsafe { _mm512_storeu_si512(to.cast(), codes) }
    }
    #[inline(always)]
    unsafe fn nibbles(packed: Self::Codes) -> (Self::Codes, Self::Codes) {
        unsafe {
            let mask = _mm512_set1_epi8(15);
            (_mm512_and_si512(packed, mask), _mm512_and_si512(_mm512_srli_epi16::<4>(packed), mask))
        }
    }
    #[inline(always)]
    unsafe fn lengthen(low: Self::Codes, upper: Self::Codes, by: i32, mask: u8, offset: i8) -> Self::Codes {
        unsafe {
            let count = _mm_cvtsi32_si128(by.abs());
            let moved = if by > 0 { _mm512_sll_epi16(upper, count) } else { _mm512_srl_epi16(upper, count) };
            let moved = _mm512_and_si512(moved, _mm512_set1_epi8(mask.cast_signed()));
            _mm512_add_epi8(_mm512_or_si512(low, moved), _mm512_set1_epi8(offset))
        }
    }
    #[inline(always)]
    unsafe fn quad(from: *const i8) -> Self::Codes {
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn narrow(start: i32) -> Self::Narrow {
        unsafe { _mm512_set1_epi32(start) }
    }
    #[inline(always)]
    unsafe fn narrow_add(sum: Self::Narrow, weights: Self::Codes, quad: Self::Codes) -> Self::Narrow {
        unsafe {
            if DOT {
                _mm512_dpbusd_epi32(sum, weights, quad)
            } else {
                // [`Vector::WORDS`] tells why 16 bits are enough
                _mm512_add_epi16(sum, _mm512_maddubs_epi16(weights, quad))
            }
        }
    }
    #[inline(always)]
    unsafe fn narrow_add_all<const G: usize, const N: usize>(
        sums: &mut [[__m512i; N]; G],
        weights: &[__m512i; G],
        quads: *const i8,
    ) {
        unsafe {
            if DOT && G == 2 && N == 6 {
                return dot_pair(&mut *(&raw mut *sums).cast(), [weights[0], weights[1]], quads);
            }
            add_all!(Self::narrow_add, sums, weights, quads)
        }
    }
    #[inline(always)]
    unsafe fn narrow_sum(sum: Self::Narrow) -> Self {
        unsafe {
            let sum = if DOT { sum } else { _mm512_madd_epi16(sum, _mm512_set1_epi16(1)) };
            Self(_mm512_cvtepi32_ps(sum))
        }
    }
    #[inline(always)]
    unsafe fn bytes(codes: Self::Codes) -> Self::Bytes {
        unsafe {
            if DOT {
                // vpdpbusd takes one unsigned side: codes + 128, which `wide` takes off
                (_mm512_xor_si512(codes, _mm512_set1_epi8(-128)), codes)
            } else {
                (_mm512_abs_epi8(codes), codes)
            }
        }
    }
    #[inline(always)]
    unsafe fn wide(offset: i32) -> Self::Wide {
        unsafe { if DOT { _mm512_set1_epi32(offset) } else { _mm512_setzero_si512() } }
    }
    #[inline(always)]
    unsafe fn wide_add(sum: Self::Wide, (sizes, codes): Self::Bytes, quad: Self::Codes) -> Self::Wide {
        unsafe {
            if DOT {
                _mm512_dpbusd_epi32(sum, sizes, quad)
            } else {
                // |w| · (a with w's sign): pairs stay below 2 · 128 · 127 = 32,512
                let negative = _mm512_movepi8_mask(codes);
                let signed = _mm512_mask_sub_epi8(quad, negative, _mm512_setzero_si512(), quad);
                let pairs = _mm512_maddubs_epi16(sizes, signed);
                _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
            }
        }
    }
    #[inline(always)]
    unsafe fn wide_add_all<const G: usize, const N: usize>(
        sums: &mut [[__m512i; N]; G],
        weights: &[Self::Bytes; G],
        quads: *const i8,
    ) {
        unsafe {
            if DOT && G == 2 && N == 6 {
                return dot_pair(&mut *(&raw mut *sums).cast(), [weights[0].0, weights[1].0], quads);
            }
            add_all!(Self::wide_add, sums, weights, quads)
        }
    }
    #[inline(always)]
    unsafe fn wide_sum(sum: Self::Wide) -> Self {
        unsafe { Self(_mm512_cvtepi32_ps(sum)) }
    }
    #[inline(always)]
    unsafe fn pairs_add(sum: Self::Wide, numbers: Self::Codes, pair: Self::Codes) -> Self::Wide {
        unsafe {
            if DOT {
                _mm512_dpwssd_epi32(sum, numbers, pair)
            } else {
                _mm512_add_epi32(sum, _mm512_madd_epi16(numbers, pair))
            }
        }
    }
}

/// `vpdpbusd` of two groups with six tokens. Each quad is read once for both: the compiler would read it anew for each,
/// and a core reads no more than it multiplies.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn dot_pair(sums: &mut [[__m512i; 6]; 2], [a, b]: [__m512i; 2], quads: *const i8) {
    let [[mut a0, mut a1, mut a2, mut a3, mut a4, mut a5], [mut b0, mut b1, mut b2, mut b3, mut b4, mut b5]] =
        *sums;
    let _quad: __m512i;
    // SAFETY: reads six quads, which the caller gives.
    unsafe {
        std::arch::asm!(
            "vpbroadcastd {quad}, dword ptr [{quads}]",
            "vpdpbusd {a0}, {a}, {quad}",
            "vpdpbusd {b0}, {b}, {quad}",
            "vpbroadcastd {quad}, dword ptr [{quads} + 4]",
            "vpdpbusd {a1}, {a}, {quad}",
            "vpdpbusd {b1}, {b}, {quad}",
            "vpbroadcastd {quad}, dword ptr [{quads} + 8]",
            "vpdpbusd {a2}, {a}, {quad}",
            "vpdpbusd {b2}, {b}, {quad}",
            "vpbroadcastd {quad}, dword ptr [{quads} + 12]",
            "vpdpbusd {a3}, {a}, {quad}",
            "vpdpbusd {b3}, {b}, {quad}",
            "vpbroadcastd {quad}, dword ptr [{quads} + 16]",
            "vpdpbusd {a4}, {a}, {quad}",
            "vpdpbusd {b4}, {b}, {quad}",
            "vpbroadcastd {quad}, dword ptr [{quads} + 20]",
            "vpdpbusd {a5}, {a}, {quad}",
            "vpdpbusd {b5}, {b}, {quad}",
            quads = in(reg) quads,
            quad = out(zmm_reg) _quad,
            a = in(zmm_reg) a,
            b = in(zmm_reg) b,
            a0 = inout(zmm_reg) a0,
            a1 = inout(zmm_reg) a1,
            a2 = inout(zmm_reg) a2,
            a3 = inout(zmm_reg) a3,
            a4 = inout(zmm_reg) a4,
            a5 = inout(zmm_reg) a5,
            b0 = inout(zmm_reg) b0,
            b1 = inout(zmm_reg) b1,
            b2 = inout(zmm_reg) b2,
            b3 = inout(zmm_reg) b3,
            b4 = inout(zmm_reg) b4,
            b5 = inout(zmm_reg) b5,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    *sums = [[a0, a1, a2, a3, a4, a5], [b0, b1, b2, b3, b4, b5]];
}
