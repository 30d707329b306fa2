//! 4-bit codes times four tokens on AVX2, in assembler: eight sums of whole numbers and as many of floats are more than sixteen
//! registers hold. Those of floats alone go to memory and come back; compiled, the same operations take a tenth longer.
//!
//! Sums of tokens are `ymm0` to `ymm3` (rows 0–7) and `ymm4` to `ymm7`; a quad of all rows is in `ymm8` and `ymm9`, as are the
//! scales in the end.

use super::{
    vector::{LANES, Vector},
    whole,
};
use crate::{
    Activations, BLOCK,
    activations::{Tile, fact},
    packed::{Layout, Reals},
};

/// Tokens that it takes at once.
pub(super) const TOKENS: usize = 4;
/// Bytes of a fact of that many.
pub(super) const FACT: usize = TOKENS * size_of::<f32>();

/// Sums of a token.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Sums([f32; LANES]);

/// A loop over some blocks of a panel, with a tile, to the sums.
pub(super) type Loop = unsafe fn(*const u8, usize, &Tile, &mut [Sums; TOKENS]);

/// What is read from memory: codes that are taken out of bytes, and ones.
#[repr(C, align(64))]
pub(super) struct Constants([u8; 32], [u16; 16]);
pub(super) static CONSTANTS: Constants = Constants([15; 32], [1; 16]);

/// Quad `$quad` times token `$n`, which is loaded to `$with`: the products of the first eight rows and of the others.
#[rustfmt::skip] // a line an instruction, here and below
macro_rules! multiply {
    ($quad:tt, $n:literal, $x:literal, $y:literal, $with:literal) => { concat!(
        "vpbroadcastd ", $with, ", dword ptr [{codes} + 16 * ", $quad, " + 4 * ", $n, "]\n",
        "vpmaddubsw ", $x, ", ymm8, ", $with, "\n",
        "vpmaddubsw ", $y, ", ymm9, ", $with, "\n",
    ) };
}

/// Quad `$quad` times token `$n`, to a pair of registers.
#[rustfmt::skip]
macro_rules! into {
    (A, $quad:tt, $n:literal) => { multiply!($quad, $n, "ymm10", "ymm11", "ymm11") };
    (B, $quad:tt, $n:literal) => { multiply!($quad, $n, "ymm12", "ymm13", "ymm13") };
    (C, $quad:tt, $n:literal) => { multiply!($quad, $n, "ymm14", "ymm15", "ymm15") };
}

/// What a pair of registers has, added to the sums of a token.
#[rustfmt::skip]
macro_rules! sum {
    ($pair:ident, 0) => { sum!($pair, "ymm0", "ymm4") };
    ($pair:ident, 1) => { sum!($pair, "ymm1", "ymm5") };
    ($pair:ident, 2) => { sum!($pair, "ymm2", "ymm6") };
    ($pair:ident, 3) => { sum!($pair, "ymm3", "ymm7") };
    (A, $a:literal, $b:literal) => { sum!("ymm10", "ymm11", $a, $b) };
    (B, $a:literal, $b:literal) => { sum!("ymm12", "ymm13", $a, $b) };
    (C, $a:literal, $b:literal) => { sum!("ymm14", "ymm15", $a, $b) };
    ($x:literal, $y:literal, $a:literal, $b:literal) => { concat!(
        "vpaddw ", $a, ", ", $a, ", ", $x, "\n",
        "vpaddw ", $b, ", ", $b, ", ", $y, "\n",
    ) };
}

/// Quad 0 times all tokens: the products are the first sums.
#[rustfmt::skip]
macro_rules! begin {
    () => { concat!(
        multiply!(0, 0, "ymm0", "ymm4", "ymm10"),
        multiply!(0, 1, "ymm1", "ymm5", "ymm11"),
        multiply!(0, 2, "ymm2", "ymm6", "ymm12"),
        multiply!(0, 3, "ymm3", "ymm7", "ymm13"),
    ) };
}

/// The same where codes have an offset: the sums begin with what it makes of the activations.
#[rustfmt::skip]
macro_rules! begin_less {
    () => { concat!(
        begin_less!(0, "ymm0", "ymm4"),
        begin_less!(1, "ymm1", "ymm5"),
        begin_less!(2, "ymm2", "ymm6"),
        begin_less!(3, "ymm3", "ymm7"),
    ) };
    ($n:literal, $a:literal, $b:literal) => { concat!(
        "vpbroadcastd ", $a, ", dword ptr [{facts} + {start} + 4 * ", $n, "]\n",
        "vmovdqa ", $b, ", ", $a, "\n",
    ) };
}

