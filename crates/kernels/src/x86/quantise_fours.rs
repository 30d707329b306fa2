//! Quantisation of whole tiles of four tokens on AVX2. A lane is a token of one of two blocks, so nothing is reduced across
//! lanes, and codes and facts leave as they lie in the tile. Numbers are those of `quantise.rs`, whole ones, hence the bits.

use std::arch::x86_64::*;

use super::quantise::squares;
use crate::{
    BLOCK,
    activations::{STEPS, TINY, WORD, WORTHS},
    places::{Blocks, Four, Places, facts},
};

/// Whole tiles of four of some tokens, from the first token on; returns how many tokens these are.
///
/// # Safety
/// As for `Table::quantise`, on a machine that has AVX2 and FMA.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn quantise(values: &[f32], (to, of): (&Places, Blocks), words: bool) -> usize {
    let width = of.each * BLOCK;
    let tiles = to.fours(of.token, values.len() / width);
    let place = |n: usize| {
        let (tile, block) = (n / of.each, n % of.each);
        Block {
            from: values[tile * 4 * width + block * BLOCK..].as_ptr(),
            to: to.four(of.token + tile * 4, of.first + block),
        }
    };
    let count = tiles * of.each;
    for n in (0..count).step_by(2) {
        // SAFETY: handed on from the caller; a last odd block is written twice.
        unsafe { two([place(n), place((n + 1).min(count - 1))], width, words) };
    }
    tiles * 4
}

/// A block of four tokens.
#[derive(Clone, Copy)]
struct Block {
    /// That of the first token; the next ones' lie a row apart.
    from: *const f32,
    to: Four,
}

/// Quantises two blocks.
///
/// # Safety
/// As for [`quantise`]; the blocks of four tokens lie `width` floats apart, and the places are the caller's alone.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn two(blocks: [Block; 2], width: usize, words: bool) {
    // SAFETY: handed on from the caller.
    let columns = unsafe { columns(blocks.map(|block| block.from), width) };
    let sign = _mm256_set1_ps(-0.0);
    let mut largest = _mm256_setzero_ps();
    for column in &columns {
        largest = _mm256_max_ps(largest, _mm256_andnot_ps(sign, *column));
    }
    let is_tiny = _mm256_cmp_ps::<_CMP_LT_OQ>(largest, _mm256_set1_ps(TINY));
    let is_finite = _mm256_cmp_ps::<_CMP_LT_OQ>(largest, _mm256_set1_ps(f32::INFINITY));
    let up = _mm256_div_ps(_mm256_set1_ps(WORD), largest);
    let numbers = to_words(&columns, _mm256_and_ps(up, _mm256_andnot_ps(is_tiny, is_finite)));
    let (mut least, mut best) = (_mm256_set1_ps(f32::INFINITY), _mm256_setzero_si256());
    let steps = STEPS.map(|steps| _mm256_set1_epi16(steps));
    for ((steps, worth), error) in steps.into_iter().zip(WORTHS).zip(errors(&numbers, steps)) {
        let error = _mm256_mul_ps(_mm256_cvtepi32_ps(error), _mm256_set1_ps(worth));
        let is_less = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_LT_OQ>(error, least));
        least = _mm256_min_ps(error, least);
        best = _mm256_blendv_epi8(best, steps, is_less);
    }
    let steps = _mm256_cvtepi32_ps(_mm256_srli_epi32::<16>(best));
    let scale = _mm256_blendv_ps(_mm256_set1_ps(f32::NAN), _mm256_div_ps(largest, steps), is_finite);
    let scale = _mm256_andnot_ps(is_tiny, scale);
    // SAFETY: handed on from the caller.
    unsafe {
        let sums = codes(&numbers, best, blocks.map(|block| block.to));
        let (scales, [low, high]) = (lanes(scale), sums.map(|sums| lanes(_mm256_cvtepi32_ps(sums))));
        let facts_len = blocks[0].to.facts_len;
        let facts = facts(words, facts_len, &scales, [&low, &high]);
        let [low, high] = blocks.map(|block| block.to.facts);
        for (n, values) in facts[..facts_len].iter().enumerate() {
            // a fact of four tokens of either block, see `Four`
            let values = _mm256_loadu_ps(values.as_ptr());
            _mm_storeu_ps(low.add(n * 4), _mm256_castps256_ps128(values));
            _mm_storeu_ps(high.add(n * 4), _mm256_extractf128_ps::<1>(values));
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn lanes(vector: __m256) -> [f32; 8] {
    // SAFETY: both are eight floats.
    unsafe { std::mem::transmute(vector) }
}

/// Column by column what four tokens have in either block.
///
/// # Safety
/// As for [`two`].
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn columns([low, high]: [*const f32; 2], width: usize) -> [__m256; BLOCK] {
    let mut columns = [_mm256_setzero_ps(); BLOCK];
    for (quad, columns) in columns.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let mut rows = [_mm256_setzero_ps(); 4];
        for (token, row) in rows.iter_mut().enumerate() {
            let at = token * width + quad * 4;
            // SAFETY: handed on from the caller.
            unsafe { *row = _mm256_loadu2_m128(high.add(at), low.add(at)) };
        }
        let [a, b, c, d] = rows;
        let pairs = [
            (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d)),
            (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d)),
        ];
        for ((ab, cd), columns) in pairs.into_iter().zip(columns.as_chunks_mut::<2>().0) {
            *columns =
                [_mm256_shuffle_ps::<0b01_00_01_00>(ab, cd), _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd)];
        }
    }
    columns
}

