//! Quantisation of four tokens whose quads lie side by side. A lane is a token of one of some blocks, so nothing is reduced across
//! lanes, and codes and facts leave as they lie in the tile. Numbers are those of `quantise.rs`, whole ones, hence the bits.
#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use super::quantise::{code_scales, up};
use crate::{
    BLOCK,
    activations::STEPS,
    places::{Blocks, Four, Places, facts},
};

/// Vectors of words of 16 bits, two columns a lane; `L` lanes are four tokens of `B` blocks.
///
/// # Safety
/// Every method takes a machine that has the instruction set; pointers are valid for what is read or written.
pub(super) trait Lanes<const B: usize, const L: usize>: Copy {
    /// A number of a column a lane.
    type Floats: Copy;

    unsafe fn floats(from: &[f32; L]) -> Self::Floats;
    unsafe fn store(floats: Self::Floats, to: &mut [f32; L]);
    /// Four columns of four tokens, whose rows lie `width` floats apart, in each block.
    unsafe fn columns(from: [*const f32; B], width: usize) -> [Self::Floats; 4];
    /// Lane by lane the larger of `size` and the magnitude of `value`.
    unsafe fn larger(size: Self::Floats, value: Self::Floats) -> Self::Floats;
    /// The [words](crate::activations::WORD) of two columns.
    unsafe fn words(columns: [Self::Floats; 2], up: Self::Floats) -> Self;
    /// A lane's whole number in both of its words.
    unsafe fn steps(of: &[f32; L]) -> Self;
    unsafe fn zeros() -> Self;
    /// Adds the squared errors of `words` with codes of so many steps.
    unsafe fn add_squares(self, words: Self, steps: Self) -> Self;
    /// Lanes as floats.
    unsafe fn to_floats(self, to: &mut [f32; L]);
    /// Codes as words.
    unsafe fn codes(self, steps: Self) -> Self;
    /// Adds the codes of two pairs of columns.
    unsafe fn add_sum(self, pairs: [Self; 2]) -> Self;
    /// Codes of four columns, the quads of four tokens side by side.
    unsafe fn store_quads(pairs: [Self; 2], to: [*mut i8; B]);
}

/// Tokens of some rows that lie in fours, from the first on; returns how many these are.
///
/// # Safety
/// As for `Table::quantise`, on a machine that has `W`.
#[inline(always)]
pub(super) unsafe fn quantise<W: Lanes<B, L>, const B: usize, const L: usize>(
    values: &[f32],
    (to, of): (&Places, Blocks),
    words: bool,
) -> usize {
    let width = of.each * BLOCK;
    let fours = to.fours(of.token, values.len() / width);
    let count = fours * of.each;
    for n in (0..count).step_by(B) {
        let (mut from, mut places) = ([values.as_ptr(); B], [Four::NOWHERE; B]);
        for at in 0..B {
            // the last one is written again where there are no more
            let n = (n + at).min(count - 1);
            let (four, block) = (n / of.each, n % of.each);
            from[at] = values[four * 4 * width + block * BLOCK..].as_ptr();
            places[at] = to.four(of.token + four * 4, of.first + block);
        }
        // SAFETY: handed on from the caller; four rows of values a place.
        unsafe { blocks::<W, B, L>((from, width), places, words) };
    }
    fours * 4
}

/// Quantises a block of each place, whose four rows of values lie `width` floats apart.
///
/// # Safety
/// As for [`quantise`]; the places are the caller's alone.
#[inline(always)]
unsafe fn blocks<W: Lanes<B, L>, const B: usize, const L: usize>(
    (from, width): ([*const f32; B], usize),
    places: [Four; B],
    words: bool,
) {
    // SAFETY: handed on from the caller.
    unsafe {
        let zeros = W::floats(&[0.0; L]);
        let (mut columns, mut size) = ([[zeros; 4]; BLOCK / 4], zeros);
        for quad in 0..BLOCK / 4 {
            columns[quad] = W::columns(from.map(|from| from.wrapping_add(quad * 4)), width);
            for column in 0..4 {
                size = W::larger(size, columns[quad][column]);
            }
        }
        let (mut largest, mut ups) = ([0.0; L], [0.0; L]);
        W::store(size, &mut largest);
        for n in 0..L {
            ups[n] = up(largest[n]);
        }
        let ups = W::floats(&ups);
        let mut numbers = [[W::zeros(); 2]; BLOCK / 4];
        for quad in 0..BLOCK / 4 {
            let [a, b, c, d] = columns[quad];
            numbers[quad] = [W::words([a, b], ups), W::words([c, d], ups)];
        }
        let (mut steps, mut sums) = ([W::zeros(); STEPS.len()], [W::zeros(); STEPS.len()]);
        for n in 0..STEPS.len() {
            steps[n] = W::steps(&[f32::from(STEPS[n]); L]);
        }
        for pair in numbers.as_flattened() {
            for n in 0..STEPS.len() {
                sums[n] = sums[n].add_squares(*pair, steps[n]);
            }
        }
        let mut errors = [[0.0; L]; STEPS.len()];
        for n in 0..STEPS.len() {
            sums[n].to_floats(&mut errors[n]);
        }
        let (best, scales) = code_scales(&largest, &errors);
        let best = W::steps(&best);
        let mut sums = [W::zeros(); 2];
        for quad in 0..BLOCK / 4 {
            let [ab, cd] = numbers[quad];
            let codes = [ab.codes(best), cd.codes(best)];
            let half = quad / (BLOCK / 8);
            sums[half] = sums[half].add_sum(codes);
            W::store_quads(codes, places.map(|place| place.codes.wrapping_add(quad * place.len * 4)));
        }
        let (mut low, mut high) = ([0.0; L], [0.0; L]);
        sums[0].to_floats(&mut low);
        sums[1].to_floats(&mut high);
        let facts_len = places[0].facts_len;
        let facts = facts(words, facts_len, &scales, [&low, &high]);
        for (n, values) in facts[..facts_len].iter().enumerate() {
            for (place, values) in places.iter().zip(values.as_chunks::<4>().0) {
                place.facts.add(n * place.len).cast::<[f32; 4]>().write(*values);
            }
        }
    }
}
