//! A block of codes as bfloat16: `scale · code + minimum`, rounded.

use std::arch::{asm, x86_64::*};

use super::{
    amx::{LINE, V},
    dots::long_codes,
    panel::Place,
    vector::Vector,
};
use crate::{
    BLOCK,
    packed::{Layout, ROWS},
};

/// Pairs of columns in a block.
const PAIRS: usize = BLOCK / 2;
/// Units that a block is unpacked in: eight columns each.
const UNITS: usize = 4;
/// The bits of 1, in the mantissa of which codes are put.
const ONE: u32 = 1.0f32.to_bits();
/// At which bits: a line of nibbles has all of them there in five ways to shift it.
const NIBBLES_AT: [u32; PLACES] = [12, 16];
const BYTES_AT: u32 = 15;
const PLACES: usize = 2;
/// `(a & b) ^ c` as a table of its results (Intel's manual, VPTERNLOG).
const AND_XOR: i32 = 0x6a;

/// A block of a group as a tile takes it: two columns of row 0, of row 1, …, then the next two.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weights([[u16; 2 * ROWS]; PAIRS]);

impl Weights {
    /// Makes them those of a block of codes; factors stay in registers meanwhile.
    ///
    /// # Safety
    /// The place is that of a block of this layout, which is there meanwhile.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) unsafe fn unpack(&mut self, layout: Layout, place: Place) {
        // SAFETY: handed on from the caller.
        let (factors, block) = unsafe {
            (Factors::of(layout, place), std::slice::from_raw_parts(place.block, layout.block_bytes()))
        };
        match layout.bits {
            4 => {
                for unit in 0..UNITS {
                    factors.nibbles(unit, block, self);
                }
            }
            8 => {
                for (quad, line) in block[..layout.code_bytes()].chunks_exact(LINE).enumerate() {
                    // SAFETY: a line.
                    let codes = unsafe { _mm512_loadu_si512(line.as_ptr().cast()) };
                    factors.bytes(quad, codes, self);
                }
            }
            _ => {
                for unit in 0..UNITS {
                    // SAFETY: the block has this layout.
                    let [low, high] = unsafe { long_codes::<V>(layout, block.as_ptr(), unit) };
                    factors.bytes(unit, low, self);
                    factors.bytes(unit + UNITS, high, self);
                }
            }
        }
    }

    /// Sets two neighbouring pairs of columns.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn set(&mut self, pair: usize, lines: [__m512i; 2]) {
        for (to, line) in self.0[pair..].iter_mut().zip(lines) {
            // SAFETY: a line.
            unsafe { _mm512_store_si512(to.as_mut_ptr().cast(), line) };
        }
    }
}

/// What a number's mantissa must be multiplied by so that a code with its lowest bit there counts as it is.
const fn unit(place: u32) -> f32 {
    (1u32 << (23 - place)) as f32
}

/// What makes weights of numbers that have codes in their mantissas: `factor · number + start`.
///
/// A code whose lowest bit is at place p of the mantissa of 1 makes it 1 + code · 2^(p - 23), so `factor` is the scale times a
/// power of two, and `start` the minimum less that: exact for scales of 16 bits without minima or with such that are not smaller by
/// far, otherwise within a 4,000th of a scale.
struct Factors {
    /// For each half of a block, and each place.
    factors: [[__m512; PLACES]; 2],
    starts: [[__m512; PLACES]; 2],
}

