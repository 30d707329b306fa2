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
    amx::{LINE, TOKENS, V, configure, dot, read, write, zero},
    unpack::{Weights, unpack},
    vector::{prefetch_ahead, prefetch_far},
};
use crate::{
    Activations, Aligned, BLOCK, Packed,
    activations::{Place, STRIP, STRIP_BLOCK},
    packed::{Kind, ROWS},
    table::Out,
};

const _: () = assert!(STRIP == TOKENS);
/// Bytes of tokens that stay in the second-level cache while groups after groups meet them.
const CACHED: usize = 1280 << 10;
/// Blocks that are unpacked together: two groups of them stay in the first-level cache while they meet all tokens.
const PART: usize = 32;

thread_local! {
    /// Two groups' parts, unpacked.
    static UNPACKED: RefCell<Aligned<Weights>> = RefCell::default();
}

/// Registers for one or two strips of tokens, until dropped: 0 to 3 hold sums, of the first group with both strips, then of the
/// second group; 4 and 5 tokens of the strips, 6 and 7 weights of the groups.
struct Unit {
    lens: [usize; 2],
}

/// Where the sums of strips with a group lie, `[token][row]`, lines some bytes apart; the next group's lie beside them.
#[derive(Clone, Copy)]
struct Lines {
    strips: [*mut f32; 2],
    apart: usize,
}

/// What is asked for while strips multiply, block by block: more at once than a core waits for would hold up everything else.
struct Ahead {
    /// The lines that sums go to next: those of the first token, how far tokens lie apart, and tokens a block.
    to: *const f32,
    stride: usize,
    tokens: usize,
    /// The next groups' codes, and bytes of each a block.
    codes: [*const u8; 2],
    bytes: usize,
}

impl Ahead {
    #[inline(always)]
    fn ask(&self, block: usize) {
        for token in block * self.tokens..(block + 1) * self.tokens {
            let line = self.to.wrapping_add(token * self.stride);
            // SAFETY: nothing is touched.
            unsafe {
                _mm_prefetch::<_MM_HINT_ET0>(line.cast());
                _mm_prefetch::<_MM_HINT_ET0>(line.wrapping_add(ROWS).cast());
            }
        }
        for codes in self.codes {
            prefetch_far(codes.wrapping_add(block * self.bytes), self.bytes);
        }
    }
}

impl Unit {
    /// Not ready for anything yet.
    const IDLE: Self = Self { lens: [0, 0] };

    /// Makes it ready for strips of these lengths.
    ///
    /// # Safety
    /// The machine has AMX, and nobody else uses the thread's registers. There are at most sixteen tokens in a strip.
    unsafe fn fit(&mut self, lens: [usize; 2]) {
        if self.lens != lens {
            let [first, second] = lens.map(|len| (len, if len > 0 { LINE } else { 0 }));
            // SAFETY: handed on from the caller; one configuration takes the place of the other.
            unsafe { configure(&[first, second, first, second, first, second, (ROWS, LINE), (ROWS, LINE)]) };
            self.lens = lens;
        }
    }

