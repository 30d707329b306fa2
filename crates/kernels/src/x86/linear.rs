//! Matrix products over any [`Vector`]: a lane is a row.
//!
//! A group of sixteen rows meets a tile of tokens ([`Vector::TILES`]) at a time, so that its codes are unpacked once for all
//! of them. Each (row, token) pair has a lane of its own and adds its blocks in order, whatever the tile: a batch
//! gives the bits that its tokens give alone. Sums within a block are whole numbers, hence exact.

#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use std::ops::Range;

use super::vector::{LANES, Vector, prefetch};
use crate::{
    Activations, BLOCK, Packed,
    activations::{Tile, fact},
    packed::{Kind, Layout, ROWS},
    table::Out,
};

const _: () = assert!(ROWS == LANES);
/// How far ahead of its use a panel is asked for, in bytes: measured, see docs/performance.md.
const AHEAD: usize = 8192;
/// Bytes of weights that meet one tile after the other: half of a small second-level cache.
const CACHED: usize = 256 << 10;

/// Groups `groups` of `weights` times every token of `x`.
///
/// # Safety
/// As `Table::linear` says, on a machine that has `V`.
#[inline(always)]
pub(super) unsafe fn linear<V: Vector>(w: &Packed, groups: Range<usize>, x: &Activations, out: Out) {
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
        }
    }
}

/// A kind of panel: how sixteen rows meet the `N` tokens of a tile.
trait Panel {
    /// # Safety
    /// `panel` is a group of a matrix of this kind, the tile is one of `x` and has `N` tokens, columns agree.
    unsafe fn dot<V: Vector, const N: usize>(panel: &[u8], x: &Activations, tile: &Tile) -> [V; N];
}

/// Groups in the order of memory for a single tile; for several, a part of the groups that stays in the cache meets one
/// tile after the other, whose codes stay in the nearer one.
#[inline(always)]
unsafe fn panels<V: Vector, P: Panel>(w: &Packed, groups: Range<usize>, x: &Activations, out: Out) {
    let step = (CACHED / w.kind.group_bytes(w.cols)).max(1);
    for start in groups.clone().step_by(step) {
        for tile in x.tiles() {
            for group in start..groups.end.min(start + step) {
                let panel = w.group(group);
                let rows = (w.rows - group * ROWS).min(ROWS);
                // SAFETY: the tile's tokens exist, and the caller's output holds `[tokens][rows]`.
                unsafe {
                    let at = Out { base: out.base.add(tile.first * out.stride + group * ROWS), ..out };
                    match tile.len {
                        12 => write(P::dot::<V, 12>(panel, x, &tile), at, rows),
                        8 => write(P::dot::<V, 8>(panel, x, &tile), at, rows),
                        6 => write(P::dot::<V, 6>(panel, x, &tile), at, rows),
                        4 => write(P::dot::<V, 4>(panel, x, &tile), at, rows),
                        2 => write(P::dot::<V, 2>(panel, x, &tile), at, rows),
                        _ => write(P::dot::<V, 1>(panel, x, &tile), at, rows),
                    }
                }
            }
        }
    }
}

/// Writes the sums of `N` tokens, or adds them.
#[inline(always)]
unsafe fn write<V: Vector, const N: usize>(sums: [V; N], out: Out, rows: usize) {
    for (n, sum) in sums.into_iter().enumerate() {
        // SAFETY: the caller's output holds `rows` values from here on; whole vectors are touched only where there
        // are sixteen.
        unsafe {
            let to = out.base.add(n * out.stride);
            if rows == ROWS {
                (if out.add { V::load(to).add(sum) } else { sum }).store(to);
            } else {
                let mut lanes = [0.0; LANES];
                sum.store(lanes.as_mut_ptr());
                for (lane, value) in lanes.iter().enumerate().take(rows) {
                    let to = to.add(lane);
                    to.write(if out.add { *to + value } else { *value });
                }
            }
        }
    }
}

/// Integer codes; the parameters are the fields of [`Layout`] in their order.
struct Codes<const NIBBLES: bool, const HALVES: bool, const MINIMA: bool, const WIDE: bool>;

impl<const NIBBLES: bool, const HALVES: bool, const MINIMA: bool, const WIDE: bool>
    Codes<NIBBLES, HALVES, MINIMA, WIDE>
{
    const LAYOUT: Layout = Layout { nibbles: NIBBLES, halves: HALVES, minima: MINIMA, wide: WIDE };

    #[inline(always)]
    unsafe fn reals<V: Vector>(from: *const u8, half: usize) -> V {
        // SAFETY: the caller gives the scales (or minima) of a block.
        unsafe {
            if WIDE {
                V::load(from.cast::<f32>().add(half * ROWS))
            } else {
                V::load_f16(from.cast::<u16>().add(half * ROWS))
            }
        }
    }
}

