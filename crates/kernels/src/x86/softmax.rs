//! Scores of queries become weights while tiles multiply.

use std::{arch::x86_64::*, ops::Range};

use super::{
    bf16_rows::{lanes, power},
    vector::LANES,
};
use crate::{BLOCK, attention::Partial, kv::SEGMENT};

/// A tile's scores on their way to weights, 2^(scale · log₂e · (score − largest)): query by query, in so many steps.
pub(super) struct Weighing<'a> {
    /// `[MOST][SEGMENT]`
    pub(super) scores: &'a [f32],
    /// The same; in a block of positions, n and n + 16 are neighbours, as [`pairs`](super::bf16_weights::pairs) makes them.
    pub(super) weights: &'a mut [u16],
    /// Whole blocks of positions that any of the queries sees, and those that each of them sees.
    pub(super) range: Range<usize>,
    pub(super) seen: &'a [(usize, usize)],
    pub(super) scale: f32,
    pub(super) sum: &'a mut Partial,
    /// Whether the sum's values are there, or left over.
    pub(super) fresh: bool,
    pub(super) done: usize,
    pub(super) steps: usize,
    pub(super) due: usize,
}

impl Weighing<'_> {
    /// A step of it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn step(&mut self) {
        self.due += self.seen.len();
        while self.due >= self.steps && self.done < self.seen.len() {
            self.due -= self.steps;
            self.one();
        }
    }

    /// What is left of it.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn finish(&mut self) {
        while self.done < self.seen.len() {
            self.one();
        }
    }

    /// One query.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn one(&mut self) {
        let n = self.done;
        self.done += 1;
        let before = self.sum.largest[n];
        let largest = self.highest(n).max(before);
        let total = self.weigh(n, largest);
        let factor = if before == largest {
            1.0
        } else {
            _mm512_cvtss_f32(power(_mm512_set1_ps((before - largest).max(-1e3)))) // before may be -∞
        };
        self.sum.total[n] = self.sum.total[n] * factor + total;
        self.sum.largest[n] = largest;
        if !self.fresh && factor != 1.0 {
            self.sum.scale(n, factor);
        }
    }

    /// The largest exponent of a query; -∞ where it sees nothing.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn highest(&self, n: usize) -> f32 {
        let (scores, seen) = (&self.scores[n * SEGMENT..][..SEGMENT], self.seen[n]);
        let mut highest = [_mm512_set1_ps(f32::NEG_INFINITY); 2];
        for start in self.range.clone().step_by(BLOCK) {
            for (half, highest) in highest.iter_mut().enumerate() {
                let at = start + half * LANES;
                // SAFETY: sixteen scores.
                let score = unsafe { _mm512_load_ps(scores[at..at + LANES].as_ptr()) };
                *highest = if is_whole(start, seen) {
                    _mm512_max_ps(*highest, score)
                } else {
                    _mm512_mask_max_ps(*highest, lanes(at, seen), *highest, score)
                };
            }
        }
        let scale = _mm512_set1_ps(self.scale * std::f32::consts::LOG2_E);
        _mm512_reduce_max_ps(_mm512_mul_ps(_mm512_max_ps(highest[0], highest[1]), scale))
    }

    /// The weights of a query; gives their sum.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn weigh(&mut self, n: usize, largest: f32) -> f32 {
        let (scores, seen) = (&self.scores[n * SEGMENT..][..SEGMENT], self.seen[n]);
        let weights = &mut self.weights[n * SEGMENT..][..SEGMENT];
        let scale = _mm512_set1_ps(self.scale * std::f32::consts::LOG2_E);
        let largest = _mm512_set1_ps(if largest == f32::NEG_INFINITY { 0.0 } else { largest });
        let mask = _mm512_set1_epi32(0xffff_0000u32.cast_signed());
        let mut totals = [_mm512_setzero_ps(); 2];
        for start in self.range.clone().step_by(BLOCK) {
            let mut halves = [_mm512_setzero_si512(); 2];
            for (half, (to, total)) in halves.iter_mut().zip(&mut totals).enumerate() {
                let at = start + half * LANES;
                // SAFETY: sixteen scores.
                let score = unsafe { _mm512_load_ps(scores[at..at + LANES].as_ptr()) };
                let weight = power(_mm512_fmsub_ps(score, scale, largest));
                let rounded = _mm512_add_epi32(_mm512_castps_si512(weight), _mm512_set1_epi32(0x8000));
                *to = _mm512_and_si512(rounded, mask);
                if !is_whole(start, seen) {
                    *to = _mm512_maskz_mov_epi32(lanes(at, seen), *to);
                }
                *total = _mm512_add_ps(*total, _mm512_castsi512_ps(*to));
            }
            let both = _mm512_or_si512(_mm512_srli_epi32::<16>(halves[0]), halves[1]);
            // SAFETY: a block of weights.
            unsafe { _mm512_store_si512(weights[start..start + BLOCK].as_mut_ptr().cast(), both) };
        }
        _mm512_reduce_add_ps(_mm512_add_ps(totals[0], totals[1]))
    }
}

/// Whether a query sees all of a block.
fn is_whole(start: usize, seen: (usize, usize)) -> bool {
    start >= seen.0 && start + BLOCK <= seen.1
}
