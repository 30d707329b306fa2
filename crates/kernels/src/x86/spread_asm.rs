//! Spread codes with minima times four tokens on AVX2, in assembler: eight sums of whole numbers and as many of floats are more
//! than sixteen registers hold, and compiled, the same operations take a tenth longer. (Without minima they take no longer.)

use std::arch::x86_64::_mm256_set1_epi16;

use super::{
    panel::{Codes, Panel},
    vector::{LANES, Vector},
};
use crate::{
    Activations, BLOCK,
    activations::{Tile, fact},
    packed::ROWS,
};

/// Tokens that it takes at once.
const TOKENS: usize = 4;
/// Bytes of a fact of that many.
const FACT: usize = TOKENS * size_of::<f32>();
/// Where a block's scales lie, and its minima; bytes of a block.
const SCALES: usize = BLOCK * ROWS;
const MINIMA: usize = SCALES + ROWS * size_of::<f32>();
const BYTES: usize = MINIMA + ROWS * size_of::<f32>();

/// A quad of each row, `$quad` of a block, into registers.
#[rustfmt::skip] // a line an instruction, here and below
macro_rules! load {
    ($quad:literal) => { concat!(
        "vmovdqa {low}, ymmword ptr [{panel} + 64 * ", $quad, "]\n",
        "vmovdqa {high}, ymmword ptr [{panel} + 64 * ", $quad, " + 32]",
    ) };
}

/// Times token `$n`: the products are its first sums.
#[rustfmt::skip]
macro_rules! begin {
    ($n:literal, $a:literal, $b:literal) => { concat!(
        "vpbroadcastd {x}, dword ptr [{codes} + 4 * ", $n, "]\n",
        "vpmaddubsw {", $a, "}, {low}, {x}\n",
        "vpmaddubsw {", $b, "}, {high}, {x}",
    ) };
}

/// Quad `$quad` times token `$n`, added to its sums.
#[rustfmt::skip]
macro_rules! add {
    ($quad:literal, $n:literal, $a:literal, $b:literal, $x:literal, $y:literal) => { concat!(
        "vpbroadcastd {", $y, "}, dword ptr [{codes} + 16 * ", $quad, " + 4 * ", $n, "]\n",
        "vpmaddubsw {", $x, "}, {low}, {", $y, "}\n",
        "vpmaddubsw {", $y, "}, {high}, {", $y, "}\n",
        "vpaddw {", $a, "}, {", $a, "}, {", $x, "}\n",
        "vpaddw {", $b, "}, {", $b, "}, {", $y, "}",
    ) };
}

/// Quad `$quad` times all tokens.
#[rustfmt::skip]
macro_rules! quad {
    ($quad:literal) => { concat!(
        load!($quad), "\n",
        add!($quad, 0, "a0", "b0", "x", "y"), "\n",
        add!($quad, 1, "a1", "b1", "u", "v"), "\n",
        add!($quad, 2, "a2", "b2", "x", "y"), "\n",
        add!($quad, 3, "a3", "b3", "u", "v"),
    ) };
}

/// What a block of token `$n` gives, scaled, and its minima are added to the float sums.
#[rustfmt::skip]
macro_rules! end {
    ($n:literal, $a:literal, $b:literal) => { concat!(
        "vpmaddwd {", $a, "}, {", $a, "}, {ones}\n",
        "vpmaddwd {", $b, "}, {", $b, "}, {ones}\n",
        "vcvtdq2ps {", $a, "}, {", $a, "}\n",
        "vcvtdq2ps {", $b, "}, {", $b, "}\n",
        "vbroadcastss {x}, dword ptr [{facts} + {scale} + 4 * ", $n, "]\n",
        "vmulps {u}, {low}, {x}\n",
        "vmulps {v}, {high}, {x}\n",
        "vfmadd213ps {", $a, "}, {u}, ymmword ptr [{sums} + 64 * ", $n, "]\n",
        "vfmadd213ps {", $b, "}, {v}, ymmword ptr [{sums} + 64 * ", $n, " + 32]\n",
        "vbroadcastss {y}, dword ptr [{facts} + {sum} + 4 * ", $n, "]\n",
        "vfmadd231ps {", $a, "}, {y}, {minimum}\n",
        "vfmadd231ps {", $b, "}, {y}, ymmword ptr [{panel} + {minima} + 32]\n",
        "vmovaps ymmword ptr [{sums} + 64 * ", $n, "], {", $a, "}\n",
        "vmovaps ymmword ptr [{sums} + 64 * ", $n, " + 32], {", $b, "}",
    ) };
}

