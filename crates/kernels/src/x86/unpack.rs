//! Codes as bfloat16: `scale · code + minimum`, rounded.

use std::arch::x86_64::*;

use super::{
    amx::{LINE, V},
    linear::reals,
    vector::{Vector, prefetch},
};
use crate::{
    BLOCK,
    packed::{Layout, ROWS},
};

/// How far ahead of its use a block is asked for, in bytes.
const AHEAD: usize = 1024;
/// Pairs of columns in a block.
const PAIRS: usize = BLOCK / 2;

/// A block of a group as a tile takes it: two columns of row 0, of row 1, …, then the next two.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights([[u16; 2 * ROWS]; PAIRS]);

impl Weights {
    pub(super) const EMPTY: Self = Self([[0; 2 * ROWS]; PAIRS]);
}

/// Blocks of a group, as many as there is room for.
///
/// # Panics
/// When there is too little.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn unpack(layout: Layout, blocks: &[u8], to: &mut [Weights]) {
    match (layout.nibbles, layout.minima) {
        (true, true) => each::<true, true>(layout, blocks, to),
        (true, false) => each::<true, false>(layout, blocks, to),
        (false, true) => each::<false, true>(layout, blocks, to),
        (false, false) => each::<false, false>(layout, blocks, to),
    }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
fn each<const NIBBLES: bool, const MINIMA: bool>(layout: Layout, blocks: &[u8], to: &mut [Weights]) {
    let bytes = layout.block_bytes();
    let to = &mut to[..blocks.len() / bytes];
    // codes are taken out at the upper end of 32 bits: that many times what they are
    let unit = if NIBBLES { 2f32.powi(-28) } else { 2f32.powi(-24) };
    for (block, to) in blocks.chunks_exact(bytes).zip(to) {
        let from = block.as_ptr();
        prefetch(from.wrapping_add(AHEAD), bytes);
        // SAFETY: the block has these codes, scales and minima.
        unsafe {
            let at = from.add(layout.code_bytes());
            let (mut scales, mut minima) = ([_mm512_setzero_ps(); 2], [_mm512_setzero_ps(); 2]);
            for half in 0..layout.scales() {
                let scale: V = reals(layout, at, half);
                scales[half] = std::mem::transmute::<V, __m512>(scale.mul(V::splat(unit)));
                if MINIMA {
                    let minimum: V = reals(layout, at.add(layout.scale_bytes()), half);
                    minima[half] = std::mem::transmute::<V, __m512>(minimum);
                }
            }
            if !layout.halves {
                (scales[1], minima[1]) = (scales[0], minima[0]);
            }
            for quad in 0..BLOCK / 4 {
                let (scale, minimum) = (scales[quad / 4], minima[quad / 4]);
                let line = if NIBBLES { quad % 4 } else { quad };
                let mut codes = _mm512_loadu_si512(from.add(line * LINE).cast());
                if NIBBLES && !MINIMA {
                    codes = _mm512_xor_si512(codes, _mm512_set1_epi8(0x88u8.cast_signed())); // code - 8, signed
                }
                let [a, b, c, d] = if !NIBBLES {
                    [24, 16, 8, 0]
                } else if quad < 4 {
                    [28, 20, 12, 4]
                } else {
                    [24, 16, 8, 0]
                }
                .map(|shift| _mm512_sllv_epi32(codes, _mm512_set1_epi32(shift)));
                let [a, b, c, d] = [a, b, c, d].map(|x| {
                    let mask = if NIBBLES { 0xf000_0000u32 } else { 0xff00_0000 };
                    let x = _mm512_and_si512(x, _mm512_set1_epi32(mask.cast_signed()));
                    let x = if NIBBLES && MINIMA { _mm512_cvtepu32_ps(x) } else { _mm512_cvtepi32_ps(x) };
                    if MINIMA { _mm512_fmadd_ps(x, scale, minimum) } else { _mm512_mul_ps(x, scale) }
                });
                let to = to.0.as_mut_ptr().add(2 * quad);
                _mm512_store_si512(to.cast(), pairs(a, b));
                _mm512_store_si512(to.add(1).cast(), pairs(c, d));
            }
        }
    }
}

/// Both rounded, side by side.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn pairs(even: __m512, odd: __m512) -> __m512i {
    let half = _mm512_set1_epi32(0x8000);
    let even = _mm512_add_epi32(_mm512_castps_si512(even), half);
    let odd = _mm512_add_epi32(_mm512_castps_si512(odd), half);
    _mm512_mask_blend_epi16(0xaaaa_aaaa, _mm512_srli_epi32::<16>(even), odd)
}
