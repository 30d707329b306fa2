//! Attention of prompts on the tiles of AMX: up to sixteen queries meet a segment's keys and values as bfloat16.
//!
//! Scores leave the tiles as floats of 32 bits and come back as weights of bfloat16, which are also what is summed up. What a
//! query does not see weighs exactly nothing, so its result does not depend on what shares its tile.
//!
//! Three strips are under way at a time: while vectors make weights of one's scores, tiles compute the next one's scores and
//! add up the values of the one before.

use std::{arch::asm, ops::Range};

use super::{
    amx::{LINE, Registers, dot, read, write, zero},
    bf16_rows::nearest,
    pace::Pace,
    softmax::Weighing,
    vector::LANES,
};
use crate::{
    BLOCK,
    attention::{MOST, Partial, StripBuffers, Tile},
    kv::SEGMENT,
};

/// Values of a block of keys or values: sixteen pairs for each of sixteen positions or columns.
pub(super) const VALUES: usize = BLOCK * LANES;

/// Registers for tiles of `queries` lines, until dropped: 0 to 3 are sums, 4 queries or weights, 5 and 6 keys or values.
struct Unit {
    registers: Registers,
    queries: usize,
}

impl Unit {
    /// Not ready for anything yet.
    const IDLE: Self = Self { registers: Registers::IDLE, queries: 0 };

    /// # Safety
    /// The machine has AMX, and nobody else uses the thread's registers.
    unsafe fn fit(&mut self, queries: usize) {
        if self.queries != queries {
            let ours = (queries, LINE);
            // SAFETY: handed on from the caller.
            unsafe { self.registers.configure(&[ours, ours, ours, ours, ours, (16, LINE), (16, LINE)]) };
            self.queries = queries;
        }
    }

    /// `out[query][16 · n ..] (+)= Σ a[query][32 · c ..] · b[n][c]` for `N` (1, 2 or 4) times sixteen columns and some chunks `c`;
    /// `beside` is what vectors do meanwhile.
    /// Lines of `a` and of `out` lie so many bytes apart, blocks of `b` so many values for the next `n`, or `c`.
    ///
    /// # Safety
    /// All of that is there, for as many queries as the unit was made ready for.
    #[inline(always)]
    unsafe fn multiply<const N: usize>(
        &self,
        (a, a_apart): (*const u16, usize),
        (b, next_n, next_c): (*const u16, usize, usize),
        chunks: usize,
        (out, out_apart, go_on): (*mut f32, usize, bool),
        beside: &mut impl FnMut(),
    ) {
        let to = |n: usize| out.wrapping_add(n * LANES);
        // SAFETY: handed on from the caller.
        unsafe {
            macro_rules! for_each {
                ($($n:literal $sums:literal $b:literal;)*) => {
                    $(if $n < N {
                        if go_on {
                            read!($sums, to($n), out_apart);
                        } else {
                            zero!($sums);
                        }
                    })*
                    for c in 0..chunks {
                        beside();
                        read!("tmm4", a.add(c * BLOCK), a_apart);
                        $(if $n < N {
                            read!($b, b.add($n * next_n + c * next_c), LINE, once);
                            dot!($sums, "tmm4", $b);
                        })*
                    }
                    $(if $n < N {
                        write!($sums, to($n), out_apart);
                    })*
                };
            }
            for_each! { 0 "tmm0" "tmm5"; 1 "tmm1" "tmm6"; 2 "tmm2" "tmm5"; 3 "tmm3" "tmm6"; }
        }
    }

    /// The same for any number of times sixteen columns.
    ///
    /// # Safety
    /// As for [`Unit::multiply`].
    #[inline(always)]
    unsafe fn multiply_all(
        &self,
        a: (*const u16, usize),
        (b, next_n, next_c): (*const u16, usize, usize),
        chunks: usize,
        (out, out_apart, go_on): (*mut f32, usize, bool),
        count: usize,
        beside: &mut impl FnMut(),
    ) {
        let mut n = 0;
        while n < count {
            let b = (b.wrapping_add(n * next_n), next_n, next_c);
            let out = (out.wrapping_add(n * LANES), out_apart, go_on);
            // SAFETY: handed on from the caller.
            n += unsafe {
                match count - n {
                    4.. => {
                        self.multiply::<4>(a, b, chunks, out, beside);
                        4
                    }
                    2.. => {
                        self.multiply::<2>(a, b, chunks, out, beside);
                        2
                    }
                    _ => {
                        self.multiply::<1>(a, b, chunks, out, beside);
                        1
                    }
                }
            };
        }
    }
}

/// The positions of a range, and as many as make them whole blocks.
pub(super) fn whole(range: &Range<usize>) -> Range<usize> {
    range.start / BLOCK * BLOCK..range.end.next_multiple_of(BLOCK)
}

/// Of how many steps [`Unit::multiply_all`] consists.
fn steps(count: usize, chunks: usize) -> usize {
    (count / 4 + count % 4 / 2 + count % 2) * chunks
}

/// A strip on its way through a segment.
struct Strip<'a> {
    n: usize,
    tile: Tile<'a>,
    /// Whole blocks of positions that any of its queries sees.
    range: Range<usize>,
    /// What the segments before gave, and whether that is nothing.
    sum: Partial,
    fresh: bool,
}

