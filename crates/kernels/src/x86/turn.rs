//! Keys and values of a segment as the tiles of AMX take them.

use std::arch::x86_64::*;

use super::{
    bf16_weights::pairs,
    strips::{VALUES, whole},
    vector::LANES,
};
use crate::{
    BLOCK,
    attention::{Stored, StripBuffers},
    kv::SEGMENT,
};

/// Keys and values as `StripBuffers` says, rounded.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn turn(stored: &Stored<'_>, buffers: &mut StripBuffers) {
    let (dim, range) = (stored.dim, whole(&stored.range));
    let (chunks, width) = (dim.div_ceil(BLOCK), dim.next_multiple_of(LANES));
    assert!(stored.keys.len() >= SEGMENT * dim && stored.values.len() >= SEGMENT * width);
    assert!(buffers.keys.len() >= SEGMENT * chunks * BLOCK && buffers.values.len() >= SEGMENT * width);
    assert!(range.end <= SEGMENT);
    // SAFETY: a segment has so many keys and values, and the buffers as many, padded.
    unsafe {
        for block in range.start / LANES..range.end / LANES {
            let from = stored.keys.as_ptr().add(block * dim * LANES);
            let to = buffers.keys.as_mut_ptr().add(block * chunks * VALUES);
            for pair in 0..chunks * BLOCK / 2 {
                let of = |d: usize| if d < dim { halves(from.add(d * LANES)) } else { _mm512_setzero_ps() };
                _mm512_store_si512(to.add(pair * 2 * LANES).cast(), pairs(of(2 * pair), of(2 * pair + 1)));
            }
        }
        for block in (range.start..range.end).step_by(BLOCK) {
            for pair in 0..BLOCK / 2 {
                for column in (0..width).step_by(LANES) {
                    // others are there for whole blocks only, and may be left over from another text
                    let of = |position: usize| {
                        if stored.range.contains(&position) {
                            halves(stored.values.as_ptr().add(position * width + column))
                        } else {
                            _mm512_setzero_ps()
                        }
                    };
                    let to =
                        buffers.values.as_mut_ptr().add(block * width + column * BLOCK + pair * 2 * LANES);
                    let both = pairs(of(block + pair), of(block + pair + BLOCK / 2));
                    _mm512_store_si512(to.cast(), both);
                }
            }
        }
    }
}

/// Sixteen 16-bit floats as 32-bit ones.
///
/// # Safety
/// They are there.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn halves(from: *const u16) -> __m512 {
    // SAFETY: handed on from the caller.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
}
