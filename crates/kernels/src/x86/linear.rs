//! Matrix products over any [`Vector`]: a lane is a row.
//!
//! A group of sixteen rows meets a tile of tokens ([`Vector::TILES`]) at a time, so that its codes are unpacked once for all
//! of them. Each (row, token) pair has a lane of its own and adds its blocks in order, whatever the tile: a batch
//! gives the bits that its tokens give alone. Sums within a block are whole numbers, hence exact.

#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use std::ops::Range;

use super::{
    dots::{byte_dots, nibble_dots},
    vector::{LANES, Vector, prefetch_ahead, prefetch_write},
};
use crate::{
    Activations, BLOCK, Packed,
    activations::{Tile, fact},
    packed::{Kind, Layout, ROWS},
    table::{Out, Tiles},
};

const _: () = assert!(ROWS == LANES);
/// Bytes of weights that meet one tile after the other: half of a small second-level cache.
const CACHED: usize = 256 << 10;

/// Groups `groups` of `weights` times some tiles of activations.
///
/// # Safety
/// As `Table::linear` says, on a machine that has `V`.
#[inline(always)]
pub(super) unsafe fn linear<V: Vector>(w: &Packed, groups: Range<usize>, x: Tiles<'_>, out: Out) {
    macro_rules! by_layout {
        ($layout:expr, $(($nibbles:literal $halves:literal $minima:literal $wide:literal))*) => {
            match ($layout.nibbles, $layout.halves, $layout.minima, $layout.wide) {
                $(($nibbles, $halves, $minima, $wide) => {
                    panels::<V, Codes<$nibbles, $halves, $minima, $wide>>(w, groups, x, out)
                })*
            }
        };
    }
    // SAFETY: handed on from the caller.
    unsafe {
        match w.kind {
            Kind::Codes(layout) => by_layout!(layout,
                (false false false false) (false false false true) (false false true false) (false false true true)
                (false true false false) (false true false true) (false true true false) (false true true true)
                (true false false false) (true false false true) (true false true false) (true false true true)
                (true true false false) (true true false true) (true true true false) (true true true true)
            ),
            Kind::F32 => panels::<V, f32>(w, groups, x, out),
            Kind::F16 => panels::<V, half::f16>(w, groups, x, out),
            Kind::Bf16 => panels::<V, half::bf16>(w, groups, x, out),
            Kind::Tiles => unreachable!("they meet bfloat16, see `Bf16Table`"),
        }
    }
}

