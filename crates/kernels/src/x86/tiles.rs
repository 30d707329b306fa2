//! Products on the tiles of AMX: sixteen tokens meet sixteen rows in one instruction.
//!
//! A group's codes are a tile as they lie in memory, once they have eight bits each. The sums of a block are whole numbers
//! and leave the tile as they are; scales, minima and the order of the blocks are those of [`linear`](super::linear), and so
//! are the bits. A thread unpacks a part of a group once for all of its tokens.
#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use std::{arch::x86_64::*, cell::RefCell, ops::Range};

use super::{
    amx::{self, LINE, Sums, TOKENS, V},
    avx512_vnni_shells,
    dots::long_codes,
    linear::store,
    panel::Place,
    vector::{Vector, prefetch, prefetch_write},
};
use crate::{
    BLOCK, Packed,
    activations::{Tile, fact},
    packed::{Kind, Layout, ROWS},
    table::{Out, Tiles},
};

/// Steps that stay in the first-level cache while they meet one tile after the other, a tile's codes beside them.
const STEPS: usize = 24;

/// How far ahead of its use a block is asked for, in bytes.
const AHEAD: usize = 1024;

/// Columns that share a scale, unpacked: a block (eight quads), or half of one.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Step<const QUADS: usize> {
    codes: [[u8; LINE]; QUADS],
    scales: [f32; ROWS],
    minima: [f32; ROWS],
}

/// Sums of a tile over the steps so far: `[token][row]`.
type Totals = [[__m512; 8]; TOKENS / 8];

thread_local! {
    /// The totals of each tile, from one part of a group to the next.
    static TOTALS: RefCell<Vec<Totals>> = const { RefCell::new(Vec::new()) };
}

/// Groups `groups` of `weights` times some tiles of activations.
///
/// # Safety
/// As `Table::linear` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni,gfni")]
pub(super) unsafe fn linear(w: &Packed, groups: Range<usize>, (x, tiles): Tiles<'_>, out: Out) {
    let mut rest = tiles.clone();
    if let Kind::Codes(layout) = w.kind {
        rest.start += x.tiles_in(tiles.clone()).take_while(|tile| tile.len == TOKENS).count();
        let whole = (x, tiles.start..rest.start);
        // SAFETY: handed on from the caller; the parameters are what the layout says.
        unsafe {
            match (layout.halves, layout.minima) {
                _ if whole.1.is_empty() => {}
                (false, false) => multiply::<8, false>(w, layout, groups.clone(), whole, out),
                (false, true) => multiply::<8, true>(w, layout, groups.clone(), whole, out),
                (true, false) => multiply::<4, false>(w, layout, groups.clone(), whole, out),
                (true, true) => multiply::<4, true>(w, layout, groups.clone(), whole, out),
            }
        }
    }
    if !rest.is_empty() {
        // SAFETY: handed on from the caller.
        unsafe { avx512_vnni_shells::linear(w, groups, (x, rest), out) };
    }
}

/// Part by part, each of which meets one tile after the other.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni,gfni")]
unsafe fn multiply<const QUADS: usize, const MINIMA: bool>(
    w: &Packed,
    layout: Layout,
    groups: Range<usize>,
    (x, tiles): Tiles<'_>,
    out: Out,
) {
    let (blocks, bytes, halves) = (x.blocks(), layout.block_bytes(), BLOCK / 4 / QUADS);
    let part = blocks.div_ceil(blocks.div_ceil(STEPS / halves)); // parts of equal size
    let empty = Step { codes: [[0; LINE]; QUADS], scales: [0.0; ROWS], minima: [0.0; ROWS] };
    let (mut steps, mut buffers) = ([empty; STEPS], [Sums([[0; ROWS]; TOKENS]); 2]);
    let mut totals = TOTALS.take();
    totals.resize(tiles.len().max(totals.len()), [[_mm512_setzero_ps(); 8]; TOKENS / 8]);
    // SAFETY: handed on from the caller.
    let unit = unsafe { amx::Unit::configured(4 * QUADS) };
    for group in groups {
        let codes = w.group(group);
        for first in (0..blocks).step_by(part) {
            let last = blocks.min(first + part);
            let steps = &mut steps[..(last - first) * halves];
            unpack(layout, (codes, blocks), first..last, steps);
            let next = codes.as_ptr().wrapping_add(layout.block_at(last, blocks));
            let share = (part * bytes).div_ceil(tiles.len() * steps.len());
            for (n, (tile, totals)) in x.tiles_in(tiles.clone()).zip(&mut totals).enumerate() {
                let to = out.at(tile.first, group * ROWS);
                let ahead = Ahead {
                    weights: next.wrapping_add(n * steps.len() * share),
                    share,
                    to: (last == blocks).then_some((to, out.stride)),
                };
                if first == 0 {
                    *totals = [[_mm512_setzero_ps(); 8]; TOKENS / 8];
                }
                // SAFETY: the tile has sixteen tokens and as many blocks; the output is the caller's.
                unsafe {
                    add::<QUADS, MINIMA>(&unit, steps, &tile, first, &ahead, &mut buffers, totals);
                    if last == blocks {
                        let sums: &[[V; TOKENS]; 1] = &*(&raw const *totals).cast();
                        store(w, group, &tile, sums, out);
                    }
                }
            }
        }
    }
    TOTALS.set(totals);
}

