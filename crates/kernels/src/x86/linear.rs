//! Matrix products over any [`Vector`].
//!
//! One row of weights meets up to [`Vector::TILE`] tokens at a time, so that it is unpacked once for all of them. Each
//! (row, token) pair has an accumulator of its own and adds in the same order whatever the tile: a batch gives the
//! bits that its tokens give alone.

use std::{arch::x86_64::*, ops::Range};

use super::vector::{LANES, Vector};
use crate::{Activations, BLOCK, Format, Matrix, activations::PAIR, table::Out};

/// A block format as the pair step sees it.
trait Blocks {
    const BYTES: usize;
    const HAS_MIN: bool;
    /// `[d0, m0, d1, m1]` of two blocks.
    unsafe fn scales(first: *const u8, second: *const u8) -> __m128;
    unsafe fn unpack<V: Vector>(first: *const u8, second: *const u8) -> V::Codes;
    unsafe fn dot<V: Vector>(weights: V::Codes, codes: V::Codes) -> V;
}

/// Two halves each of two blocks, lowest lane first, as floats.
#[inline(always)]
unsafe fn halves(first: u32, second: u32) -> __m128 {
    // SAFETY: the shells enable F16C.
    unsafe { _mm_cvtph_ps(_mm_setr_epi32(first.cast_signed(), second.cast_signed(), 0, 0)) }
}

/// The f16 scale that a block begins with.
#[inline(always)]
unsafe fn scale_bits(block: *const u8) -> u32 {
    // SAFETY: every quantised block begins with its scale.
    u32::from(unsafe { block.cast::<u16>().read_unaligned() })
}

/// Scale and minimum that a block of Q4_1 begins with.
#[inline(always)]
unsafe fn scale_and_min_bits(block: *const u8) -> u32 {
    // SAFETY: handed on from the caller.
    unsafe { block.cast::<u32>().read_unaligned() }
}

macro_rules! nibble_blocks {
    ($name:ident, $bytes:literal, $codes_at:literal, |$first:ident, $second:ident| $scales:expr) => {
        struct $name;
        impl Blocks for $name {
            const BYTES: usize = $bytes;
            const HAS_MIN: bool = true;
            #[inline(always)]
            unsafe fn scales($first: *const u8, $second: *const u8) -> __m128 {
                // SAFETY: the caller gives two whole blocks of this format.
                unsafe { $scales }
            }
            #[inline(always)]
            unsafe fn unpack<V: Vector>(first: *const u8, second: *const u8) -> V::Codes {
                // SAFETY: as above.
                unsafe { V::nibbles(first.add($codes_at), second.add($codes_at)) }
            }
            #[inline(always)]
            unsafe fn dot<V: Vector>(weights: V::Codes, codes: V::Codes) -> V {
                // SAFETY: only arithmetic.
                unsafe { V::dot_nibbles(weights, codes) }
            }
        }
    };
}

nibble_blocks!(Q4_0, 18, 2, |first, second| {
    let scales = _mm_moveldup_ps(halves(scale_bits(first), scale_bits(second)));
    _mm_mul_ps(scales, _mm_setr_ps(1.0, -8.0, 1.0, -8.0))
});
nibble_blocks!(Q4_1, 20, 4, |first, second| {
    halves(scale_and_min_bits(first), scale_and_min_bits(second))
});

struct Q8_0;
impl Blocks for Q8_0 {
    const BYTES: usize = 34;
    const HAS_MIN: bool = false;
    #[inline(always)]
    unsafe fn scales(first: *const u8, second: *const u8) -> __m128 {
        // SAFETY: the caller gives two whole blocks.
        unsafe { halves(scale_bits(first), scale_bits(second)) }
    }
    #[inline(always)]
    unsafe fn unpack<V: Vector>(first: *const u8, second: *const u8) -> V::Codes {
        // SAFETY: as above.
        unsafe { V::bytes(first.add(2), second.add(2)) }
    }
    #[inline(always)]
    unsafe fn dot<V: Vector>(weights: V::Codes, codes: V::Codes) -> V {
        // SAFETY: only arithmetic.
        unsafe { V::dot_bytes(weights, codes) }
    }
}

/// Rows `rows` of `weights` times every token of `x`.
///
/// # Safety
/// As `Table::linear` says, on a machine that has `V`.
#[inline(always)]
pub(super) unsafe fn linear<V: Vector>(weights: &Matrix<'_>, rows: Range<usize>, x: &Activations, out: Out) {
    // SAFETY: handed on from the caller.
    unsafe {
        match weights.format() {
            Format::Q4_0 => quantised::<V, Q4_0>(weights, rows, x, out),
            Format::Q4_1 => quantised::<V, Q4_1>(weights, rows, x, out),
            Format::Q8_0 => quantised::<V, Q8_0>(weights, rows, x, out),
            Format::F32 => floats::<V, f32>(weights, rows, x, out),
            Format::F16 => floats::<V, half::f16>(weights, rows, x, out),
            Format::Bf16 => floats::<V, half::bf16>(weights, rows, x, out),
        }
    }
}

#[inline(always)]
unsafe fn quantised<V: Vector, B: Blocks>(w: &Matrix<'_>, rows: Range<usize>, x: &Activations, out: Out) {
    for row in rows {
        let bytes = w.row(row);
        let mut token = 0;
        while token < x.tokens() {
            // SAFETY: tokens `token..token + N` exist, and the caller's output holds `[tokens][rows]`.
            token += unsafe {
                let at = out.base.add(token * out.stride + row);
                match (x.tokens() - token).min(V::TILE) {
                    8.. => tile::<V, B, 8>(bytes, x, token, at, out.stride),
                    4.. => tile::<V, B, 4>(bytes, x, token, at, out.stride),
                    2.. => tile::<V, B, 2>(bytes, x, token, at, out.stride),
                    _ => tile::<V, B, 1>(bytes, x, token, at, out.stride),
                }
            };
        }
    }
}