impl Factors {
    /// Those of a block.
    ///
    /// # Safety
    /// The place is that of a block of this layout.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn of(layout: Layout, place: Place) -> Self {
        // what codes are at least, as a positive number
        const NIBBLES: [f32; PLACES] = [unit(NIBBLES_AT[0]), unit(NIBBLES_AT[1])];
        const BYTES: [f32; PLACES] = [unit(BYTES_AT); PLACES];
        let (units, least) = match (layout.bits, layout.minima) {
            (4, true) => (NIBBLES, 0.0),
            (4, false) => (NIBBLES, 8.0),
            _ => (BYTES, 128.0),
        };
        let mut factors = [[_mm512_setzero_ps(); PLACES]; 2];
        let mut starts = factors;
        for half in 0..2 {
            // SAFETY: handed on from the caller.
            let [scale, minimum] = unsafe {
                let half = if layout.halves { half } else { 0 };
                let scale: V = place.scales(layout, half);
                let minimum: V = if layout.minima { place.minima(layout, half) } else { V::splat(0.0) };
                [scale, minimum].map(|v| std::mem::transmute::<V, __m512>(v))
            };
            for (place, unit) in units.into_iter().enumerate() {
                factors[half][place] = _mm512_mul_ps(scale, _mm512_set1_ps(unit));
                starts[half][place] = _mm512_fnmadd_ps(scale, _mm512_set1_ps(unit + least), minimum);
            }
        }
        Self { factors, starts }
    }

    /// A weight a lane, from codes that lie at a place of a half's.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn weights<const BITS: u32>(&self, codes: __m512i, (half, place): (usize, usize)) -> __m512 {
        let at = if BITS == 4 { NIBBLES_AT[place] } else { BYTES_AT };
        let mask = _mm512_set1_epi32((((1u32 << BITS) - 1) << at).cast_signed());
        // codes of 8 bits have a sign, which is turned
        let one = if BITS == 4 { ONE } else { ONE ^ (0x80u32 << at) };
        let number = _mm512_ternarylogic_epi32::<AND_XOR>(codes, mask, _mm512_set1_epi32(one.cast_signed()));
        let (factor, start) = (self.factors[half][place], self.starts[half][place]);
        _mm512_fmadd_ps(_mm512_castsi512_ps(number), factor, start)
    }

    /// Columns 4 · `unit` to 4 · `unit` + 3, and the same sixteen further, which are a line of nibbles.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    fn nibbles(&self, unit: usize, block: &[u8], to: &mut Weights) {
        let line = &block[unit * LINE..][..LINE];
        // SAFETY: a line.
        let x = unsafe { _mm512_loadu_si512(line.as_ptr().cast()) };
        let lower = (_mm512_slli_epi32::<12>(x), _mm512_slli_epi32::<8>(x));
        let upper = (_mm512_srli_epi32::<8>(x), _mm512_srli_epi32::<12>(x));
        // byte by byte, low nibbles and then high ones; a closure for them would be called, with all registers saved
        let (first, second) = (2 * unit, PAIRS / 2 + 2 * unit);
        to.set(
            first,
            [
                pairs(self.weights::<4>(lower.0, (0, 0)), self.weights::<4>(lower.1, (0, 1))),
                pairs(self.weights::<4>(x, (0, 1)), self.weights::<4>(upper.1, (0, 0))),
            ],
        );
        to.set(
            second,
            [
                pairs(self.weights::<4>(lower.0, (1, 1)), self.weights::<4>(x, (1, 0))),
                pairs(self.weights::<4>(upper.0, (1, 0)), self.weights::<4>(upper.1, (1, 1))),
            ],
        );
    }

    /// Columns 4 · `quad` to 4 · `quad` + 3, which are a line of bytes.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    fn bytes(&self, quad: usize, x: __m512i, to: &mut Weights) {
        let (a, b) = (_mm512_slli_epi32::<15>(x), _mm512_slli_epi32::<7>(x));
        let (c, d) = (_mm512_srli_epi32::<1>(x), _mm512_srli_epi32::<9>(x));
        let of = (quad / UNITS, 0);
        to.set(
            2 * quad,
            [
                pairs(self.weights::<8>(a, of), self.weights::<8>(b, of)),
                pairs(self.weights::<8>(c, of), self.weights::<8>(d, of)),
            ],
        );
    }
}

/// Both rounded, side by side.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn pairs(even: __m512, odd: __m512) -> __m512i {
    let half = _mm512_set1_epi32(0x8000);
    let even = _mm512_add_epi32(_mm512_castps_si512(even), half);
    let mut both = _mm512_add_epi32(_mm512_castps_si512(odd), half);
    // upper bytes where lower ones are; a compiler makes a permutation of two registers of it, which takes three steps
    let places = _mm512_set4_epi32(0x0000_0f0e, 0x0000_0b0a, 0x0000_0706, 0x0000_0302);
    // SAFETY: nothing but registers.
    unsafe {
        asm!(
            "vpshufb {both}{{{lower}}}, {even}, {places}",
            both = inout(zmm_reg) both,
            lower = in(kreg) 0x3333_3333_3333_3333u64,
            even = in(zmm_reg) even,
            places = in(zmm_reg) places,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    both
}
