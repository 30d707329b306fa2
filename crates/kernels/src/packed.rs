//! Weights re-laid for the kernels: a vector lane is a row.
//!
//! Sixteen rows make a group, 32 columns a block. A group's blocks follow each other, and each holds
//!
//! - the codes, column quad by column quad: four neighbouring columns of row 0, of row 1, … of row 15. So 64 bytes
//!   meet four activations that are broadcast to all lanes, and no sum ever crosses lanes. Of 4-bit codes the low
//!   nibbles hold quads 0–3 of the block and the high nibbles quads 4–7. Codes of 5 and 6 bits have their lower four like that;
//!   the fifth bits follow, a byte for all quads, or the upper two of quads 0–3 in a byte, then those of quads 4–7;
//! - sixteen scales (twice sixteen where there is one for 16 columns): f16, or bytes that count in [units](Reals::Bytes);
//! - as many minima, where the format has them.
//!
//! Units, where there are any, come before a group's blocks: those of columns 0–255, of 256–511, …: sixteen of the scales, then
//! sixteen of the minima.
//!
//! Float weights have no blocks: a group holds sixteen rows' values of column 0, of column 1, and so on. Those for tiles
//! ([`Kind::Tiles`]) do: columns 0 and 1 of row 0, of row 1, …, then columns 2 and 3, as a tile of AMX takes 32 of them.
//! Rows are padded with zeros to whole groups, columns to whole blocks.

use std::{ops::Range, sync::Arc};

use half::{bf16, f16};

use crate::{BLOCK, Format, Region, arena::Piece};

/// Rows in a group: the lanes of a vector.
pub(crate) const ROWS: usize = 16;

/// How quantised weights are packed: every block format decodes into one of these without loss.
///
/// A weight is `scale · code + minimum`. There are kernels for those that some [`Format`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Bits of a code: 4, 5, 6 or 8. With minima codes count from 0, without from -2ᵇ⁻¹; those of 8 bits go from -128 to 127
    /// either way.
    pub bits: u8,
    /// A scale for every 16 columns instead of every 32.
    pub halves: bool,
    /// Whether there are minima.
    pub minima: bool,
    /// What scales and minima are.
    pub reals: Reals,
}

/// What scales and minima are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reals {
    /// IEEE 16-bit floats.
    F16,
    /// IEEE 32-bit floats.
    F32,
    /// Signed bytes, times a unit that 256 columns of a row share, f16: as the K formats have them. The products are exact in f32.
    Bytes,
}

impl Reals {
    const fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::Bytes => 1,
        }
    }
}

/// Blocks that share units.
pub(crate) const SHARING: usize = 256 / BLOCK;

impl Layout {
    /// Scales (and minima) of a row in one block.
    pub(crate) const fn scales(self) -> usize {
        if self.halves { 2 } else { 1 }
    }

    /// Columns that share a scale.
    pub(crate) const fn width(self) -> usize {
        BLOCK / self.scales()
    }

    pub(crate) const fn code_bytes(self) -> usize {
        ROWS * BLOCK * self.bits as usize / 8
    }

    /// What is taken off a packed code.
    pub(crate) const fn offset(self) -> i8 {
        if self.minima || self.bits == 8 { 0 } else { 1 << (self.bits - 1) }
    }

    /// Bytes of the scales of a block of a group.
    pub(crate) const fn scale_bytes(self) -> usize {
        ROWS * self.scales() * self.reals.bytes()
    }

    pub(crate) const fn block_bytes(self) -> usize {
        self.code_bytes() + self.scale_bytes() * if self.minima { 2 } else { 1 }
    }

    /// Where the units of block `n` begin in a group; those of minima are sixteen further.
    pub(crate) const fn unit_at(self, n: usize) -> usize {
        n / SHARING * ROWS * size_of::<f16>() * if self.minima { 2 } else { 1 }
    }

    /// Where block `n` of `blocks` begins in a group.
    pub(crate) const fn block_at(self, n: usize, blocks: usize) -> usize {
        let units = match self.reals {
            Reals::F16 | Reals::F32 => 0,
            Reals::Bytes => self.unit_at(blocks.next_multiple_of(SHARING)).next_multiple_of(64),
        };
        units + n * self.block_bytes()
    }

