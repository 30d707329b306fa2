//! Packing: from rows as files store them to groups of sixteen.

use std::io;

use half::f16;

use crate::{
    Arena, BLOCK, Compute, Format, Matrix, Packed,
    blocks::{self, Parts},
    packed::{Kind, Layout, ROWS, Reals, SHARING},
    quantise,
};

/// Groups of rows that are packed together.
const GROUPS_A_ROUND: usize = 8;
/// Bytes of a file that are read before it is said so.
const PART: usize = 8 << 20;

/// One row of weights on its way into a packed matrix, see [`Compute::pack_rows`](crate::Compute::pack_rows).
///
/// All fields are zero at first, and so may stay what lies beyond the last column.
#[derive(Clone, Debug)]
pub struct RowCodes {
    /// One code a column, padded to whole blocks; the range is that of the [`Layout`].
    pub codes: Vec<i8>,
    /// One scale for 32 (or 16) columns.
    pub scales: Vec<f32>,
    /// As many minima; empty where the layout has none.
    pub minima: Vec<f32>,
    /// What the scales and the minima of 256 columns count in; empty where they are no [bytes](crate::Reals::Bytes).
    pub units: Vec<[f32; 2]>,
}

impl RowCodes {
    pub(crate) fn new(layout: Layout, cols: usize) -> Self {
        let blocks = cols.div_ceil(BLOCK);
        let scales = blocks * layout.scales();
        Self {
            codes: vec![0; blocks * BLOCK],
            scales: vec![0.0; scales],
            minima: vec![0.0; if layout.minima { scales } else { 0 }],
            units: vec![[0.0; 2]; if layout.reals == Reals::Bytes { blocks.div_ceil(SHARING) } else { 0 }],
        }
    }

    fn clear(&mut self) {
        self.codes.fill(0);
        self.scales.fill(0.0);
        self.minima.fill(0.0);
        self.units.fill([0.0; 2]);
    }
}

impl Compute {
    /// Packs a matrix as a file stores it, [arranged](Self::arranged) for this instruction set.
    ///
    /// # Errors
    /// When the system has no memory.
    pub fn pack(&self, source: &Matrix<'_>, arena: &mut Arena) -> io::Result<Packed> {
        self.pack_as(source, self.arranged(Kind::of(source.format())), &|row| row, arena, &|| {})
    }

    /// Packs a matrix as `kind`, rounding where the file stores it otherwise; row `n` is the file's row `order(n)`. `read` is called
    /// whenever another 8 MiB or so of the file were read, whose memory may go.
    ///
    /// # Errors
    /// When the system has no memory.
    pub fn pack_as(
        &self,
        source: &Matrix<'_>,
        kind: Kind,
        order: &(dyn Fn(usize) -> usize + Sync),
        arena: &mut Arena,
        read: &dyn Fn(),
    ) -> io::Result<Packed> {
        let from = Source { matrix: source, order, kind };
        let mut packed = room(kind, (source.rows(), source.cols()), arena)?;
        let rounds = (PART / (source.row(0).len() * ROWS * GROUPS_A_ROUND)).max(1);
        self.pack_groups(&mut packed, (rounds, read), &|n, out| group(from, n, out));
        Ok(packed)
    }

    /// Packs a matrix row by row: `fill(row, codes)` decodes one, on any of the threads and in any order.
    ///
    /// # Errors
    /// When the system has no memory.
    pub fn pack_rows(
        &self,
        layout: Layout,
        rows: usize,
        cols: usize,
        arena: &mut Arena,
        fill: impl Fn(usize, &mut RowCodes) + Sync,
    ) -> io::Result<Packed> {
        let mut packed = room(Kind::Codes(layout), (rows, cols), arena)?;
        self.pack_groups(&mut packed, (usize::MAX, &|| {}), &|n, out| {
            let mut row = RowCodes::new(layout, cols);
            group_of(layout, n * ROWS..rows.min((n + 1) * ROWS), &mut row, &fill, out);
        });
        Ok(packed)
    }

    /// Packs all groups, and calls `read` after so many rounds of them.
    fn pack_groups(
        &self,
        to: &mut Packed,
        (rounds, read): (usize, &dyn Fn()),
        pack: &(dyn Fn(usize, &mut [u8]) + Sync),
    ) {
        let group = to.kind.group_bytes(to.cols);
        let part = rounds.saturating_mul(GROUPS_A_ROUND);
        for (nth, bytes) in to.bytes.as_mut().chunks_mut(part.saturating_mul(group)).enumerate() {
            self.chunks(bytes, group * GROUPS_A_ROUND, |round, chunk| {
                for (at, out) in chunk.chunks_exact_mut(group).enumerate() {
                    pack(nth * part + round * GROUPS_A_ROUND + at, out);
                }
            });
            read();
        }
    }
}

