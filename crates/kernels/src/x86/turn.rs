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
    kv::{self, Head, PAIR, SCALES, SEGMENT, block_lines},
};

/// Keys and values as `StripBuffers` says, rounded.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn turn(stored: &Stored<'_>, buffers: &mut StripBuffers) {
    let (dim, range) = (stored.dim, whole(&stored.range));
    let (chunks, width) = (dim.div_ceil(BLOCK), dim.next_multiple_of(LANES));
    let (Head { keys, values }, lines) = (stored.kept, block_lines(dim));
    assert!(keys.len() >= SEGMENT * lines && values.len() >= SEGMENT / PAIR * width);
    assert!(buffers.keys.len() >= SEGMENT * chunks * BLOCK && buffers.values.len() >= SEGMENT * width);
    assert!(range.end <= SEGMENT);
    // SAFETY: a segment has so many keys and values, and the buffers as many, padded.
    unsafe {
        for block in range.start / LANES..range.end / LANES {
            let from = keys.as_ptr().add(block * lines * LANES);
            let to = buffers.keys.as_mut_ptr().add(block * chunks * VALUES);
            let scales = _mm512_loadu_ps(from.cast());
            for pair in 0..chunks * BLOCK / PAIR {
                let line = from.wrapping_add((SCALES + pair) * LANES);
                let of = |n: usize| {
                    if SCALES + pair < lines { numbers(line, n, scales) } else { _mm512_setzero_ps() }
                };
                _mm512_store_si512(to.add(pair * PAIR * LANES).cast(), pairs(of(0), of(1)));
            }
        }
        for block in (range.start..range.end).step_by(BLOCK) {
            for pair in 0..BLOCK / 2 {
                for column in (0..width).step_by(LANES) {
                    // others are there for whole blocks only, and may be left over from another text
                    let of = |position: usize| {
                        if stored.range.contains(&position) {
                            let scale = stored.kept.scales(dim, position)[1];
                            let row = values.as_ptr().add(kv::column(position, column));
                            numbers(row, position % PAIR, _mm512_set1_ps(scale))
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

/// The first or second (`n`) numbers of sixteen pairs, by their scales.
///
/// # Safety
/// They are there.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn numbers(from: *const u32, n: usize, scales: __m512) -> __m512 {
    // SAFETY: handed on from the caller.
    unsafe {
        let both = _mm512_loadu_si512(from.cast());
        let both = if n == 0 { _mm512_slli_epi32::<16>(both) } else { both };
        _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_srai_epi32::<16>(both)), scales)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, KvCache};

    #[test]
    fn keys_and_values_become_bfloat16_in_blocks_and_what_is_not_seen_nothing() {
        if !Isa::Avx512.is_available() {
            return;
        }
        for dim in [5usize, 64, 80] {
            let mut cache = KvCache::new(1, 1, dim);
            cache.reserve(SEGMENT).expect("memory");
            let number = |position: usize, d: usize| ((position * 37 + d * 101) % 8001) as i16 - 4000;
            for position in 0..SEGMENT {
                let keys: Vec<_> = (0..dim).map(|d| number(position, d)).collect();
                let values: Vec<_> = (0..dim).map(|d| number(position + 7, d)).collect();
                let scale = 0.25 + position as f32;
                // SAFETY: nobody else knows the cache.
                unsafe { cache.write((0, 0), position, (&keys, scale), (&values, 2.0 * scale)) };
            }
            let (chunks, width) = (dim.div_ceil(BLOCK), dim.next_multiple_of(LANES));
            let range = 19..110;
            let mut buffers = StripBuffers::default();
            buffers.fit((dim, width), 1);
            // SAFETY: the machine has AVX-512; the buffers are fit.
            unsafe { turn(&Stored { kept: cache.head(0, 0, 0), dim, range: range.clone() }, &mut buffers) };
            // ties away from zero, see `pairs`
            let bits = |value: f32| ((value.to_bits() + 0x8000) >> 16) as u16;
            for position in whole(&range) {
                let scale = 0.25 + position as f32;
                for d in 0..chunks * BLOCK {
                    let (block, chunk) = (position / LANES * chunks + d / BLOCK, d % BLOCK / 2 * LANES);
                    let got = buffers.keys[block * VALUES + (chunk + position % LANES) * 2 + d % 2];
                    let want = if d < dim { f32::from(number(position, d)) * scale } else { 0.0 };
                    assert_eq!(got, bits(want), "key {d} of {position}, {dim}");
                }
                for d in 0..dim {
                    let (row, half) = (position % BLOCK % LANES, position % BLOCK / LANES);
                    let block = position / BLOCK * width / LANES + d / LANES;
                    let got = buffers.values[block * VALUES + (row * LANES + d % LANES) * 2 + half];
                    let value = f32::from(number(position + 7, d)) * 2.0 * scale;
                    let want = if range.contains(&position) { value } else { 0.0 };
                    assert_eq!(got, bits(want), "value {d} of {position}, {dim}");
                }
            }
        }
    }
}
