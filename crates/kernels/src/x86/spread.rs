//! Products of 4-bit codes and 16-bit floats with many tokens where registers are few, or conversions dear: a group's codes are
//! spread to bytes, and what belongs to them to 32-bit floats, as floats themselves are, once for all tiles, so that these are
//! small without unpacking anew for each.
//!
//! A spread block has the columns' quads in order, a byte a code, then scales, then minima: [`Layout`] without nibbles, wide.

use std::{cell::RefCell, ops::Range};

use super::{
    avx2::Avx2,
    dots::line,
    linear::single,
    panel::{Codes, Panel, reals},
    rows,
    vector::{LANES, Vector, prefetch_ahead},
    whole::{self, Whole},
};
use crate::{
    Aligned, BLOCK, Packed,
    packed::{Kind, Layout, ROWS},
    table::{Out, Tiles},
};

/// AVX2 without dot products.
type V = Avx2<false>;

thread_local! {
    /// A group, spread.
    static SPREAD: RefCell<Aligned<u8>> = RefCell::default();
}

/// Groups `groups` of `weights` times some tiles of activations.
///
/// # Safety
/// As `Table::linear` says, on a machine that has [`V`]; the weights [spread](Kind::spreads).
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn linear(w: &Packed, groups: Range<usize>, x: Tiles<'_>, out: Out) {
    // SAFETY: handed on from the caller.
    unsafe {
        match w.kind {
            Kind::Codes(Layout { halves, minima, .. }) => match (halves, minima) {
                (false, false) => {
                    panels::<Codes<true, false, false, true, true>, Whole<false>>(w, groups, x, out)
                }
                (false, true) => {
                    panels::<Codes<true, false, true, true, true>, Whole<true>>(w, groups, x, out)
                }
                (true, false) => {
                    panels::<Codes<true, true, false, true, true>, Whole<false>>(w, groups, x, out)
                }
                (true, true) => panels::<Codes<true, true, true, true, true>, Whole<true>>(w, groups, x, out),
            },
            _ => panels::<f32, Whole<false>>(w, groups, x, out),
        }
    }
}

/// The same; `P` is what they are spread to, `W` what those whose scales are [`whole`] are.
///
/// # Safety
/// As for [`linear`].
#[inline(always)]
unsafe fn panels<P: Panel, W: Panel>(w: &Packed, groups: Range<usize>, (x, tiles): Tiles<'_>, out: Out) {
    let len = spread(w.kind).group_bytes(w.cols) + LANES * size_of::<f32>();
    let to = SPREAD.with_borrow_mut(|room| std::ptr::from_mut(room.room(len)));
    for group in groups {
        // SAFETY: the room is this thread's, which is here once at a time, and as large as what is spread to it; the rest is
        // handed on from the caller.
        unsafe {
            let start = (*to).as_mut_ptr();
            if unpack_whole(w.kind, w.group(group), start) {
                for tile in x.tiles_in(tiles.clone()) {
                    single::<V, W>(w, group, &*to, x, &tile, out);
                }
            } else {
                unpack(w.kind, w.group(group), start);
                for tile in x.tiles_in(tiles.clone()) {
                    single::<V, P>(w, group, &*to, x, &tile, out);
                }
            }
        }
    }
}

/// Spreads a group if its scales are [`whole`].
///
/// # Safety
/// There is room for it.
#[inline(always)]
unsafe fn unpack_whole(kind: Kind, panel: &[u8], to: *mut u8) -> bool {
    // SAFETY: handed on from the caller.
    unsafe {
        match kind {
            Kind::Codes(from @ Layout { halves: false, minima: true, wide: false, .. }) => {
                whole::unpack::<true>(from, panel, to)
            }
            Kind::Codes(from @ Layout { halves: false, minima: false, wide: false, .. }) => {
                whole::unpack::<false>(from, panel, to)
            }
            _ => false,
        }
    }
}

/// What a kind is spread to.
const fn spread(kind: Kind) -> Kind {
    match kind {
        Kind::Codes(layout) => Kind::Codes(to_bytes(layout)),
        _ => Kind::F32,
    }
}

const fn to_bytes(layout: Layout) -> Layout {
    Layout { nibbles: false, wide: true, ..layout }
}

/// Spreads a group.
///
/// # Safety
/// There is room for it.
#[inline(always)]
unsafe fn unpack(kind: Kind, panel: &[u8], mut to: *mut u8) {
    let Kind::Codes(layout) = kind else {
        let (from, len) = (panel.as_ptr().cast(), panel.len() / size_of::<u16>());
        // SAFETY: handed on from the caller.
        return unsafe { rows::widen::<V>(kind == Kind::Bf16, from, len, to.cast()) };
    };
    let count = layout.scales() * if layout.minima { 2 } else { 1 };
    for block in panel.chunks_exact(layout.block_bytes()) {
        // SAFETY: the block has `count` vectors of floats behind its codes; so has what it is spread to.
        unsafe {
            unpack_codes(block, to);
            let (from, floats) =
                (block.as_ptr().add(layout.code_bytes()), to.add(BLOCK * ROWS).cast::<f32>());
            prefetch_ahead::<V>(from, layout.block_bytes() - layout.code_bytes());
            for n in 0..count {
                reals::<V>(layout, from, n).store(floats.add(n * LANES));
            }
            to = to.add(to_bytes(layout).block_bytes());
        }
    }
}

/// Spreads the codes of a block.
///
/// # Safety
/// The block has 4-bit codes, and there is room for them.
#[inline(always)]
pub(super) unsafe fn unpack_codes(block: &[u8], to: *mut u8) {
    for quad in 0..BLOCK / 8 {
        // SAFETY: a line for every other quad; handed on from the caller.
        unsafe {
            let (low, high) = V::nibbles(line::<V>(block.as_ptr(), quad));
            V::store_line(low, to.add(quad * 4 * ROWS));
            V::store_line(high, to.add((quad + BLOCK / 8) * 4 * ROWS));
        }
    }
}
