//! The gated feed-forward network: from its input to the input of its last product, without the floats in between.
#![allow(unsafe_code)]

use std::{cell::RefCell, ops::Range};

use crate::{
    Activations, Aligned, BLOCK, Compute, Kind, Packed, Phase, input::Input, places::Blocks,
    products::Tokens, table::Out,
};

/// Bytes of both matrices that are multiplied before what they gave is gated: a quarter of a small second-level cache, for
/// what they give has to find room beside them.
const CACHED: usize = 128 << 10;

thread_local! {
    /// `[tokens][rows]` of a part: products with gate and up, and what is made of them.
    static PARTS: RefCell<[Aligned<f32>; 3]> = RefCell::default();
}

impl Compute {
    /// Makes `silu(gate · x) · (up · x)` the input of products with weights of `kinds` in a pass of `phase`. Who multiplied some
    /// rows gates and rounds them, so that nobody reads the floats of another thread.
    ///
    /// # Panics
    /// When a shape does not fit, or when `x` was activated for weights of other kinds.
    pub fn gated(
        &self,
        out: &mut Activations,
        (kinds, phase): (&[Kind], Phase),
        [gate, up]: [&Packed; 2],
        x: &Activations,
    ) {
        let (tokens, width) = (x.tokens(), gate.rows);
        assert_eq!(up.rows, width, "gate and up differ in rows");
        let needs = self.needs(kinds, phase);
        let to = self.input(out, (tokens, width), needs);
        if tokens == 0 {
            return;
        }
        [gate, up].iter().for_each(|weights| self.check(weights, x));
        let blocks = (out.blocks(), 2 * BLOCK);
        if let Some(bf16) = &self.table.bf16
            && needs.is_only_bf16()
            && [gate, up].iter().all(|weights| x.is_bf16_for(weights.kind))
        {
            self.cut(blocks, (x, true), |part, (_, strips)| {
                // SAFETY: `table_for` checked the instruction set; shapes and kinds fit, and no two parts have a block of a strip.
                unsafe { (bf16.gated)([gate, up], part, (x, strips), to.places()) };
            });
            return;
        }
        let job = Gated { weights: [gate, up], x, phase, to };
        self.cut(blocks, (x, false), |part, tokens| job.blocks(self, part, tokens));
    }

    /// As [`Compute::expect`], where the next product is [`Compute::gated`].
    pub fn expect_gated(&self, weights: [&Packed; 2]) {
        self.pool.expect_each(weights.iter().map(|weights| &*weights.bytes));
    }
}

/// What is to be done.
struct Gated<'a> {
    /// Gate and up.
    weights: [&'a Packed; 2],
    x: &'a Activations,
    phase: Phase,
    to: Input,
}

impl Gated<'_> {
    /// Some blocks of the tokens of some tiles, or of all where they lie in strips; part by part.
    fn blocks(&self, compute: &Compute, blocks: Range<usize>, tokens: Tokens) {
        let bytes: usize =
            self.weights.iter().map(|weights| 2 * weights.kind.group_bytes(weights.cols)).sum();
        // what meets a single tile had better be read in long streams
        let is_met_again = !tokens.1.is_empty() || tokens.0.len() > 1;
        let step = if is_met_again { (CACHED / bytes).max(1) } else { blocks.len() };
        for first in blocks.clone().step_by(step) {
            let part = first..blocks.end.min(first + step);
            PARTS.with_borrow_mut(|parts| {
                self.part(compute, part, tokens.clone(), parts);
            });
        }
    }

    fn part(
        &self,
        compute: &Compute,
        blocks: Range<usize>,
        (tiles, strips): Tokens,
        parts: &mut [Aligned<f32>; 3],
    ) {
        let Self { weights: [gate, up], x, phase, to } = self;
        let tokens = if strips.is_empty() { x.tokens_in(tiles.clone()) } else { 0..x.tokens() };
        let width = blocks.len() * BLOCK;
        let [gates, ups, values] = parts.each_mut().map(|part| part.room(tokens.len() * width));
        let groups = 2 * blocks.start..gate.groups().min(2 * blocks.end);
        for (weights, out) in [(gate, &mut *gates), (up, &mut *ups)] {
            let before = tokens.start * width + blocks.start * BLOCK;
            let out = Out { base: out.as_mut_ptr().wrapping_sub(before), stride: width, add: false };
            // SAFETY: `gated` checked the weights; the buffer has these rows of these tokens.
            unsafe { compute.groups(weights, groups.clone(), x, (tiles.clone(), strips.clone()), out) };
        }
        compute.swiglu(*phase, gates, ups, values);
        if let Some(rows @ 1..) = (blocks.end * BLOCK).checked_sub(gate.rows) {
            values.chunks_exact_mut(width).for_each(|row| row[width - rows..].fill(0.0));
        }
        let blocks = Blocks { token: tokens.start, first: blocks.start, each: blocks.len() };
        // SAFETY: no two parts have the same block of a token.
        unsafe { to.write(blocks, values) };
    }
}
