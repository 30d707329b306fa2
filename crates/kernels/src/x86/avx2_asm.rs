//! Innermost steps of AVX2 by hand, for which a compiler finds no place in its sixteen registers: it loads too far ahead, reads
//! again what it had, or keeps some of the sums in memory.

use std::arch::x86_64::*;

/// What is broadcast from `$at` times a register for either half of the rows, added to the sums `$a` and `$b`.
#[rustfmt::skip] // a line an instruction, here and below
macro_rules! step {
    ($multiply:literal, $add:literal, $at:literal, $a:literal, $b:literal) => { concat!(
        "vpbroadcastd {y}, dword ptr [", $at, "]\n",
        $multiply, " {x}, {a}, {y}\n",
        $multiply, " {y}, {b}, {y}\n",
        $add, " {", $a, "}, {", $a, "}, {x}\n",
        $add, " {", $b, "}, {", $b, "}, {y}\n",
    ) };
}

/// The same for words and two vectors, of which the second, with the sums `$c` and `$d`, is in memory.
#[rustfmt::skip]
macro_rules! twice {
    ($at:literal, $a:literal, $b:literal, $c:literal, $d:literal) => { concat!(
        "vpbroadcastd {y}, dword ptr [", $at, "]\n",
        "vpmaddwd {x}, {a}, {y}\n",
        "vpaddd {", $a, "}, {", $a, "}, {x}\n",
        "vpmaddwd {x}, {b}, {y}\n",
        "vpaddd {", $b, "}, {", $b, "}, {x}\n",
        "vpmaddwd {x}, {y}, ymmword ptr [{second}]\n",
        "vpmaddwd {y}, {y}, ymmword ptr [{second} + 32]\n",
        "vpaddd {", $c, "}, {", $c, "}, {x}\n",
        "vpaddd {", $d, "}, {", $d, "}, {y}\n",
    ) };
}

