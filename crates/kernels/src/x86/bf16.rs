//! Products of bfloat16 on the tiles of AMX: up to sixteen tokens meet sixteen rows, 32 columns at a time.
//!
//! A tile adds up all columns. What it adds, and in which order, is the same for one token as for sixteen (Intel's manual,
//! TDPBF16PS): so are the bits, however a batch is cut. Weights of bfloat16 are tiles as they lie in memory, codes are
//! [unpacked](super::unpack) part by part.

use std::{
    arch::{asm, x86_64::*},
    cell::RefCell,
    ops::Range,
};

use super::{
    amx::{LINE, Registers, TOKENS, V, dot, read, write, zero},
    unpack::{Weights, unpack},
    vector::{prefetch_ahead, prefetch_far},
};
use crate::{
    Activations, Aligned, Packed,
    activations::{STRIP, STRIP_BLOCK},
    packed::{Kind, ROWS},
    table::Out,
};

const _: () = assert!(STRIP == TOKENS);
/// Bytes of tokens that stay in the second-level cache while groups after groups meet them.
const CACHED: usize = 1280 << 10;
/// Blocks that are unpacked together: two groups of them stay in the second-level cache, too.
const PART: usize = 64;

thread_local! {
    /// Two groups' parts, unpacked.
    static UNPACKED: RefCell<Aligned<Weights>> = RefCell::default();
}

/// Registers for one or two strips of tokens, until dropped: 0 to 3 hold sums, of the first group with both strips, then of the
/// second group; 4 and 5 tokens of the strips, 6 and 7 weights of the groups.
struct Unit {
    registers: Registers,
    lens: [usize; 2],
}

/// Some groups' blocks, and the strips that meet them. A step's values are few and simple on purpose: what is stored in parts and
/// read as a whole has to wait for all sums to be written.
#[derive(Clone, Copy)]
struct Step {
    weights: [*const Weights; 2],
    /// The first strip's blocks, and where the second's are from there.
    tokens: *const u16,
    strip: usize,
    blocks: usize,
    /// Where the sums go, `[token][row]`, values from a token to the next, and whether they are added to what is there.
    to: *mut f32,
    stride: usize,
    go_on: bool,
}

/// What is asked for while strips multiply, block by block: more at once than a core waits for would hold up everything else.
#[derive(Clone, Copy)]
struct Ahead {
    /// Where sums go next, and tokens a block.
    to: *const f32,
    tokens: usize,
    /// The next groups' codes, how far these are apart, and bytes of each a block.
    codes: *const u8,
    group: usize,
    bytes: usize,
}

impl Ahead {
    #[inline(always)]
    fn ask(self, block: usize, stride: usize) {
        for token in block * self.tokens..(block + 1) * self.tokens {
            let line = self.to.wrapping_add(token * stride);
            // SAFETY: nothing is touched.
            unsafe {
                _mm_prefetch::<_MM_HINT_ET0>(line.cast());
                _mm_prefetch::<_MM_HINT_ET0>(line.wrapping_add(ROWS).cast());
            }
        }
        let codes = self.codes.wrapping_add(block * self.bytes);
        prefetch_far(codes, self.bytes);
        prefetch_far(codes.wrapping_add(self.group), self.bytes);
    }
}

impl Unit {
    /// Not ready for anything yet.
    const IDLE: Self = Self { registers: Registers::IDLE, lens: [0, 0] };

    /// Makes it ready for strips of these lengths.
    ///
    /// # Safety
    /// The machine has AMX, and nobody else uses the thread's registers. There are at most sixteen tokens in a strip.
    unsafe fn fit(&mut self, lens: [usize; 2]) {
        if self.lens != lens {
            let [first, second] = lens.map(|len| (len, if len > 0 { LINE } else { 0 }));
            let shapes = [first, second, first, second, first, second, (ROWS, LINE), (ROWS, LINE)];
            // SAFETY: handed on from the caller.
            unsafe { self.registers.configure(&shapes) };
            self.lens = lens;
        }
    }

    /// Sums of `G` groups with `S` strips over some blocks.
    ///
    /// # Safety
    /// All of that is there, the strips have the lengths that it was made ready for.
    #[inline(always)]
    unsafe fn multiply<const G: usize, const S: usize>(&self, step: Step, ahead: Ahead) {
        let Step { weights, tokens, strip, blocks, to, stride, go_on } = step;
        let apart = stride * size_of::<f32>();
        let to = |strip: usize, group: usize| to.wrapping_add(strip * STRIP * stride + group * ROWS);
        // SAFETY: handed on from the caller.
        unsafe {
            macro_rules! begin {
                ($register:literal, $to:expr) => {
                    if go_on {
                        read!($register, $to, apart);
                    } else {
                        zero!($register);
                    }
                };
            }
            begin!("tmm0", to(0, 0));
            if S == 2 {
                begin!("tmm1", to(1, 0));
            }
            if G == 2 {
                begin!("tmm2", to(0, 1));
            }
            if G == 2 && S == 2 {
                begin!("tmm3", to(1, 1));
            }
            for block in 0..blocks {
                if G == 1 && S == 1 {
                    // few tokens: the memory is waited for
                    prefetch_ahead::<V>(weights[0].add(block).cast(), size_of::<Weights>());
                }
                ahead.ask(block, stride);
                let tokens = tokens.add(block * STRIP_BLOCK);
                read!("tmm6", weights[0].add(block), LINE);
                read!("tmm4", tokens, LINE);
                dot!("tmm0", "tmm4", "tmm6");
                if S == 2 {
                    read!("tmm5", tokens.add(strip), LINE);
                    dot!("tmm1", "tmm5", "tmm6");
                }
                if G == 2 {
                    read!("tmm7", weights[1].add(block), LINE);
                    dot!("tmm2", "tmm4", "tmm7");
                }
                if G == 2 && S == 2 {
                    dot!("tmm3", "tmm5", "tmm7");
                }
            }
            write!("tmm0", to(0, 0), apart);
            if S == 2 {
                write!("tmm1", to(1, 0), apart);
            }
            if G == 2 {
                write!("tmm2", to(0, 1), apart);
            }
            if G == 2 && S == 2 {
                write!("tmm3", to(1, 1), apart);
            }
        }
    }
}