/// A kind of panel: how the sixteen rows of each of `G` groups meet the `N` tokens of a tile.
trait Panel {
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

/// Groups in the order of memory for a single tile; for several, a part of the groups that stays in the cache meets one
/// tile after the other, whose codes stay in the nearer one.
#[inline(always)]
unsafe fn panels<V: Vector, P: Panel>(w: &Packed, groups: Range<usize>, (x, tiles): Tiles<'_>, out: Out) {
    let step = (CACHED / w.kind.group_bytes(w.cols)).max(1).next_multiple_of(2);
    for start in groups.clone().step_by(step) {
        let end = groups.end.min(start + step);
        for tile in x.tiles_in(tiles.clone()) {
            let mut group = start;
            let [first, second] = tile.halves();
            // SAFETY: the tile's tokens exist, the groups are the caller's, as is the output.
            unsafe {
                if V::ROOMY && P::PAIRS && tile.len == 12 {
                    while group + 2 <= end {
                        meet::<V, P, 2, 6>(w, group, x, &first, out);
                        meet::<V, P, 2, 6>(w, group, x, &second, out);
                        group += 2;
                    }
                }
                while group < end {
                    match tile.len {
                        16 => {
                            // floats only: codes of so many tokens meet tiles of AMX
                            meet::<V, P, 1, 8>(w, group, x, &first, out);
                            meet::<V, P, 1, 8>(w, group, x, &second, out);
                        }
                        12 => meet::<V, P, 1, 12>(w, group, x, &tile, out),
                        8 => meet::<V, P, 1, 8>(w, group, x, &tile, out),
                        6 => meet::<V, P, 1, 6>(w, group, x, &tile, out),
                        4 => meet::<V, P, 1, 4>(w, group, x, &tile, out),
                        2 => meet::<V, P, 1, 2>(w, group, x, &tile, out),
                        _ => meet::<V, P, 1, 1>(w, group, x, &tile, out),
                    }
                    group += 1;
                }
            }
        }
    }
}

/// `G` groups from `group` on times the `N` tokens of a tile.
///
/// # Safety
/// There are these groups and these tokens, and the output holds `[tokens][rows]`.
#[inline(always)]
unsafe fn meet<V: Vector, P: Panel, const G: usize, const N: usize>(
    w: &Packed,
    group: usize,
    x: &Activations,
    tile: &Tile,
    out: Out,
) {
    // SAFETY: handed on from the caller.
    unsafe {
        let mut panels = [w.group(group); G];
        for g in 1..G {
            panels[g] = w.group(group + g);
        }
        let to = out.base.wrapping_add(tile.first * out.stride + group * ROWS);
        for n in 0..N {
            prefetch_write(to.wrapping_add(n * out.stride).cast(), G * ROWS * size_of::<f32>());
        }
        let sums = P::dot::<V, G, N>(panels, x, tile);
        store(w, group, tile, &sums, out);
    }
}

/// Writes the sums of `G` groups and `N` tokens, or adds them.
///
/// # Safety
/// As for [`meet`].
#[inline(always)]
pub(super) unsafe fn store<V: Vector, const G: usize, const N: usize>(
    w: &Packed,
    group: usize,
    tile: &Tile,
    sums: &[[V; N]; G],
    out: Out,
) {
    // SAFETY: handed on from the caller; whole vectors are touched only where there are sixteen rows.
    unsafe {
        let to = out.base.wrapping_add(tile.first * out.stride + group * ROWS);
        if w.rows >= (group + G) * ROWS {
            for g in 0..G {
                for n in 0..N {
                    let to = to.add(n * out.stride + g * ROWS);
                    (if out.add { V::load(to).add(sums[g][n]) } else { sums[g][n] }).store(to);
                }
            }
        } else {
            let mut lanes = [[[0.0; LANES]; N]; G];
            for g in 0..G {
                for n in 0..N {
                    sums[g][n].store(lanes[g][n].as_mut_ptr());
                }
            }
            write_part(lanes.as_flattened(), w.rows - group * ROWS, N, Out { base: to, ..out });
        }
    }
}

/// Writes the sums of `[groups][tokens]`, of which there are but `rows` rows, or adds them.
#[cold]
#[inline(never)]
unsafe fn write_part(sums: &[[f32; LANES]], rows: usize, tokens: usize, out: Out) {
    for (at, lanes) in sums.iter().enumerate() {
        let (group, token) = (at / tokens, at % tokens);
        for (row, value) in (group * ROWS..rows).zip(lanes) {
            // SAFETY: the caller's output holds these rows of these tokens.
            unsafe {
                let to = out.base.add(token * out.stride + row);
                to.write(if out.add { *to + value } else { *value });
            }
        }
    }
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

/// Integer codes; the parameters are the fields of [`Layout`] in their order.
struct Codes<const NIBBLES: bool, const HALVES: bool, const MINIMA: bool, const WIDE: bool>;

impl<const NIBBLES: bool, const HALVES: bool, const MINIMA: bool, const WIDE: bool>
    Codes<NIBBLES, HALVES, MINIMA, WIDE>
{
    const LAYOUT: Layout = Layout { nibbles: NIBBLES, halves: HALVES, minima: MINIMA, wide: WIDE };
}

impl<const NIBBLES: bool, const HALVES: bool, const MINIMA: bool, const WIDE: bool> Panel
    for Codes<NIBBLES, HALVES, MINIMA, WIDE>
{
    const PAIRS: bool = !HALVES;

    #[inline(always)]
    unsafe fn dot<V: Vector, const G: usize, const N: usize>(
        panels: [&[u8]; G],
        x: &Activations,
        tile: &Tile,
    ) -> [[V; N]; G] {
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
                    nibble_dots::<V, HALVES, MINIMA, G, N>(blocks, codes, facts, width)
                } else {
                    byte_dots::<V, HALVES, G, N>(blocks, codes, facts, width)
                };
                for g in 0..G {
                    let from = blocks[g].add(Self::LAYOUT.code_bytes());
                    prefetch_ahead::<V>(from, bytes - Self::LAYOUT.code_bytes());
                    for half in 0..Self::LAYOUT.scales() {
                        let scale = reals::<V>(Self::LAYOUT, from, half);
                        for n in 0..N {
                            let of = V::splat(*facts.add(fact::SCALE * width + n));
                            sums[g][n] = dots[half][g][n].fma(scale.mul(of), sums[g][n]);
                        }
                        if MINIMA {
                            let minimum =
                                reals::<V>(Self::LAYOUT, from.add(Self::LAYOUT.scale_bytes()), half);
                            let sum = if HALVES { fact::HALF_SUMS + half } else { fact::SUM };
                            for n in 0..N {
                                let of = V::splat(*facts.add(sum * width + n));
                                sums[g][n] = minimum.fma(of, sums[g][n]);
                            }
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
