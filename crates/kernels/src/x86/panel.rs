//! How a group's weights of each kind meet the tokens of a tile: block by block, or column by column where they are floats.
#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use super::{
    dots::{byte_dots, long_dots, nibble_dots},
    four_asm,
    vector::{Vector, prefetch_ahead},
};
use crate::{
    Activations, BLOCK,
    activations::{Tile, fact},
    packed::{Layout, ROWS, Reals},
};

/// A kind of panel: how the sixteen rows of each of `G` groups meet the `N` tokens of a tile.
pub(super) trait Panel {
    /// Whether the registers hold the sums of two groups and six tokens.
    const PAIRS: bool;
    /// Whether one token had better meet several groups at once.
    const STREAMS: bool = false;

    /// # Safety
    /// The panels are groups of a matrix of this kind, the tile is one of `x`, has `N` tokens, and none beside them if `G` is 1;
    /// columns agree.
    unsafe fn dot<V: Vector, const G: usize, const N: usize>(
        panels: [&[u8]; G],
        x: &Activations,
        tile: &Tile,
    ) -> [[V; N]; G];
}

/// A block of a group, and its units where it has any.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) block: *const u8,
    pub(super) units: *const u8,
}

impl Place {
    /// Block `n` of `blocks`.
    #[inline(always)]
    pub(super) fn of(layout: Layout, panel: &[u8], n: usize, blocks: usize) -> Self {
        let start = panel.as_ptr();
        Self {
            block: start.wrapping_add(layout.block_at(n, blocks)),
            units: start.wrapping_add(layout.unit_at(n)),
        }
    }

    /// Asks for the scales and minima that come some way ahead of its own.
    #[inline(always)]
    pub(super) fn ask_ahead<V: Vector>(self, layout: Layout) {
        let codes = layout.code_bytes();
        prefetch_ahead::<V>(self.block.wrapping_add(codes), layout.block_bytes() - codes);
    }

    /// The scales of its half `half`.
    ///
    /// # Safety
    /// It is a block of this layout.
    #[inline(always)]
    pub(super) unsafe fn scales<V: Vector>(self, layout: Layout, half: usize) -> V {
        // SAFETY: they are behind the codes; handed on from the caller.
        unsafe { reals(layout, self.block.add(layout.code_bytes()), half, self.units.cast()) }
    }

    /// The minima of its half `half`.
    ///
    /// # Safety
    /// It is a block of this layout, which has minima.
    #[inline(always)]
    pub(super) unsafe fn minima<V: Vector>(self, layout: Layout, half: usize) -> V {
        let from = layout.code_bytes() + layout.scale_bytes();
        // SAFETY: they are behind the scales, as are their units; handed on from the caller.
        unsafe { reals(layout, self.block.add(from), half, self.units.cast::<u16>().wrapping_add(ROWS)) }
    }
}

/// Sixteen scales or minima.
#[inline(always)]
unsafe fn reals<V: Vector>(layout: Layout, from: *const u8, half: usize, units: *const u16) -> V {
    let at = half * ROWS;
    // SAFETY: the caller gives the scales (or minima) of a block, and their units where they are bytes.
    unsafe {
        match layout.reals {
            Reals::F16 => V::load_f16(from.cast::<u16>().add(at)),
            Reals::F32 => V::load(from.cast::<f32>().add(at)),
            Reals::Bytes => V::load_f16(units).mul(V::load_i8(from.cast::<i8>().add(at))),
        }
    }
}

/// Integer codes; the parameters are the fields of [`Layout`] in their order, and whether they were [spread](super::spread).
pub(super) struct Codes<
    const BITS: u8,
    const HALVES: bool,
    const MINIMA: bool,
    const REALS: u8,
    const SPREAD: bool = false,
>;

/// [`Reals`] as a parameter.
pub(super) const F16: u8 = Reals::F16 as u8;
pub(super) const F32: u8 = Reals::F32 as u8;
pub(super) const BYTES: u8 = Reals::Bytes as u8;

impl<const BITS: u8, const HALVES: bool, const MINIMA: bool, const REALS: u8, const SPREAD: bool>
    Codes<BITS, HALVES, MINIMA, REALS, SPREAD>
{
    const LAYOUT: Layout = Layout {
        bits: if SPREAD { 8 } else { BITS },
        halves: HALVES,
        minima: MINIMA,
        reals: match REALS {
            F16 => Reals::F16,
            F32 => Reals::F32,
            _ => Reals::Bytes,
        },
    };

    /// Whole-number dot products of blocks.
    ///
    /// # Safety
    /// There are blocks of this layout, and codes and facts of as many columns of `N` tokens that lie `width` apart.
    #[inline(always)]
    unsafe fn dots<V: Vector, const G: usize, const N: usize>(
        blocks: [*const u8; G],
        codes: *const i8,
        facts: *const f32,
        width: usize,
    ) -> [[[V; N]; G]; 2] {
        // SAFETY: handed on from the caller.
        unsafe {
            match BITS {
                4 => nibble_dots::<V, HALVES, MINIMA, SPREAD, G, N>(blocks, codes, facts, width),
                8 => byte_dots::<V, HALVES, G, N>(blocks, codes, facts, width),
                _ => long_dots::<V, HALVES, G, N>(Self::LAYOUT, blocks, codes, facts, width),
            }
        }
    }
}

