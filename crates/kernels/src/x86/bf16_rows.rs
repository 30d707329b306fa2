//! Rows of what becomes bfloat16: rounding, activation, and arithmetic as exact as that needs.

use std::arch::x86_64::*;

use super::vector::LANES;
use crate::{
    BLOCK,
    activations::STRIP_BLOCK,
    attention::Partial,
    places::{Blocks, Places},
};

/// Blocks of some tokens, rounded to bfloat16.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn round(values: &[f32], (to, of): (&Places, Blocks)) {
    for (token, row) in values.chunks_exact(of.each * BLOCK).enumerate() {
        // SAFETY: the caller gives whole blocks, and a token's lie a strip's block apart.
        unsafe {
            let to = to.bf16(of.token + token, of.first);
            for (n, block) in row.chunks(BLOCK).enumerate() {
                nearest(block, to.add(n * STRIP_BLOCK));
            }
        }
    }
}

/// At most a block of values, rounded and padded with zeros to one.
///
/// # Safety
/// There is room for a block.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn nearest(block: &[f32], to: *mut u16) {
    // SAFETY: only what is there is read; 32 floats become 32 halves of them.
    unsafe {
        let [low, high] = [0, LANES].map(|start| {
            let from = block.as_ptr().wrapping_add(start);
            _mm512_maskz_loadu_ps(lanes(start, (0, block.len())), from)
        });
        let halves: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
        _mm512_storeu_si512(to.cast(), halves);
    }
}

/// The values of a query by the sum of their weights, rounded, as `dim` columns of a token from `column` on.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX; the sum has an n-th query.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn finish(
    sum: &Partial,
    n: usize,
    dim: usize,
    (to, token, column): (&Places, usize, usize),
) {
    let (values, weigh) = (&sum.row(n)[..dim], _mm512_set1_ps(1.0 / sum.total[n]));
    let mut at = 0;
    while at < dim {
        let within = (column + at) % BLOCK;
        let part = &values[at..dim.min(at + BLOCK - within)];
        // SAFETY: only what is there is read; the columns belong to one block.
        unsafe {
            let [low, high] = [0, LANES].map(|start| {
                let from = part.as_ptr().wrapping_add(start);
                let values = _mm512_maskz_loadu_ps(lanes(start, (0, part.len())), from);
                _mm512_mul_ps(values, weigh)
            });
            let halves: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
            let mask = u32::MAX >> (BLOCK - part.len());
            let to = to.bf16(token, (column + at) / BLOCK).add(within);
            _mm512_mask_storeu_epi16(to.cast(), mask, halves);
        }
        at += part.len();
    }
}

/// `out = silu(gate) · up` to a part in 10,000.
///
/// # Safety
/// The machine has AMX; the lengths are equal.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for at in (0..out.len()).step_by(LANES) {
        let lanes = lanes(at, (0, out.len()));
        // SAFETY: there are so many values.
        unsafe {
            let gate = _mm512_maskz_loadu_ps(lanes, gate.as_ptr().add(at));
            let up = _mm512_maskz_loadu_ps(lanes, up.as_ptr().add(at));
            _mm512_mask_storeu_ps(out.as_mut_ptr().add(at), lanes, silu_times(gate, up));
        }
    }
}

/// `silu(gate) · up`, as [`swiglu`] says.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn silu_times(gate: __m512, up: __m512) -> __m512 {
    // 2^100 is as good as infinity, and has a reciprocal
    let exponent = _mm512_mul_ps(gate, _mm512_set1_ps(-std::f32::consts::LOG2_E));
    let one = _mm512_set1_ps(1.0);
    let divisor = _mm512_add_ps(one, power(_mm512_min_ps(exponent, _mm512_set1_ps(100.0))));
    let near = _mm512_rcp14_ps(divisor);
    let nearer = _mm512_fmadd_ps(near, _mm512_fnmadd_ps(divisor, near, one), near);
    _mm512_mul_ps(_mm512_mul_ps(gate, nearer), up)
}

/// Lanes of the sixteen places from `start` on that lie from one place up to another.
#[inline]
pub(super) fn lanes(start: usize, (from, to): (usize, usize)) -> u16 {
    let below = |position: usize| ((1u32 << position.saturating_sub(start).min(LANES)) - 1) as u16;
    below(to) & !below(from)
}

/// 2^x to a part in 13,000, which is more than bfloat16 holds, for x up to 127; what is less than -126 counts as that. NaN where x
/// is, or positive infinity.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn power(x: __m512) -> __m512 {
    // 1.5 · 2²³: what is added to it is rounded to a whole number, in its last bits
    let shift = _mm512_set1_ps(12_582_912.0);
    let x = _mm512_max_ps(_mm512_set1_ps(-126.0), x); // NaN where x is
    let shifted = _mm512_add_ps(x, shift);
    let rest = _mm512_sub_ps(x, _mm512_sub_ps(shifted, shift));
    // the cubic polynomial with the least relative error for |rest| ≤ 1/2
    let mut y = _mm512_set1_ps(0.055_171_67);
    for term in [0.242_611_12, 0.693_260_97, 0.999_928_1] {
        y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(term));
    }
    let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
    _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(y), exponent))
}
