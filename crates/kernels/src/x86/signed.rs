//! Spread 8-bit codes, their sizes apart from their signs.
//!
//! `vpmaddubsw` takes one factor without a sign, so that of a code goes to the activation: -1 · a is the complement of a's bits, and
//! one more. `vpxor` with all or none of the bits runs on four ports, `vpsignb` on two. The one more, as often as the size of the
//! code says, depends on weights alone: a row's sums begin with it.
#![allow(clippy::needless_range_loop)] // one index walks several arrays of registers

use std::arch::x86_64::*;

use super::{
    avx2::Avx2,
    dots::line,
    four_asm::{self, CONSTANTS, FACT, Sums, TOKENS, end_less, four, scale},
    panel::{Panel, Place},
    vector::{Vector, same_lanes},
};
use crate::{
    Activations, BLOCK, Format,
    activations::{Tile, fact},
    packed::{Layout, ROWS},
};

/// AVX2 without dot products.
type V = Avx2<false>;

/// What is spread.
pub(super) const PACKED: Layout = Format::Q8_0.layout();

/// A spread block: for each quad of columns sizes of sixteen rows, then signs, all bits set or none; then what sums begin with, as
/// 32-bit numbers, and the scales as floats.
const QUAD: usize = 2 * 4 * ROWS;
const STARTS: usize = BLOCK / 4 * QUAD;
const SCALES: usize = STARTS + ROWS * size_of::<i32>();
const BYTES: usize = SCALES + ROWS * size_of::<f32>();

/// Bytes of so many blocks.
pub(super) const fn group_bytes(blocks: usize) -> usize {
    blocks * BYTES
}

/// Spreads a group of codes.
///
/// # Safety
/// The panel has [`PACKED`] codes, and there is room for [`group_bytes`] of them, from a cache line on; the machine has AVX2, FMA and
/// F16C.
#[inline(always)]
pub(super) unsafe fn unpack((panel, blocks): (&[u8], usize), to: *mut u8) {
    // SAFETY: handed on from the caller.
    unsafe {
        for n in 0..blocks {
            let place = Place::of(PACKED, panel, n, blocks);
            let to = to.add(n * BYTES);
            place.ask_ahead::<V>(PACKED);
            let mut starts = [_mm256_setzero_si256(); 2];
            for quad in 0..BLOCK / 4 {
                let codes = line::<V>(place.block, quad);
                for (half, codes) in [codes.0, codes.1].into_iter().enumerate() {
                    let size = _mm256_abs_epi8(codes);
                    let sign = _mm256_cmpgt_epi8(_mm256_setzero_si256(), codes);
                    let to = to.add(quad * QUAD + half * 32);
                    _mm256_store_si256(to.cast(), size);
                    _mm256_store_si256(to.add(4 * ROWS).cast(), sign);
                    // activations of 0 give what is missing, times -1
                    let missing = products(size, sign, _mm256_setzero_si256());
                    starts[half] = _mm256_sub_epi32(starts[half], missing);
                }
            }
            _mm256_store_si256(to.add(STARTS).cast(), starts[0]);
            _mm256_store_si256(to.add(STARTS + 32).cast(), starts[1]);
            place.scales::<V>(PACKED, 0).store(to.add(SCALES).cast());
        }
    }
}

/// Sums of four products each: sizes of codes times activations that take their signs.
#[inline]
#[target_feature(enable = "avx2")]
fn products(size: __m256i, sign: __m256i, activations: __m256i) -> __m256i {
    // pairs are -2 · 128 · 128 at least, for -128 and the complement of 127: 16 bits
    _mm256_madd_epi16(_mm256_maddubs_epi16(size, _mm256_xor_si256(activations, sign)), _mm256_set1_epi16(1))
}

/// What [`unpack`] makes of a group.
pub(super) struct Signed;

impl Panel for Signed {
    const PAIRS: bool = false;

    #[inline(always)]
    unsafe fn dot<W: Vector, const G: usize, const N: usize>(
        panels: [&[u8]; G],
        x: &Activations,
        tile: &Tile,
    ) -> [[W; N]; G] {
        // SAFETY: handed on from the caller, who spreads for AVX2 alone, to where a cache line begins.
        unsafe {
            let of_group: [V; N] = if N == TOKENS {
                four_asm::sums((signed, BYTES), panels[0], x, tile)
            } else {
                few::<N>(panels[0], x, tile)
            };
            same_lanes(of_group)
        }
    }
}

