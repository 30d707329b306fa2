//! Attention of prompts on the tiles of AMX: up to sixteen queries meet a segment's keys and values as bfloat16.
//!
//! Scores leave the tiles as floats of 32 bits and come back as weights of bfloat16, which are also what is summed up. What a
//! query does not see weighs exactly nothing, so its result does not depend on what shares its tile.

use std::{
    arch::{asm, x86_64::*},
    ops::Range,
};

use super::{
    amx::{LINE, Registers, dot, read, write, zero},
    bf16_rows::{lanes, nearest, power},
    bf16_weights::pairs,
    vector::LANES,
};
use crate::{
    BLOCK,
    attention::{MOST, Partial, Stored, StripBuffers, Tile},
    kv::SEGMENT,
};

/// Values of a block of keys or values: sixteen pairs for each of sixteen positions or columns.
const VALUES: usize = BLOCK * LANES;

/// Made ready for tiles of `queries` lines, until dropped: registers 0 to 3 are sums, 4 queries or weights, 5 and 6 keys or values.
struct Unit(Registers);

impl Unit {
    /// # Safety
    /// The machine has AMX, and nobody else uses the thread's registers.
    unsafe fn configured(queries: usize) -> Self {
        let ours = (queries, LINE);
        let mut registers = Registers::IDLE;
        // SAFETY: handed on from the caller.
        unsafe { registers.configure(&[ours, ours, ours, ours, ours, (16, LINE), (16, LINE)]) };
        Self(registers)
    }

    /// `out[query][16 · n ..] (+)= Σ a[query][32 · c ..] · b[n][c]` for `N` (1, 2 or 4) times sixteen columns and some chunks `c`.
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
                        read!("tmm4", a.add(c * BLOCK), a_apart);
                        $(if $n < N {
                            read!($b, b.add($n * next_n + c * next_c), LINE);
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
    ) {
        let mut n = 0;
        while n < count {
            let b = (b.wrapping_add(n * next_n), next_n, next_c);
            let out = (out.wrapping_add(n * LANES), out_apart, go_on);
            // SAFETY: handed on from the caller.
            n += unsafe {
                match count - n {
                    4.. => {
                        self.multiply::<4>(a, b, chunks, out);
                        4
                    }
                    2.. => {
                        self.multiply::<2>(a, b, chunks, out);
                        2
                    }
                    _ => {
                        self.multiply::<1>(a, b, chunks, out);
                        1
                    }
                }
            };
        }
    }
}

/// The positions of a range, and as many as make them whole blocks.
fn whole(range: &Range<usize>) -> Range<usize> {
    range.start / BLOCK * BLOCK..range.end.next_multiple_of(BLOCK)
}

/// Keys and values as `StripBuffers` says, rounded.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn turn(stored: &Stored<'_>, buffers: &mut StripBuffers) {
    let (dim, range) = (stored.dim, whole(&stored.range));
    let (chunks, width) = (dim.div_ceil(BLOCK), dim.next_multiple_of(LANES));
    assert!(stored.keys.len() >= SEGMENT * dim && stored.values.len() >= SEGMENT * width);
    assert!(buffers.keys.len() >= SEGMENT * chunks * BLOCK && buffers.values.len() >= SEGMENT * width);
    assert!(range.end <= SEGMENT);
    // SAFETY: a segment has so many keys and values, and the buffers as many, padded.
    unsafe {
        for block in range.start / LANES..range.end / LANES {
            let from = stored.keys.as_ptr().add(block * dim * LANES);
            let to = buffers.keys.as_mut_ptr().add(block * chunks * VALUES);
            for pair in 0..chunks * BLOCK / 2 {
                let of = |d: usize| if d < dim { halves(from.add(d * LANES)) } else { _mm512_setzero_ps() };
                _mm512_store_si512(to.add(pair * 2 * LANES).cast(), pairs(of(2 * pair), of(2 * pair + 1)));
            }
        }
        for pair in range.start / 2..range.end / 2 {
            let from = stored.values.as_ptr().add(2 * pair * width);
            let to = buffers.values.as_mut_ptr().add(2 * pair / BLOCK * width * BLOCK);
            for column in (0..width).step_by(LANES) {
                // others are there for whole blocks only, and may be left over from another text
                let of = |n: usize| {
                    if stored.range.contains(&(2 * pair + n)) {
                        halves(from.add(n * width + column))
                    } else {
                        _mm512_setzero_ps()
                    }
                };
                let to = to.add(column * BLOCK + pair % (BLOCK / 2) * 2 * LANES);
                _mm512_store_si512(to.cast(), pairs(of(0), of(1)));
            }
        }
    }
}

/// Sixteen 16-bit floats as 32-bit ones.
///
/// # Safety
/// They are there.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn halves(from: *const u16) -> __m512 {
    // SAFETY: handed on from the caller.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
}

