//! What the kernels of attention get, and what they give.

use std::ops::Range;

use super::{MOST, QUERIES};
use crate::{
    Aligned,
    activations::TINY,
    kv::{Head, WEIGHTS},
};

/// Some positions of one head of one segment, as the cache has them.
pub(crate) struct Stored<'a> {
    pub(crate) kept: Head<'a>,
    pub(crate) dim: usize,
    pub(crate) range: Range<usize>,
}

/// How a tile's queries are taken together in registers: `(first, len)`, `len` one of 12 (where the registers are `roomy`
/// enough), 6, 4, 3, 2 and 1.
pub(crate) fn parts(count: usize, roomy: bool) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let len = match count - first {
            0 => return None,
            QUERIES if roomy => QUERIES,
            6.. => 6,
            5 => 3,
            len => len,
        };
        first += len;
        Some((first - len, len))
    })
}

/// What the kernels get: some queries and one head of one segment.
pub(crate) struct Tile<'a> {
    /// Those of the tile begin at `at`, `dim` values each.
    pub(crate) queries: &'a [f32],
    pub(crate) at: [usize; MOST],
    /// Factor on q·k.
    pub(crate) scale: f32,
    pub(crate) kept: Head<'a>,
    /// Keys that are read after these values: memory is asked for them.
    pub(crate) next: *const u32,
    pub(crate) dim: usize,
    pub(crate) count: usize,
    /// First and one past the last position of the segment that each query sees.
    pub(crate) seen: [(usize, usize); MOST],
}

impl Tile<'_> {
    /// From the first to the last position that any of some of its queries sees; empty where there are none.
    pub(crate) fn range(&self, queries: Range<usize>) -> Range<usize> {
        let seen = self.seen[queries].iter().filter(|(from, to)| from < to);
        let low = seen.clone().map(|seen| seen.0).min().unwrap_or(0);
        low..seen.map(|seen| seen.1).max().unwrap_or(0)
    }
}

/// By what weights are multiplied before they are rounded to 16 bits, so that their `sum` is [`WEIGHTS`] at most; 1 where there are none,
/// no number where one is none.
pub(crate) fn factor(sum: f32, most: f32) -> f32 {
    if sum < TINY {
        return 1.0;
    }
    if sum.is_finite() { (WEIGHTS / sum).min(f32::from(i16::MAX) / most) } else { f32::NAN }
}

/// What a segment gave a tile, or some segments together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Partial {
    /// The greatest score; -∞ where no position is seen.
    pub(crate) largest: [f32; MOST],
    /// Σ e^(score − largest)
    pub(crate) total: [f32; MOST],
    /// Values of a row.
    width: usize,
    /// `[query][width]`: Σ e^(score − largest) · value
    pub(crate) values: Aligned<f32>,
}

impl Partial {
    /// Of nothing yet, for some queries.
    pub(crate) fn new(queries: usize, width: usize) -> Self {
        let mut new = Self { largest: [0.0; MOST], total: [0.0; MOST], width, values: Aligned::default() };
        new.begin(queries, width);
        new
    }

    /// Of nothing again, but that the values are left over.
    pub(crate) fn begin(&mut self, queries: usize, width: usize) {
        self.largest = [f32::NEG_INFINITY; MOST];
        self.total = [0.0; MOST];
        self.width = width;
        self.values.resize(queries * width, 0.0);
    }

    /// Whether there is nothing yet, so that its values may be left over.
    pub(crate) fn is_fresh(&self) -> bool {
        self.largest.iter().all(|largest| *largest == f32::NEG_INFINITY)
    }

    /// The values of a query.
    pub(crate) fn row(&self, n: usize) -> &[f32] {
        &self.values[n * self.width..][..self.width]
    }

    /// Multiplies them.
    pub(crate) fn scale(&mut self, n: usize, factor: f32) {
        self.values[n * self.width..][..self.width].iter_mut().for_each(|value| *value *= factor);
    }

    /// Adds what the next segment gave.
    pub(crate) fn join(&mut self, next: &Self, count: usize) {
        let width = self.width;
        for n in 0..count {
            if next.largest[n] == f32::NEG_INFINITY {
                continue;
            }
            let largest = self.largest[n].max(next.largest[n]);
            let (old, new) = ((self.largest[n] - largest).exp(), (next.largest[n] - largest).exp());
            self.largest[n] = largest;
            self.total[n] = self.total[n] * old + next.total[n] * new;
            let row = n * width..(n + 1) * width;
            for (a, b) in self.values[row.clone()].iter_mut().zip(&next.values[row]) {
                *a = *a * old + b * new;
            }
        }
    }
}