/// The same for fewer tokens than the assembler's.
///
/// # Safety
/// As for `Panel::dot`.
#[inline(always)]
unsafe fn few<const N: usize>(panel: &[u8], x: &Activations, tile: &Tile) -> [V; N] {
    // SAFETY: the panel has the blocks of the activations, the tile as many of codes and facts.
    unsafe {
        let mut sums = [V::splat(0.0); N];
        for (b, block) in panel.chunks_exact(BYTES).take(x.blocks()).enumerate() {
            let facts = tile.facts.add(b * tile.facts_len * N);
            let starts = V::codes(block.as_ptr().add(STARTS));
            let mut dots = [starts; N];
            for quad in 0..BLOCK / 4 {
                let quads = tile.codes.add((b * BLOCK / 4 + quad) * N * 4);
                let sizes = block.as_ptr().add(quad * QUAD);
                let (sizes, signs) = (V::codes(sizes), V::codes(sizes.add(4 * ROWS)));
                for n in 0..N {
                    let (of, _) = V::quad(quads.add(n * 4));
                    dots[n].0 = _mm256_add_epi32(dots[n].0, products(sizes.0, signs.0, of));
                    dots[n].1 = _mm256_add_epi32(dots[n].1, products(sizes.1, signs.1, of));
                }
            }
            let scales = V::load(block.as_ptr().add(SCALES).cast());
            for n in 0..N {
                sums[n] =
                    V::wide_sum(dots[n]).mul(scales).fma(V::splat(*facts.add(fact::SCALE * N + n)), sums[n]);
            }
        }
        sums
    }
}

/// What the sums of all tokens begin with.
#[rustfmt::skip] // a line an instruction, here and below
macro_rules! begin {
    () => { concat!(
        "vmovdqa ymm0, ymmword ptr [{panel} + {starts}]\n",
        "vmovdqa ymm4, ymmword ptr [{panel} + {starts} + 32]\n",
        "vmovdqa ymm1, ymm0\nvmovdqa ymm2, ymm0\nvmovdqa ymm3, ymm0\n",
        "vmovdqa ymm5, ymm4\nvmovdqa ymm6, ymm4\nvmovdqa ymm7, ymm4\n",
    ) };
}

/// Quad `$quad` of all rows times all tokens: sizes are in `ymm8` and `ymm9`, signs in `ymm10` and `ymm11`, ones in `ymm15`.
#[rustfmt::skip]
macro_rules! quad {
    ($quad:literal) => { concat!(
        "vmovdqa ymm8, ymmword ptr [{panel} + 128 * ", $quad, "]\n",
        "vmovdqa ymm9, ymmword ptr [{panel} + 128 * ", $quad, " + 32]\n",
        "vmovdqa ymm10, ymmword ptr [{panel} + 128 * ", $quad, " + 64]\n",
        "vmovdqa ymm11, ymmword ptr [{panel} + 128 * ", $quad, " + 96]\n",
        quad!($quad, 0, "ymm0", "ymm4"),
        quad!($quad, 1, "ymm1", "ymm5"),
        quad!($quad, 2, "ymm2", "ymm6"),
        quad!($quad, 3, "ymm3", "ymm7"),
    ) };
    ($quad:literal, $n:literal, $a:literal, $b:literal) => { concat!(
        "vpbroadcastd ymm12, dword ptr [{codes} + 16 * ", $quad, " + 4 * ", $n, "]\n",
        "vpxor ymm13, ymm12, ymm10\n",
        "vpxor ymm12, ymm12, ymm11\n",
        "vpmaddubsw ymm13, ymm8, ymm13\n",
        "vpmaddubsw ymm12, ymm9, ymm12\n",
        "vpmaddwd ymm13, ymm13, ymm15\n",
        "vpmaddwd ymm12, ymm12, ymm15\n",
        "vpaddd ", $a, ", ", $a, ", ymm13\n",
        "vpaddd ", $b, ", ", $b, ", ymm12\n",
    ) };
}

four!(
    /// Spread codes of 8 bits.
    signed,
    BYTES,
    [
        "vmovdqa ymm15, ymmword ptr [rax + 32]",
        begin!(),
        quad!(0), quad!(1), quad!(2), quad!(3), quad!(4), quad!(5), quad!(6), quad!(7),
        "vmovaps ymm8, ymmword ptr [{panel} + {scales}]",
        "vmovaps ymm9, ymmword ptr [{panel} + {scales} + 32]",
        end_less!(wide),
    ],
    starts = const STARTS,
    scales = const SCALES,
);
