//! Products with weights, shared among threads: which of them takes what.
#![allow(unsafe_code)]

use std::ops::Range;

use crate::{
    Activations, Compute, Kind, Packed,
    compute::{PIECES, WORTH_SHARING},
    packed::{Layout, ROWS},
    table::Out,
};

/// Tokens per thread from which on threads share the tokens of a product, not its rows.
const TOKENS: usize = 48;
/// Tokens that codes are worth spreading for, without and with minima; bytes sooner; codes of 5 and 6 bits, and of what converts
/// dearly all [that spreads](Kind::spreads), where [vectors take two turns](crate::table::is_half_width), much sooner.
const WORTH_SPREADING: usize = 96;
const WORTH_SPREADING_MINIMA: usize = 48;
const WORTH_SPREADING_BYTES: usize = 32;
const WORTH_SPREADING_DEAR: usize = 8;
/// Strips per thread from which on threads keep to their own.
const STRIPS: usize = 12;

/// Some tiles and strips of activations.
pub(crate) type Tokens = (Range<usize>, Range<usize>);

/// One product of [`Compute::linear`].
#[derive(Debug)]
pub struct Linear<'a> {
    /// The weights; `cols` equals that of the activations.
    pub weights: &'a Packed,
    /// `[tokens, rows]`.
    pub out: &'a mut [f32],
    /// Whether the product is added to `out` or takes its place.
    pub add: bool,
}

