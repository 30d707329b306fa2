//! Products of bfloat16 on the tiles of AMX: sixteen rows meet up to sixteen tokens, 32 columns at a time.
//!
//! Weights are tiles as they lie in memory, and a tile adds up all columns. What it adds, and in which order, is the same for one
//! token as for sixteen (Intel's manual, TDPBF16PS): so are the bits, however a batch is cut. They are not those of the other
//! instruction sets, where the activations of such weights stay floats of 32 bits.

use std::{
    arch::{asm, x86_64::*},
    ops::Range,
};

use super::{
    amx::{LINE, TOKENS, V, configure},
    linear::store,
    vector::prefetch_ahead,
};
use crate::{
    BLOCK, Packed,
    activations::{PAIRS, Place, Tile},
    packed::ROWS,
    table::{Out, Tiles},
};

/// Bytes of tokens that stay in the second-level cache while two groups after the other meet them.
const CACHED: usize = 1280 << 10;

/// A block of a group of weights: a line of 32 columns for each row.
type Weights = [[u16; BLOCK]; ROWS];

/// Sums of a group with a tile of tokens: `[row][token]`.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Sums([[f32; TOKENS]; ROWS]);

/// Reads a register's lines, some bytes apart.
macro_rules! read {
    ($register:literal, $from:expr, $apart:expr) => {
        asm!(
            concat!("tileloadd ", $register, ", [{from} + {apart} * 1]"),
            from = in(reg) $from,
            apart = in(reg) $apart,
            options(nostack, preserves_flags, readonly)
        )
    };
}

/// Writes a register of sums.
macro_rules! write {
    ($register:literal, $to:expr) => {
        asm!(
            concat!("tilestored [{to} + {apart} * 1], ", $register),
            to = in(reg) $to,
            apart = in(reg) LINE,
            options(nostack, preserves_flags)
        )
    };
}

macro_rules! zero {
    ($register:literal) => {
        asm!(concat!("tilezero ", $register), options(nostack, preserves_flags, nomem))
    };
}

/// `sums += weights · tokens`, registers.
macro_rules! dot {
    ($sums:literal, $weights:literal, $tokens:literal) => {
        asm!(
            concat!("tdpbf16ps ", $sums, ", ", $weights, ", ", $tokens),
            options(nostack, preserves_flags, nomem)
        )
    };
}

/// Registers for one or two tiles of tokens, until dropped: 0 to 3 hold sums, of the first group with both tiles, then of the
/// second group; 4 and 5 weights of the groups, 6 and 7 tokens.
struct Unit {
    lens: (usize, usize),
}

impl Unit {
    /// # Safety
    /// The machine has AMX, and nobody else uses the thread's registers. There are at most sixteen tokens in a tile.
    unsafe fn configured(lens: (usize, usize)) -> Self {
        let mut unit = Self { lens: (0, 0) };
        // SAFETY: handed on from the caller.
        unsafe { unit.fit(lens) };
        unit
    }

    /// Makes it ready for tiles of other lengths.
    ///
    /// # Safety
    /// As for [`Unit::configured`].
    unsafe fn fit(&mut self, lens: (usize, usize)) {
        if self.lens != lens {
            let [first, second] = [lens.0, lens.1].map(|len| (if len > 0 { 16 } else { 0 }, 4 * len));
            // SAFETY: handed on from the caller; one configuration takes the place of the other.
            unsafe { configure(&[first, second, first, second, (ROWS, LINE), (ROWS, LINE), first, second]) };
            self.lens = lens;
        }
    }

    /// The sums of `G` groups with `T` tiles, `[tile][group]`.
    ///
    /// # Safety
    /// The groups have so many blocks, as have the tiles, whose lengths are those that it was made ready for.
    #[inline(always)]
    unsafe fn multiply<const G: usize, const T: usize>(
        &self,
        weights: [*const Weights; 2],
        tokens: [*const u32; 2],
        blocks: usize,
        sums: &mut [[Sums; 2]; 2],
    ) {
        // SAFETY: handed on from the caller; a register of sums has sixteen lines.
        unsafe {
            zero!("tmm0");
            if T == 2 {
                zero!("tmm1");
            }
            if G == 2 {
                zero!("tmm2");
            }
            if G == 2 && T == 2 {
                zero!("tmm3");
            }
            for block in 0..blocks {
                let of = |tokens: *const u32, len: usize| tokens.add(block * PAIRS * len);
                if T == 1 {
                    // few tokens: the memory is waited for
                    prefetch_ahead::<V>(weights[0].add(block).cast(), size_of::<Weights>());
                }
                read!("tmm4", weights[0].add(block), LINE);
                read!("tmm6", of(tokens[0], self.lens.0), 4 * self.lens.0);
                dot!("tmm0", "tmm4", "tmm6");
                if T == 2 {
                    read!("tmm7", of(tokens[1], self.lens.1), 4 * self.lens.1);
                    dot!("tmm1", "tmm4", "tmm7");
                }
                if G == 2 {
                    read!("tmm5", weights[1].add(block), LINE);
                    dot!("tmm2", "tmm5", "tmm6");
                }
                if G == 2 && T == 2 {
                    dot!("tmm3", "tmm5", "tmm7");
                }
            }
            let [first, second] = sums;
            write!("tmm0", &raw mut first[0]);
            if T == 2 {
                write!("tmm1", &raw mut second[0]);
            }
            if G == 2 {
                write!("tmm2", &raw mut first[1]);
            }
            if G == 2 && T == 2 {
                write!("tmm3", &raw mut second[1]);
            }
        }
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // SAFETY: they were configured, and nobody else uses them.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
    }
}

