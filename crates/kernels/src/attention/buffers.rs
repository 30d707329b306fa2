//! What a thread's attention works in.

use super::{MOST, Partial, QUERIES};
use crate::{Aligned, BLOCK, kv::SEGMENT};

/// Those for keys and values as the cache has them.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// `[QUERIES][SEGMENT]`
    pub(crate) scores: Aligned<f32>,
    pub(crate) sum: Partial,
    pub(crate) next: Partial,
}

impl Buffers {
    pub(crate) fn fit(&mut self, width: usize) {
        self.scores.resize(QUERIES * SEGMENT, 0.0);
        self.sum.begin(QUERIES, width);
        self.next.begin(QUERIES, width);
    }
}

/// Those for keys and values of 32 bits.
#[derive(Debug, Default)]
pub(crate) struct WideBuffers {
    /// A segment's, as [`Tile`](super::Tile) has them.
    pub(crate) keys: Aligned<f32>,
    pub(crate) values: Aligned<f32>,
    /// `[QUERIES][SEGMENT]`
    pub(crate) scores: Aligned<f32>,
    /// What a segment gave a tile.
    pub(crate) next: Partial,
    /// One a tile.
    pub(crate) sums: Vec<Partial>,
}

impl WideBuffers {
    pub(crate) fn fit(&mut self, (dim, width): (usize, usize), tiles: usize) {
        self.keys.resize(SEGMENT * dim, 0.0);
        self.values.resize(SEGMENT * width, 0.0);
        self.scores.resize(QUERIES * SEGMENT, 0.0);
        self.next.begin(QUERIES, width);
        begin(&mut self.sums, tiles, (QUERIES, width));
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