impl Compute {
    /// Products of several matrices with the same activations, in one loop over all their rows, or over all tokens where
    /// these are enough for every thread.
    ///
    /// # Panics
    /// When a shape does not fit, or when `x` was activated for weights of other kinds.
    pub fn linear(&self, jobs: &mut [Linear<'_>], x: &Activations) {
        if x.tokens() == 0 {
            return;
        }
        for job in jobs.iter() {
            self.check(job.weights, x);
            assert_eq!(job.out.len(), job.weights.rows * x.tokens(), "the output has another shape");
        }
        let targets: Vec<Target<'_>> = jobs
            .iter_mut()
            .map(|job| Target { weights: job.weights, base: job.out.as_mut_ptr(), add: job.add })
            .collect();
        let groups: usize = targets.iter().map(|target| target.weights.groups()).sum();
        // tiles of bfloat16 take two groups at a time
        let step = if x.strips() > 1 { 2 } else { 1 };
        let own = targets.iter().all(|target| x.is_bf16_for(target.weights.kind));
        self.cut((groups.div_ceil(step), step * ROWS), (x, own), |part, tokens| {
            let groups = part.start * step..groups.min(part.end * step);
            self.multiply(&targets, groups, x, tokens);
        });
    }

    /// Calls `body(part, (tiles, strips))` for parts of `0..count`, each of which is so many rows, with some of the tokens; `own`
    /// says that all weights meet bfloat16, so that threads may keep to strips of their own.
    pub(crate) fn cut(
        &self,
        (count, rows): (usize, usize),
        (x, own): (&Activations, bool),
        body: impl Fn(Range<usize>, Tokens) + Sync,
    ) {
        let (tiles, strips) = (x.tiles().count(), x.strips());
        if count * rows * x.cols * x.tokens() < WORTH_SHARING {
            body(0..count, (0..tiles, 0..strips));
        } else if strips > 0 {
            let owners = if own { self.owners(strips) } else { 1 };
            self.owned(owners, count, (strips, 2), |part, strips| body(part, (0..tiles, strips)));
        } else if x.tokens() >= self.threads() * TOKENS {
            self.owned(self.threads(), count, (tiles, 1), |part, tiles| body(part, (tiles, 0..0)));
        } else {
            self.shared(count, PIECES, |part| body(part, (0..tiles, 0..0)));
        }
    }

    /// Checks that weights may meet activations.
    pub(crate) fn check(&self, weights: &Packed, x: &Activations) {
        assert_eq!(weights.cols, x.cols, "weights and activations differ in columns");
        assert!(x.is_for(weights.kind, self.table.tiling), "activations were not made for these weights");
    }

    /// The products of some groups of rows, of all matrices counted one after the other, with some tiles or strips.
    fn multiply(&self, targets: &[Target<'_>], part: Range<usize>, x: &Activations, (tiles, strips): Tokens) {
        let mut first = 0;
        for target in targets {
            let last = first + target.weights.groups();
            let (from, to) = (part.start.max(first), part.end.min(last));
            if from < to {
                let out = Out { base: target.base, stride: target.weights.rows, add: target.add };
                let (weights, groups) = (target.weights, from - first..to - first);
                // SAFETY: `linear` checked the shapes; parts are disjoint ranges of rows or of tokens, so no two threads write
                // the same element, and its `jobs` are borrowed until all are done.
                unsafe { self.groups(weights, groups, x, (tiles.clone(), strips.clone()), out) };
            }
            first = last;
        }
    }

    /// The products of some groups of rows of one matrix with some tiles or strips.
    ///
    /// # Safety
    /// The activations were checked against the weights; the output is as `Table::linear` says.
    pub(crate) unsafe fn groups(
        &self,
        weights: &Packed,
        groups: Range<usize>,
        x: &Activations,
        (tiles, strips): Tokens,
        out: Out,
    ) {
        // SAFETY: `table_for` checked the instruction set; the rest is handed on from the caller.
        unsafe {
            match (&self.table.bf16, self.table.spread) {
                (Some(bf16), _) if x.is_bf16_for(weights.kind) => {
                    (bf16.linear)(weights, groups, (x, strips), out)
                }
                (_, Some(spread))
                    if self.is_worth_spreading(weights.kind, x.tokens_in(tiles.clone()).len()) =>
                {
                    spread(weights, groups, (x, tiles), out)
                }
                _ => (self.table.linear)(weights, groups, (x, tiles), out),
            }
        }
    }

    /// Whether weights are to be spread for so many tokens.
    fn is_worth_spreading(&self, kind: Kind, tokens: usize) -> bool {
        let enough = match (self.half_width, kind) {
            (true, Kind::Codes(Layout { bits: 8, .. })) => return false, // not measured there
            (false, Kind::Codes(Layout { bits: 8, .. })) => WORTH_SPREADING_BYTES,
            (true, _) | (false, Kind::Codes(Layout { bits: 5.., .. })) => WORTH_SPREADING_DEAR,
            (false, Kind::Codes(Layout { minima: true, .. })) => WORTH_SPREADING_MINIMA,
            (false, Kind::Codes(_)) => WORTH_SPREADING,
            (false, _) => return false,
        };
        kind.spreads() && tokens >= enough
    }

    /// How many threads keep to strips of their own: where these are many, a thread had better meet what it wrote itself, although
    /// it then unpacks all weights for them.
    fn owners(&self, strips: usize) -> usize {
        if strips >= self.threads() * STRIPS { self.threads() } else { 1 }
    }

    /// Calls `body(part, own)` for parts of `0..count` and each owner's of some strips or tiles, of which so many stay `together`.
    fn owned(
        &self,
        owners: usize,
        count: usize,
        (all, together): (usize, usize),
        body: impl Fn(Range<usize>, Range<usize>) + Sync,
    ) {
        let pieces = (self.threads() * PIECES / owners).min(count);
        let units = all.div_ceil(together);
        self.pool.run(owners * pieces, &|n| {
            let (owner, piece) = (n / pieces, n % pieces);
            let own = units * owner / owners * together..all.min(units * (owner + 1) / owners * together);
            body(count * piece / pieces..count * (piece + 1) / pieces, own);
        });
    }
}

/// One matrix of a product and where its output goes.
struct Target<'a> {
    weights: &'a Packed,
    base: *mut f32,
    add: bool,
}
// SAFETY: the threads write through `base` to disjoint rows only (see `Compute::linear`).
unsafe impl Sync for Target<'_> {}