/// Adds what a segment's keys and values give to a tile's sums.
///
/// # Safety
/// As `Bf16Table` says, on a machine that has AMX.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn attend(tile: &Tile<'_>, buffers: &mut StripBuffers, n: usize) {
    let StripBuffers { keys, values, queries, scores, weights, sums } = buffers;
    let (dim, range) = (tile.dim, whole(&tile.range(0..tile.count)));
    let (chunks, width) = (dim.div_ceil(BLOCK), dim.next_multiple_of(LANES));
    let sum = &mut sums[n];
    assert!(scores.len() >= MOST * SEGMENT && weights.len() >= MOST * SEGMENT);
    assert!(queries.len() >= MOST * chunks * BLOCK && sum.values.len() >= MOST * width);
    for (at, to) in tile.at[..tile.count].iter().zip(queries.chunks_exact_mut(chunks * BLOCK)) {
        for (block, to) in tile.queries[*at..][..dim].chunks(BLOCK).zip(to.chunks_exact_mut(BLOCK)) {
            // SAFETY: a block.
            unsafe { nearest(block, to.as_mut_ptr()) };
        }
    }
    // SAFETY: `turn` has filled the buffers for these positions; all have the lengths that the layouts say.
    unsafe {
        let unit = Unit::configured(tile.count);
        let blocks = range.start / LANES..range.end / LANES;
        unit.multiply_all(
            (queries.as_ptr(), chunks * BLOCK * size_of::<u16>()),
            (keys.as_ptr().add(blocks.start * chunks * VALUES), chunks * VALUES, VALUES),
            chunks,
            (scores.as_mut_ptr().add(range.start), SEGMENT * size_of::<f32>(), false),
            blocks.len(),
        );
        let fresh = sum.is_fresh();
        for n in 0..tile.count {
            let scores = scores.as_ptr().add(n * SEGMENT);
            let weights = weights.as_mut_ptr().add(n * SEGMENT);
            let factor = weigh((scores, weights), &range, (tile.seen[n], tile.scale), (sum, n));
            if !fresh && factor != 1.0 {
                let values = sum.values.as_mut_ptr().add(n * width);
                for at in (0..width).step_by(LANES) {
                    let scaled = _mm512_mul_ps(_mm512_load_ps(values.add(at)), _mm512_set1_ps(factor));
                    _mm512_store_ps(values.add(at), scaled);
                }
            }
        }
        unit.multiply_all(
            (weights.as_ptr().add(range.start), SEGMENT * size_of::<u16>()),
            (values.as_ptr().add(range.start * width), VALUES, width * BLOCK),
            range.len() / BLOCK,
            (sum.values.as_mut_ptr(), width * size_of::<f32>(), !fresh),
            width / LANES,
        );
    }
}

/// Makes a query's scores of a range weights, 2^(scale · log₂e · (score − largest)); gives the factor that brings what it has so
/// far to the new largest.
///
/// # Safety
/// The scores and weights are there, the range consists of whole blocks, and the sums have an n-th query.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn weigh(
    (scores, weights): (*const f32, *mut u16),
    range: &Range<usize>,
    (seen, scale): ((usize, usize), f32),
    (sum, n): (&mut Partial, usize),
) -> f32 {
    let scale = _mm512_set1_ps(scale * std::f32::consts::LOG2_E);
    let whole = |start: usize| start >= seen.0 && start + BLOCK <= seen.1;
    // SAFETY: handed on from the caller.
    unsafe {
        let before = sum.largest[n];
        let mut highest = [_mm512_set1_ps(f32::NEG_INFINITY); 2];
        for start in range.clone().step_by(BLOCK) {
            for (half, highest) in highest.iter_mut().enumerate() {
                let start_half = start + half * LANES;
                let score = _mm512_load_ps(scores.add(start_half));
                *highest = if whole(start) {
                    _mm512_max_ps(*highest, score)
                } else {
                    _mm512_mask_max_ps(*highest, lanes(start_half, seen), *highest, score)
                };
            }
        }
        let highest = _mm512_mul_ps(_mm512_max_ps(highest[0], highest[1]), scale);
        let largest = _mm512_reduce_max_ps(highest).max(before);
        let all = _mm512_set1_ps(if largest == f32::NEG_INFINITY { 0.0 } else { largest });
        let mut totals = [_mm512_setzero_ps(); 2];
        let mask = _mm512_set1_epi32(0xffff_0000u32.cast_signed());
        let upper = _mm512_loadu_si512(UPPER.as_ptr().cast());
        for start in range.clone().step_by(BLOCK) {
            let mut halves = [_mm512_setzero_ps(); 2];
            for (half, (to, total)) in halves.iter_mut().zip(&mut totals).enumerate() {
                let start_half = start + half * LANES;
                let score = _mm512_load_ps(scores.add(start_half));
                let weight = power(_mm512_fmsub_ps(score, scale, all));
                let rounded = _mm512_add_epi32(_mm512_castps_si512(weight), _mm512_set1_epi32(0x8000));
                *to = _mm512_castsi512_ps(_mm512_and_si512(rounded, mask));
                if !whole(start) {
                    *to = _mm512_maskz_mov_ps(lanes(start_half, seen), *to);
                }
                *total = _mm512_add_ps(*total, *to);
            }
            let [low, high] = halves.map(|half| _mm512_castps_si512(half));
            _mm512_store_si512(weights.add(start).cast(), _mm512_permutex2var_epi16(low, upper, high));
        }
        let factor = if before == largest {
            1.0
        } else {
            _mm512_cvtss_f32(power(_mm512_set1_ps((before - largest).max(-1e3)))) // before may be -∞
        };
        let total = _mm512_reduce_add_ps(_mm512_add_ps(totals[0], totals[1]));
        sum.total[n] = sum.total[n] * factor + total;
        sum.largest[n] = largest;
        factor
    }
}

/// The upper halves of two times sixteen numbers.
static UPPER: [u16; BLOCK] = {
    let mut upper = [0; BLOCK];
    let mut n = 0;
    while n < BLOCK {
        upper[n] = 2 * n as u16 + 1;
        n += 1;
    }
    upper
};
