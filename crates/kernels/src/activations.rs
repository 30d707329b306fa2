//! Activations of a batch of tokens, as floats and quantised to 8 bits in blocks of 32.

use crate::BLOCK;

/// Codes that a block's largest magnitude may become: the one that leaves the least squared error is taken.
///
/// Another scale rounds every value anew, so the errors differ by about a sixth, while a step fewer costs two percent.
pub(crate) const STEPS: [f32; 3] = [127.0, 125.0, 123.0];

/// What the kernels need to know of one block of one token beside its codes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct BlockScale {
    pub(crate) scale: f32,
    /// Scale × sum of the codes: meets the minima.
    pub(crate) scaled_sum: f32,
    /// The same for columns 0–15 and 16–31.
    pub(crate) scaled_halves: [f32; 2],
    /// Sum of the codes: takes the offset of unsigned codes off.
    pub(crate) sum: i32,
    /// The same for columns 0–15 and 16–31.
    pub(crate) halves: [i32; 2],
}

impl BlockScale {
    /// From a block's scale and codes.
    pub(crate) fn of(scale: f32, codes: &[i8]) -> Self {
        let (low, high) = codes.split_at(BLOCK / 2);
        let halves = [low, high].map(|half| half.iter().map(|code| i32::from(*code)).sum::<i32>());
        let sum = halves[0] + halves[1];
        let scaled_halves = halves.map(|half| scale * half as f32);
        Self { scale, scaled_sum: scale * sum as f32, scaled_halves, sum, halves }
    }
}

/// The input of a matrix product: `[tokens, cols]` floats, and the same in 8-bit blocks, padded with zeros.
#[derive(Clone, Debug, Default)]
pub struct Activations {
    pub(crate) cols: usize,
    pub(crate) tokens: usize,
    pub(crate) values: Vec<f32>,
    pub(crate) codes: Vec<i8>,
    pub(crate) scales: Vec<BlockScale>,
}

impl Activations {
    /// How many tokens it holds.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Blocks in one token's row.
    pub(crate) fn blocks(&self) -> usize {
        self.cols.div_ceil(BLOCK)
    }

    /// Makes room for `tokens` rows of `cols`, as codes, floats or both.
    pub(crate) fn reset(&mut self, tokens: usize, cols: usize, codes: bool, floats: bool) {
        self.cols = cols;
        self.tokens = tokens;
        let blocks = if codes { self.blocks() * tokens } else { 0 };
        self.codes.resize(blocks * BLOCK, 0);
        self.scales.resize(blocks, BlockScale::default());
        self.values.resize(if floats { tokens * cols } else { 0 }, 0.0);
    }

    pub(crate) fn row(&self, token: usize) -> &[f32] {
        &self.values[token * self.cols..][..self.cols]
    }

    pub(crate) fn codes(&self, token: usize) -> &[i8] {
        let len = self.blocks() * BLOCK;
        &self.codes[token * len..][..len]
    }

    pub(crate) fn scales(&self, token: usize) -> &[BlockScale] {
        &self.scales[token * self.blocks()..][..self.blocks()]
    }
}
