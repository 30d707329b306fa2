//! Activations of a batch of tokens, as floats and quantised to 8 bits in blocks of 32.

use crate::BLOCK;

/// Blocks that the vector kernels take in one step.
pub(crate) const PAIR: usize = 2;

/// The input of a matrix product: `[tokens, cols]` floats, and the same in 8-bit blocks.
///
/// The blocks are padded with zeros to whole pairs. Of each pair the codes lie side by side (64 bytes), and `scales`
/// holds `[s0, t0, s1, t1]`: each block's scale and, for formats that have a minimum, scale × sum of the codes.
#[derive(Clone, Debug, Default)]
pub struct Activations {
    pub(crate) cols: usize,
    pub(crate) tokens: usize,
    pub(crate) values: Vec<f32>,
    pub(crate) codes: Vec<i8>,
    pub(crate) scales: Vec<[f32; 4]>,
}

impl Activations {
    /// How many tokens it holds.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Pairs of blocks in one token's row.
    pub(crate) fn pairs(&self) -> usize {
        self.cols.div_ceil(BLOCK * PAIR)
    }

    /// Makes room for `values.len() / cols` tokens and takes the floats over.
    pub(crate) fn reset(&mut self, values: &[f32], cols: usize) {
        assert!(cols > 0 && values.len().is_multiple_of(cols), "activations are whole rows of {cols} values");
        self.cols = cols;
        self.tokens = values.len() / cols;
        self.values.clear();
        self.values.extend_from_slice(values);
    }

    /// Makes room for the codes; rows are padded with zeros to whole pairs.
    pub(crate) fn reserve_codes(&mut self) {
        let pairs = self.pairs() * self.tokens;
        self.codes.clear();
        self.codes.resize(pairs * BLOCK * PAIR, 0);
        self.scales.clear();
        self.scales.resize(pairs, [0.0; 4]);
    }

    pub(crate) fn row(&self, token: usize) -> &[f32] {
        &self.values[token * self.cols..][..self.cols]
    }

    pub(crate) fn codes(&self, token: usize) -> &[i8] {
        let len = self.pairs() * BLOCK * PAIR;
        &self.codes[token * len..][..len]
    }

    pub(crate) fn scales(&self, token: usize) -> &[[f32; 4]] {
        &self.scales[token * self.pairs()..][..self.pairs()]
    }
}
