//! Matrix products over any [`Vector`]: a lane is a row.
//!
//! A group of sixteen rows meets a tile of tokens ([`Vector::TILES`]) at a time, so that its codes are unpacked once for all
//! of them. Each (row, token) pair has a lane of its own and adds its blocks in order, whatever the tile: a batch
//! gives the bits that its tokens give alone. Sums within a block are whole numbers, hence exact.

#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use std::{
    arch::x86_64::{_MM_HINT_T0, _mm_prefetch},
    ops::Range,
};

use super::vector::{LANES, Vector};
use crate::{
    Activations, BLOCK, Packed,
    activations::{Tile, fact},
    packed::{Kind, Layout, ROWS},
    table::Out,
};

const _: () = assert!(ROWS == LANES);
/// How far ahead of its use a panel is asked for, in bytes: a few hundred cycles at the memory's pace.
const AHEAD: usize = 2048;
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

/// A kind of panel: how `M` groups of sixteen rows meet the `N` tokens of a tile.
trait Panel {
    /// # Safety
    /// The panels are groups of a matrix of this kind, the tile is one of `x` and has `N` tokens, columns agree.
    unsafe fn dot<V: Vector, const M: usize, const N: usize>(
        panels: [&[u8]; M],
        x: &Activations,
        tile: &Tile,
    ) -> [[V; N]; M];
}

/// Groups in the order of memory for a single tile; for several, a part of the groups that stays in the cache meets one
/// tile after the other, whose codes stay in the nearer one. Where there are registers enough two groups share each
/// load of the tile.
#[inline(always)]
unsafe fn panels<V: Vector, P: Panel>(w: &Packed, groups: Range<usize>, x: &Activations, out: Out) {
    let step = (CACHED / w.kind.group_bytes(w.cols)).max(1).next_multiple_of(2);
    for start in groups.clone().step_by(step) {
        let end = groups.end.min(start + step);
        for tile in x.tiles() {
            let mut group = start;
            while group < end {
                let pair = V::ROOMY && tile.len > 1 && group + 1 < end;
                // SAFETY: the groups and the tile's tokens exist, and the caller's output holds `[tokens][rows]`.
                unsafe {
                    match (pair, tile.len) {
                        (true, 6) => some::<V, P, 2, 6>(w, group, x, &tile, out),
                        (true, 4) => some::<V, P, 2, 4>(w, group, x, &tile, out),
                        (true, _) => some::<V, P, 2, 2>(w, group, x, &tile, out),
                        (false, 6) => some::<V, P, 1, 6>(w, group, x, &tile, out),
                        (false, 4) => some::<V, P, 1, 4>(w, group, x, &tile, out),
                        (false, 2) => some::<V, P, 1, 2>(w, group, x, &tile, out),
                        (false, _) => some::<V, P, 1, 1>(w, group, x, &tile, out),
                    }
                }
                group += if pair { 2 } else { 1 };
            }
        }
    }
}