/// `vpmaddubsw` of a group with four tokens, added to their sums. A compiler reads quads of so few tokens anew for either half
/// of the rows, and puts off additions until registers run out.
///
/// # Safety
/// Four quads are there, on a machine that has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn multiply_four(
    sums: &mut [(__m256i, __m256i); 4],
    (a, b): (__m256i, __m256i),
    quads: *const i8,
) {
    let [(mut a0, mut b0), (mut a1, mut b1), (mut a2, mut b2), (mut a3, mut b3)] = *sums;
    let (_a_products, _b_products): (__m256i, __m256i);
    // SAFETY: reads four quads, which the caller gives.
    unsafe {
        std::arch::asm!(
            step!("vpmaddubsw", "vpaddw", "{quads}", "a0", "b0"),
            step!("vpmaddubsw", "vpaddw", "{quads} + 4", "a1", "b1"),
            step!("vpmaddubsw", "vpaddw", "{quads} + 8", "a2", "b2"),
            step!("vpmaddubsw", "vpaddw", "{quads} + 12", "a3", "b3"),
            quads = in(reg) quads,
            x = out(ymm_reg) _a_products,
            y = out(ymm_reg) _b_products,
            a = in(ymm_reg) a,
            b = in(ymm_reg) b,
            a0 = inout(ymm_reg) a0,
            b0 = inout(ymm_reg) b0,
            a1 = inout(ymm_reg) a1,
            b1 = inout(ymm_reg) b1,
            a2 = inout(ymm_reg) a2,
            b2 = inout(ymm_reg) b2,
            a3 = inout(ymm_reg) a3,
            b3 = inout(ymm_reg) b3,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    *sums = [(a0, b0), (a1, b1), (a2, b2), (a3, b3)];
}

/// `vpmaddwd` of a vector of pairs of 16-bit numbers with six such pairs, which lie a `stride` apart, added to their sums: twelve
/// registers, beside the vector and what becomes of either half.
///
/// # Safety
/// The vector and the pairs are there, on a machine that has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn pairs_six(
    sums: &mut [(__m256i, __m256i); 6],
    from: *const u32,
    (pairs, stride): (*const i16, usize),
) {
    let [(mut a0, mut b0), (mut a1, mut b1), (mut a2, mut b2), last @ ..] = *sums;
    let [(mut a3, mut b3), (mut a4, mut b4), (mut a5, mut b5)] = last;
    let (_a_products, _b_products): (__m256i, __m256i);
    // SAFETY: reads a vector and six pairs, which the caller gives.
    unsafe {
        let (a, b) = (_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast()));
        std::arch::asm!(
            step!("vpmaddwd", "vpaddd", "{near}", "a0", "b0"),
            step!("vpmaddwd", "vpaddd", "{near} + {stride}", "a1", "b1"),
            step!("vpmaddwd", "vpaddd", "{near} + 2 * {stride}", "a2", "b2"),
            step!("vpmaddwd", "vpaddd", "{far}", "a3", "b3"),
            step!("vpmaddwd", "vpaddd", "{far} + {stride}", "a4", "b4"),
            step!("vpmaddwd", "vpaddd", "{far} + 2 * {stride}", "a5", "b5"),
            near = in(reg) pairs,
            far = in(reg) pairs.add(3 * stride),
            stride = in(reg) stride * size_of::<i16>(),
            x = out(ymm_reg) _a_products,
            y = out(ymm_reg) _b_products,
            a = in(ymm_reg) a,
            b = in(ymm_reg) b,
            a0 = inout(ymm_reg) a0,
            b0 = inout(ymm_reg) b0,
            a1 = inout(ymm_reg) a1,
            b1 = inout(ymm_reg) b1,
            a2 = inout(ymm_reg) a2,
            b2 = inout(ymm_reg) b2,
            a3 = inout(ymm_reg) a3,
            b3 = inout(ymm_reg) b3,
            a4 = inout(ymm_reg) a4,
            b4 = inout(ymm_reg) b4,
            a5 = inout(ymm_reg) a5,
            b5 = inout(ymm_reg) b5,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    *sums = [(a0, b0), (a1, b1), (a2, b2), (a3, b3), (a4, b4), (a5, b5)];
}

/// `vpmaddwd` of two vectors of pairs of 16-bit numbers, which lie `apart`, with three such pairs, which lie a `stride` apart, added to
/// their sums: twelve registers again; the second vector is read as it is multiplied.
///
/// # Safety
/// The vectors and the pairs are there, on a machine that has AVX2.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn pairs_twice_three(
    sums: &mut [[(__m256i, __m256i); 3]; 2],
    (from, apart): (*const u32, usize),
    (pairs, stride): (*const i16, usize),
) {
    let [[(mut a0, mut b0), (mut a1, mut b1), (mut a2, mut b2)], last] = *sums;
    let [(mut c0, mut d0), (mut c1, mut d1), (mut c2, mut d2)] = last;
    let (_a_products, _b_products): (__m256i, __m256i);
    // SAFETY: reads two vectors and three pairs, which the caller gives.
    unsafe {
        let (a, b) = (_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast()));
        std::arch::asm!(
            twice!("{pairs}", "a0", "b0", "c0", "d0"),
            twice!("{pairs} + {stride}", "a1", "b1", "c1", "d1"),
            twice!("{pairs} + 2 * {stride}", "a2", "b2", "c2", "d2"),
            pairs = in(reg) pairs,
            stride = in(reg) stride * size_of::<i16>(),
            second = in(reg) from.add(apart),
            x = out(ymm_reg) _a_products,
            y = out(ymm_reg) _b_products,
            a = in(ymm_reg) a,
            b = in(ymm_reg) b,
            a0 = inout(ymm_reg) a0,
            b0 = inout(ymm_reg) b0,
            a1 = inout(ymm_reg) a1,
            b1 = inout(ymm_reg) b1,
            a2 = inout(ymm_reg) a2,
            b2 = inout(ymm_reg) b2,
            c0 = inout(ymm_reg) c0,
            d0 = inout(ymm_reg) d0,
            c1 = inout(ymm_reg) c1,
            d1 = inout(ymm_reg) d1,
            c2 = inout(ymm_reg) c2,
            d2 = inout(ymm_reg) d2,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    *sums = [[(a0, b0), (a1, b1), (a2, b2)], [(c0, d0), (c1, d1), (c2, d2)]];
}