/// A quad of all rows, in order as it is spread, or out of the nibbles of a line; 8 are the scales.
#[rustfmt::skip]
macro_rules! load {
    (spread, $quad:literal) => { concat!(
        "vmovdqa ymm8, ymmword ptr [{panel} + 64 * ", $quad, "]\n",
        "vmovdqa ymm9, ymmword ptr [{panel} + 64 * ", $quad, " + 32]\n",
    ) };
    (packed, 4) => { load!(high, 0) };
    (packed, 5) => { load!(high, 1) };
    (packed, 6) => { load!(high, 2) };
    (packed, 7) => { load!(high, 3) };
    (packed, 8) => { concat!(
        "prefetcht0 byte ptr [{panel} + {ahead} + 64 * 4]\n",
        "vcvtph2ps ymm8, xmmword ptr [{panel} + 64 * 4]\n",
        "vcvtph2ps ymm9, xmmword ptr [{panel} + 64 * 4 + 16]\n",
    ) };
    // the line that comes some way ahead is asked for
    (packed, $line:literal) => { concat!(
        "prefetcht0 byte ptr [{panel} + {ahead} + 64 * ", $line, "]\n",
        load!(line, $line),
        load!(nibbles),
    ) };
    (high, $line:literal) => { concat!(
        load!(line, $line),
        "vpsrlw ymm8, ymm8, 4\n",
        "vpsrlw ymm9, ymm9, 4\n",
        load!(nibbles),
    ) };
    (line, $line:literal) => { concat!(
        "vmovdqu ymm8, ymmword ptr [{panel} + 64 * ", $line, "]\n",
        "vmovdqu ymm9, ymmword ptr [{panel} + 64 * ", $line, " + 32]\n",
    ) };
    (nibbles) => { "vpand ymm8, ymm8, ymmword ptr [rax]\nvpand ymm9, ymm9, ymmword ptr [rax]\n" };
}

/// Quad `$quad` times all tokens. A product is added three tokens later, when its registers are needed: none is waited for.
#[rustfmt::skip]
macro_rules! next {
    ($form:ident, $quad:tt, $a:ident, $b:ident, $c:ident) => { concat!(
        load!($form, $quad),
        sum!($a, 1), into!($a, $quad, 0), sum!($b, 2), into!($b, $quad, 1),
        sum!($c, 3), into!($c, $quad, 2), sum!($a, 0), into!($a, $quad, 3),
    ) };
}

/// The same where nothing was multiplied before.
#[rustfmt::skip]
macro_rules! first {
    ($form:ident, $quad:tt) => { concat!(
        load!($form, $quad),
        into!(A, $quad, 0), into!(B, $quad, 1), into!(C, $quad, 2), sum!(A, 0), into!(A, $quad, 3),
    ) };
}

/// All quads times all tokens, both of a line one after the other.
#[rustfmt::skip]
macro_rules! multiply_all {
    ($form:ident, begin) => { concat!(
        load!($form, 0), begin!(), first!($form, 4),
        next!($form, 1, B, C, A), next!($form, 5, C, A, B), next!($form, 2, A, B, C),
        next!($form, 6, B, C, A), next!($form, 3, C, A, B), next!($form, 7, A, B, C),
        sum!(B, 1), sum!(C, 2), sum!(A, 3),
    ) };
    ($form:ident, begin_less) => { concat!(
        begin_less!(), first!($form, 0),
        next!($form, 4, B, C, A), next!($form, 1, C, A, B), next!($form, 5, A, B, C), next!($form, 2, B, C, A),
        next!($form, 6, C, A, B), next!($form, 3, A, B, C), next!($form, 7, B, C, A),
        sum!(C, 1), sum!(A, 2), sum!(B, 3),
    ) };
}

/// The sums of a block of `$a` and `$b` by whole scales; by floats; by floats, where sums have 32 bits.
#[rustfmt::skip]
macro_rules! scale {
    (whole, $a:literal, $b:literal) => { concat!(
        "vpmaddwd ", $a, ", ", $a, ", ymm8\n",
        "vpmaddwd ", $b, ", ", $b, ", ymm9\n",
        "vcvtdq2ps ", $a, ", ", $a, "\n",
        "vcvtdq2ps ", $b, ", ", $b, "\n",
    ) };
    (float, $a:literal, $b:literal) => { concat!(
        "vpmaddwd ", $a, ", ", $a, ", ymm15\n",
        "vpmaddwd ", $b, ", ", $b, ", ymm15\n",
        scale!(wide, $a, $b),
    ) };
    (wide, $a:literal, $b:literal) => { concat!(
        "vcvtdq2ps ", $a, ", ", $a, "\n",
        "vcvtdq2ps ", $b, ", ", $b, "\n",
        "vmulps ", $a, ", ", $a, ", ymm8\n",
        "vmulps ", $b, ", ", $b, ", ymm9\n",
    ) };
}

