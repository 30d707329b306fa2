//! `silu(gate · x) · (up · x)` as bfloat16: both products of the same sixteen rows leave the tiles together, and vectors make
//! of them what the next product takes while tiles multiply those of the next tokens.

use std::{arch::x86_64::*, ops::Range};

use super::{
    bf16_rows::silu_times,
    bf16_unit::{CACHED, Step, Unit},
    bf16_weights::Weights,
    unpack::{Part, Unpacking, each_part},
    vector::prefetch_write,
};
use crate::{
    Activations, BLOCK, Packed,
    activations::{STRIP, STRIP_BLOCK},
    packed::ROWS,
    places::Places,
    table::Strips,
};

/// Sums of two strips with a group of each matrix: gate and up of a token side by side.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Sums([[f32; 2 * ROWS]; 2 * STRIP]);

/// Sums that are to become activations.
#[derive(Clone, Copy)]
struct Pending {
    /// Of how many tokens.
    tokens: usize,
    /// Where the rows of the first strip's first token go, and those of the second strip's from there.
    to: *mut u16,
    strip: usize,
}

impl Pending {
    const NONE: Self = Self { tokens: 0, to: std::ptr::null_mut(), strip: 0 };

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
    unsafe fn finish(self, sums: &Sums, tokens: Range<usize>) {
        for n in tokens.start..tokens.end.min(self.tokens) {
            let from = sums.0[n].as_ptr();
            // SAFETY: sixteen values of each; handed on from the caller.
            unsafe {
                let gated = silu_times(_mm512_load_ps(from), _mm512_load_ps(from.add(ROWS)));
                let halves: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(gated));
                _mm256_store_si256(self.token(n).cast(), halves);
            }
        }
    }

    /// Asks for the lines that some of its tokens are written to.
    #[inline(always)]
    fn ask(self, tokens: Range<usize>) {
        for n in tokens {
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
    // all columns at once: what is summed up meets nothing but the other sum
    let round = (CACHED / (x.blocks() * STRIP_BLOCK * size_of::<u16>())).max(2) / 2 * 2;
    let mut unit = Unit::IDLE;
    let mut sums = [const { Sums([[0.0; 2 * ROWS]; 2 * STRIP]) }; 2];
    for first in strips.clone().step_by(round) {
        let strips = first..strips.end.min(first + round);
        let parts = groups.clone().map(|group| Part {
            groups: [(gate, group), (up, group)],
            count: 2,
            blocks: 0..x.blocks(),
        });
        each_part(parts, strips.len(), |part, weights, next| {
            let meet = Meet { weights, group: part.groups[0].1, x, to };
            // SAFETY: handed on from the caller.
            unsafe { meet.strips(strips.clone(), &mut unit, &mut sums, next) };
        });
    }
}

/// A group of both matrices, which meets tokens.
struct Meet<'a> {
    weights: [*const Weights; 2],
    group: usize,
    x: &'a Activations,
    to: &'a Places,
}

impl Meet<'_> {
    /// Some of the strips.
    ///
    /// # Safety
    /// As for [`gated`].
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn strips(
        &self,
        strips: Range<usize>,
        unit: &mut Unit,
        sums: &mut [Sums; 2],
        next: &mut Unpacking<'_>,
    ) {
        let Self { weights, group, x, to } = self;
        let blocks = x.blocks();
        let a_block = (2 * STRIP).div_ceil(blocks);
        let [mut now, mut before] = sums.each_mut();
        let mut pending = Pending::NONE;
        for first in strips.clone().step_by(2) {
            // SAFETY: handed on from the caller: there is room for so many blocks of all tokens.
            let ours = unsafe {
                unit.fit((x, first..strips.end));
                Pending {
                    tokens: unit.lens.iter().sum(),
                    to: to.bf16(first * STRIP, group / 2).add(group % 2 * ROWS),
                    strip: to.strip_len(),
                }
            };
            let step = Step {
                weights: *weights,
                tokens: x.strip(first).values,
                strip: blocks * STRIP_BLOCK,
                blocks,
                to: now.0.as_mut_ptr().cast(),
                stride: 2 * ROWS,
                go_on: false,
            };
            let beside = |block: usize| {
                let tokens = block * a_block..(block + 1) * a_block;
                ours.ask(tokens.clone());
                // SAFETY: handed on from the caller.
                unsafe { pending.finish(before, tokens) };
                next.step();
            };
            // SAFETY: handed on from the caller; strips and groups have these blocks, and the sums room.
            unsafe { unit.multiply::<2>(step, beside) };
            pending = ours;
            std::mem::swap(&mut now, &mut before);
        }
        // SAFETY: handed on from the caller.
        unsafe { pending.finish(before, 0..2 * STRIP) };
    }
}
