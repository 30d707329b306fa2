//! The input of products: how floats of some tokens become what the weights meet.
#![allow(unsafe_code)]

use std::cell::RefCell;

use crate::{
    Activations, Aligned, BLOCK, Compute, Kind, Phase,
    activations::Needs,
    compute::Base,
    places::{Blocks, Places},
    table::Table,
};

/// Blocks that are quantised in one step, and how many are gathered for whole steps at most: their rows stay in the
/// first-level cache.
const STEP: usize = 16;
const MANY: usize = 256;

thread_local! {
    /// The rows at hand.
    static ROWS: RefCell<Aligned<f32>> = RefCell::default();
}

impl Compute {
    /// Makes `x` the input of products with weights of `kinds` in a pass of `phase`: `fill(token, row)` gives the `cols` values
    /// of each of `tokens` tokens, on any of the threads.
    pub fn activate(
        &self,
        x: &mut Activations,
        (tokens, cols): (usize, usize),
        (kinds, phase): (&[Kind], Phase),
        fill: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let needs = self.needs(kinds, phase);
        let input = self.input(x, (tokens, cols), needs);
        let blocks = cols.div_ceil(BLOCK);
        let together = if needs.codes { together(blocks) } else { 1 };
        self.each(tokens.div_ceil(together), tokens * cols, |n| {
            let (first, last) = (n * together, tokens.min((n + 1) * together));
            ROWS.with_borrow_mut(|rows| {
                let len = (last - first) * blocks * BLOCK;
                if rows.len() < len {
                    rows.resize(len, 0.0);
                }
                for (token, row) in (first..last).zip(rows.chunks_exact_mut(blocks * BLOCK)) {
                    fill(token, &mut row[..cols]);
                    row[cols..].fill(0.0);
                }
                // SAFETY: each token is visited once.
                unsafe { input.write(Blocks { token: first, first: 0, each: blocks }, &rows[..len]) };
            });
        });
    }

    /// Makes room in `x`, to be written by several threads.
    pub(crate) fn input(&self, x: &mut Activations, (tokens, cols): (usize, usize), needs: Needs) -> Input {
        x.reset((tokens, cols), self.table.tiling, needs);
        Input { table: self.table, needs, cols, places: x.places(), values: Base(x.values.as_mut_ptr()) }
    }
}

/// How many rows of so many blocks are quantised together, so that few steps of the kernel are short of blocks.
fn together(blocks: usize) -> usize {
    let whole = STEP >> blocks.trailing_zeros().min(STEP.trailing_zeros());
    whole.min(MANY / blocks).max(1)
}

/// Activations that are being written.
pub(crate) struct Input {
    table: &'static Table,
    needs: Needs,
    cols: usize,
    places: Places,
    values: Base<f32>,
}

impl Input {
    /// Where it is written.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Writes some blocks of some tokens, as they are needed; values that pad a row are zeros.
    ///
    /// # Safety
    /// Nobody else writes them, and there is a block of values for each.
    pub(crate) unsafe fn write(&self, blocks: Blocks, values: &[f32]) {
        // SAFETY: `table_for` checked the instruction set; `Compute::input` made room for what is needed, and `find` sees to it
        // that the blocks lie within.
        unsafe {
            if self.needs.codes {
                (self.table.quantise)(values, (&self.places, blocks));
            }
            if let (true, Some(bf16)) = (self.needs.bf16, &self.table.bf16) {
                (bf16.round)(values, (&self.places, blocks));
            }
        }
        if self.needs.floats {
            let (from, to) = (blocks.first * BLOCK, self.cols.min((blocks.first + blocks.each) * BLOCK));
            for (token, row) in values.chunks_exact(blocks.each * BLOCK).enumerate() {
                assert!(blocks.token + token < self.places.tokens);
                // SAFETY: a row of floats a token, and the columns lie within.
                unsafe {
                    let at = self.values.at((blocks.token + token) * self.cols + from);
                    at.copy_from_nonoverlapping(row.as_ptr(), to - from);
                }
            }
        }
    }
}
