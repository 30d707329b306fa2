//! Scores of queries become weights while tiles multiply.

use std::{arch::x86_64::*, ops::Range};

use super::{
    bf16_rows::{lanes, power},
    pace::Pace,
    vector::LANES,
};
use crate::{BLOCK, attention::Partial, kv::SEGMENT};

/// A tile's scores on their way to weights, 2^(scale · log₂e · (score − largest)): two queries at a time, in so many steps.
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
    /// Of pairs of queries.
    pub(super) pairs: Pace,
}

impl Weighing<'_> {
    /// A step of it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn step(&mut self) {
        self.pairs.step().for_each(|pair| self.pair(pair));
    }

    /// What is left of it.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn finish(&mut self) {
        self.pairs.rest().for_each(|pair| self.pair(pair));
    }

    /// Two queries at once wait less for each other's sums and largest; the last may be alone.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn pair(&mut self, n: usize) {
        if 2 * n + 1 < self.seen.len() {
            self.some::<2>(2 * n);
        } else {
            self.some::<1>(2 * n);
        }
    }

    /// Some queries.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn some<const N: usize>(&mut self, first: usize) {
        let highest = self.highest::<N>(first);
        let largest: [f32; N] = std::array::from_fn(|n| highest[n].max(self.sum.largest[first + n]));
        let totals = self.weigh(first, largest);
        for (n, (largest, total)) in (first..).zip(largest.into_iter().zip(totals)) {
            let before = self.sum.largest[n];
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
    }

    /// The scores of a query from a position on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn scores(&self, n: usize, at: usize) -> __m512 {
        // SAFETY: sixteen scores.
        unsafe { _mm512_load_ps(self.scores[n * SEGMENT + at..][..LANES].as_ptr()) }
    }

    /// The largest exponents of some queries; -∞ where one sees nothing.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn highest<const N: usize>(&self, first: usize) -> [f32; N] {
        let mut highest = [[_mm512_set1_ps(f32::NEG_INFINITY); 2]; N];
        for start in self.range.clone().step_by(BLOCK) {
            for (n, highest) in (first..).zip(&mut highest) {
                for (half, highest) in highest.iter_mut().enumerate() {
                    let at = start + half * LANES;
                    let score = self.scores(n, at);
                    *highest = if is_whole(start, self.seen[n]) {
                        _mm512_max_ps(*highest, score)
                    } else {
                        _mm512_mask_max_ps(*highest, lanes(at, self.seen[n]), *highest, score)
                    };
                }
            }
        }
        let scale = _mm512_set1_ps(self.scale * std::f32::consts::LOG2_E);
        let mut result = [0.0; N];
        for ([low, high], result) in highest.into_iter().zip(&mut result) {
            *result = _mm512_reduce_max_ps(_mm512_mul_ps(_mm512_max_ps(low, high), scale));
        }
        result
    }

    /// The weights of some queries; gives their sums.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn weigh<const N: usize>(&mut self, first: usize, largest: [f32; N]) -> [f32; N] {
        let scale = _mm512_set1_ps(self.scale * std::f32::consts::LOG2_E);
        let mask = _mm512_set1_epi32(0xffff_0000u32.cast_signed());
        let mut from = [_mm512_setzero_ps(); N];
        for (from, largest) in from.iter_mut().zip(largest) {
            *from = _mm512_set1_ps(if largest == f32::NEG_INFINITY { 0.0 } else { largest });
        }
        let mut totals = [[_mm512_setzero_ps(); 2]; N];
        for start in self.range.clone().step_by(BLOCK) {
            for (n, (largest, totals)) in (first..).zip(from.iter().zip(&mut totals)) {
                let mut halves = [_mm512_setzero_si512(); 2];
                for (half, (to, total)) in halves.iter_mut().zip(totals).enumerate() {
                    let at = start + half * LANES;
                    let weight = power(_mm512_fmsub_ps(self.scores(n, at), scale, *largest));
                    let rounded = _mm512_add_epi32(_mm512_castps_si512(weight), _mm512_set1_epi32(0x8000));
                    *to = _mm512_and_si512(rounded, mask);
                    if !is_whole(start, self.seen[n]) {
                        *to = _mm512_maskz_mov_epi32(lanes(at, self.seen[n]), *to);
                    }
                    *total = _mm512_add_ps(*total, _mm512_castsi512_ps(*to));
                }
                let both = _mm512_or_si512(_mm512_srli_epi32::<16>(halves[0]), halves[1]);
                let to = &mut self.weights[n * SEGMENT + start..][..BLOCK];
                // SAFETY: a block of weights.
                unsafe { _mm512_store_si512(to.as_mut_ptr().cast(), both) };
            }
        }
        let mut sums = [0.0; N];
        for ([low, high], sum) in totals.into_iter().zip(&mut sums) {
            *sum = _mm512_reduce_add_ps(_mm512_add_ps(low, high));
        }
        sums
    }
}

/// Whether a query sees all of a block.
fn is_whole(start: usize, seen: (usize, usize)) -> bool {
    start >= seen.0 && start + BLOCK <= seen.1
}
