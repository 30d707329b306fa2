//! Norm, activation and rounding over any [`Vector`].

use std::ops::Range;

use super::vector::{LANES, Vector};
use crate::table::{LARGEST, Norm, Softmax, word_scale};

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

/// e^x within 3 units in the last place; inputs are clamped to ±87 (x = n·ln 2 + r, and the polynomial in r whose relative error is
/// least, 7.5e-8, by Remez' algorithm).
#[inline(always)]
pub(super) unsafe fn exp<V: Vector>(x: V) -> V {
    // a number of at most 2²² leaves its whole part in the last bits of the sum
    let whole = 12_582_912.0;
    // SAFETY: only arithmetic; after clamping, n lies within ±126.
    unsafe {
        let x = x.min(V::splat(87.0)).max(V::splat(-87.0));
        let shifted = x.fma(V::splat(std::f32::consts::LOG2_E), V::splat(whole));
        let n = shifted.sub(V::splat(whole));
        let r = n.fma(V::splat(-0.693_359_4), x);
        let r = n.fma(V::splat(2.121_944_4e-4), r);
        let mut p = V::splat(8.297_648e-3);
        for c in [4.191_543e-2, 0.166_675_75, 0.499_988_94, 0.999_999_7, 1.0] {
            p = p.fma(r, V::splat(c));
        }
        p.times_power_of_two(shifted)
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

/// Values as whole numbers, see `Table::words`.
#[inline(always)]
pub(super) unsafe fn words<V: Vector>(x: &[f32], most: f32, out: &mut [i16]) -> f32 {
    let chunks = x.chunks_exact(LANES);
    let mut last = [0.0; LANES];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    let mut out_chunks = out.chunks_exact_mut(LANES);
    // SAFETY: each chunk, and each padded buffer, is sixteen values.
    unsafe {
        let end = within::<V>(last.as_ptr());
        let (mut largest, mut nothing) = (end.abs(), end.mul(V::splat(0.0)));
        for chunk in chunks.clone() {
            let v = within::<V>(chunk.as_ptr());
            largest = largest.max(v.abs());
            nothing = v.fma(V::splat(0.0), nothing);
        }
        let (factor, scale) = word_scale(largest.largest(), most);
        for (x, out) in chunks.zip(out_chunks.by_ref()) {
            within::<V>(x.as_ptr()).mul(V::splat(factor)).store_words(out.as_mut_ptr());
        }
        let rest = out_chunks.into_remainder();
        if !rest.is_empty() {
            let mut words = [0; LANES];
            end.mul(V::splat(factor)).store_words(words.as_mut_ptr());
            rest.copy_from_slice(&words[..rest.len()]);
        }
        scale + nothing.sum()
    }
}

/// Sixteen values within ±[`LARGEST`]. What is no number stays none: minimum and maximum give their second operand then.
#[inline(always)]
unsafe fn within<V: Vector>(from: *const f32) -> V {
    // SAFETY: the caller gives sixteen values.
    unsafe { V::splat(-LARGEST).max(V::splat(LARGEST).min(V::load(from))) }
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