    /// Sums of `G` groups with `S` strips over some blocks, added to what lies at `to` where it is to `go_on`.
    ///
    /// # Safety
    /// The groups and strips have so many blocks, the strips the lengths that it was made ready for.
    #[inline(always)]
    unsafe fn multiply<const G: usize, const S: usize>(
        &self,
        weights: [*const Weights; 2],
        tokens: [*const u16; 2],
        blocks: usize,
        (to, go_on): (Lines, bool),
        ahead: &Ahead,
    ) {
        // SAFETY: handed on from the caller.
        unsafe {
            let apart = to.apart;
            let to = |strip: usize, group: usize| to.strips[strip].wrapping_add(group * ROWS);
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
                ahead.ask(block);
                read!("tmm6", weights[0].add(block), LINE);
                read!("tmm4", tokens[0].add(block * STRIP_BLOCK), LINE);
                dot!("tmm0", "tmm4", "tmm6");
                if S == 2 {
                    read!("tmm5", tokens[1].add(block * STRIP_BLOCK), LINE);
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

impl Drop for Unit {
    fn drop(&mut self) {
        // SAFETY: nobody else uses the registers.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
    }
}

/// A row of activations, rounded to bfloat16.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn round(values: &[f32], place: &Place) {
    let blocks = values.as_chunks::<BLOCK>();
    // SAFETY: 32 floats become 32 halves of them; the place is the caller's.
    unsafe {
        let one = |n: usize, block: *const f32| {
            let low = _mm512_loadu_ps(block);
            let high = _mm512_loadu_ps(block.add(BLOCK / 2));
            let halves: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(place.bf16(n).cast(), halves);
        };
        for (n, block) in blocks.0.iter().enumerate() {
            one(n, block.as_ptr());
        }
        if !blocks.1.is_empty() {
            let mut padded = [0.0; BLOCK];
            padded[..blocks.1.len()].copy_from_slice(blocks.1);
            one(blocks.0.len(), padded.as_ptr());
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
    let go_on = out.add || blocks.start > 0;
    // what the next groups' same blocks take, for each block of each pair of strips
    let (block, bytes) = match w.kind {
        Kind::Codes(layout) => (layout.block_bytes(), layout.block_bytes().div_ceil(x.strips().div_ceil(2))),
        _ => (0, 0),
    };
    let codes = [pair.end, pair.end + 1].map(|group| {
        let at = group * w.kind.group_bytes(w.cols) + blocks.start * block;
        w.bytes.as_ptr().wrapping_add(at)
    });
    let apart = out.stride * size_of::<f32>();
    let (whole, strips) = (w.rows / ROWS, x.strips()); // groups of sixteen rows
    for first in (0..strips).step_by(2) {
        let two = [first, strips.min(first + 2) - 1].map(|n| x.strip(n));
        let second = if first + 1 < strips { two[1].len } else { 0 };
        let tokens = two.map(|strip| strip.values.wrapping_add(blocks.start * STRIP_BLOCK));
        let to = |group: usize| {
            let to = out.base.wrapping_add(group * ROWS);
            Lines { strips: two.map(|strip| to.wrapping_add(strip.first * out.stride)), apart }
        };
        let (strip, group) = if first + 2 < strips { (first + 2, pair.start) } else { (0, pair.end) };
        let ahead = Ahead {
            to: out.base.wrapping_add(strip * STRIP * out.stride + group * ROWS),
            stride: out.stride,
            tokens: (2 * STRIP).div_ceil(blocks.len()),
            codes: codes.map(|codes| codes.wrapping_add(first / 2 * blocks.len() * bytes)),
            bytes,
        };
        // SAFETY: handed on from the caller; strips and groups have these blocks, the output these tokens and rows.
        unsafe {
            unit.fit([two[0].len, second]);
            if pair.len() == 2 && pair.end <= whole {
                let to = (to(pair.start), go_on);
                if second > 0 {
                    unit.multiply::<2, 2>(weights, tokens, blocks.len(), to, &ahead);
                } else {
                    unit.multiply::<2, 1>(weights, tokens, blocks.len(), to, &ahead);
                }
            } else {
                for (group, weights) in pair.clone().zip(weights) {
                    let rows = ROWS.min(w.rows - group * ROWS);
                    single(unit, weights, tokens, blocks.len(), (to(group), go_on, rows), &ahead);
                }
            }
        }
    }
}

/// One group, which may have less than sixteen rows, with one or two strips.
///
/// # Safety
/// As for [`Unit::multiply`], but that there are only so many rows.
unsafe fn single(
    unit: &Unit,
    weights: *const Weights,
    tokens: [*const u16; 2],
    blocks: usize,
    (out, go_on, rows): (Lines, bool, usize),
    ahead: &Ahead,
) {
    let mut padded = [[[0.0f32; ROWS]; TOKENS]; 2];
    let mut to = out;
    if rows < ROWS {
        to = Lines { strips: padded.each_mut().map(|lines| lines.as_mut_ptr().cast()), apart: LINE };
    }
    // SAFETY: handed on from the caller; what is padded has sixteen rows of sixteen tokens.
    unsafe {
        if rows < ROWS && go_on {
            copy(out, to, (unit.lens, rows));
        }
        if unit.lens[1] > 0 {
            unit.multiply::<1, 2>([weights; 2], tokens, blocks, (to, go_on), ahead);
        } else {
            unit.multiply::<1, 1>([weights; 2], tokens, blocks, (to, go_on), ahead);
        }
        if rows < ROWS {
            copy(to, out, (unit.lens, rows));
        }
    }
}

/// Copies some rows of some tokens of both strips.
///
/// # Safety
/// They are there on both sides.
#[cold]
unsafe fn copy(from: Lines, to: Lines, (lens, rows): ([usize; 2], usize)) {
    for ((from_strip, to_strip), len) in from.strips.iter().zip(to.strips).zip(lens) {
        for token in 0..len {
            // SAFETY: handed on from the caller.
            unsafe {
                let from = from_strip.byte_add(token * from.apart);
                to_strip.byte_add(token * to.apart).copy_from_nonoverlapping(from, rows);
            }
        }
    }
}
