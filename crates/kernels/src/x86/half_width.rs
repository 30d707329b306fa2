//! AVX2 on processors that take two turns for 256 bits: where a conversion costs as much as a product, weights, keys and values are
//! converted once for many tokens.

use std::{arch::x86_64::__cpuid, ops::Range};

use super::{attend, avx2::Avx2, rows, spread};
use crate::{
    Packed,
    attention::{Partial, Tile},
    table::{HalfWidthTable, Out, Tiles},
};

type V = Avx2<false>;

pub(super) static TABLE: HalfWidthTable = HalfWidthTable { linear, widen, attend };

// SAFETY (all of them): the table of AVX2 hands them out, on the terms of its own.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn linear(w: &Packed, range: Range<usize>, x: Tiles<'_>, out: Out) {
    // SAFETY: see above.
    unsafe { spread::linear::<V>(w, range, x, out) }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn widen(x: &[u16], out: &mut [f32]) {
    // SAFETY: see above.
    unsafe { rows::widen::<V>(x, out) }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn attend(tile: &Tile<'_, f32>, scores: &mut [f32], out: &mut Partial) {
    // SAFETY: see above.
    unsafe { attend::attend::<V, f32>(tile, scores, out) }
}

/// Whether this machine takes two turns for a vector of 256 bits: AMD's first generation of EPYC and Ryzen, and Hygon's after it.
/// CPUID has a flag for it (`Fn8000_001A`), but virtual machines hide that.
pub(crate) fn is_half_width() -> bool {
    let (vendor, version) = (__cpuid(0), __cpuid(1));
    // the extended family and model, which count in all of these
    let family = (version.eax >> 8 & 0xf) + (version.eax >> 20 & 0xff);
    let model = version.eax >> 4 & 0xf | version.eax >> 12 & 0xf0;
    let is = |name: &[u8; 12]| {
        let registers = [vendor.ebx, vendor.edx, vendor.ecx];
        registers.iter().flat_map(|register| register.to_le_bytes()).eq(*name)
    };
    is(b"AuthenticAMD") && family == 0x17 && model < 0x30 || is(b"HygonGenuine") && family == 0x18
}