/// Spread codes with minima.
pub(super) struct Minima;

impl Panel for Minima {
    const PAIRS: bool = Compiled::PAIRS;

    #[inline(always)]
    unsafe fn dot<V: Vector, const G: usize, const N: usize>(
        panels: [&[u8]; G],
        x: &Activations,
        tile: &Tile,
    ) -> [[V; N]; G] {
        // SAFETY: handed on from the caller, who spreads for AVX2 alone, to where a cache line begins; a vector is a token's sums.
        unsafe {
            if G != 1 || N != TOKENS {
                return Compiled::dot::<V, G, N>(panels, x, tile);
            }
            let from = four(panels[0], x.blocks(), tile);
            let mut sums = [[V::splat(0.0); N]; G];
            for (sum, from) in sums[0].iter_mut().zip(&from) {
                *sum = V::load(from.0.as_ptr());
            }
            sums
        }
    }
}

/// The same as a compiler makes it, for all other tiles.
type Compiled = Codes<true, false, true, true, true>;

/// Sums of a token.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Sums([f32; LANES]);

/// A spread group with minima times the `TOKENS` tokens of a tile, the bits that [`Compiled`] gives.
///
/// # Safety
/// The panel is aligned as vectors are and has `blocks` blocks, one or more, as has the tile; the machine has AVX2 and FMA.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn four(panel: &[u8], blocks: usize, tile: &Tile) -> [Sums; TOKENS] {
    assert!(blocks > 0 && panel.len() >= blocks * BYTES, "a panel of {blocks} blocks");
    let mut sums = [Sums([0.0; LANES]); TOKENS];
    // SAFETY: reads the blocks of the panel and of the tile, and writes the sums.
    unsafe {
        std::arch::asm!(
            "2:",
            load!(0),
            begin!(0, "a0", "b0"),
            begin!(1, "a1", "b1"),
            begin!(2, "a2", "b2"),
            begin!(3, "a3", "b3"),
            quad!(1),
            quad!(2),
            quad!(3),
            quad!(4),
            quad!(5),
            quad!(6),
            quad!(7),
            "vmovaps {low}, ymmword ptr [{panel} + {scales}]",
            "vmovaps {high}, ymmword ptr [{panel} + {scales} + 32]",
            "vmovaps {minimum}, ymmword ptr [{panel} + {minima}]",
            end!(0, "a0", "b0"),
            end!(1, "a1", "b1"),
            end!(2, "a2", "b2"),
            end!(3, "a3", "b3"),
            "add {panel}, {bytes}",
            "add {codes}, {codes_bytes}",
            "add {facts}, {facts_bytes}",
            "dec {blocks}",
            "jnz 2b",
            panel = inout(reg) panel.as_ptr() => _,
            codes = inout(reg) tile.codes => _,
            facts = inout(reg) tile.facts => _,
            blocks = inout(reg) blocks => _,
            sums = in(reg) &raw mut sums,
            facts_bytes = in(reg) tile.facts_len * FACT,
            codes_bytes = const BLOCK * TOKENS,
            bytes = const BYTES,
            scales = const SCALES,
            minima = const MINIMA,
            scale = const fact::SCALE * FACT,
            sum = const fact::SUM * FACT,
            ones = in(ymm_reg) _mm256_set1_epi16(1),
            minimum = out(ymm_reg) _,
            low = out(ymm_reg) _,
            high = out(ymm_reg) _,
            x = out(ymm_reg) _,
            y = out(ymm_reg) _,
            u = out(ymm_reg) _,
            v = out(ymm_reg) _,
            a0 = out(ymm_reg) _,
            b0 = out(ymm_reg) _,
            a1 = out(ymm_reg) _,
            b1 = out(ymm_reg) _,
            a2 = out(ymm_reg) _,
            b2 = out(ymm_reg) _,
            a3 = out(ymm_reg) _,
            b3 = out(ymm_reg) _,
            options(nostack)
        );
    }
    sums
}
