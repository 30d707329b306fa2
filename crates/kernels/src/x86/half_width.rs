//! Which processors take two turns for a vector of 256 bits: where a conversion costs as much as a product.

use std::arch::x86_64::__cpuid;

/// Whether this machine takes two turns for a vector of 256 bits. CPUID has a flag for it (`Fn8000_001A`), but virtual machines hide
/// that.
pub(crate) fn is_half_width() -> bool {
    let (vendor, signature) = (__cpuid(0), __cpuid(1).eax);
    takes_two_turns([vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened(), signature)
}

/// AMD's first generation of EPYC and Ryzen, and Hygon's after it; `signature` is how CPUID tells family and model.
fn takes_two_turns(vendor: &[u8], signature: u32) -> bool {
    // the extended family and model, which count in all of these
    let family = (signature >> 8 & 0xf) + (signature >> 20 & 0xff);
    let model = signature >> 4 & 0xf | signature >> 12 & 0xf0;
    match vendor {
        b"AuthenticAMD" => family == 0x17 && model < 0x30,
        b"HygonGenuine" => family == 0x18,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_told_by_family_and_model() {
        let amd = |signature| takes_two_turns(b"AuthenticAMD", signature);
        // EPYC 7001, Ryzen 1000 and 3000G; then EPYC 7002 to 9005
        assert_eq!([0x0080_0f12, 0x0080_0f11, 0x0081_0f81].map(amd), [true; 3]);
        assert_eq!([0x0083_0f10, 0x00a0_0f11, 0x00a1_0f11, 0x00b0_0f21].map(amd), [false; 4]);
        assert!(takes_two_turns(b"HygonGenuine", 0x0090_0f02));
        assert!(!takes_two_turns(b"GenuineIntel", 0x0080_0f12));
    }
}
