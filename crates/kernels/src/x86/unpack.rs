//! Codes become bfloat16 part by part: vectors do that for one part of the weights while tiles multiply the part before.

use std::{cell::RefCell, ops::Range};

use super::{
    bf16_weights::{Factors, UNITS, Weights},
    pace::Pace,
    vector::prefetch,
};
use crate::{
    Aligned, Packed,
    packed::{Kind, Layout},
};

/// How far ahead of its use a block is asked for, in bytes.
const AHEAD: usize = 1024;

/// Some blocks of one or two groups, which all tokens meet at once.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    /// A matrix and one of its groups, twice the same where there is only one.
    pub(super) groups: [(&'a Packed, usize); 2],
    /// How many of the two there are.
    pub(super) count: usize,
    pub(super) blocks: Range<usize>,
}

impl<'a> Part<'a> {
    /// A group's blocks, where they are codes.
    fn codes(&self, n: usize) -> Option<Codes<'a>> {
        let (weights, group) = self.groups[n];
        let Kind::Codes(layout) = weights.kind else { return None };
        let bytes = layout.block_bytes();
        let blocks = &weights.group(group)[self.blocks.start * bytes..self.blocks.end * bytes];
        Some(Codes { layout, bytes, blocks })
    }
}

/// Blocks of a group as codes.
#[derive(Clone, Copy)]
struct Codes<'a> {
    layout: Layout,
    /// Bytes of a block.
    bytes: usize,
    blocks: &'a [u8],
}

thread_local! {
    /// The part that is multiplied, and the one that is unpacked.
    static UNPACKED: RefCell<[Aligned<Weights>; 2]> = RefCell::default();
}

/// Calls `meet(part, weights, next)` for each of the parts, with their weights as tiles; `next` is stepped meanwhile, for each block of
/// each of so many strips, two of which meet it at a time.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn each_part<'a>(
    parts: impl Iterator<Item = Part<'a>>,
    strips: usize,
    mut meet: impl FnMut(&Part<'a>, [*const Weights; 2], &mut Unpacking<'_>),
) {
    let [mut ready, mut coming] = UNPACKED.take();
    let mut parts = parts.peekable();
    Unpacking::new(parts.peek(), &mut ready, 1).finish();
    while let Some(part) = parts.next() {
        let weights = [0, 1].map(|n| match part.groups[n] {
            _ if part.codes(n).is_some() => ready[n % part.count * part.blocks.len()..].as_ptr(),
            (weights, group) => {
                weights.group(group).as_ptr().cast::<Weights>().wrapping_add(part.blocks.start)
            }
        });
        let steps = strips.div_ceil(2) * part.blocks.len();
        let mut next = Unpacking::new(parts.peek(), &mut coming, steps);
        meet(&part, weights, &mut next);
        next.finish();
        std::mem::swap(&mut ready, &mut coming);
    }
    UNPACKED.set([ready, coming]);
}

/// A part on its way.
pub(super) struct Unpacking<'a> {
    /// Its groups, where they are codes, and how many blocks each has.
    groups: [Option<Codes<'a>>; 2],
    blocks: usize,
    to: &'a mut [Weights],
    units: Pace,
    /// The block at hand.
    block: &'a [u8],
    nibbles: bool,
    factors: Factors,
}

impl<'a> Unpacking<'a> {
    #[target_feature(enable = "avx512f")]
    fn new(part: Option<&Part<'a>>, to: &'a mut Aligned<Weights>, steps: usize) -> Self {
        let groups = [0, 1].map(|n| part.filter(|part| n < part.count).and_then(|part| part.codes(n)));
        let blocks = part.map_or(0, |part| part.blocks.len());
        let count = groups.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let room = (count * blocks).max(to.len());
        to.resize(room, Weights::EMPTY);
        let units = Pace::new(count * blocks * UNITS, steps);
        Self { groups, blocks, to, units, block: &[], nibbles: false, factors: Factors::none() }
    }

    /// A step of it.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) fn step(&mut self) {
        self.units.step().for_each(|unit| self.one(unit));
    }

    /// What is left of it.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    fn finish(&mut self) {
        self.units.rest().for_each(|unit| self.one(unit));
    }

    /// One unit.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    fn one(&mut self, n: usize) {
        let (block, unit) = (n / UNITS, n % UNITS);
        if unit == 0 {
            self.begin(block);
        }
        if self.block.is_empty() {
            // a group that is no codes
        } else if self.nibbles {
            self.factors.nibbles(unit, self.block, &mut self.to[block]);
        } else {
            self.factors.bytes(unit, self.block, &mut self.to[block]);
        }
    }

    #[inline(never)]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    fn begin(&mut self, block: usize) {
        let (group, block) = if block < self.blocks { (0, block) } else { (1, block - self.blocks) };
        let Some(codes) = &self.groups[group] else {
            self.block = &[];
            return;
        };
        self.block = &codes.blocks[block * codes.bytes..][..codes.bytes];
        self.nibbles = codes.layout.nibbles;
        prefetch(self.block.as_ptr().wrapping_add(AHEAD), codes.bytes);
        self.factors.set(codes.layout, self.block);
    }
}
