//! `silu(gate · x) · (up · x)` as bfloat16: both products of the same sixteen rows leave the tiles together, and vectors make
//! of them what the next product takes while tiles multiply those of the next tokens.

use std::{arch::x86_64::*, cell::RefCell, ops::Range};

use super::{
    bf16_rows::silu_times,
    bf16_unit::{CACHED, Step, Unit},
    bf16_weights::Weights,
    unpack::{Next, Part, cut, each_part},
    vector::prefetch_write,
};
use crate::{
    Activations, Aligned, BLOCK, Packed,
    activations::{STRIP, STRIP_BLOCK},
    packed::ROWS,
    places::Places,
    table::Strips,
};

/// Sums of two strips with a group of each matrix: gate and up of a token side by side.
#[repr(C, align(64))]
#[derive(Clone, Copy, Default)]
struct Sums([[f32; 2 * ROWS]; 2 * STRIP]);

thread_local! {
    /// Of some pairs of strips.
    static SUMS: RefCell<Aligned<Sums>> = RefCell::default();
}

/// Sums that are to become activations.
#[derive(Clone, Copy)]
struct Pending {
    /// Of how many tokens.
    tokens: usize,
    /// They are read before the next product is written to the same place.
    sums: *const Sums,
    /// Where the rows of the first strip's first token go, and those of the second strip's from there.
    to: *mut u16,
    strip: usize,
}

impl Pending {
    const NONE: Self = Self { tokens: 0, sums: std::ptr::null(), to: std::ptr::null_mut(), strip: 0 };

    /// Where the rows of a token go.
    fn token(self, n: usize) -> *mut u16 {
        self.to.wrapping_add(n / STRIP * self.strip + n % STRIP * BLOCK)
    }

    /// Makes activations of the sums of some of its tokens.
    ///
    /// # Safety
    /// The machine has AMX, and there is room for what it says.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn finish(self, tokens: Range<usize>) {
        for n in tokens.start..tokens.end.min(self.tokens) {
            // SAFETY: sixteen values of each; handed on from the caller.
            unsafe {
                let from = (&raw const (*self.sums).0[n]).cast::<f32>();
                let gated = silu_times(_mm512_load_ps(from), _mm512_load_ps(from.add(ROWS)));
                let halves: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(gated));
                _mm256_store_si256(self.token(n).cast(), halves);
            }
        }
    }

    /// Asks for the lines that some of its tokens are written to.
    #[inline(always)]
    fn ask(self, tokens: Range<usize>) {
        for n in tokens.start..tokens.end.min(self.tokens) {
            prefetch_write(self.token(n).cast(), 1);
        }
    }
}

/// Blocks `blocks` of `to` for some strips of tokens, from groups of `gate` and `up`.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn gated(
    [gate, up]: [&Packed; 2],
    blocks: Range<usize>,
    (x, strips): Strips<'_>,
    to: &Places,
) {
    let groups = 2 * blocks.start..gate.groups().min(2 * blocks.end);
    let round = (CACHED / (x.blocks() * STRIP_BLOCK * size_of::<u16>())).max(2) / 2 * 2;
    let places = if cut(0..x.blocks()).count() > 1 { round.min(strips.len()).div_ceil(2) } else { 1 };
    SUMS.with_borrow_mut(|sums| {
        let sums = sums.room(places).as_mut_ptr();
        let mut meet = Meet { unit: Unit::IDLE, x, to, sums, places, pending: Pending::NONE };
        for first in strips.clone().step_by(round) {
            let strips = first..strips.end.min(first + round);
            let parts = groups.clone().flat_map(|group| {
                cut(0..x.blocks()).map(move |blocks| Part {
                    groups: [(gate, group), (up, group)],
                    count: 2,
                    blocks,
                })
            });
            each_part(parts, |part, weights, next| {
                // SAFETY: handed on from the caller.
                unsafe { meet.strips(part, weights, strips.clone(), next) };
            });
        }
        // SAFETY: handed on from the caller.
        unsafe { meet.pending.finish(0..2 * STRIP) };
    });
}

/// Groups of both matrices, which meet tokens.
struct Meet<'a> {
    unit: Unit,
    x: &'a Activations,
    to: &'a Places,
    /// Those of the first pair of strips, and of how many pairs there are any: of one where all columns are summed up at once.
    sums: *mut Sums,
    places: usize,
    /// What is gated next.
    pending: Pending,
}

impl Meet<'_> {
    /// A part of them, with some of the strips.
    ///
    /// # Safety
    /// As for [`gated`].
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn strips(
        &mut self,
        part: &Part<'_>,
        weights: [*const Weights; 2],
        strips: Range<usize>,
        next: &mut Next<'_>,
    ) {
        let Self { unit, x, to, pending, .. } = self;
        let (blocks, group) = (&part.blocks, part.groups[0].1);
        let (a_step, is_last) = (STRIP.div_ceil(blocks.len()), blocks.end == x.blocks());
        for (n, first) in strips.clone().step_by(2).enumerate() {
            let sums = self.sums.wrapping_add(n % self.places);
            // SAFETY: handed on from the caller: there is room for so many blocks of all tokens.
            let ours = unsafe {
                unit.fit((x, first..strips.end));
                Pending {
                    tokens: if is_last { unit.lens.iter().sum() } else { 0 },
                    sums,
                    to: to.bf16(first * STRIP, group / 2).add(group % 2 * ROWS),
                    strip: to.strip_len(),
                }
            };
            let step = Step {
                weights,
                tokens: x.strip(first).values.wrapping_add(blocks.start * STRIP_BLOCK),
                strip: x.blocks() * STRIP_BLOCK,
                blocks: blocks.len(),
                to: sums.cast(),
                stride: 2 * ROWS,
                go_on: blocks.start > 0,
            };
            let beside = |n: usize| {
                let tokens = n * a_step..(n + 1) * a_step;
                ours.ask(tokens.clone());
                // SAFETY: handed on from the caller.
                unsafe { pending.finish(tokens) };
                if first + 2 >= strips.end {
                    next.step();
                }
            };
            // SAFETY: handed on from the caller; strips and groups have these blocks, and the sums room.
            unsafe { unit.multiply::<2>(step, beside) };
            *pending = ours;
        }
    }
}