/// Adds what a segment's keys and values give to the sums of strips: the n-th for `(n, tile)`.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn attend<'a>(
    tiles: &mut dyn Iterator<Item = (usize, Tile<'a>)>,
    buffers: &mut StripBuffers,
) {
    let StripBuffers { keys, values, queries, scores, weights, sums } = buffers;
    assert!(scores.len() >= 2 * MOST * SEGMENT && weights.len() >= 2 * MOST * SEGMENT);
    let (mut scores, mut coming_scores) = scores.split_at_mut(MOST * SEGMENT);
    let (mut weights, mut coming_weights) = weights.split_at_mut(MOST * SEGMENT);
    let mut unit = Unit::IDLE;
    let (mut scored, mut weighed) = (None::<Strip<'_>>, None::<Strip<'_>>);
    loop {
        let coming = tiles.next().map(|(n, tile)| {
            let range = whole(&tile.range(0..tile.count));
            Strip { n, range, tile, sum: std::mem::take(&mut sums[n]), fresh: false }
        });
        if coming.is_none() && scored.is_none() && weighed.is_none() {
            return;
        }
        let of_coming = coming.as_ref().map_or(0, |strip| strip.score_steps());
        let of_weighed = weighed.as_ref().map_or(0, |strip| strip.add_steps());
        let mut weighing = scored.as_mut().map(|strip| {
            strip.fresh = strip.sum.is_fresh();
            Weighing {
                scores,
                weights: coming_weights,
                range: strip.range.clone(),
                seen: &strip.tile.seen[..strip.tile.count],
                scale: strip.tile.scale,
                sum: &mut strip.sum,
                fresh: strip.fresh,
                pairs: Pace::new(strip.tile.count.div_ceil(2), of_coming + of_weighed),
            }
        });
        let mut beside = || {
            if let Some(weighing) = &mut weighing {
                weighing.step();
            }
        };
        // SAFETY: `turn` has filled the buffers for these positions; all have the lengths that the layouts say.
        unsafe {
            if let Some(strip) = &coming {
                strip.score(&mut unit, (queries, keys), coming_scores, &mut beside);
            }
            if let Some(strip) = &mut weighed {
                strip.add(&mut unit, (weights, values), &mut beside);
            }
        }
        if let Some(mut weighing) = weighing {
            weighing.finish();
        }
        if let Some(strip) = weighed {
            sums[strip.n] = strip.sum;
        }
        (weighed, scored) = (scored, coming);
        std::mem::swap(&mut scores, &mut coming_scores);
        std::mem::swap(&mut weights, &mut coming_weights);
    }
}

impl Strip<'_> {
    /// Blocks of columns in a key, and columns of a value with what pads them.
    fn shape(&self) -> (usize, usize) {
        (self.tile.dim.div_ceil(BLOCK), self.tile.dim.next_multiple_of(LANES))
    }

    fn score_steps(&self) -> usize {
        steps(self.range.len() / LANES, self.shape().0)
    }

    fn add_steps(&self) -> usize {
        steps(self.shape().1 / LANES, self.range.len() / BLOCK)
    }

    /// Its queries' scores.
    ///
    /// # Safety
    /// As for [`attend`].
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn score(
        &self,
        unit: &mut Unit,
        (queries, keys): (&mut [u16], &[u16]),
        scores: &mut [f32],
        beside: &mut impl FnMut(),
    ) {
        let Self { tile, range, .. } = self;
        let (chunks, _) = self.shape();
        assert!(queries.len() >= MOST * chunks * BLOCK && keys.len() >= SEGMENT * chunks * BLOCK);
        for (at, to) in tile.at[..tile.count].iter().zip(queries.chunks_exact_mut(chunks * BLOCK)) {
            for (block, to) in tile.queries[*at..][..tile.dim].chunks(BLOCK).zip(to.chunks_exact_mut(BLOCK)) {
                // SAFETY: a block.
                unsafe { nearest(block, to.as_mut_ptr()) };
            }
        }
        // SAFETY: handed on from the caller.
        unsafe {
            unit.fit(tile.count);
            unit.multiply_all(
                (queries.as_ptr(), chunks * BLOCK * size_of::<u16>()),
                (keys.as_ptr().add(range.start * chunks * BLOCK), chunks * VALUES, VALUES),
                chunks,
                (scores.as_mut_ptr().add(range.start), SEGMENT * size_of::<f32>(), false),
                range.len() / LANES,
                beside,
            );
        }
    }

    /// Adds its weighted values.
    ///
    /// # Safety
    /// As for [`attend`].
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn add(
        &mut self,
        unit: &mut Unit,
        (weights, values): (&[u16], &[u16]),
        beside: &mut impl FnMut(),
    ) {
        let (_, width) = self.shape();
        let Self { tile, range, sum, fresh, .. } = self;
        assert!(sum.values.len() >= MOST * width && values.len() >= SEGMENT * width);
        // SAFETY: handed on from the caller.
        unsafe {
            unit.fit(tile.count);
            unit.multiply_all(
                (weights.as_ptr().add(range.start), SEGMENT * size_of::<u16>()),
                (values.as_ptr().add(range.start * width), VALUES, width * BLOCK),
                range.len() / BLOCK,
                (sum.values.as_mut_ptr(), width * size_of::<f32>(), !*fresh),
                width / LANES,
                beside,
            );
        }
    }
}