/// What is asked for while a tile multiplies, step by step: more at once than a core waits for would hold up everything else.
struct Ahead {
    /// The next part's weights, a `share` of bytes a step.
    weights: *const u8,
    share: usize,
    /// Where the tile's tokens are going to be written, and how far they lie apart.
    to: Option<(*mut f32, usize)>,
}

impl Ahead {
    #[inline(always)]
    fn ask(&self, step: usize) {
        prefetch(self.weights.wrapping_add(step * self.share), self.share);
        if let Some((to, stride)) = self.to
            && step < TOKENS
        {
            prefetch_write(to.wrapping_add(step * stride).cast(), 1);
        }
    }
}

/// Codes as signed bytes, scales and minima as floats.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni,gfni")]
fn unpack<const QUADS: usize>(
    layout: Layout,
    (panel, blocks): (&[u8], usize),
    part: Range<usize>,
    to: &mut [Step<QUADS>],
) {
    let halves = BLOCK / 4 / QUADS;
    let [low, high] = [nibble(0, !layout.minima), nibble(4, !layout.minima)].map(|m| _mm512_set1_epi64(m));
    for (n, to) in part.zip(to.chunks_exact_mut(halves)) {
        let place = Place::of(layout, panel, n, blocks);
        let from = place.block;
        prefetch(from.wrapping_add(AHEAD), layout.block_bytes());
        // SAFETY: the block has these codes, scales and minima, and the steps hold as many.
        unsafe {
            let put = |to: &mut [Step<QUADS>], quad: usize, codes| {
                _mm512_store_si512((&raw mut to[quad / QUADS].codes[quad % QUADS]).cast(), codes);
            };
            if layout.bits == 4 {
                for quad in 0..BLOCK / 8 {
                    let codes = V::codes(from.add(quad * LINE));
                    // code - 8: bits 3 to 7 are the opposite of bit 3
                    let [low, high] = [low, high].map(|matrix| {
                        if layout.minima {
                            _mm512_gf2p8affine_epi64_epi8::<0>(codes, matrix)
                        } else {
                            _mm512_gf2p8affine_epi64_epi8::<0b1111_1000>(codes, matrix)
                        }
                    });
                    put(to, quad, low);
                    put(to, quad + BLOCK / 8, high);
                }
            } else if layout.bits == 8 {
                for quad in 0..BLOCK / 4 {
                    put(to, quad, V::codes(from.add(quad * LINE)));
                }
            } else {
                for quad in 0..BLOCK / 8 {
                    let [low, high] = long_codes::<V>(layout, from, quad);
                    put(to, quad, low);
                    put(to, quad + BLOCK / 8, high);
                }
            }
            for half in 0..halves {
                place.scales::<V>(layout, half).store(to[half].scales.as_mut_ptr());
                if layout.minima {
                    place.minima::<V>(layout, half).store(to[half].minima.as_mut_ptr());
                }
            }
        }
    }
}

/// A matrix over bits for `vgf2p8affineqb`: bits `shift` to `shift + 3` of a byte, with zeros above them, or with copies of
/// their highest where `signed`.
const fn nibble(shift: usize, signed: bool) -> i64 {
    let mut rows = [0u8; 8];
    let mut bit = 0;
    while bit < if signed { 8 } else { 4 } {
        rows[7 - bit] = 1 << (if bit < 4 { bit } else { 3 } + shift); // the first row makes the highest bit
        bit += 1;
    }
    i64::from_le_bytes(rows)
}

/// Adds the products of some steps, from block `first` on, with a tile of tokens; the sums of two steps at a time lie in
/// `buffers`.
///
/// # Safety
/// The tile has sixteen tokens and these blocks; `unit` was configured for as many quads.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni,gfni")]
unsafe fn add<const QUADS: usize, const MINIMA: bool>(
    unit: &amx::Unit,
    steps: &[Step<QUADS>],
    tile: &Tile,
    first: usize,
    ahead: &Ahead,
    buffers: &mut [Sums; 2],
    totals: &mut Totals,
) {
    let halves = BLOCK / 4 / QUADS;
    let mut sums = *totals;
    // SAFETY: handed on from the caller.
    unsafe {
        let multiply = |at: usize, to: &mut Sums| {
            let codes = tile.codes.add((first + at / halves) * BLOCK * TOKENS + at % halves * 4 * QUADS);
            unit.multiply(codes, steps[at].codes.as_ptr().cast(), to);
        };
        multiply(0, &mut buffers[0]);
        for (at, step) in steps.iter().enumerate() {
            // the next product goes on while this one's sums are scaled
            if at + 1 < steps.len() {
                multiply(at + 1, &mut buffers[(at + 1) % 2]);
            }
            ahead.ask(at);
            let dots = buffers[at % 2].0.as_ptr();
            let facts = tile.facts.add((first + at / halves) * tile.facts_len * TOKENS);
            if MINIMA {
                let sum = if halves == 2 { fact::HALF_SUMS + at % halves } else { fact::SUM };
                let minimum = _mm512_load_ps(step.minima.as_ptr());
                for (n, sums) in sums.iter_mut().enumerate() {
                    amx::add_minima(sums, facts.add(sum * TOKENS + n * 8), minimum);
                }
            }
            let scale = _mm512_load_ps(step.scales.as_ptr());
            for (n, sums) in sums.iter_mut().enumerate() {
                amx::add_scaled(sums, dots.add(n * 8), facts.add(fact::SCALE * TOKENS + n * 8), scale);
            }
        }
    }
    *totals = sums;
}