/// `M` groups from `group` on.
#[inline(always)]
unsafe fn some<V: Vector, P: Panel, const M: usize, const N: usize>(
    w: &Packed,
    group: usize,
    x: &Activations,
    tile: &Tile,
    out: Out,
) {
    let mut panels: [&[u8]; M] = [&[]; M];
    for m in 0..M {
        panels[m] = w.group(group + m);
    }
    // SAFETY: handed on from the caller.
    unsafe {
        let sums = P::dot::<V, M, N>(panels, x, tile);
        for m in 0..M {
            let first = (group + m) * ROWS;
            let at = Out { base: out.base.add(tile.first * out.stride + first), ..out };
            write(sums[m], at, (w.rows - first).min(ROWS));
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
    unsafe fn dot<V: Vector, const M: usize, const N: usize>(
        panels: [&[u8]; M],
        x: &Activations,
        tile: &Tile,
    ) -> [[V; N]; M] {
        let bytes = Self::LAYOUT.block_bytes();
        // the first tile brings the weights from memory: of short rows the next ones are asked for
        let few = tile.first == 0;
        let ahead = if M > 1 && panels[0].len() < 4 * AHEAD { M * panels[0].len() } else { AHEAD };
        // SAFETY: only arithmetic.
        let mut sums = unsafe { [[V::splat(0.0); N]; M] };
        for b in 0..x.blocks() {
            // SAFETY: the panels hold `x.blocks()` blocks of this layout, the tile as many of codes and facts.
            // The prefetch may point past the panel: it never faults.
            unsafe {
                let mut blocks = [panels[0].as_ptr(); M];
                for m in 0..M {
                    blocks[m] = panels[m].as_ptr().add(b * bytes);
                    if few {
                        for line in (0..bytes).step_by(64) {
                            _mm_prefetch::<_MM_HINT_T0>(blocks[m].wrapping_add(ahead + line).cast());
                        }
                    }
                }
                let codes = tile.codes.add(b * BLOCK * N);
                let facts = tile.facts.add(b * tile.facts_len * N);
                Self::add::<V, 0, M, N>(&mut sums, blocks, codes, facts);
                if HALVES {
                    Self::add::<V, 1, M, N>(&mut sums, blocks, codes, facts);
                }
            }
        }
        sums
    }
}

impl<const NIBBLES: bool, const HALVES: bool, const MINIMA: bool, const WIDE: bool>
    Codes<NIBBLES, HALVES, MINIMA, WIDE>
{
    /// Adds the products of a block, or of one half of it where `HALVES`.
    #[inline(always)]
    unsafe fn add<V: Vector, const HALF: usize, const M: usize, const N: usize>(
        sums: &mut [[V; N]; M],
        blocks: [*const u8; M],
        codes: *const i8,
        facts: *const f32,
    ) {
        // SAFETY: the caller gives blocks, and codes and facts of as many columns of `N` tokens.
        unsafe {
            let dots = if NIBBLES {
                nibble_dots::<V, HALVES, MINIMA, HALF, M, N>(blocks, codes, facts)
            } else {
                byte_dots::<V, HALVES, HALF, M, N>(blocks, codes, facts)
            };
            for m in 0..M {
                let reals = blocks[m].add(Self::LAYOUT.code_bytes());
                let scale = Self::reals::<V>(reals, HALF);
                for n in 0..N {
                    let of = V::splat(*facts.add(fact::SCALE * N + n));
                    sums[m][n] = dots[m][n].fma(scale.mul(of), sums[m][n]);
                }
                if MINIMA {
                    let minimum = Self::reals::<V>(reals.add(Self::LAYOUT.scale_bytes()), HALF);
                    let sum = if HALVES { fact::HALF_SUMS + HALF } else { fact::SUM };
                    for n in 0..N {
                        sums[m][n] = minimum.fma(V::splat(*facts.add(sum * N + n)), sums[m][n]);
                    }
                }
            }
        }
    }
}

/// Whole-number dot products of blocks of 4-bit codes with `N` tokens, of one half of them where `HALVES`.
#[inline(always)]
unsafe fn nibble_dots<
    V: Vector,
    const HALVES: bool,
    const MINIMA: bool,
    const HALF: usize,
    const M: usize,
    const N: usize,
>(
    blocks: [*const u8; M],
    codes: *const i8,
    facts: *const f32,
) -> [[V; N]; M] {
    // SAFETY: the caller gives blocks, and codes and facts of as many columns of `N` tokens.
    unsafe {
        let mut offsets = [0; N];
        if !MINIMA {
            let of = if HALVES { fact::HALF_NIBBLES + HALF } else { fact::NIBBLES };
            for n in 0..N {
                offsets[n] = facts.add(of * N + n).cast::<i32>().read();
            }
        }
        let mut sums = [[V::narrow(0); N]; M];
        for n in 0..N {
            for m in 0..M {
                sums[m][n] = V::narrow(offsets[n]);
            }
        }
        for quad in 0..BLOCK / 8 {
            let mut halves = [V::nibbles(V::codes(blocks[0].add(quad * 4 * ROWS))); M];
            for m in 1..M {
                halves[m] = V::nibbles(V::codes(blocks[m].add(quad * 4 * ROWS)));
            }
            if !HALVES || HALF == 0 {
                for n in 0..N {
                    let activations = V::quad(codes.add((quad * N + n) * 4));
                    for m in 0..M {
                        sums[m][n] = V::narrow_add(sums[m][n], halves[m].0, activations);
                    }
                }
            }
            if !HALVES || HALF == 1 {
                for n in 0..N {
                    let activations = V::quad(codes.add(((quad + BLOCK / 8) * N + n) * 4));
                    for m in 0..M {
                        sums[m][n] = V::narrow_add(sums[m][n], halves[m].1, activations);
                    }
                }
            }
        }
        let mut dots = [[V::splat(0.0); N]; M];
        for m in 0..M {
            for n in 0..N {
                dots[m][n] = V::narrow_sum(sums[m][n], offsets[n]);
            }
        }
        dots
    }
}

/// The same for 8-bit codes.
#[inline(always)]
unsafe fn byte_dots<V: Vector, const HALVES: bool, const HALF: usize, const M: usize, const N: usize>(
    blocks: [*const u8; M],
    codes: *const i8,
    facts: *const f32,
) -> [[V; N]; M] {
    // SAFETY: as above.
    unsafe {
        let mut sums = [[V::wide(0); N]; M];
        let of = if HALVES { fact::HALF_BYTES + HALF } else { fact::BYTES };
        for n in 0..N {
            for m in 0..M {
                sums[m][n] = V::wide(facts.add(of * N + n).cast::<i32>().read());
            }
        }
        let quads = if HALVES { BLOCK / 8 } else { BLOCK / 4 };
        for quad in HALF * quads..(HALF + 1) * quads {
            let mut weights = [V::bytes(V::codes(blocks[0].add(quad * 4 * ROWS))); M];
            for m in 1..M {
                weights[m] = V::bytes(V::codes(blocks[m].add(quad * 4 * ROWS)));
            }
            for n in 0..N {
                let activations = V::quad(codes.add((quad * N + n) * 4));
                for m in 0..M {
                    sums[m][n] = V::wide_add(sums[m][n], weights[m], activations);
                }
            }
        }
        let mut dots = [[V::splat(0.0); N]; M];
        for m in 0..M {
            for n in 0..N {
                dots[m][n] = V::wide_sum(sums[m][n]);
            }
        }
        dots
    }
}

macro_rules! float_panel {
    ($float:ty, $load:ident, $bits:ty) => {
        impl Panel for $float {
            #[inline(always)]
            unsafe fn dot<V: Vector, const M: usize, const N: usize>(
                panels: [&[u8]; M],
                x: &Activations,
                tile: &Tile,
            ) -> [[V; N]; M] {
                let values = x.row(tile.first).as_ptr();
                // SAFETY: only arithmetic.
                let mut sums = unsafe { [[V::splat(0.0); N]; M] };
                for column in 0..x.cols {
                    // SAFETY: a panel holds sixteen values a column; each token's values lie a row apart.
                    unsafe {
                        let mut weights = [V::splat(0.0); M];
                        for m in 0..M {
                            weights[m] = V::$load(panels[m].as_ptr().cast::<$bits>().add(column * ROWS));
                        }
                        for n in 0..N {
                            let value = V::splat(*values.add(n * x.cols + column));
                            for m in 0..M {
                                sums[m][n] = weights[m].fma(value, sums[m][n]);
                            }
                        }
                    }
                }
                sums
            }
        }
    };
}
float_panel!(f32, load, f32);
float_panel!(half::f16, load_f16, u16);
float_panel!(half::bf16, load_bf16, u16);