    /// A group of so many blocks, one after the other.
    pub(crate) fn blocks(self, group: &[u8], blocks: usize) -> impl Iterator<Item = Block<'_>> {
        (0..blocks).map(move |n| Block {
            bytes: &group[self.block_at(n, blocks)..][..self.block_bytes()],
            units: &group[self.unit_at(n)..],
        })
    }
}

/// A block of a group.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) bytes: &'a [u8],
    /// Begins with its units, where it has any.
    pub(crate) units: &'a [u8],
}

/// What a [`Packed`] matrix consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Integer codes: activations are quantised to meet them.
    Codes(Layout),
    /// IEEE 32-bit floats.
    F32,
    /// IEEE 16-bit floats.
    F16,
    /// The upper halves of 32-bit floats.
    Bf16,
    /// The same in blocks, as the tiles of AMX take them: activations become bfloat16 too. Takes the place of `Bf16` and
    /// `F16` there, see [`Compute::arranged`](crate::Compute::arranged).
    Tiles,
}

impl Kind {
    /// 8-bit codes with one f16 scale for 32 weights.
    pub const Q8: Self = Self::Codes(Format::Q8_0.layout());
    /// 4-bit codes with f16 scale and minimum for 32 weights.
    pub const Q4: Self = Self::Codes(Format::Q4_1.layout());

    /// How weights of a file's `format` are packed.
    pub fn of(format: Format) -> Self {
        match format {
            Format::F32 => Self::F32,
            Format::F16 => Self::F16,
            Format::Bf16 => Self::Bf16,
            quantised => Self::Codes(quantised.layout()),
        }
    }

    /// Whether activations are quantised to meet these weights.
    pub const fn is_quantised(self) -> bool {
        matches!(self, Self::Codes(_))
    }

    /// Bytes of one group of `cols` columns.
    pub(crate) const fn group_bytes(self, cols: usize) -> usize {
        match self {
            Self::Codes(layout) => layout.block_at(cols.div_ceil(BLOCK), cols.div_ceil(BLOCK)),
            Self::F32 => cols * ROWS * 4,
            Self::F16 | Self::Bf16 => cols * ROWS * 2,
            Self::Tiles => cols.next_multiple_of(BLOCK) * ROWS * 2,
        }
    }

    /// Whether many tokens may meet its weights spread: short codes to a byte each, bytes to sizes and signs, floats to 32 bits.
    pub(crate) const fn spreads(self) -> bool {
        matches!(self, Self::Codes(_) | Self::F16 | Self::Bf16)
    }

    /// Bytes that a matrix of this kind takes; `None` where the number overflows.
    pub fn bytes(self, rows: usize, cols: usize) -> Option<usize> {
        rows.checked_mul(cols)?.checked_mul(8)?;
        rows.div_ceil(ROWS).checked_mul(self.group_bytes(cols))
    }
}

/// A matrix of weights `[rows, cols]`, packed. Made by [`Compute::pack`](crate::Compute::pack) and
/// [`Compute::pack_rows`](crate::Compute::pack_rows).
#[derive(Debug)]
pub struct Packed {
    pub(crate) kind: Kind,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) bytes: Piece,
}

impl Packed {
    /// A matrix that was packed before, `range` of a mapped file; `None` where the file does not have as many bytes as
    /// the shape takes, or they are not aligned.
    pub fn mapped(
        kind: Kind,
        rows: usize,
        cols: usize,
        region: Arc<Region>,
        range: Range<usize>,
    ) -> Option<Self> {
        let fits =
            kind.bytes(rows, cols)? == range.len() && range.start.is_multiple_of(64) && !range.is_empty();
        let bytes = Piece::mapped(region, range).filter(|_| fits)?;
        Some(Self { kind, rows, cols, bytes })
    }

    /// The packed bytes, to be kept and [mapped](Self::mapped) again.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it consists of.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Outputs of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs of the matrix.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Groups of rows.
    pub(crate) fn groups(&self) -> usize {
        self.rows.div_ceil(ROWS)
    }