/// What a block gives: minima in `ymm14` and `$high` and its scaled sums are added to the float sums.
#[rustfmt::skip]
macro_rules! end {
    ($scale:ident, $high:literal) => { concat!(
        end!($scale, $high, 0, "ymm0", "ymm4"),
        end!($scale, $high, 1, "ymm1", "ymm5"),
        end!($scale, $high, 2, "ymm2", "ymm6"),
        end!($scale, $high, 3, "ymm3", "ymm7"),
    ) };
    ($scale:ident, $high:literal, $n:literal, $a:literal, $b:literal) => { concat!(
        scale!($scale, $a, $b),
        "vbroadcastss ymm10, dword ptr [{facts} + {sum} + 4 * ", $n, "]\n",
        "vmovaps ymm12, ymmword ptr [{sums} + 64 * ", $n, "]\n",
        "vmovaps ymm13, ymmword ptr [{sums} + 64 * ", $n, " + 32]\n",
        "vfmadd231ps ymm12, ymm14, ymm10\n",
        "vfmadd231ps ymm13, ", $high, ", ymm10\n",
        "vbroadcastss ymm10, dword ptr [{facts} + {scale} + 4 * ", $n, "]\n",
        "vfmadd231ps ymm12, ", $a, ", ymm10\n",
        "vfmadd231ps ymm13, ", $b, ", ymm10\n",
        "vmovaps ymmword ptr [{sums} + 64 * ", $n, "], ymm12\n",
        "vmovaps ymmword ptr [{sums} + 64 * ", $n, " + 32], ymm13\n",
    ) };
}

/// The same without minima.
#[rustfmt::skip]
macro_rules! end_less {
    ($scale:ident) => { concat!(
        end_less!($scale, 0, "ymm0", "ymm4"),
        end_less!($scale, 1, "ymm1", "ymm5"),
        end_less!($scale, 2, "ymm2", "ymm6"),
        end_less!($scale, 3, "ymm3", "ymm7"),
    ) };
    ($scale:ident, $n:literal, $a:literal, $b:literal) => { concat!(
        scale!($scale, $a, $b),
        "vbroadcastss ymm10, dword ptr [{facts} + {scale} + 4 * ", $n, "]\n",
        "vfmadd213ps ", $a, ", ymm10, ymmword ptr [{sums} + 64 * ", $n, "]\n",
        "vfmadd213ps ", $b, ", ymm10, ymmword ptr [{sums} + 64 * ", $n, " + 32]\n",
        "vmovaps ymmword ptr [{sums} + 64 * ", $n, "], ", $a, "\n",
        "vmovaps ymmword ptr [{sums} + 64 * ", $n, " + 32], ", $b, "\n",
    ) };
}