/// A row of activations, rounded to bfloat16.
///
/// # Safety
/// As `Table::quantise` says, where there are pairs, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn pair(values: &[f32], place: &Place) {
    for (n, block) in values.chunks(BLOCK).enumerate() {
        let mut padded = [0.0; BLOCK];
        padded[..block.len()].copy_from_slice(block);
        let mut pairs = [0; PAIRS];
        // SAFETY: 32 floats become sixteen pairs; the place is the caller's.
        unsafe {
            let low = _mm512_loadu_ps(padded.as_ptr());
            let high = _mm512_loadu_ps(padded.as_ptr().add(BLOCK / 2));
            let halves: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(pairs.as_mut_ptr().cast(), halves);
            place.write_pairs(n, &pairs);
        }
    }
}

/// Groups `groups` of `weights`, which are [`Kind::Tiles`](crate::Kind::Tiles), times some tiles of activations: two groups at a
/// time, or one for a single tile, meet two tiles after the other.
///
/// # Safety
/// As `Table::linear` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn linear(w: &Packed, groups: Range<usize>, (x, tiles): Tiles<'_>, out: Out) {
    let blocks = x.blocks();
    let tiles: Vec<Tile> = x.tiles_in(tiles).collect();
    let together = (CACHED / (blocks * 2 * BLOCK * TOKENS)).max(2).next_multiple_of(2);
    let mut sums = [[Sums([[0.0; TOKENS]; ROWS]); 2]; 2];
    // a single tile reads groups in the order of memory
    let step = if tiles.len() > 1 { 2 } else { 1 };
    // SAFETY: handed on from the caller: the groups are there, with as many blocks as the tiles.
    unsafe {
        let mut unit = Unit::configured(lens(&tiles));
        for tiles in tiles.chunks(together) {
            for start in groups.clone().step_by(step) {
                let pair = start..groups.end.min(start + step);
                let weights = [pair.start, pair.end - 1].map(|group| w.group(group).as_ptr().cast());
                for tiles in tiles.chunks(2) {
                    unit.fit(lens(tiles));
                    let tokens = [tiles[0].pairs, tiles[tiles.len() - 1].pairs];
                    match (pair.len(), tiles.len()) {
                        (2, 2) => unit.multiply::<2, 2>(weights, tokens, blocks, &mut sums),
                        (2, _) => unit.multiply::<2, 1>(weights, tokens, blocks, &mut sums),
                        (_, 2) => unit.multiply::<1, 2>(weights, tokens, blocks, &mut sums),
                        _ => unit.multiply::<1, 1>(weights, tokens, blocks, &mut sums),
                    }
                    for (tile, sums) in tiles.iter().zip(&sums) {
                        for (group, sums) in pair.clone().zip(sums) {
                            write(w, group, tile, sums, out);
                        }
                    }
                }
            }
        }
    }
}

/// Lengths of the first two tiles, 0 where there are none.
fn lens(tiles: &[Tile]) -> (usize, usize) {
    let len = |n: usize| tiles.get(n).map_or(0, |tile| tile.len);
    (len(0), len(1))
}

/// Writes the sums of a group with a tile, or adds them.
///
/// # Safety
/// As for [`store`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn write(w: &Packed, group: usize, tile: &Tile, sums: &Sums, out: Out) {
    let columns = transposed(sums);
    // SAFETY: handed on from the caller; the columns of tokens that the tile does not have are not stored.
    unsafe {
        if tile.len == TOKENS {
            return store(w, group, tile, &[columns], out);
        }
        for (token, column) in columns.into_iter().take(tile.len).enumerate() {
            let one = Tile { first: tile.first + token, len: 1, ..*tile };
            store(w, group, &one, &[[column]], out);
        }
    }
}

/// `[token]` of a row a lane. There are no closures over registers here: they would not inherit the target features.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(sums: &Sums) -> [V; TOKENS] {
    let mut fours = [[_mm512_setzero_ps(); 4]; 4];
    for (fours, lines) in fours.iter_mut().zip(sums.0.as_chunks::<4>().0) {
        let [a, b, c, d] = lines;
        // SAFETY: lines of sixteen floats.
        let (a, b) = unsafe { (_mm512_load_ps(a.as_ptr()), _mm512_load_ps(b.as_ptr())) };
        // SAFETY: as above.
        let (c, d) = unsafe { (_mm512_load_ps(c.as_ptr()), _mm512_load_ps(d.as_ptr())) };
        let (low_ab, high_ab) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let (low_cd, high_cd) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        *fours = [
            _mm512_shuffle_ps::<0x44>(low_ab, low_cd),
            _mm512_shuffle_ps::<0xEE>(low_ab, low_cd),
            _mm512_shuffle_ps::<0x44>(high_ab, high_cd),
            _mm512_shuffle_ps::<0xEE>(high_ab, high_cd),
        ];
    }
    // fours[r][n]: quarter q of a register holds token 4q + n of rows 4r to 4r + 3
    let mut columns = [_mm512_setzero_ps(); TOKENS];
    for n in 0..4 {
        let (a, b, c, d) = (fours[0][n], fours[1][n], fours[2][n], fours[3][n]);
        let (low_ab, high_ab) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xEE>(a, b));
        let (low_cd, high_cd) = (_mm512_shuffle_f32x4::<0x44>(c, d), _mm512_shuffle_f32x4::<0xEE>(c, d));
        columns[n] = _mm512_shuffle_f32x4::<0x88>(low_ab, low_cd);
        columns[4 + n] = _mm512_shuffle_f32x4::<0xDD>(low_ab, low_cd);
        columns[8 + n] = _mm512_shuffle_f32x4::<0x88>(high_ab, high_cd);
        columns[12 + n] = _mm512_shuffle_f32x4::<0xDD>(high_ab, high_cd);
    }
    // SAFETY: `V` is one register.
    unsafe { std::mem::transmute(columns) }
}