    /// The bytes of one group.
    pub(crate) fn group(&self, group: usize) -> &[u8] {
        let len = self.kind.group_bytes(self.cols);
        &self.bytes[group * len..][..len]
    }

    /// Decodes row `row` into `out` (as many values as there are columns): what the file's format says, exactly, where the
    /// matrix was not rounded when it was packed.
    ///
    /// # Panics
    /// When there is no such row or `out` has another length.
    pub fn dequantise_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows && out.len() == self.cols, "a row of {} values", self.cols);
        let (group, lane) = (self.group(row / ROWS), row % ROWS);
        match self.kind {
            Kind::Codes(layout) => {
                let blocks = layout.blocks(group, self.cols.div_ceil(BLOCK));
                for (block, out) in blocks.zip(out.chunks_mut(BLOCK)) {
                    for (column, out) in out.iter_mut().enumerate() {
                        let half = column / layout.width();
                        let code = code(layout, block.bytes, lane, column) as f32;
                        *out = scale(layout, block, lane, half) * code + minimum(layout, block, lane, half);
                    }
                }
            }
            kind => {
                for (column, out) in out.iter_mut().enumerate() {
                    *out = float(kind, group, place(kind, lane, column));
                }
            }
        }
    }
}

/// Code of one row and column of a block.
pub(crate) fn code(layout: Layout, block: &[u8], lane: usize, column: usize) -> i32 {
    let (quad, of_line) = (column / 4, lane * 4 + column % 4);
    let line = |n: usize| block[n * 4 * ROWS + of_line];
    if layout.bits == 8 {
        return i32::from(line(quad).cast_signed());
    }
    let low = line(quad % 4) >> (quad / 4 * 4) & 15;
    let upper = match layout.bits {
        5 => line(4) >> quad & 1,
        6 => line(4 + quad / 4) >> (quad % 4 * 2) & 3,
        _ => 0,
    };
    i32::from(low | upper << 4) - i32::from(layout.offset())
}

/// Scale of one row in a block; `half` is 0 where a block has one scale only.
pub(crate) fn scale(layout: Layout, block: Block<'_>, lane: usize, half: usize) -> f32 {
    real(layout, &block.bytes[layout.code_bytes()..], half * ROWS + lane, block.units)
}

/// Minimum of one row in a block, 0 where there is none.
pub(crate) fn minimum(layout: Layout, block: Block<'_>, lane: usize, half: usize) -> f32 {
    if layout.minima {
        let minima = &block.bytes[layout.code_bytes() + layout.scale_bytes()..];
        real(layout, minima, half * ROWS + lane, &block.units[size_of::<[f16; ROWS]>()..])
    } else {
        0.0
    }
}

fn real(layout: Layout, bytes: &[u8], at: usize, units: &[u8]) -> f32 {
    match layout.reals {
        Reals::F16 => float(Kind::F16, bytes, at),
        Reals::F32 => float(Kind::F32, bytes, at),
        Reals::Bytes => float(Kind::F16, units, at % ROWS) * f32::from(bytes[at].cast_signed()),
    }
}

/// Which of a group's floats a row and column has; `kind` is not [`Kind::Codes`].
pub(crate) const fn place(kind: Kind, lane: usize, column: usize) -> usize {
    match kind {
        Kind::Tiles => (column / 2 * ROWS + lane) * 2 + column % 2,
        _ => column * ROWS + lane,
    }
}

/// The `at`-th float of `bytes`; `kind` is not [`Kind::Codes`].
pub(crate) fn float(kind: Kind, bytes: &[u8], at: usize) -> f32 {
    let half = || [bytes[2 * at], bytes[2 * at + 1]];
    match kind {
        Kind::F16 => f16::from_le_bytes(half()).to_f32(),
        Kind::Bf16 | Kind::Tiles => bf16::from_le_bytes(half()).to_f32(),
        _ => f32::from_le_bytes([bytes[4 * at], bytes[4 * at + 1], bytes[4 * at + 2], bytes[4 * at + 3]]),
    }
}
