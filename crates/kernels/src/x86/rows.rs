//! Norm, activation and rounding over any [`Vector`].

use std::ops::Range;

use super::vector::{LANES, Vector};
use crate::table::{F16_MAX, Norm, Softmax};

/// An operation on sixteen values of two slices; a trait, since closures do not inherit target features.
trait Zip {
    unsafe fn apply<V: Vector>(&self, x: V, y: V) -> V;
}

/// `x · factor · y`
struct Scaled(f32);
impl Zip for Scaled {
    #[inline(always)]
    unsafe fn apply<V: Vector>(&self, x: V, y: V) -> V {
        // SAFETY: only arithmetic.
        unsafe { x.mul(V::splat(self.0)).mul(y) }
    }
}

/// `silu(x) · y`
struct SiluTimes;
impl Zip for SiluTimes {
    #[inline(always)]
    unsafe fn apply<V: Vector>(&self, x: V, y: V) -> V {
        // SAFETY: only arithmetic.
        unsafe { x.div(V::splat(1.0).add(exp(V::splat(0.0).sub(x)))).mul(y) }
    }
}

/// `out = zip(x, y)`, sixteen values at a time; the tail is padded. Equal lengths.
#[inline(always)]
unsafe fn zip<V: Vector>(x: &[f32], y: &[f32], out: &mut [f32], zip: impl Zip) {
    let (x_chunks, y_chunks) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let (x, y) = (x_chunks.remainder(), y_chunks.remainder());
    let mut out_chunks = out.chunks_exact_mut(LANES);
    // SAFETY: each chunk, and each padded buffer, is sixteen floats.
    unsafe {
        for ((x, y), out) in x_chunks.zip(y_chunks).zip(out_chunks.by_ref()) {
            zip.apply(V::load(x.as_ptr()), V::load(y.as_ptr())).store(out.as_mut_ptr());
        }
        if !x.is_empty() {
            let (mut a, mut b) = ([0.0; LANES], [0.0; LANES]);
            a[..x.len()].copy_from_slice(x);
            b[..y.len()].copy_from_slice(y);
            zip.apply(V::load(a.as_ptr()), V::load(b.as_ptr())).store(a.as_mut_ptr());
            out_chunks.into_remainder().copy_from_slice(&a[..x.len()]);
        }
    }
}

/// e^x within 2 units in the last place; inputs are clamped to ±87 (Cephes `expf`: x = n·ln 2 + r, a polynomial in r).
#[inline(always)]
pub(super) unsafe fn exp<V: Vector>(x: V) -> V {
    // SAFETY: only arithmetic; after clamping, n lies within ±126.
    unsafe {
        let x = x.min(V::splat(87.0)).max(V::splat(-87.0));
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        let r = n.fma(V::splat(-0.693_359_4), x);
        let r = n.fma(V::splat(2.121_944_4e-4), r);
        let mut p = V::splat(1.987_569_1e-4);
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = p.fma(r, V::splat(c));
        }
        let p = p.fma(r.mul(r), r).add(V::splat(1.0));
        p.mul(n.exp2_whole())
    }
}

#[inline(always)]
pub(super) unsafe fn rms_norm<V: Vector>(
    x: &[f32],
    (weight, eps): Norm<'_>,
    columns: Range<usize>,
    out: &mut [f32],
) {
    // SAFETY: chunks are sixteen floats.
    let squares = unsafe {
        let chunks = x.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().map(|v| v * v).sum();
        let mut sum = V::splat(0.0);
        for chunk in chunks {
            let v = V::load(chunk.as_ptr());
            sum = v.fma(v, sum);
        }
        sum.sum() + rest
    };
    let factor = 1.0 / (squares / x.len() as f32 + eps).sqrt();
    // SAFETY: handed on from the caller.
    unsafe { zip::<V>(&x[columns.clone()], &weight[columns], out, Scaled(factor)) }
}

#[inline(always)]
pub(super) unsafe fn swiglu<V: Vector>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    // SAFETY: handed on from the caller.
    unsafe { zip::<V>(gate, up, out, SiluTimes) }
}

#[inline(always)]
pub(super) unsafe fn weigh<V: Vector>(scores: &[f32], of: Softmax, weights: &mut [f32]) -> f32 {
    let chunks = scores.chunks_exact(LANES);
    let rest = chunks.remainder();
    let mut weight_chunks = weights.chunks_exact_mut(LANES);
    // SAFETY: each chunk, and each padded buffer, is sixteen floats.
    unsafe {
        let mut sum = V::splat(0.0);
        for (scores, weights) in chunks.zip(weight_chunks.by_ref()) {
            let weight = weight(V::load(scores.as_ptr()), of);
            weight.store(weights.as_mut_ptr());
            sum = sum.add(weight);
        }
        if !rest.is_empty() {
            let mut values = [f32::NEG_INFINITY; LANES];
            values[..rest.len()].copy_from_slice(rest);
            let weight = weight(V::load(values.as_ptr()), of);
            weight.store(values.as_mut_ptr());
            sum = sum.add(weight);
            weight_chunks.into_remainder().copy_from_slice(&values[..rest.len()]);
        }
        sum.sum()
    }
}

/// What sixteen scores weigh; nothing from where [`exp`] clamps on.
#[inline(always)]
unsafe fn weight<V: Vector>(scores: V, (largest, temperature): Softmax) -> V {
    // SAFETY: only arithmetic.
    unsafe {
        let least = exp(V::splat(f32::NEG_INFINITY));
        exp(scores.sub(V::splat(largest)).div(V::splat(temperature))).sub(least)
    }
}

#[inline(always)]
pub(super) unsafe fn halve<V: Vector>(x: &[f32], out: &mut [u16]) {
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    let mut out_chunks = out.chunks_exact_mut(LANES);
    // SAFETY: each chunk, and each padded buffer, is sixteen values.
    unsafe {
        for (x, out) in chunks.zip(out_chunks.by_ref()) {
            within_f16(V::load(x.as_ptr())).store_f16(out.as_mut_ptr());
        }
        if !rest.is_empty() {
            let (mut values, mut bits) = ([0.0; LANES], [0; LANES]);
            values[..rest.len()].copy_from_slice(rest);
            within_f16(V::load(values.as_ptr())).store_f16(bits.as_mut_ptr());
            out_chunks.into_remainder().copy_from_slice(&bits[..rest.len()]);
        }
    }
}

/// 16-bit floats, bfloat16 where `bf16`, as 32-bit ones.
///
/// # Safety
/// There are `len` of them, whole vectors, and room for as many.
#[inline(always)]
pub(super) unsafe fn widen<V: Vector>(bf16: bool, from: *const u16, len: usize, to: *mut f32) {
    for at in (0..len).step_by(LANES) {
        // SAFETY: a vector of values, and room for it.
        unsafe {
            let from = from.add(at);
            (if bf16 { V::load_bf16(from) } else { V::load_f16(from) }).store(to.add(at));
        }
    }
}

/// What is no number stays none: minimum and maximum give their second operand then.
#[inline(always)]
unsafe fn within_f16<V: Vector>(x: V) -> V {
    // SAFETY: only arithmetic.
    unsafe { V::splat(-F16_MAX).max(V::splat(F16_MAX).min(x)) }
}
