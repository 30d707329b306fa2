//! Quantisation of whole tiles of four tokens on AVX2. A lane is a token of one of two blocks, so nothing is reduced across
//! lanes, and codes and facts leave as they lie in the tile. Steps and the order of additions are those of `quantise.rs`, hence the
//! bits.

use std::arch::x86_64::*;

use crate::{
    BLOCK,
    activations::{STEPS, TINY, fact},
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
    let infinity = _mm256_set1_ps(f32::INFINITY);
    let (mut least, mut best) = (infinity, None);
    for steps in STEPS.map(|steps| _mm256_set1_ps(steps)) {
        let (up, down) = (_mm256_div_ps(steps, largest), _mm256_div_ps(_mm256_xor_ps(sign, largest), steps));
        let error = error(&columns, (up, down));
        let is_less = _mm256_cmp_ps::<_CMP_LT_OQ>(error, least);
        least = _mm256_blendv_ps(least, error, is_less);
        best = Some(best.map_or((up, down), |(best_up, best_down)| {
            (_mm256_blendv_ps(best_up, up, is_less), _mm256_blendv_ps(best_down, down, is_less))
        }));
    }
    let (up, down) = best.expect("some steps");
    let is_tiny = _mm256_cmp_ps::<_CMP_LT_OQ>(largest, _mm256_set1_ps(TINY));
    let is_finite = _mm256_cmp_ps::<_CMP_LT_OQ>(largest, infinity);
    let up = _mm256_and_ps(up, _mm256_andnot_ps(is_tiny, is_finite));
    let scale = _mm256_blendv_ps(_mm256_set1_ps(f32::NAN), _mm256_xor_ps(sign, down), is_finite);
    let scale = _mm256_andnot_ps(is_tiny, scale);
    // SAFETY: handed on from the caller.
    unsafe {
        let sums = codes(&columns, up, blocks.map(|block| block.to));
        let (scales, [low, high]) = (lanes(scale), sums.map(|sums| lanes(_mm256_cvtepi32_ps(sums))));
        if blocks[0].to.facts_len == fact::ALL {
            write(&facts(words, fact::ALL, &scales, [&low, &high]), blocks);
        } else {
            let facts = facts(words, fact::FEW, &scales, [&low, &high]);
            write::<{ fact::FEW }>(facts.first_chunk().expect("fewer"), blocks);
        }
    }
}

/// Writes facts where the blocks have as many.
///
/// # Safety
/// The places are the caller's alone.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn write<const FACTS: usize>(facts: &[[f32; 8]; FACTS], blocks: [Block; 2]) {
    for (n, values) in facts.iter().enumerate() {
        for (block, values) in blocks.iter().zip(values.as_chunks::<4>().0) {
            // SAFETY: a fact of four tokens, see `Four`.
            unsafe { block.to.facts.add(n * 4).cast::<[f32; 4]>().write_unaligned(*values) };
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

/// Factors to codes, and back with the sign changed.
type Factors = (__m256, __m256);

/// Σ error² of a block's codes, in the order of `Vector::sum`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn error(columns: &[__m256; BLOCK], factors: Factors) -> __m256 {
    _mm256_add_ps(half(columns, 0, factors), half(columns, 1, factors))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn half(columns: &[__m256; BLOCK], n: usize, factors: Factors) -> __m256 {
    _mm256_add_ps(quarter(columns, n, factors), quarter(columns, n + 2, factors))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn quarter(columns: &[__m256; BLOCK], n: usize, factors: Factors) -> __m256 {
    _mm256_add_ps(eighth(columns, n, factors), eighth(columns, n + 4, factors))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn eighth(columns: &[__m256; BLOCK], n: usize, factors: Factors) -> __m256 {
    _mm256_add_ps(squares(columns, n, factors), squares(columns, n + 8, factors))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn squares(columns: &[__m256; BLOCK], n: usize, (up, down): Factors) -> __m256 {
    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    let [a, b] = [columns[n], columns[n + 16]]
        .map(|value| _mm256_fmadd_ps(_mm256_round_ps::<NEAREST>(_mm256_mul_ps(value, up)), down, value));
    _mm256_fmadd_ps(a, a, _mm256_mul_ps(b, b))
}

/// Writes the codes; the sums of the first and the last sixteen of each token.
///
/// # Safety
/// The places are the caller's alone.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn codes(columns: &[__m256; BLOCK], up: __m256, [low, high]: [Four; 2]) -> [__m256i; 2] {
    // from a column's codes of four tokens after the other's to those of a token
    let by_token =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    let mut sums = [_mm256_setzero_si256(); 2];
    for (quad, columns) in columns.as_chunks::<4>().0.iter().enumerate() {
        let [a, b, c, d] = columns.map(|column| _mm256_cvtps_epi32(_mm256_mul_ps(column, up)));
        let sum = &mut sums[quad / (BLOCK / 8)];
        *sum = _mm256_add_epi32(*sum, _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d)));
        let bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
        let bytes = _mm256_shuffle_epi8(bytes, by_token);
        // SAFETY: a quad of four tokens, see `Four`.
        unsafe {
            _mm_storeu_si128(low.codes.add(quad * 16).cast(), _mm256_castsi256_si128(bytes));
            _mm_storeu_si128(high.codes.add(quad * 16).cast(), _mm256_extracti128_si256::<1>(bytes));
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x86::{avx2::Avx2, quantise, vector::Vector};

    /// Which scale is taken may hang on the last bit of an error, too seldom for a test of codes to see it.
    #[test]
    fn errors_have_the_bits_that_a_block_alone_has() {
        if !crate::Isa::Avx2.is_available() {
            return;
        }
        let mut seed = 1_u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / 8_388_608.0 - 1.0
        };
        for _ in 0..200 {
            // eight blocks, lane by lane
            let blocks: [[f32; BLOCK]; 8] = std::array::from_fn(|_| std::array::from_fn(|_| next()));
            let factors: [(f32, f32); 8] =
                std::array::from_fn(|n| (100.0 + n as f32, -1.0 / (100.0 + n as f32)));
            // SAFETY: the machine has AVX2; all that is read is there.
            unsafe {
                let lanes = |of: &dyn Fn(usize) -> f32| {
                    let values: [f32; 8] = std::array::from_fn(of);
                    _mm256_loadu_ps(values.as_ptr())
                };
                let columns = std::array::from_fn(|n| lanes(&|lane| blocks[lane][n]));
                let factors_of = (lanes(&|lane| factors[lane].0), lanes(&|lane| factors[lane].1));
                let mut got = [0.0; 8];
                _mm256_storeu_ps(got.as_mut_ptr(), error(&columns, factors_of));
                for lane in 0..8 {
                    let from = blocks[lane].as_ptr();
                    let block = (Avx2::<false>::load(from), Avx2::load(from.add(16)));
                    let want = quantise::squares(block, factors[lane]).sum();
                    assert_eq!(got[lane].to_bits(), want.to_bits(), "lane {lane}");
                }
            }
        }
    }
}
