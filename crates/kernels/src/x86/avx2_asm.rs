//! Innermost steps of AVX2 by hand, for which a compiler finds no place in its sixteen registers: it loads too far ahead, reads
//! again what it had, or keeps some of the sums in memory.

use std::arch::x86_64::*;

use super::avx2::Avx2;

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
            "vpbroadcastd {y}, dword ptr [{quads}]",
            "vpmaddubsw {x}, {a}, {y}",
            "vpmaddubsw {y}, {b}, {y}",
            "vpaddw {a0}, {a0}, {x}",
            "vpaddw {b0}, {b0}, {y}",
            "vpbroadcastd {y}, dword ptr [{quads} + 4]",
            "vpmaddubsw {x}, {a}, {y}",
            "vpmaddubsw {y}, {b}, {y}",
            "vpaddw {a1}, {a1}, {x}",
            "vpaddw {b1}, {b1}, {y}",
            "vpbroadcastd {y}, dword ptr [{quads} + 8]",
            "vpmaddubsw {x}, {a}, {y}",
            "vpmaddubsw {y}, {b}, {y}",
            "vpaddw {a2}, {a2}, {x}",
            "vpaddw {b2}, {b2}, {y}",
            "vpbroadcastd {y}, dword ptr [{quads} + 12]",
            "vpmaddubsw {x}, {a}, {y}",
            "vpmaddubsw {y}, {b}, {y}",
            "vpaddw {a3}, {a3}, {x}",
            "vpaddw {b3}, {b3}, {y}",
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

/// Two vectors of 16-bit floats, which lie `apart`, times three floats, added to their sums: twelve registers, beside three
/// factors and half a vector.
///
/// # Safety
/// The vectors and the floats are there, on a machine that has what `Avx2` needs.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn fma_six<const DOT: bool>(
    sums: &mut [[Avx2<DOT>; 3]; 2],
    (from, apart): (*const u16, usize),
    [x, y, z]: &[*const f32; 3],
) {
    let [[Avx2(mut a0, mut b0), Avx2(mut a1, mut b1), Avx2(mut a2, mut b2)], second] = *sums;
    let [Avx2(mut c0, mut d0), Avx2(mut c1, mut d1), Avx2(mut c2, mut d2)] = second;
    let (_x, _y, _z, _half): (__m256, __m256, __m256, __m256);
    // SAFETY: reads two vectors and three floats, which the caller gives.
    unsafe {
        std::arch::asm!(
            "vbroadcastss {x}, dword ptr [{at_x}]",
            "vbroadcastss {y}, dword ptr [{at_y}]",
            "vbroadcastss {z}, dword ptr [{at_z}]",
            "vcvtph2ps {half}, xmmword ptr [{first}]",
            "vfmadd231ps {a0}, {half}, {x}",
            "vfmadd231ps {a1}, {half}, {y}",
            "vfmadd231ps {a2}, {half}, {z}",
            "vcvtph2ps {half}, xmmword ptr [{first} + 16]",
            "vfmadd231ps {b0}, {half}, {x}",
            "vfmadd231ps {b1}, {half}, {y}",
            "vfmadd231ps {b2}, {half}, {z}",
            "vcvtph2ps {half}, xmmword ptr [{second}]",
            "vfmadd231ps {c0}, {half}, {x}",
            "vfmadd231ps {c1}, {half}, {y}",
            "vfmadd231ps {c2}, {half}, {z}",
            "vcvtph2ps {half}, xmmword ptr [{second} + 16]",
            "vfmadd231ps {d0}, {half}, {x}",
            "vfmadd231ps {d1}, {half}, {y}",
            "vfmadd231ps {d2}, {half}, {z}",
            first = in(reg) from,
            second = in(reg) from.add(apart),
            at_x = in(reg) *x,
            at_y = in(reg) *y,
            at_z = in(reg) *z,
            x = out(ymm_reg) _x,
            y = out(ymm_reg) _y,
            z = out(ymm_reg) _z,
            half = out(ymm_reg) _half,
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
    *sums = [[Avx2(a0, b0), Avx2(a1, b1), Avx2(a2, b2)], [Avx2(c0, d0), Avx2(c1, d1), Avx2(c2, d2)]];
}
