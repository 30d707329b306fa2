//! Products of codes and 16-bit floats with many tokens where registers are few, or conversions dear: a group's codes are
//! spread to bytes, and what belongs to them to 32-bit floats, as floats themselves are, once for all tiles, so that these are
//! small without unpacking anew for each.
//!
//! A spread block of short codes has the columns' quads in order, a byte a code, then scales, then minima: [`Layout`] of 8 bits and
//! wide floats, though codes count from 0. Where scales are [`whole`] numbers, they are spread to these. Codes that were bytes before
//! become sizes and signs, see [`signed`].

use std::{cell::RefCell, ops::Range};

use super::{
    avx2::Avx2,
    dots::{line, long_codes},
    linear::single,
    panel::{Codes, F32, Panel, Place},
    rows,
    short::Short,
    signed::{self, Signed},
    vector::{LANES, Vector},
    whole::{self, Whole},
};
use crate::{
    Aligned, BLOCK, Packed,
    packed::{Kind, Layout, ROWS, Reals},
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
    let len = spread_bytes(w);
    let to = SPREAD.with_borrow_mut(|room| std::ptr::from_mut(room.room(len)));
    for group in groups {
        let from = w.group(group);
        // SAFETY: the room is this thread's, which is here once at a time, and as large as what is spread to it; the rest is
        // handed on from the caller.
        unsafe {
            let start = (*to).as_mut_ptr();
            let Kind::Codes(layout) = w.kind else {
                let (from, len) = (from.as_ptr().cast(), from.len() / size_of::<u16>());
                rows::widen::<V>(w.kind == Kind::Bf16, from, len, start.cast());
                meet::<f32>(w, group, &*to, &x, out);
                continue;
            };
            let blocks = x.0.blocks();
            if layout == signed::PACKED {
                signed::unpack((from, blocks), start);
                meet::<Signed>(w, group, &*to, &x, out);
                continue;
            }
            let is_whole = whole::unpack(layout, (from, blocks), start);
            if !is_whole {
                unpack(layout, (from, blocks), start);
            }
            match (is_whole, layout.bits, layout.halves, layout.minima) {
                (true, _, _, false) => meet::<Whole<false>>(w, group, &*to, &x, out),
                (true, _, _, true) => meet::<Whole<true>>(w, group, &*to, &x, out),
                (_, 4, false, false) => meet::<Codes<4, false, false, F32, true>>(w, group, &*to, &x, out),
                (_, 4, false, true) => meet::<Codes<4, false, true, F32, true>>(w, group, &*to, &x, out),
                (_, 4, true, false) => meet::<Codes<4, true, false, F32, true>>(w, group, &*to, &x, out),
                (_, 4, true, true) => meet::<Codes<4, true, true, F32, true>>(w, group, &*to, &x, out),
                (_, 5, false, false) => meet::<Short<5, false, false>>(w, group, &*to, &x, out),
                (_, 5, false, true) => meet::<Short<5, false, true>>(w, group, &*to, &x, out),
                (_, 6, true, false) => meet::<Short<6, true, false>>(w, group, &*to, &x, out),
                _ => unreachable!("no format has a {layout:?}"),
            }
        }
    }
}

/// A group, spread to `P`, times the tiles.
///
/// # Safety
/// As for [`linear`].
#[inline(always)]
unsafe fn meet<P: Panel>(w: &Packed, group: usize, panel: &[u8], (x, tiles): &Tiles<'_>, out: Out) {
    for tile in x.tiles_in(tiles.clone()) {
        // SAFETY: handed on from the caller.
        unsafe { single::<V, P>(w, group, panel, x, &tile, out) };
    }
}

/// Bytes that a group takes when it is spread.
fn spread_bytes(w: &Packed) -> usize {
    match w.kind {
        Kind::Codes(signed::PACKED) => signed::group_bytes(w.cols.div_ceil(BLOCK)),
        Kind::Codes(layout) => Kind::Codes(to_bytes(layout)).group_bytes(w.cols) + whole::UNITS,
        _ => Kind::F32.group_bytes(w.cols),
    }
}

const fn to_bytes(layout: Layout) -> Layout {
    Layout { bits: 8, reals: Reals::F32, ..layout }
}

/// Spreads a group of codes.
///
/// # Safety
/// There is room for it.
#[inline(always)]
unsafe fn unpack(layout: Layout, (panel, blocks): (&[u8], usize), mut to: *mut u8) {
    for n in 0..blocks {
        let place = Place::of(layout, panel, n, blocks);
        // SAFETY: what a block is spread to has as many scales and minima behind its codes.
        unsafe {
            unpack_codes(layout, place.block, to);
            let floats = to.add(BLOCK * ROWS).cast::<f32>();
            place.ask_ahead::<V>(layout);
            for half in 0..layout.scales() {
                place.scales::<V>(layout, half).store(floats.add(half * LANES));
                if layout.minima {
                    place.minima::<V>(layout, half).store(floats.add((layout.scales() + half) * LANES));
                }
            }
            to = to.add(to_bytes(layout).block_bytes());
        }
    }
}

/// Spreads the codes of a block.
///
/// # Safety
/// The block has codes of fewer bits than 8, and there is room for them.
#[inline(always)]
pub(super) unsafe fn unpack_codes(layout: Layout, block: *const u8, to: *mut u8) {
    for quad in 0..BLOCK / 8 {
        // SAFETY: a line for every other quad; handed on from the caller.
        unsafe {
            let [low, high] = if layout.bits == 4 {
                V::nibbles(line::<V>(block, quad)).into()
            } else {
                long_codes::<V>(Layout { minima: true, ..layout }, block, quad) // from 0 on
            };
            V::store_line(low, to.add(quad * 4 * ROWS));
            V::store_line(high, to.add((quad + BLOCK / 8) * 4 * ROWS));
        }
    }
}