impl<const BITS: u8, const HALVES: bool, const MINIMA: bool, const REALS: u8, const SPREAD: bool> Panel
    for Codes<BITS, HALVES, MINIMA, REALS, SPREAD>
{
    const PAIRS: bool = !HALVES;
    const STREAMS: bool = REALS == F16; // units begin a group, out of what is asked for ahead

    #[inline(always)]
    unsafe fn dot<V: Vector, const G: usize, const N: usize>(
        panels: [&[u8]; G],
        x: &Activations,
        tile: &Tile,
    ) -> [[V; N]; G] {
        if const { V::WORDS && BITS == 4 && !HALVES && G == 1 && N == four_asm::TOKENS } {
            // SAFETY: handed on from the caller; sums of 16 bits are those of AVX2 without dot products.
            unsafe {
                if const { REALS == F16 } {
                    return [four_asm::dot_packed::<V, N, MINIMA>(panels[0], x, tile); G];
                }
                if const { SPREAD && MINIMA } {
                    return [four_asm::dot_wide::<V, N>(panels[0], x, tile); G];
                }
            }
        }
        let width = if G == 1 { N } else { tile.width };
        // SAFETY: the panels hold `x.blocks()` blocks of this layout, the tile as many of codes and facts.
        unsafe {
            let mut sums = [[V::splat(0.0); N]; G];
            for b in 0..x.blocks() {
                let places = panels.map(|panel| Place::of(Self::LAYOUT, panel, b, x.blocks()));
                let blocks = places.map(|place| place.block);
                let codes = tile.codes.add(b * BLOCK * width);
                let facts = tile.facts.add(b * tile.facts_len * width);
                let dots = if const { N == 1 && G > 1 } {
                    // one group after the other: registers hold the sums of one
                    let mut dots = [[[V::splat(0.0); N]; G]; 2];
                    for g in 0..G {
                        let [[low], [high]] = Self::dots::<V, 1, N>([blocks[g]], codes, facts, width);
                        (dots[0][g], dots[1][g]) = (low, high);
                    }
                    dots
                } else {
                    Self::dots::<V, G, N>(blocks, codes, facts, width)
                };
                for g in 0..G {
                    if !SPREAD {
                        places[g].ask_ahead::<V>(Self::LAYOUT);
                    }
                    for half in 0..Self::LAYOUT.scales() {
                        if MINIMA {
                            let minimum: V = places[g].minima(Self::LAYOUT, half);
                            let sum = if HALVES { fact::HALF_SUMS + half } else { fact::SUM };
                            for n in 0..N {
                                let of = V::splat(*facts.add(sum * width + n));
                                sums[g][n] = minimum.fma(of, sums[g][n]);
                            }
                        }
                        let scale: V = places[g].scales(Self::LAYOUT, half);
                        for n in 0..N {
                            let of = V::splat(*facts.add(fact::SCALE * width + n));
                            sums[g][n] = dots[half][g][n].mul(scale).fma(of, sums[g][n]);
                        }
                    }
                }
            }
            sums
        }
    }
}

macro_rules! float_panel {
    ($float:ty, $load:ident, $bits:ty) => {
        impl Panel for $float {
            const PAIRS: bool = true;

            #[inline(always)]
            unsafe fn dot<V: Vector, const G: usize, const N: usize>(
                panels: [&[u8]; G],
                x: &Activations,
                tile: &Tile,
            ) -> [[V; N]; G] {
                let values = x.row(tile.first).as_ptr();
                // SAFETY: the panels hold sixteen values a column; each token's values lie a row apart.
                unsafe {
                    let mut sums = [[V::splat(0.0); N]; G];
                    for column in 0..x.cols {
                        for g in 0..G {
                            let weights = V::$load(panels[g].as_ptr().cast::<$bits>().add(column * ROWS));
                            for n in 0..N {
                                let value = V::splat(*values.add(n * x.cols + column));
                                sums[g][n] = weights.fma(value, sums[g][n]);
                            }
                        }
                    }
                    sums
                }
            }
        }
    };
}
float_panel!(f32, load, f32);
float_panel!(half::f16, load_f16, u16);
float_panel!(half::bf16, load_bf16, u16);