/// Groups `groups` of `weights` times all tokens.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn linear(w: &Packed, groups: Range<usize>, x: &Activations, out: Out) {
    let (blocks, strips) = (x.blocks(), x.strips());
    let chunk = (CACHED / (strips * STRIP_BLOCK * size_of::<u16>()) / PART * PART).max(PART);
    // weights that are read as they lie are read once, and by a single strip in the order of memory
    let (part, step) = match w.kind {
        Kind::Codes(_) => (PART, 2),
        _ => (chunk, if strips > 1 { 2 } else { 1 }),
    };
    let mut unpacked = UNPACKED.take();
    unpacked.resize(2 * PART, Weights::EMPTY);
    let mut unit = Unit::IDLE;
    for first in (0..blocks).step_by(chunk) {
        for start in groups.clone().step_by(step) {
            let pair = start..groups.end.min(start + step);
            for first in (first..blocks.min(first + chunk)).step_by(part) {
                let range = first..blocks.min(first + part);
                let of = |n: usize, to: &mut [Weights]| {
                    let group = w.group(pair.start + n);
                    match w.kind {
                        Kind::Codes(layout) => {
                            let bytes = layout.block_bytes();
                            unpack(layout, &group[range.start * bytes..range.end * bytes], to);
                            to.as_ptr()
                        }
                        _ => group.as_ptr().cast::<Weights>().wrapping_add(range.start),
                    }
                };
                let (one, two) = unpacked.split_at_mut(PART);
                let one = of(0, one);
                let weights = [one, if pair.len() == 2 { of(1, two) } else { one }];
                // SAFETY: handed on from the caller.
                unsafe { meet(&mut unit, (w, &pair), weights, (x, &range), out) };
            }
        }
    }
    UNPACKED.set(unpacked);
}

/// One or two groups' weights of some blocks, with all tokens.
///
/// # Safety
/// As for [`linear`]; the groups have so many blocks.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn meet(
    unit: &mut Unit,
    (w, pair): (&Packed, &Range<usize>),
    weights: [*const Weights; 2],
    (x, blocks): (&Activations, &Range<usize>),
    out: Out,
) {
    // what the next groups' same blocks take, for each block of each pair of strips
    let (block, bytes) = match w.kind {
        Kind::Codes(layout) => (layout.block_bytes(), layout.block_bytes().div_ceil(x.strips().div_ceil(2))),
        _ => (0, 0),
    };
    let group = w.kind.group_bytes(w.cols);
    let codes = w.bytes.as_ptr().wrapping_add(pair.end * group + blocks.start * block);
    let (whole, strips) = (w.rows / ROWS, x.strips()); // groups of sixteen rows
    for first in (0..strips).step_by(2) {
        let both = first + 1 < strips;
        let to =
            |strip: usize, group: usize| out.base.wrapping_add(strip * STRIP * out.stride + group * ROWS);
        let step = Step {
            weights,
            tokens: x.strip(first).values.wrapping_add(blocks.start * STRIP_BLOCK),
            strip: x.blocks() * STRIP_BLOCK,
            blocks: blocks.len(),
            to: to(first, pair.start),
            stride: out.stride,
            go_on: out.add || blocks.start > 0,
        };
        let ahead = Ahead {
            to: if first + 2 < strips { to(first + 2, pair.start) } else { to(0, pair.end) },
            tokens: (2 * STRIP).div_ceil(blocks.len()),
            codes: codes.wrapping_add(first / 2 * blocks.len() * bytes),
            group,
            bytes,
        };
        // SAFETY: handed on from the caller; strips and groups have these blocks, the output these tokens and rows.
        unsafe {
            unit.fit([x.strip(first).len, if both { x.strip(first + 1).len } else { 0 }]);
            if pair.len() == 2 && pair.end <= whole {
                if both {
                    unit.multiply::<2, 2>(step, ahead);
                } else {
                    unit.multiply::<2, 1>(step, ahead);
                }
            } else {
                for (n, group) in pair.clone().enumerate() {
                    let step = Step { weights: [weights[n]; 2], to: to(first, group), ..step };
                    single(unit, step, ahead, ROWS.min(w.rows - group * ROWS));
                }
            }
        }
    }
}

/// One group, which may have less than sixteen rows, with one or two strips.
///
/// # Safety
/// As for [`Unit::multiply`], but that there are only so many rows.
unsafe fn single(unit: &Unit, mut step: Step, ahead: Ahead, rows: usize) {
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
        if unit.lens[1] > 0 {
            unit.multiply::<1, 2>(step, ahead);
        } else {
            unit.multiply::<1, 1>(step, ahead);
        }
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