/// A loop over the blocks of a panel, which has `$bytes` bytes a block.
macro_rules! four {
    ($(#[$doc:meta])* $name:ident, $bytes:expr, [$($line:expr),* $(,)?], $($operand:tt)*) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// The panel and the tile have `blocks` blocks, one or more; the machine has AVX2, FMA and F16C.
        #[inline]
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn $name(panel: *const u8, blocks: usize, tile: &Tile, sums: &mut [Sums; TOKENS]) {
            // SAFETY: reads the blocks of the panel and of the tile, and some constants; writes the sums.
            unsafe {
                std::arch::asm!(
                    "2:",
                    $($line,)*
                    "add {panel}, {bytes}",
                    "add {codes}, {codes_bytes}",
                    "add {facts}, {facts_bytes}",
                    "dec {blocks}",
                    "jnz 2b",
                    panel = inout(reg) panel => _,
                    codes = inout(reg) tile.codes => _,
                    facts = inout(reg) tile.facts => _,
                    blocks = inout(reg) blocks => _,
                    sums = in(reg) sums,
                    facts_bytes = in(reg) tile.facts_len * FACT,
                    codes_bytes = const BLOCK * TOKENS,
                    bytes = const $bytes,
                    scale = const fact::SCALE * FACT,
                    $($operand)*
                    in("rax") &raw const CONSTANTS,
                    out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
                    out("ymm4") _, out("ymm5") _, out("ymm6") _, out("ymm7") _,
                    out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
                    out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
                    options(nostack)
                );
            }
        }
    };
}

four!(
    /// Spread codes with minima, [`whole`] scales.
    spread_with_minima,
    whole::layout(true).block_bytes(),
    [
        multiply_all!(spread, begin),
        load!(spread, 8),
        "vmovaps ymm14, ymmword ptr [{panel} + 64 * 9]",
        "vmovaps ymm15, ymmword ptr [{panel} + 64 * 9 + 32]",
        end!(whole, "ymm15"),
    ],
    sum = const fact::SUM * FACT,
);
four!(
    /// Spread codes with minima, 32-bit scales.
    wide_with_minima,
    whole::layout(true).block_bytes(),
    [
        multiply_all!(spread, begin),
        load!(spread, 8),
        "vmovaps ymm14, ymmword ptr [{panel} + 64 * 9]",
        "vmovaps ymm11, ymmword ptr [{panel} + 64 * 9 + 32]",
        "vmovdqa ymm15, ymmword ptr [rax + 32]",
        end!(float, "ymm11"),
    ],
    sum = const fact::SUM * FACT,
);
four!(
    /// Spread codes without minima, [`whole`] scales.
    spread,
    whole::layout(false).block_bytes(),
    [multiply_all!(spread, begin_less), load!(spread, 8), end_less!(whole)],
    start = const fact::NIBBLES * FACT,
);
four!(
    /// Codes with minima as they are packed, 16-bit scales.
    packed_with_minima,
    packed_layout(true).block_bytes(),
    [
        multiply_all!(packed, begin),
        load!(packed, 8),
        "vmovdqa ymm15, ymmword ptr [rax + 32]",
        "vcvtph2ps ymm14, xmmword ptr [{panel} + 64 * 4 + 32]",
        "vcvtph2ps ymm11, xmmword ptr [{panel} + 64 * 4 + 48]",
        end!(float, "ymm11"),
    ],
    sum = const fact::SUM * FACT,
    ahead = const AHEAD,
);
four!(
    /// Codes without minima as they are packed, 16-bit scales.
    packed,
    packed_layout(false).block_bytes(),
    [
        multiply_all!(packed, begin_less),
        load!(packed, 8),
        "vmovdqa ymm15, ymmword ptr [rax + 32]",
        end_less!(float),
    ],
    start = const fact::NIBBLES * FACT,
    ahead = const AHEAD,
);

pub(super) use {end_less, four, scale};

/// How far ahead weights are asked for.
const AHEAD: usize = <super::avx2::Avx2<false> as Vector>::AHEAD[0];

/// 4-bit codes as they are packed, with 16-bit scales.
const fn packed_layout(minima: bool) -> Layout {
    Layout { bits: 4, halves: false, minima, reals: Reals::F16 }
}

/// A panel of [`packed_layout`] times the [`TOKENS`] tokens of a tile.
///
/// # Safety
/// As for `Panel::dot`, where a vector is a token's sums; the machine has AVX2, FMA and F16C, but not its dot products.
#[inline(always)]
pub(super) unsafe fn dot_packed<V: Vector, const N: usize, const MINIMA: bool>(
    panel: &[u8],
    x: &Activations,
    tile: &Tile,
) -> [V; N] {
    let one = if MINIMA { packed_with_minima } else { packed };
    // SAFETY: handed on from the caller.
    unsafe { sums((one, packed_layout(MINIMA).block_bytes()), panel, x, tile) }
}

/// A panel of [`whole::layout`] with floats, and minima, which begins with a cache line.
///
/// # Safety
/// As for [`dot_packed`].
#[inline(always)]
pub(super) unsafe fn dot_wide<V: Vector, const N: usize>(
    panel: &[u8],
    x: &Activations,
    tile: &Tile,
) -> [V; N] {
    // SAFETY: handed on from the caller.
    unsafe { sums((wide_with_minima, whole::layout(true).block_bytes()), panel, x, tile) }
}

/// A panel of [`whole::layout`], which begins with a cache line.
///
/// # Safety
/// As for [`dot_packed`].
#[inline(always)]
pub(super) unsafe fn dot_whole<V: Vector, const N: usize, const MINIMA: bool>(
    panel: &[u8],
    x: &Activations,
    tile: &Tile,
) -> [V; N] {
    let one = if MINIMA { spread_with_minima } else { spread };
    // SAFETY: handed on from the caller.
    unsafe { sums((one, whole::layout(MINIMA).block_bytes()), panel, x, tile) }
}

/// What one of the loops gives for panels with so many bytes a block.
///
/// # Safety
/// As for [`dot_packed`].
#[inline(always)]
pub(super) unsafe fn sums<V: Vector, const N: usize>(
    (one, block_bytes): (Loop, usize),
    panel: &[u8],
    x: &Activations,
    tile: &Tile,
) -> [V; N] {
    assert!(N == TOKENS && x.blocks() > 0, "{N} tokens of {} blocks", x.blocks());
    assert!(panel.len() >= x.blocks() * block_bytes, "a panel of {} blocks", x.blocks());
    let mut sums = [Sums([0.0; LANES]); TOKENS];
    // SAFETY: handed on from the caller.
    unsafe {
        one(panel.as_ptr(), x.blocks(), tile, &mut sums);
        let mut vectors = [V::splat(0.0); N];
        for (vector, sums) in vectors.iter_mut().zip(&sums) {
            *vector = V::load(sums.0.as_ptr());
        }
        vectors
    }
}
