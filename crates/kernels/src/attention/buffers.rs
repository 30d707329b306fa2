//! What a thread's attention works in.

use super::{MOST, Partial, QUERIES};
use crate::{
    Aligned, BLOCK,
    kv::{PAIR, SEGMENT},
};

/// Those for keys and values as the cache has them.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) scratch: Scratch,
    pub(crate) sum: Partial,
    pub(crate) next: Partial,
}

/// What the kernels leave there is nothing to anybody.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// `[QUERIES][head_dim]`, padded to whole pairs.
    pub(crate) queries: Aligned<i16>,
    /// `[QUERIES][SEGMENT]`, and the same as whole numbers once they are weights.
    pub(crate) scores: Aligned<f32>,
    pub(crate) weights: Aligned<i16>,
}

impl Buffers {
    pub(crate) fn fit(&mut self, (dim, width): (usize, usize)) {
        self.scratch.queries.resize(QUERIES * dim.next_multiple_of(PAIR), 0);
        self.scratch.scores.resize(QUERIES * SEGMENT, 0.0);
        self.scratch.weights.resize(QUERIES * SEGMENT, 0);
        self.sum.begin(QUERIES, width);
        self.next.begin(QUERIES, width);
    }
}

/// Begins so many sums.
fn begin(sums: &mut Vec<Partial>, count: usize, (queries, width): (usize, usize)) {
    sums.resize_with(count.max(sums.len()), Partial::default);
    sums.iter_mut().take(count).for_each(|sum| sum.begin(queries, width));
}

/// Those for bfloat16.
#[derive(Debug, Default)]
pub(crate) struct StripBuffers {
    /// Keys of a segment, `[SEGMENT / 16][dim / 32][16][16][2]`, and its values, `[SEGMENT / 32][width / 16][16][16][2]`: blocks
    /// of pairs of neighbouring columns, or of positions sixteen apart, as tiles take them.
    pub(crate) keys: Aligned<u16>,
    pub(crate) values: Aligned<u16>,
    /// `[MOST][dim]`, padded to whole blocks.
    pub(crate) queries: Aligned<u16>,
    /// `[2][MOST][SEGMENT]`, and the same as bfloat16 once they are weights.
    pub(crate) scores: Aligned<f32>,
    pub(crate) weights: Aligned<u16>,
    /// One a strip.
    pub(crate) sums: Vec<Partial>,
}

impl StripBuffers {
    pub(crate) fn fit(&mut self, (dim, width): (usize, usize), strips: usize) {
        let dim = dim.next_multiple_of(BLOCK);
        self.keys.resize(SEGMENT * dim, 0);
        self.values.resize(SEGMENT * width, 0);
        self.queries.resize(MOST * dim, 0);
        self.scores.resize(2 * MOST * SEGMENT, 0.0);
        self.weights.resize(2 * MOST * SEGMENT, 0);
        begin(&mut self.sums, strips, (MOST, width));
    }
}
