//! Activations of a batch of tokens, as floats, quantised to 8 bits in blocks of 32, or rounded to bfloat16.
//!
//! Quantised tokens lie in tiles as the kernels take them: for each block the codes quad by quad (four neighbouring
//! columns of token 0, of token 1, …), or token by token for kernels that take a block of a token at once, so that a tile is
//! read as one stream. A tile of one token is a plain row. Those of bfloat16 lie in strips of sixteen tokens, block by block.
#![allow(unsafe_code)]

use std::ops::Range;

use crate::{Aligned, BLOCK, Kind, places::Places};

/// Codes that a block's largest magnitude may become: the one that leaves the least squared error is taken.
///
/// Another scale rounds every value anew, so the errors differ by about a sixth, while a step fewer costs two percent.
pub(crate) const STEPS: [i16; 4] = [127, 126, 124, 122];
/// What a block's largest magnitude becomes before that, in 16 bits (less by one where they do not hold it): of `word · steps / 2¹⁵`, the whole
/// part, rounded, is the code, and the last 16 bits of `word · 2 · steps` are what is rounded off.
pub(crate) const WORD: f32 = 32_768.0;
/// By how many bits those are shortened, so that the squares of a block's add up to less than 2³¹.
pub(crate) const SHORTER: i32 = 3;
/// Squared errors of codes times these are squared errors of values, but for a factor that all have.
pub(crate) const WORTHS: [f32; STEPS.len()] = {
    let mut worths = [0.0; STEPS.len()];
    let mut n = 0;
    while n < STEPS.len() {
        worths[n] = (STEPS[0] as f32 / STEPS[n] as f32) * (STEPS[0] as f32 / STEPS[n] as f32);
        n += 1;
    }
    worths
};
/// Blocks of smaller values count as zeros: their scale would be no normal number.
pub(crate) const TINY: f32 = 127.0 * f32::MIN_POSITIVE;

/// What the kernels need to know of one block of one token beside its codes: rows of a tile's facts.
pub(crate) mod fact {
    /// The scale, f32.
    pub(crate) const SCALE: usize = 0;
    /// Scale × sum of the codes: meets the minima, f32.
    pub(crate) const SUM: usize = 1;
    /// -8 × sum of the codes: what unsigned 4-bit codes give too much, i32; its low half alone for sums of 16 bits, two a row.
    pub(crate) const NIBBLES: usize = 2;
    /// -128 × sum of the codes, for unsigned 8-bit codes, i32.
    pub(crate) const BYTES: usize = 3;
    /// The last three again, for columns 0–15 and 16–31 of a block: only for weights with a scale for each.
    pub(crate) const HALF_SUMS: usize = 4;
    pub(crate) const HALF_NIBBLES: usize = 6;
    pub(crate) const HALF_BYTES: usize = 8;
    /// Rows without and with those.
    pub(crate) const FEW: usize = 4;
    pub(crate) const ALL: usize = 10;
}

/// How the tokens of a batch lie together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tiling {
    /// Lengths of tiles, largest first, the last of them 1.
    pub(crate) lens: &'static [usize],
    /// Tiles of at least so many tokens hold a block token by token, the others quad by quad.
    pub(crate) rows_from: usize,
}

impl Tiling {
    /// Tiles of these lengths that hold a block quad by quad.
    pub(crate) const fn quads(lens: &'static [usize]) -> Self {
        Self { lens, rows_from: usize::MAX }
    }

    /// First token and length of the tile that `token` of `tokens` lies in.
    pub(crate) fn tile_of(self, tokens: usize, token: usize) -> (usize, usize) {
        let mut first = token / self.lens[0] * self.lens[0]; // all before lie in tiles of the largest length
        loop {
            let len = self.lens.iter().copied().find(|len| *len <= tokens - first).unwrap_or(1);
            if token < first + len {
                return (first, len);
            }
            first += len;
        }
    }
}

/// The input of a matrix product: `[tokens, cols]` floats, and the same in 8-bit blocks, padded with zeros.
#[derive(Clone, Debug, Default)]
pub struct Activations {
    pub(crate) cols: usize,
    pub(crate) tokens: usize,
    tiling: Tiling,
    /// Facts of a block of a token.
    facts_len: usize,
    pub(crate) values: Aligned<f32>,
    codes: Aligned<i8>,
    /// Tile by tile, `[block][fact][token]`; whole numbers as their bits.
    facts: Aligned<f32>,
    /// `[strip][block][STRIP][BLOCK]`, bfloat16; what the last strip has no tokens for is left over from another batch.
    bf16: Aligned<u16>,
}

/// Tokens in a strip.
pub(crate) const STRIP: usize = 16;
/// bfloat16 numbers of a block of a strip.
pub(crate) const STRIP_BLOCK: usize = STRIP * BLOCK;

/// Neighbouring tokens as bfloat16.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strip {
    /// How many.
    pub(crate) len: usize,
    /// `[block][STRIP][BLOCK]`
    pub(crate) values: *const u16,
}

/// As what activations are needed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    pub(crate) codes: bool,
    /// Facts of halves of blocks, beside codes.
    pub(crate) halves: bool,
    pub(crate) floats: bool,
    /// bfloat16.
    pub(crate) bf16: bool,
}

impl Needs {
    /// For weights of these kinds, which all meet bfloat16 where they are `unpacked`.
    pub(crate) fn of(kinds: &[Kind], unpacked: bool) -> Self {
        let mut needs = Self::default();
        for kind in kinds {
            match kind {
                Kind::Codes(_) if unpacked => needs.bf16 = true,
                Kind::Codes(layout) => {
                    needs.codes = true;
                    needs.halves |= layout.halves;
                }
                Kind::Tiles => needs.bf16 = true,
                Kind::F32 | Kind::F16 | Kind::Bf16 => needs.floats = true,
            }
        }
        needs
    }

