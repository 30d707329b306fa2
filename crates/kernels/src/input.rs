//! The input of products: how floats of some tokens become what the weights meet.
#![allow(unsafe_code)]

use std::{cell::RefCell, ops::Range};

use crate::{
    Activations, Aligned, BLOCK, Compute, Kind, Phase,
    activations::Needs,
    compute::{Base, FEW, WORTH_SHARING},
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
    /// Makes `x` the input of products with weights of `kinds` in a pass of `phase`: `fill(token, columns, values)` gives some
    /// of the `cols` columns of one of `tokens` tokens, on any of the threads.
    pub fn activate(
        &self,
        x: &mut Activations,
        (tokens, cols): (usize, usize),
        (kinds, phase): (&[Kind], Phase),
        fill: impl Fn(usize, Range<usize>, &mut [f32]) + Sync,
    ) {
        let needs = self.needs(kinds, phase);
        let input = self.input(x, (tokens, cols), needs);
        let all = cols.div_ceil(BLOCK);
        let part = |tokens: Range<usize>, blocks: Range<usize>| {
            let (width, columns) = (blocks.len() * BLOCK, blocks.start * BLOCK..cols.min(blocks.end * BLOCK));
            ROWS.with_borrow_mut(|rows| {
                let rows = rows.room(tokens.len() * width);
                for (token, row) in tokens.clone().zip(rows.chunks_exact_mut(width)) {
                    fill(token, columns.clone(), &mut row[..columns.len()]);
                    row[columns.len()..].fill(0.0);
                }
                let blocks = Blocks { token: tokens.start, first: blocks.start, each: blocks.len() };
                // SAFETY: no two parts have the same block of a token.
                unsafe { input.write(blocks, rows) };
            });
        };
        let together = if needs.codes { together(all) } else { 1 };
        let rounds = tokens.div_ceil(together);
        let few = tokens <= FEW || rounds < self.threads();
        if needs.codes && few && tokens * cols >= WORTH_SHARING / 16 {
            // tokens lie too close together to be written by several threads
            self.shared(all, 1, |blocks| part(0..tokens, blocks));
        } else {
            self.each(rounds, tokens * cols, |n| part(n * together..tokens.min((n + 1) * together), 0..all));
        }
    }

    /// Makes room in `x`, to be written by several threads.
    pub(crate) fn input(&self, x: &mut Activations, (tokens, cols): (usize, usize), needs: Needs) -> Input {
        x.reset((tokens, cols), self.table.tiling, needs);
        Input { table: self.table, needs, cols, places: x.places(), values: Base(x.values.as_mut_ptr()) }
    }
}

/// How many rows of so many blocks are quantised together, so that few steps of the kernel are short of blocks, and fours of tokens
/// are whole.
fn together(blocks: usize) -> usize {
    let whole = STEP >> blocks.trailing_zeros().min(STEP.trailing_zeros());
    (whole.min(MANY / blocks) / 4 * 4).max(4)
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