/// Zeroed room for a matrix.
fn room(kind: Kind, (rows, cols): (usize, usize), arena: &mut Arena) -> io::Result<Packed> {
    let size = kind.bytes(rows, cols).filter(|size| *size > 0).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(Packed { kind, rows, cols, bytes: arena.take(size)? })
}

/// Where packed rows come from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) matrix: &'a Matrix<'a>,
    /// Row of the matrix that becomes a row of the packed one.
    pub(crate) order: &'a (dyn Fn(usize) -> usize + Sync),
    /// What it is packed as.
    pub(crate) kind: Kind,
}

/// Packs the rows from `16·group` on that `source` has into `out`, zeroed.
pub(crate) fn group(source: Source<'_>, group: usize, out: &mut [u8]) {
    let Source { matrix, order, kind } = source;
    let (format, first) = (matrix.format(), group * ROWS);
    let as_it_is = kind == Kind::of(format);
    let (mut codes, mut values) = (None, vec![0.0; if as_it_is { 0 } else { matrix.cols() }]);
    for (lane, index) in (first..matrix.rows().min(first + ROWS)).enumerate() {
        let row = matrix.row(order(index));
        if !as_it_is && (kind, format) != (Kind::Tiles, Format::Bf16) {
            format.dequantise(row, &mut values);
        }
        match (kind, format.codes_at()) {
            (Kind::Codes(layout), Some(at)) if as_it_is => {
                let blocks = row.chunks_exact(format.block_bytes());
                for (block, out) in blocks.zip(out.chunks_exact_mut(layout.block_bytes())) {
                    pack_block(layout, block, at, lane, out);
                }
            }
            (Kind::Codes(layout), _) => {
                let codes = codes.get_or_insert_with(|| RowCodes::new(layout, matrix.cols()));
                if as_it_is {
                    decode(format, layout, row, codes)
                } else {
                    quantise::row(layout, &values, codes)
                }
                store_row(layout, codes, lane, out);
            }
            (Kind::F32, _) if as_it_is => floats::<4>(row, lane, out),
            (_, _) if as_it_is => floats::<2>(row, lane, out),
            (Kind::F32, _) => encoded(&values, f32::to_le_bytes, lane, out),
            (Kind::F16, _) => encoded(&values, |value| f16::from_f32(value).to_le_bytes(), lane, out),
            (Kind::Bf16, _) => encoded(&values, |value| upper_half(value).to_le_bytes(), lane, out),
            (Kind::Tiles, _) if format == Format::Bf16 => {
                let pairs = row.chunks(4).zip(out.chunks_exact_mut(4 * ROWS));
                pairs.for_each(|(pair, out)| out[4 * lane..][..pair.len()].copy_from_slice(pair));
            }
            (Kind::Tiles, _) => {
                for (pair, out) in values.chunks(2).zip(out.chunks_exact_mut(4 * ROWS)) {
                    for (value, out) in pair.iter().zip(out[4 * lane..].as_chunks_mut::<2>().0) {
                        *out = upper_half(*value).to_le_bytes();
                    }
                }
            }
        }
    }
}

/// ggml's nibbles (weights 0–15 low, 16–31 high) and bytes lie in our order already: quads are moved as they are.
#[inline]
fn pack_block(layout: Layout, block: &[u8], codes_at: usize, lane: usize, out: &mut [u8]) {
    let (codes, rest) = out.split_at_mut(layout.code_bytes());
    let quads = block[codes_at..].as_chunks::<4>().0;
    for (quad, out) in quads.iter().zip(codes.chunks_exact_mut(4 * ROWS)) {
        out[4 * lane..][..4].copy_from_slice(quad);
    }
    rest[2 * lane..][..2].copy_from_slice(&block[..2]);
    if layout.minima {
        rest[layout.scale_bytes() + 2 * lane..][..2].copy_from_slice(&block[2..4]);
    }
}

/// One row of blocks taken apart.
fn decode(format: Format, layout: Layout, row: &[u8], out: &mut RowCodes) {
    let (len, scales) = (format.block_len(), format.block_len() / layout.width());
    for (n, block) in row.chunks_exact(format.block_bytes()).enumerate() {
        let minima = if layout.minima { &mut out.minima[n * scales..][..scales] } else { &mut [][..] };
        let parts = Parts {
            codes: &mut out.codes[n * len..][..len],
            scales: &mut out.scales[n * scales..][..scales],
            minima,
        };
        let units = blocks::decode(format, block, parts);
        if let Some(to) = out.units.get_mut(n) {
            *to = units;
        }
    }
}

/// The bits of [`half::bf16::from_f32`], without a branch, so that it becomes a vector's.
#[inline(always)]
fn upper_half(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    (if value.is_nan() { bits >> 16 | 0x40 } else { rounded }) as u16
}