/// One row with `N` tokens; returns `N`.
#[inline(always)]
unsafe fn tile<V: Vector, B: Blocks, const N: usize>(
    row: &[u8],
    x: &Activations,
    first: usize,
    out: *mut f32,
    stride: usize,
) -> usize {
    let blocks = row.len() / B::BYTES;
    let codes: [*const i8; N] = std::array::from_fn(|n| x.codes(first + n).as_ptr());
    let scales: [*const [f32; 4]; N] = std::array::from_fn(|n| x.scales(first + n).as_ptr());
    // SAFETY: a row holds `blocks` blocks; the activations hold as many, padded with zeros to whole pairs. The last
    // odd block of a row is paired with a block of zeros, so that nothing is read past the row.
    unsafe {
        let mut sums = [V::splat(0.0); N];
        let mut mins = [_mm_setzero_ps(); N];
        for pair in 0..blocks / PAIR {
            let a = row.as_ptr().add(pair * PAIR * B::BYTES);
            step::<V, B, N>((a, a.add(B::BYTES)), pair, &codes, &scales, &mut sums, &mut mins);
        }
        if !blocks.is_multiple_of(PAIR) {
            let zeros = [0u8; 64];
            let last = row.as_ptr().add((blocks - 1) * B::BYTES);
            step::<V, B, N>((last, zeros.as_ptr()), blocks / PAIR, &codes, &scales, &mut sums, &mut mins);
        }
        for n in 0..N {
            let mut value = sums[n].sum();
            if B::HAS_MIN {
                let odd = _mm_movehdup_ps(mins[n]);
                value += _mm_cvtss_f32(_mm_add_ss(odd, _mm_movehl_ps(odd, odd)));
            }
            out.add(n * stride).write(value);
        }
    }
    N
}

/// Two blocks of a row with the same two blocks of `N` tokens.
///
/// A function and not a closure: closures do not inherit the shell's target features.
#[inline(always)]
unsafe fn step<V: Vector, B: Blocks, const N: usize>(
    blocks: (*const u8, *const u8),
    pair: usize,
    codes: &[*const i8; N],
    scales: &[*const [f32; 4]; N],
    sums: &mut [V; N],
    mins: &mut [__m128; N],
) {
    // SAFETY: the caller gives two whole blocks and a pair that every token has.
    unsafe {
        let weights = B::unpack::<V>(blocks.0, blocks.1);
        let weight_scales = B::scales(blocks.0, blocks.1);
        for n in 0..N {
            let scaled = _mm_mul_ps(weight_scales, _mm_loadu_ps(scales[n].add(pair).cast()));
            let dot = B::dot::<V>(weights, V::codes(codes[n].add(pair * BLOCK * PAIR)));
            sums[n] = dot.fma(V::spread(scaled), sums[n]);
            if B::HAS_MIN {
                mins[n] = _mm_add_ps(mins[n], scaled);
            }
        }
    }
}

/// A float that weights are stored as.
trait Float: Copy {
    unsafe fn load<V: Vector>(from: *const u8) -> V;
    unsafe fn one(from: *const u8) -> f32;
}
impl Float for f32 {
    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const u8) -> V {
        // SAFETY: the caller gives `LANES` floats.
        unsafe { V::load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn one(from: *const u8) -> f32 {
        // SAFETY: the caller gives one float.
        unsafe { from.cast::<f32>().read_unaligned() }
    }
}
impl Float for half::f16 {
    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const u8) -> V {
        // SAFETY: the caller gives `LANES` halves.
        unsafe { V::load_f16(from.cast()) }
    }
    #[inline(always)]
    unsafe fn one(from: *const u8) -> f32 {
        // SAFETY: the caller gives one half.
        Self::from_bits(unsafe { from.cast::<u16>().read_unaligned() }).to_f32()
    }
}
impl Float for half::bf16 {
    #[inline(always)]
    unsafe fn load<V: Vector>(from: *const u8) -> V {
        // SAFETY: the caller gives `LANES` bf16s.
        unsafe { V::load_bf16(from.cast()) }
    }
    #[inline(always)]
    unsafe fn one(from: *const u8) -> f32 {
        // SAFETY: the caller gives one bf16.
        Self::from_bits(unsafe { from.cast::<u16>().read_unaligned() }).to_f32()
    }
}

#[inline(always)]
unsafe fn floats<V: Vector, F: Float>(w: &Matrix<'_>, rows: Range<usize>, x: &Activations, out: Out) {
    let whole = w.cols() / LANES * LANES;
    for row in rows {
        let weights = w.row(row).as_ptr();
        for token in 0..x.tokens() {
            let values = x.row(token);
            // SAFETY: both sides hold `cols` values; the output is the caller's.
            unsafe {
                let mut sum = V::splat(0.0);
                for at in (0..whole).step_by(LANES) {
                    let w = F::load::<V>(weights.add(at * size_of::<F>()));
                    sum = w.fma(V::load(values.as_ptr().add(at)), sum);
                }
                let mut dot = sum.sum();
                for (at, value) in values.iter().enumerate().skip(whole) {
                    dot += F::one(weights.add(at * size_of::<F>())) * value;
                }
                out.base.add(token * out.stride + row).write(dot);
            }
        }
    }
}