    /// Nothing but bfloat16.
    pub(crate) fn is_only_bf16(self) -> bool {
        self.bf16 && !self.codes && !self.floats
    }
}

/// Tokens that the kernels take together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    /// The first of them, and how many.
    pub(crate) first: usize,
    pub(crate) len: usize,
    /// Tokens that lie side by side: `len`, more in a part of a tile.
    pub(crate) width: usize,
    /// `[block][quad][width][4]` or `[block][width][32]`, see [`Tiling`]; dangling where there are no codes.
    pub(crate) codes: *const i8,
    /// `[block][fact][width]`
    pub(crate) facts: *const f32,
    /// Facts of a block of a token.
    pub(crate) facts_len: usize,
}

impl Tile {
    /// Its first and its second half.
    pub(crate) fn halves(&self) -> [Self; 2] {
        let len = self.len / 2;
        let (codes, facts) = (self.codes.wrapping_add(len * 4), self.facts.wrapping_add(len));
        [Self { len, ..*self }, Self { first: self.first + len, len: self.len - len, codes, facts, ..*self }]
    }
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

    /// Whether it was made for weights of this kind, in these tiles.
    pub(crate) fn is_for(&self, kind: Kind, tiling: Tiling) -> bool {
        let codes = !self.codes.is_empty() && self.tiling == tiling;
        match kind {
            _ if self.is_bf16_for(kind) => true,
            Kind::Codes(layout) => codes && (!layout.halves || self.facts_len == fact::ALL),
            Kind::Tiles => false,
            Kind::F32 | Kind::F16 | Kind::Bf16 => !self.values.is_empty(),
        }
    }

    /// Whether weights of this kind meet its bfloat16.
    pub(crate) fn is_bf16_for(&self, kind: Kind) -> bool {
        let meets = match kind {
            Kind::Codes(_) => self.codes.is_empty(),
            Kind::Tiles => true,
            Kind::F32 | Kind::F16 | Kind::Bf16 => false,
        };
        meets && !self.bf16.is_empty()
    }

    /// Makes room for `tokens` rows of `cols`, as what they are needed.
    pub(crate) fn reset(&mut self, (tokens, cols): (usize, usize), tiling: Tiling, needs: Needs) {
        self.cols = cols;
        self.tokens = tokens;
        self.tiling = tiling;
        self.facts_len = if needs.halves { fact::ALL } else { fact::FEW };
        let blocks = |needed: bool| if needed { cols.div_ceil(BLOCK) * tokens } else { 0 };
        self.codes.resize(blocks(needs.codes) * BLOCK, 0);
        self.facts.resize(blocks(needs.codes) * self.facts_len, 0.0);
        let strips = if needs.bf16 { tokens.div_ceil(STRIP) } else { 0 };
        self.bf16.resize(strips * cols.div_ceil(BLOCK) * STRIP_BLOCK, 0);
        if !cols.is_multiple_of(BLOCK) {
            self.bf16.fill(0); // what pads a row, for those who write columns only
        }
        self.values.resize(if needs.floats { tokens * cols } else { 0 }, 0.0);
    }

    pub(crate) fn row(&self, token: usize) -> &[f32] {
        &self.values[token * self.cols..][..self.cols]
    }

    /// The tiles in order.
    pub(crate) fn tiles(&self) -> impl Iterator<Item = Tile> + '_ {
        let mut first = 0;
        std::iter::from_fn(move || {
            let len = *self.tiling.lens.iter().find(|len| **len <= self.tokens - first)?;
            first += len;
            Some(self.tile(first - len, len))
        })
    }

    /// Some of them.
    pub(crate) fn tiles_in(&self, range: Range<usize>) -> impl Iterator<Item = Tile> + '_ {
        self.tiles().skip(range.start).take(range.len())
    }

    /// Their tokens.
    pub(crate) fn tokens_in(&self, range: Range<usize>) -> Range<usize> {
        let mut tiles = self.tiles_in(range);
        let Some(first) = tiles.next() else { return 0..0 };
        let last = tiles.last().unwrap_or(first);
        first.first..last.first + last.len
    }

    fn tile(&self, first: usize, len: usize) -> Tile {
        let at = first * self.blocks();
        let (facts_len, of_codes) = (self.facts_len, if self.codes.is_empty() { 0 } else { at });
        let codes = self.codes[of_codes * BLOCK..].as_ptr();
        let facts = self.facts[of_codes * facts_len..].as_ptr();
        Tile { first, len, width: len, codes, facts, facts_len }
    }

    /// How many strips there are of bfloat16.
    pub(crate) fn strips(&self) -> usize {
        if self.bf16.is_empty() { 0 } else { self.tokens.div_ceil(STRIP) }
    }

    /// One of them.
    pub(crate) fn strip(&self, n: usize) -> Strip {
        let values = self.bf16[n * self.blocks() * STRIP_BLOCK..].as_ptr();
        Strip { len: STRIP.min(self.tokens - n * STRIP), values }
    }

    /// Where tokens are written.
    pub(crate) fn places(&mut self) -> Places {
        let (codes, facts) = (self.codes.as_mut_ptr(), self.facts.as_mut_ptr());
        Places {
            codes,
            facts,
            bf16: self.bf16.as_mut_ptr(),
            blocks: self.blocks(),
            tiling: self.tiling,
            tokens: self.tokens,
            facts_len: self.facts_len,
        }
    }
}