fn encoded<const SIZE: usize>(
    values: &[f32],
    encode: impl Fn(f32) -> [u8; SIZE],
    lane: usize,
    out: &mut [u8],
) {
    for (value, out) in values.iter().zip(out.chunks_exact_mut(SIZE * ROWS)) {
        out[SIZE * lane..][..SIZE].copy_from_slice(&encode(*value));
    }
}

fn floats<const SIZE: usize>(row: &[u8], lane: usize, out: &mut [u8]) {
    for (value, out) in row.as_chunks::<SIZE>().0.iter().zip(out.chunks_exact_mut(SIZE * ROWS)) {
        out[SIZE * lane..][..SIZE].copy_from_slice(value);
    }
}

/// Packs what `fill` gives for `rows` (at most sixteen, from `first` on) into `out`, zeroed.
pub(crate) fn group_of(
    layout: Layout,
    rows: std::ops::Range<usize>,
    row: &mut RowCodes,
    fill: &(dyn Fn(usize, &mut RowCodes) + Sync),
    out: &mut [u8],
) {
    for (lane, index) in rows.enumerate() {
        row.clear();
        fill(index, row);
        store_row(layout, row, lane, out);
    }
}

/// Writes a row's codes, scales and minima into a group.
fn store_row(layout: Layout, row: &RowCodes, lane: usize, out: &mut [u8]) {
    let (scales, blocks) = (layout.scales(), row.codes.len() / BLOCK);
    let (units, out) = out.split_at_mut(layout.block_at(0, blocks));
    for (n, [scale, minimum]) in row.units.iter().enumerate() {
        let units = units[layout.unit_at(n * SHARING)..].as_chunks_mut::<2>().0;
        units[lane] = f16::from_f32(*scale).to_le_bytes();
        if layout.minima {
            units[ROWS + lane] = f16::from_f32(*minimum).to_le_bytes();
        }
    }
    for (n, out) in out.chunks_exact_mut(layout.block_bytes()).enumerate() {
        let (codes, rest) = out.split_at_mut(layout.code_bytes());
        store_codes(layout, &row.codes[n * BLOCK..][..BLOCK], lane, codes);
        let (s, m) = rest.split_at_mut(layout.scale_bytes());
        for half in 0..scales {
            real(layout, row.scales[n * scales + half], half * ROWS + lane, s);
            if layout.minima {
                real(layout, row.minima[n * scales + half], half * ROWS + lane, m);
            }
        }
    }
}

fn store_codes(layout: Layout, codes: &[i8], lane: usize, out: &mut [u8]) {
    let offset = each(layout.offset().cast_unsigned());
    let mut quads = [0; BLOCK / 4];
    for (quad, codes) in quads.iter_mut().zip(codes.as_chunks::<4>().0) {
        let codes = u32::from_le_bytes(codes.map(i8::cast_unsigned));
        // added byte by byte: none is large enough to carry into the next
        *quad = (codes & each(0x7f)).wrapping_add(offset) ^ codes & each(0x80);
    }
    let mut put = |line: usize, quad: u32| {
        out[line * 4 * ROWS + 4 * lane..][..4].copy_from_slice(&quad.to_le_bytes());
    };
    if layout.bits == 8 {
        return quads.into_iter().enumerate().for_each(|(line, quad)| put(line, quad));
    }
    let beyond = each(0xff << layout.bits);
    debug_assert!(quads.iter().all(|quad| quad & beyond == 0), "codes of more than {} bits", layout.bits);
    let (low, high) = quads.split_at(BLOCK / 8);
    for (line, (low, high)) in low.iter().zip(high).enumerate() {
        put(line, low & each(15) | (high & each(15)) << 4);
    }
    // the upper bits of some quads side by side, those of the first lowest
    let upper = |quads: &[u32], bits: u32| {
        let one = |quad: &u32| quad >> 4 & each(0xff >> (8 - bits));
        quads.iter().enumerate().map(|(n, quad)| one(quad) << (n as u32 * bits)).sum()
    };
    match layout.bits {
        5 => put(4, upper(&quads, 1)),
        6 => {
            put(4, upper(low, 2));
            put(5, upper(high, 2));
        }
        _ => {}
    }
}

/// Four times the same byte.
const fn each(byte: u8) -> u32 {
    u32::from_le_bytes([byte; 4])
}

fn real(layout: Layout, value: f32, at: usize, out: &mut [u8]) {
    match layout.reals {
        Reals::F32 => out[4 * at..][..4].copy_from_slice(&value.to_le_bytes()),
        Reals::F16 => out[2 * at..][..2].copy_from_slice(&f16::from_f32(value).to_le_bytes()),
        Reals::Bytes => out[at] = (value as i8).cast_unsigned(),
    }
}
