//! Quantisation of activations over any [`Vector`].
//!
//! Sixteen blocks go through each step together, so that scales are divided a vector at a time and no block waits for
//! its own reductions. Each block gets the bits that it would get alone.

use super::{
    quantise_fours,
    vector::{LANES, Vector},
};
use crate::{
    BLOCK,
    activations::{STEPS, TINY},
    places::{Blocks, Place, Places, write_facts},
};

/// Blocks that go through the steps together: one a lane of what is found about them.
const TOGETHER: usize = LANES;

/// Whole blocks of some tokens.
#[inline(always)]
pub(super) unsafe fn quantise<V: Vector>(values: &[f32], (to, of): (&Places, Blocks)) {
    let (mut values, mut of) = (values, of);
    if const { V::TILES[0] == 4 } {
        // SAFETY: handed on from the caller; whoever has a `Vector` has AVX2.
        let tokens = unsafe { quantise_fours::quantise(values, (to, of), V::WORDS) };
        values = &values[tokens * of.each * BLOCK..];
        of.token += tokens;
    }
    for (n, values) in values.chunks(TOGETHER * BLOCK).enumerate() {
        let mut places = [Place::NOWHERE; TOGETHER];
        let places = &mut places[..values.len() / BLOCK];
        to.find(of, n * TOGETHER, places);
        // SAFETY: a whole block a place.
        unsafe { blocks::<V>(values.as_ptr(), places) };
    }
}

/// Quantises a block of 32 values a place, of which there are up to [`TOGETHER`].
#[inline(always)]
unsafe fn blocks<V: Vector>(values: *const f32, places: &[Place]) {
    let count = places.len();
    // SAFETY: the caller gives so many values, and `n` stays below `count`.
    unsafe {
        let mut largest = [0.0; TOGETHER];
        for (four, largest) in largest.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let mut sizes = [V::splat(0.0); 4];
            for (size, n) in sizes.iter_mut().zip(four * 4..count) {
                let (a, b) = block::<V>(values, n);
                *size = a.abs().max(b.abs());
            }
            *largest = V::largests(sizes);
        }
        let mut factors = [([0.0; TOGETHER], [0.0; TOGETHER]); STEPS.len()];
        for (steps, (up, down)) in STEPS.into_iter().zip(&mut factors) {
            for n in 0..TOGETHER {
                (up[n], down[n]) = (steps / largest[n], -largest[n] / steps);
            }
        }
        let mut errors = [[0.0; TOGETHER]; STEPS.len()];
        for n in 0..count {
            let (a, b) = block::<V>(values, n);
            let mut errors_of = [V::splat(0.0); 4];
            for (error, (up, down)) in errors_of.iter_mut().zip(&factors) {
                *error = squares::<V>((a, b), (up[n], down[n]));
            }
            for (errors, sum) in errors.iter_mut().zip(V::sums(errors_of)) {
                errors[n] = sum;
            }
        }
        let (mut ups, mut scales) = ([0.0; TOGETHER], [0.0; TOGETHER]);
        for n in 0..TOGETHER {
            let (mut best, mut least) = (STEPS[0], f32::INFINITY);
            for (steps, errors) in STEPS.into_iter().zip(&errors) {
                (best, least) = if errors[n] < least { (steps, errors[n]) } else { (best, least) };
            }
            let (up, scale) = (best / largest[n], largest[n] / best);
            let usable = largest[n] >= TINY && largest[n].is_finite();
            ups[n] = if usable { up } else { 0.0 };
            scales[n] = if usable {
                scale
            } else if largest[n] < TINY {
                0.0
            } else {
                f32::NAN
            };
        }
        let (mut low, mut high) = ([0.0; TOGETHER], [0.0; TOGETHER]);
        for n in 0..count {
            let (a, b) = block::<V>(values, n);
            let up = V::splat(ups[n]);
            let (a, b) = (a.mul(up).round(), b.mul(up).round());
            let mut codes = [0; BLOCK];
            a.store_codes(codes.as_mut_ptr());
            b.store_codes(codes.as_mut_ptr().add(LANES));
            places[n].write_codes(&codes);
            [low[n], high[n], ..] = V::sums([a, b, V::splat(0.0), V::splat(0.0)]);
        }
        write_facts(V::WORDS, places, &scales, [&low, &high]);
    }
}

/// Of two columns a lane, error² of their codes, added: `up` is the factor to codes, `down` that back with the sign changed.
#[inline(always)]
pub(super) unsafe fn squares<V: Vector>((a, b): (V, V), (up, down): (f32, f32)) -> V {
    // SAFETY: only arithmetic.
    unsafe {
        let (up, down) = (V::splat(up), V::splat(down));
        let (a_error, b_error) = (a.mul(up).round().fma(down, a), b.mul(up).round().fma(down, b));
        a_error.fma(a_error, b_error.mul(b_error))
    }
}

/// Block `n` of the values.
#[inline(always)]
unsafe fn block<V: Vector>(values: *const f32, n: usize) -> (V, V) {
    // SAFETY: the caller gives so many blocks.
    unsafe { (V::load(values.add(n * BLOCK)), V::load(values.add(n * BLOCK + LANES))) }
}
