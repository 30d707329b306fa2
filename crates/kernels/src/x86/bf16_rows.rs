//! Rows of what becomes bfloat16: rounding, activation, and arithmetic as exact as that needs.

use std::arch::x86_64::*;

use super::vector::LANES;
use crate::{BLOCK, activations::Place};

/// A row of activations, rounded to bfloat16.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn round(values: &[f32], place: &Place) {
    for (n, block) in values.chunks(BLOCK).enumerate() {
        // SAFETY: handed on from the caller.
        unsafe { nearest(block, place.bf16(n)) };
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

/// `out = silu(gate) · up` to a part in 50,000.
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

/// 2^x to a part in 50,000, which is more than bfloat16 holds: a polynomial for what is left of x beside its nearest whole number.
/// NaN where x is NaN or infinite.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn power(x: __m512) -> __m512 {
    let whole = _mm512_roundscale_ps::<0>(x);
    let rest = _mm512_sub_ps(x, whole);
    // Taylor's series of e^(x · ln 2): |x| ≤ 1/2
    let mut y = _mm512_set1_ps(0.009_618_129);
    for term in [0.055_504_11, 0.240_226_5, std::f32::consts::LN_2, 1.0] {
        y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(term));
    }
    _mm512_scalef_ps(y, whole)
}
