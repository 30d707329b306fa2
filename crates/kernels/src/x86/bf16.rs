//! Products of bfloat16 on the tiles of AMX: up to sixteen tokens meet sixteen rows, 32 columns at a time.
//!
//! A tile adds up all columns. What it adds, and in which order, is the same for one token as for sixteen (Intel's manual,
//! TDPBF16PS): so are the bits, however a batch is cut. Weights of bfloat16 are tiles as they lie in memory, codes are
//! [unpacked](super::unpack) part by part.

use std::ops::Range;

use super::{
    bf16_unit::{CACHED, Step, Unit},
    bf16_weights::Weights,
    unpack::{Next, Part, cut, each_part},
    vector::prefetch_write,
};
use crate::{
    Packed,
    activations::{STRIP, STRIP_BLOCK},
    packed::{Kind, ROWS},
    table::{Out, Strips},
};

/// Groups `groups` of `weights` times some strips of tokens.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn linear(w: &Packed, groups: Range<usize>, (x, strips): Strips<'_>, out: Out) {
    let blocks = x.blocks();
    let chunk = (CACHED / (strips.len() * STRIP_BLOCK * size_of::<u16>())).max(1);
    // weights that are read as they lie are read by a single strip in the order of memory
    let step = if matches!(w.kind, Kind::Codes(_)) || strips.len() > 1 { 2 } else { 1 };
    let pairs = |first: usize| groups.clone().step_by(step).map(move |start| (first, start));
    let parts = (0..blocks).step_by(chunk).flat_map(pairs).flat_map(|(first, start)| {
        let (end, last) = (blocks.min(first + chunk), groups.end.min(start + step) - 1);
        let (groups, count) = ([(w, start), (w, last)], last - start + 1);
        cut(first..end).map(move |blocks| Part { groups, count, blocks })
    });
    let mut unit = Unit::IDLE;
    each_part(parts, |part, weights, next| {
        // SAFETY: handed on from the caller.
        unsafe { meet(&mut unit, part, weights, (x, strips.clone()), out, next) };
    });
}

/// One or two groups' weights of some blocks, with strips of tokens.
///
/// # Safety
/// As for [`linear`]; the groups have so many blocks.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn meet(
    unit: &mut Unit,
    part: &Part<'_>,
    weights: [*const Weights; 2],
    (x, strips): Strips<'_>,
    out: Out,
    next: &mut Next<'_>,
) {
    let ([(w, start), _], blocks) = (part.groups, &part.blocks);
    let (end, whole) = (start + part.count, w.rows / ROWS); // groups of sixteen rows
    for first in strips.clone().step_by(2) {
        let to = |strip: usize, group: usize| out.at(strip * STRIP, group * ROWS);
        let step = Step {
            weights,
            tokens: x.strip(first).values.wrapping_add(blocks.start * STRIP_BLOCK),
            strip: x.blocks() * STRIP_BLOCK,
            blocks: blocks.len(),
            to: to(first, start),
            stride: out.stride,
            go_on: out.add || blocks.start > 0,
        };
        let ahead = Ahead {
            to: if first + 2 < strips.end { to(first + 2, start) } else { to(strips.start, end) },
            stride: out.stride,
            tokens: STRIP.div_ceil(blocks.len()),
        };
        let beside = |n: usize| {
            ahead.ask(n);
            if first + 2 >= strips.end {
                next.step();
            }
        };
        // SAFETY: handed on from the caller; strips and groups have these blocks, the output these tokens and rows.
        unsafe {
            unit.fit((x, first..strips.end));
            if part.count == 2 && end <= whole {
                unit.multiply::<2>(step, beside);
            } else {
                for (group, weights) in (start..end).zip(weights) {
                    let step = Step { weights: [weights; 2], to: to(first, group), ..step };
                    single(unit, step, ROWS.min(w.rows - group * ROWS));
                }
            }
        }
    }
}

/// Where sums go next, asked for while strips multiply, piece by piece: more at once than a core waits for would hold up
/// everything else.
#[derive(Clone, Copy)]
struct Ahead {
    to: *const f32,
    stride: usize,
    /// Tokens a piece: two pieces for each block.
    tokens: usize,
}

impl Ahead {
    #[inline(always)]
    fn ask(self, n: usize) {
        for token in n * self.tokens..(n + 1) * self.tokens {
            let lines = self.to.wrapping_add(token * self.stride);
            prefetch_write(lines.cast(), 2 * ROWS * size_of::<f32>());
        }
    }
}

/// One group, which may have less than sixteen rows, with one or two strips.
///
/// # Safety
/// As for [`Unit::multiply`], but that there are only so many rows.
unsafe fn single(unit: &Unit, mut step: Step, rows: usize) {
    let mut padded = [[0.0f32; ROWS]; 2 * STRIP];
    let out = (step.to, step.stride);
    // SAFETY: handed on from the caller; what is padded has sixteen rows of all tokens.
    unsafe {
        if rows < ROWS {
            (step.to, step.stride) = (padded.as_mut_ptr().cast(), ROWS);
            if step.go_on {
                copy(out, (step.to, ROWS), (unit.lens, rows));
            }
        }
        unit.multiply::<1>(step, |_| ());
        if rows < ROWS {
            copy((step.to, ROWS), out, (unit.lens, rows));
        }
    }
}

/// Copies some rows of the tokens of both strips; tokens lie so many values apart.
///
/// # Safety
/// They are there on both sides.
#[cold]
unsafe fn copy(from: (*mut f32, usize), to: (*mut f32, usize), (lens, rows): ([usize; 2], usize)) {
    for token in (0..lens[0]).chain(STRIP..STRIP + lens[1]) {
        // SAFETY: handed on from the caller.
        unsafe { to.0.add(token * to.1).copy_from_nonoverlapping(from.0.add(token * from.1), rows) };
    }
}