impl<const NIBBLES: bool, const HALVES: bool, const MINIMA: bool, const WIDE: bool> Panel
    for Codes<NIBBLES, HALVES, MINIMA, WIDE>
{
    #[inline(always)]
    unsafe fn dot<V: Vector, const N: usize>(panel: &[u8], x: &Activations, tile: &Tile) -> [V; N] {
        let bytes = Self::LAYOUT.block_bytes();
        let few = x.tokens <= V::TILES[0];
        // SAFETY: the panel holds `x.blocks()` blocks of this layout, the tile as many of codes and facts.
        unsafe {
            let mut sums = [V::splat(0.0); N];
            for b in 0..x.blocks() {
                let block = panel.as_ptr().add(b * bytes);
                if few {
                    prefetch(block.wrapping_add(AHEAD), bytes);
                }
                let codes = tile.codes.add(b * BLOCK * N);
                let facts = tile.facts.add(b * tile.facts_len * N);
                let dots = if NIBBLES {
                    nibble_dots::<V, HALVES, MINIMA, N>(block, codes, facts)
                } else {
                    byte_dots::<V, HALVES, N>(block, codes, facts)
                };
                let reals = block.add(Self::LAYOUT.code_bytes());
                for half in 0..Self::LAYOUT.scales() {
                    let scale = Self::reals::<V>(reals, half);
                    for n in 0..N {
                        let of = V::splat(*facts.add(fact::SCALE * N + n));
                        sums[n] = dots[half][n].fma(scale.mul(of), sums[n]);
                    }
                    if MINIMA {
                        let minimum = Self::reals::<V>(reals.add(Self::LAYOUT.scale_bytes()), half);
                        let sum = if HALVES { fact::HALF_SUMS + half } else { fact::SUM };
                        for n in 0..N {
                            sums[n] = minimum.fma(V::splat(*facts.add(sum * N + n)), sums[n]);
                        }
                    }
                }
            }
            sums
        }
    }
}

/// Whole-number dot products of a block of 4-bit codes with `N` tokens, of its halves where `HALVES`.
#[inline(always)]
unsafe fn nibble_dots<V: Vector, const HALVES: bool, const MINIMA: bool, const N: usize>(
    block: *const u8,
    codes: *const i8,
    facts: *const f32,
) -> [[V; N]; 2] {
    // SAFETY: the caller gives a block, and codes and facts of as many columns of `N` tokens.
    unsafe {
        let offset = |half: usize, n: usize| {
            let of = if HALVES { fact::HALF_NIBBLES + half } else { fact::NIBBLES };
            if MINIMA { 0 } else { facts.add(of * N + n).cast::<i32>().read() }
        };
        let mut sums = [[V::narrow(0); N]; 2];
        let high_sum = usize::from(HALVES);
        for half in 0..=high_sum {
            for n in 0..N {
                sums[half][n] = V::narrow(offset(half, n));
            }
        }
        for quad in 0..BLOCK / 8 {
            let (low, high) = V::nibbles(V::codes(block.add(quad * 4 * ROWS)));
            for n in 0..N {
                let at = codes.add((quad * N + n) * 4);
                sums[0][n] = V::narrow_add(sums[0][n], low, V::quad(at));
            }
            for n in 0..N {
                let at = codes.add(((quad + BLOCK / 8) * N + n) * 4);
                sums[high_sum][n] = V::narrow_add(sums[high_sum][n], high, V::quad(at));
            }
        }
        let mut dots = [[V::splat(0.0); N]; 2];
        for half in 0..=high_sum {
            for n in 0..N {
                dots[half][n] = V::narrow_sum(sums[half][n], offset(half, n));
            }
        }
        dots
    }
}

/// The same for 8-bit codes.
#[inline(always)]
unsafe fn byte_dots<V: Vector, const HALVES: bool, const N: usize>(
    block: *const u8,
    codes: *const i8,
    facts: *const f32,
) -> [[V; N]; 2] {
    // SAFETY: as above.
    unsafe {
        let mut sums = [[V::wide(0); N]; 2];
        for half in 0..=usize::from(HALVES) {
            let of = if HALVES { fact::HALF_BYTES + half } else { fact::BYTES };
            for n in 0..N {
                sums[half][n] = V::wide(facts.add(of * N + n).cast::<i32>().read());
            }
        }
        for quad in 0..BLOCK / 4 {
            let weights = V::bytes(V::codes(block.add(quad * 4 * ROWS)));
            let half = if HALVES { quad / (BLOCK / 8) } else { 0 };
            for n in 0..N {
                let activations = V::quad(codes.add((quad * N + n) * 4));
                sums[half][n] = V::wide_add(sums[half][n], weights, activations);
            }
        }
        let mut dots = [[V::splat(0.0); N]; 2];
        for half in 0..=usize::from(HALVES) {
            for n in 0..N {
                dots[half][n] = V::wide_sum(sums[half][n]);
            }
        }
        dots
    }
}

macro_rules! float_panel {
    ($float:ty, $load:ident, $bits:ty) => {
        impl Panel for $float {
            #[inline(always)]
            unsafe fn dot<V: Vector, const N: usize>(panel: &[u8], x: &Activations, tile: &Tile) -> [V; N] {
                let values = x.row(tile.first).as_ptr();
                // SAFETY: the panel holds sixteen values a column; each token's values lie a row apart.
                unsafe {
                    let mut sums = [V::splat(0.0); N];
                    for column in 0..x.cols {
                        let weights = V::$load(panel.as_ptr().cast::<$bits>().add(column * ROWS));
                        for n in 0..N {
                            let value = V::splat(*values.add(n * x.cols + column));
                            sums[n] = weights.fma(value, sums[n]);
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
