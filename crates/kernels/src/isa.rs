//! The instruction sets there are kernels for.

use std::{fmt, str::FromStr};

/// An instruction set with kernels of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust: the oracle that the others are checked against.
    Scalar,
    /// x86-64 with AVX2, FMA and F16C.
    Avx2,
    /// The same with 8-bit dot products (AVX-VNNI).
    AvxVnni,
    /// x86-64 with AVX-512 F, BW and VL.
    Avx512,
    /// The same with 8-bit dot products (AVX-512 VNNI).
    Avx512Vnni,
    /// The same with products of whole tiles (AMX): of 8 bits for sixteen tokens and more, of bfloat16 for weights of 16-bit
    /// floats.
    Amx,
}

impl Isa {
    /// All of them, slowest first.
    pub const ALL: [Self; 6] =
        [Self::Scalar, Self::Avx2, Self::AvxVnni, Self::Avx512, Self::Avx512Vnni, Self::Amx];

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => Self::Avx2.is_available() && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Self::Avx512.is_available() && is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => Self::Avx512Vnni.is_available() && crate::x86::has_amx(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The fastest that this machine has.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Self::Scalar)
    }

    /// The name that options and logs use: `scalar`, `avx2`, `avxvnni`, `avx512`, `avx512vnni` or `amx`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avxvnni",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
            Self::Amx => "amx",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An instruction set that is not known, or that this machine lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnavailableIsa {
    /// What was asked for.
    pub asked: String,
}

impl fmt::Display for UnavailableIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let have: Vec<_> = Isa::ALL.into_iter().filter(|isa| isa.is_available()).map(Isa::name).collect();
        write!(f, "instruction set {:?} is not available, this machine has {}", self.asked, have.join(", "))
    }
}

impl std::error::Error for UnavailableIsa {}

impl FromStr for Isa {
    type Err = UnavailableIsa;

    fn from_str(name: &str) -> Result<Self, UnavailableIsa> {
        Self::ALL
            .into_iter()
            .find(|isa| isa.name() == name && isa.is_available())
            .ok_or_else(|| UnavailableIsa { asked: name.into() })
    }
}
