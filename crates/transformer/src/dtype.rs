//! What weights are rounded to when they are loaded.

use std::{fmt, str::FromStr};

use kernels::Kind;

/// A type of weights in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit floats: what the model was computed with, at four times the memory of `Q8`.
    F32,
    /// The upper halves of 32-bit floats.
    Bf16,
    /// 8-bit codes with one scale for 32 weights.
    Q8,
    /// 4-bit codes with scale and minimum for 32 weights; the output head keeps 8 bits.
    Q4,
}

/// A name that is no [`Dtype`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown dtype {0:?}, expected f32, bf16, q8 or q4")]
pub struct UnknownDtype(pub String);

impl Dtype {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::F32, Self::Bf16, Self::Q8, Self::Q4];

    /// As options name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Q8 => "q8",
            Self::Q4 => "q4",
        }
    }

    pub(crate) const fn kind(self, head: bool) -> Kind {
        match self {
            Self::F32 => Kind::F32,
            Self::Bf16 => Kind::Bf16,
            Self::Q4 if !head => Kind::Q4,
            Self::Q8 | Self::Q4 => Kind::Q8,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dtype {
    type Err = UnknownDtype;

    fn from_str(name: &str) -> Result<Self, UnknownDtype> {
        let found = Self::ALL.into_iter().find(|dtype| dtype.name() == name);
        found.ok_or_else(|| UnknownDtype(name.chars().take(64).collect()))
    }
}