/// Pair by pair of columns their [words](WORD), a lane's beside each other.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn to_words(columns: &[__m256; BLOCK], up: __m256) -> [__m256i; BLOCK / 2] {
    let mut words = [_mm256_setzero_si256(); BLOCK / 2];
    for (words, columns) in words.iter_mut().zip(columns.as_chunks::<2>().0) {
        let [a, b] = columns.map(|column| _mm256_cvtps_epi32(_mm256_mul_ps(column, up)));
        *words = by_turns(_mm256_packs_epi32(a, b));
    }
    words
}

/// Of two packed vectors, which have two bytes a token in each half, one's and the other's by turns: a token's beside each other.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn by_turns(packed: __m256i) -> __m256i {
    let turns = _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
    _mm256_shuffle_epi8(packed, _mm256_broadcastsi128_si256(turns))
}

/// Σ error² of a block's codes for each of the steps.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn errors<const N: usize>(words: &[__m256i; BLOCK / 2], steps: [__m256i; N]) -> [__m256i; N] {
    let mut sums = [_mm256_setzero_si256(); N];
    for words in words {
        for (sum, steps) in sums.iter_mut().zip(steps) {
            // SAFETY: the machine has AVX2.
            *sum = _mm256_add_epi32(*sum, unsafe { squares(*words, steps) });
        }
    }
    sums
}

/// Writes the codes; the sums of the first and the last sixteen of each token.
///
/// # Safety
/// The places are the caller's alone.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn codes(words: &[__m256i; BLOCK / 2], steps: __m256i, [low, high]: [Four; 2]) -> [__m256i; 2] {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [_mm256_setzero_si256(); 2];
    for (quad, words) in words.as_chunks::<2>().0.iter().enumerate() {
        let [ab, cd] = words.map(|words| _mm256_mulhrs_epi16(words, steps));
        let sum = &mut sums[quad / (BLOCK / 8)];
        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_add_epi16(ab, cd), ones));
        let bytes = by_turns(_mm256_packs_epi16(ab, cd));
        // SAFETY: a quad of four tokens, see `Four`.
        unsafe {
            _mm_storeu_si128(low.codes.add(quad * 16).cast(), _mm256_castsi256_si128(bytes));
            _mm_storeu_si128(high.codes.add(quad * 16).cast(), _mm256_extracti128_si256::<1>(bytes));
        }
    }
    sums
}
