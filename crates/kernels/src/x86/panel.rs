//! How a group's weights of each kind meet the tokens of a tile: block by block, or column by column where they are floats.
#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use super::{
    dots::{byte_dots, nibble_dots},
    four_asm,
    vector::{Vector, prefetch_ahead},
};
use crate::{
    Activations, BLOCK,
    activations::{Tile, fact},
    packed::{Layout, ROWS},
};

/// A kind of panel: how the sixteen rows of each of `G` groups meet the `N` tokens of a tile.
pub(super) trait Panel {
    /// Whether the registers hold the sums of two groups and six tokens.
    const PAIRS: bool;

    /// # Safety
    /// The panels are groups of a matrix of this kind, the tile is one of `x`, has `N` tokens, and none beside them if `G` is 1;
    /// columns agree.
    unsafe fn dot<V: Vector, const G: usize, const N: usize>(
        panels: [&[u8]; G],
        x: &Activations,
        tile: &Tile,
    ) -> [[V; N]; G];
}

/// The scales (or minima) of a block of a group, of its half `half`.
#[inline(always)]
pub(super) unsafe fn reals<V: Vector>(layout: Layout, from: *const u8, half: usize) -> V {
    // SAFETY: the caller gives the scales (or minima) of a block.
    unsafe {
        if layout.wide {
            V::load(from.cast::<f32>().add(half * ROWS))
        } else {
            V::load_f16(from.cast::<u16>().add(half * ROWS))
        }
    }
}

/// Integer codes; the parameters are the fields of [`Layout`] in their order, and whether nibbles were [spread](super::spread).
pub(super) struct Codes<
    const NIBBLES: bool,
    const HALVES: bool,
    const MINIMA: bool,
    const WIDE: bool,
    const SPREAD: bool = false,
>;

impl<const NIBBLES: bool, const HALVES: bool, const MINIMA: bool, const WIDE: bool, const SPREAD: bool>
    Codes<NIBBLES, HALVES, MINIMA, WIDE, SPREAD>
{
    const LAYOUT: Layout = Layout { nibbles: NIBBLES && !SPREAD, halves: HALVES, minima: MINIMA, wide: WIDE };
}

impl<const NIBBLES: bool, const HALVES: bool, const MINIMA: bool, const WIDE: bool, const SPREAD: bool> Panel
    for Codes<NIBBLES, HALVES, MINIMA, WIDE, SPREAD>
{
    const PAIRS: bool = !HALVES;

    #[inline(always)]
    unsafe fn dot<V: Vector, const G: usize, const N: usize>(
        panels: [&[u8]; G],
        x: &Activations,
        tile: &Tile,
    ) -> [[V; N]; G] {
        if const { V::WORDS && NIBBLES && !HALVES && !WIDE && !SPREAD && G == 1 && N == four_asm::TOKENS } {
            // SAFETY: handed on from the caller; sums of 16 bits are those of AVX2 without dot products.
            return [unsafe { four_asm::dot_packed::<V, N, MINIMA>(panels[0], x, tile) }; G];
        }
        let bytes = Self::LAYOUT.block_bytes();
        let width = if G == 1 { N } else { tile.width };
        // SAFETY: the panels hold `x.blocks()` blocks of this layout, the tile as many of codes and facts.
        unsafe {
            let mut sums = [[V::splat(0.0); N]; G];
            for b in 0..x.blocks() {
                let mut blocks = [std::ptr::null(); G];
                for g in 0..G {
                    blocks[g] = panels[g].as_ptr().add(b * bytes);
                }
                let codes = tile.codes.add(b * BLOCK * width);
                let facts = tile.facts.add(b * tile.facts_len * width);
                let dots = if NIBBLES {
                    nibble_dots::<V, HALVES, MINIMA, SPREAD, G, N>(blocks, codes, facts, width)
                } else {
                    byte_dots::<V, HALVES, G, N>(blocks, codes, facts, width)
                };
                for g in 0..G {
                    let from = blocks[g].add(Self::LAYOUT.code_bytes());
                    if !SPREAD {
                        prefetch_ahead::<V>(from, bytes - Self::LAYOUT.code_bytes());
                    }
                    for half in 0..Self::LAYOUT.scales() {
                        if MINIMA {
                            let minimum =
                                reals::<V>(Self::LAYOUT, from.add(Self::LAYOUT.scale_bytes()), half);
                            let sum = if HALVES { fact::HALF_SUMS + half } else { fact::SUM };
                            for n in 0..N {
                                let of = V::splat(*facts.add(sum * width + n));
                                sums[g][n] = minimum.fma(of, sums[g][n]);
                            }
                        }
                        let scale = reals::<V>(Self::LAYOUT, from, half);
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
