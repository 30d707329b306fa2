//! Codes become bfloat16 part by part, in the first-level cache: a part lies there while all strips meet it, and as the last of
//! them pass, each block makes room for one of the next part.

use std::{cell::RefCell, ops::Range};

use super::{bf16_weights::Weights, panel::Place, vector::prefetch_far};
use crate::{
    Aligned, BLOCK, Packed,
    packed::{Kind, Layout},
};

/// Blocks of a part at most: two groups of them leave a quarter of the first-level cache to tokens and sums.
const PART: usize = 18;
/// How far ahead of its use a block is asked for, in bytes.
const AHEAD: usize = 2048;

/// Some blocks of one or two groups, which all tokens meet at once.
#[derive(Clone, Debug)]
pub(super) struct Part<'a> {
    /// A matrix and one of its groups, twice the same where there is only one.
    pub(super) groups: [(&'a Packed, usize); 2],
    /// How many of the two there are.
    pub(super) count: usize,
    pub(super) blocks: Range<usize>,
}

/// Cuts blocks into parts of about the same length.
pub(super) fn cut(blocks: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let (start, len) = (blocks.start, blocks.len());
    let parts = len.div_ceil(PART);
    (0..parts).map(move |n| start + len * n / parts..start + len * (n + 1) / parts)
}

/// Blocks of a group as codes.
#[derive(Clone, Copy)]
struct Codes<'a> {
    layout: Layout,
    group: &'a [u8],
    /// The first of them, and how many the group has.
    first: usize,
    all: usize,
}

impl<'a> Part<'a> {
    /// A group's blocks, where they are codes.
    fn codes(&self, n: usize) -> Option<Codes<'a>> {
        let (weights, group) = self.groups[n];
        let Kind::Codes(layout) = weights.kind else { return None };
        let all = weights.cols.div_ceil(BLOCK);
        assert!(self.blocks.end <= all, "blocks of the group");
        Some(Codes { layout, group: weights.group(group), first: self.blocks.start, all })
    }
}

thread_local! {
    /// The blocks of two groups.
    static UNPACKED: RefCell<Aligned<Weights>> = RefCell::default();
}

/// Calls `meet(part, weights, next)` for each of the parts, which are no longer than [`cut`] makes them, with their weights as tiles;
/// [`next`](Next::step) may be stepped as soon as the first block is met no more.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn each_part<'a>(
    parts: impl Iterator<Item = Part<'a>>,
    mut meet: impl FnMut(&Part<'a>, [*const Weights; 2], &mut Next<'_>),
) {
    let mut room = UNPACKED.take();
    let to = room.room(2 * PART).as_mut_ptr();
    let to = [to, to.wrapping_add(PART)];
    let mut parts = parts.peekable();
    Next::new(parts.peek(), to).finish();
    while let Some(part) = parts.next() {
        assert!(part.blocks.len() <= PART);
        let weights = [0, 1].map(|n| match part.groups[n] {
            _ if part.codes(n).is_some() => to[n % part.count].cast_const(),
            (weights, group) => {
                weights.group(group).as_ptr().cast::<Weights>().wrapping_add(part.blocks.start)
            }
        });
        let mut next = Next::new(parts.peek(), to);
        meet(&part, weights, &mut next);
        next.finish();
    }
    UNPACKED.set(room);
}

/// The part that comes next, whose blocks take the places of those before.
pub(super) struct Next<'a> {
    /// Its groups, where they are codes, and their places.
    groups: [Option<Codes<'a>>; 2],
    to: [*mut Weights; 2],
    /// Steps that are done, of how many: one for each block of the first and of the second group in turn.
    done: usize,
    steps: usize,
}

impl<'a> Next<'a> {
    fn new(part: Option<&Part<'a>>, to: [*mut Weights; 2]) -> Self {
        let groups = [0, 1].map(|n| part.filter(|part| n < part.count).and_then(|part| part.codes(n)));
        Self { groups, to, done: 0, steps: part.map_or(0, |part| 2 * part.blocks.len()) }
    }

    /// The next block of a group takes the place of one that is met no more.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) fn step(&mut self) {
        if self.done == self.steps {
            return;
        }
        let (block, group) = (self.done / 2, self.done % 2);
        self.done += 1;
        if let Some(codes) = &self.groups[group] {
            let layout = codes.layout;
            let place = Place::of(layout, codes.group, codes.first + block, codes.all);
            prefetch_far(place.block.wrapping_add(AHEAD), layout.block_bytes());
            // SAFETY: there is room for so many blocks, and who steps meets the one that was there no more; the group has the block.
            unsafe { (*self.to[group].add(block)).unpack(layout, place) };
        }
    }

    /// All blocks that are left.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    fn finish(&mut self) {
        while self.done < self.steps {
            self.step();
        }
    }
}
