//! Matrix products over any [`Vector`]: a lane is a row.
//!
//! A group of sixteen rows meets a tile of tokens ([`Vector::TILES`]) at a time, so that its codes are unpacked once for all
//! of them, or [once for all tiles](super::spread). Each (row, token) pair has a lane of its own and adds its blocks in order, whatever the tile: a batch
//! gives the bits that its tokens give alone. Sums within a block are whole numbers, hence exact.

#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use std::ops::Range;

use super::{
    panel::{BYTES, Codes, F16, Panel},
    vector::{LANES, Vector, prefetch_write},
};
use crate::{
    Activations, Packed,
    activations::Tile,
    packed::{Kind, ROWS},
    table::{Out, Tiles},
};

const _: () = assert!(ROWS == LANES);
/// Bytes of weights that meet one tile after the other: half of a small second-level cache.
const CACHED: usize = 256 << 10;
/// Long groups that one token meets at once where registers are few: so many streams are read faster than one. In shorter ones what
/// is asked for ahead of one stream lies in the next, and has been read.
const STREAMS: usize = 4;
const LONG: usize = 16 << 10;

/// Groups `groups` of `weights` times some tiles of activations.
///
/// # Safety
/// As `Table::linear` says, on a machine that has `V`.
#[inline(always)]
pub(super) unsafe fn linear<V: Vector>(w: &Packed, groups: Range<usize>, x: Tiles<'_>, out: Out) {
    macro_rules! by_layout {
        ($layout:expr, $(($bits:literal $halves:literal $minima:literal $reals:ident))*) => {
            match ($layout.bits, $layout.halves, $layout.minima, $layout.reals as u8) {
                $(($bits, $halves, $minima, $reals) => {
                    panels::<V, Codes<$bits, $halves, $minima, $reals>>(w, groups, x, out)
                })*
                _ => unreachable!("no format has a {:?}", $layout),
            }
        };
    }
    // SAFETY: handed on from the caller.
    unsafe {
        match w.kind {
            Kind::Codes(layout) => by_layout!(layout,
                (4 false false F16) (4 false true F16) (4 false true BYTES) (4 true false BYTES) (4 true true BYTES)
                (5 false false F16) (5 false true F16) (5 false true BYTES) (6 true false BYTES) (8 false false F16)
            ),
            Kind::F32 => panels::<V, f32>(w, groups, x, out),
            Kind::F16 => panels::<V, half::f16>(w, groups, x, out),
            Kind::Bf16 => panels::<V, half::bf16>(w, groups, x, out),
            Kind::Tiles => unreachable!("they meet bfloat16, see `Bf16Table`"),
        }
    }
}

/// Groups in the order of memory for a single tile; for several, a part of the groups that stays in the cache meets one
/// tile after the other, whose codes stay in the nearer one.
#[inline(always)]
unsafe fn panels<V: Vector, P: Panel>(w: &Packed, groups: Range<usize>, (x, tiles): Tiles<'_>, out: Out) {
    let step = (CACHED / w.kind.group_bytes(w.cols)).max(1).next_multiple_of(STREAMS);
    for start in groups.clone().step_by(step) {
        let end = groups.end.min(start + step);
        for tile in x.tiles_in(tiles.clone()) {
            let mut group = start;
            // SAFETY: the tile's tokens exist, the groups are the caller's, as is the output.
            unsafe {
                if const { V::ROOMY && P::PAIRS } && tile.len == 12 {
                    while group + 2 <= end {
                        for half in tile.halves() {
                            meet::<V, P, 2, 6>(w, group, [w.group(group), w.group(group + 1)], x, &half, out);
                        }
                        group += 2;
                    }
                }
                if const { !V::ROOMY && P::STREAMS } && tile.len == 1 && w.kind.group_bytes(w.cols) >= LONG {
                    while group + STREAMS <= end {
                        let groups = [0, 1, 2, 3].map(|n| w.group(group + n));
                        meet::<V, P, STREAMS, 1>(w, group, groups, x, &tile, out);
                        group += STREAMS;
                    }
                    while group + 2 <= end {
                        meet::<V, P, 2, 1>(w, group, [w.group(group), w.group(group + 1)], x, &tile, out);
                        group += 2;
                    }
                }
                while group < end {
                    single::<V, P>(w, group, w.group(group), x, &tile, out);
                    group += 1;
                }
            }
        }
    }
}

/// One group, whose panel may lie elsewhere, times a tile.
///
/// # Safety
/// As for [`meet`].
#[inline(always)]
pub(super) unsafe fn single<V: Vector, P: Panel>(
    w: &Packed,
    group: usize,
    panel: &[u8],
    x: &Activations,
    tile: &Tile,
    out: Out,
) {
    // SAFETY: handed on from the caller.
    unsafe {
        match tile.len {
            16 if const { V::ROOMY } => {
                // floats only: codes of so many tokens meet tiles of AMX
                for half in tile.halves() {
                    meet::<V, P, 1, 8>(w, group, [panel], x, &half, out);
                }
            }
            12 if const { has::<V>(12) } => meet::<V, P, 1, 12>(w, group, [panel], x, tile, out),
            8 if const { has::<V>(8) } => meet::<V, P, 1, 8>(w, group, [panel], x, tile, out),
            6 if const { has::<V>(6) } => meet::<V, P, 1, 6>(w, group, [panel], x, tile, out),
            4 if const { has::<V>(4) } => meet::<V, P, 1, 4>(w, group, [panel], x, tile, out),
            3 if const { has::<V>(3) } => meet::<V, P, 1, 3>(w, group, [panel], x, tile, out),
            2 if const { has::<V>(2) } => meet::<V, P, 1, 2>(w, group, [panel], x, tile, out),
            1 => meet::<V, P, 1, 1>(w, group, [panel], x, tile, out),
            len => unreachable!("{len} tokens are no tile of this instruction set"),
        }
    }
}

/// Whether tiles of so many tokens are made for `V`: others are not compiled.
const fn has<V: Vector>(len: usize) -> bool {
    let mut n = 0;
    while n < V::TILES.len() && V::TILES[n] != len {
        n += 1;
    }
    n < V::TILES.len()
}

/// `G` groups from `group` on times the `N` tokens of a tile.
///
/// # Safety
/// There are these groups and these tokens, the panels are theirs, and the output holds `[tokens][rows]`.
#[inline(always)]
unsafe fn meet<V: Vector, P: Panel, const G: usize, const N: usize>(
    w: &Packed,
    group: usize,
    panels: [&[u8]; G],
    x: &Activations,
    tile: &Tile,
    out: Out,
) {
    // SAFETY: handed on from the caller.
    unsafe {
        for n in 0..N {
            prefetch_write(out.at(tile.first + n, group * ROWS).cast(), G * ROWS * size_of::<f32>());
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
        if w.rows >= (group + G) * ROWS {
            for g in 0..G {
                for n in 0..N {
                    let to = out.at(tile.first + n, (group + g) * ROWS);
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
            write_part(
                lanes.as_flattened(),
                w.rows - group * ROWS,
                N,
                Out { base: out.at(tile.first, group * ROWS), ..out },
            );
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
                let to = out.at(token, row);
                to.write(if out.add { *to + value } else { *value });
            }
        }
    }
}
