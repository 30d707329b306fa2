//! The functions that exist once per instruction set.

use std::ops::Range;

use crate::{
    Activations, Isa, Packed,
    activations::{Place, Tiling},
    attention::{Partial, Tile},
    scalar,
};

/// Where a matrix product writes, or adds to: value `[token][row]` lies at `token · stride + row`.
#[derive(Clone, Copy)]
pub(crate) struct Out {
    pub(crate) base: *mut f32,
    pub(crate) stride: usize,
    pub(crate) add: bool,
}

/// Some of the tiles of activations.
pub(crate) type Tiles<'a> = (&'a Activations, Range<usize>);

/// One instruction set's kernels.
///
/// # Safety
/// Calling any of them takes a machine that has the instruction set; [`table_for`] hands out no other.
/// `linear` also takes an `Out` whose elements `[0..tokens][rows]` are valid for writes and not touched by anyone
/// else meanwhile, `rows` within the matrix, `cols` equal on both sides and, for quantised formats, codes present (with the facts of
/// halves where the layout has halves), in the table's own tiles.
pub(crate) struct Table {
    pub(crate) isa: Isa,
    /// Tokens that it takes together.
    pub(crate) tiling: Tiling,
    /// Codes and facts of one row, which is padded with zeros to whole blocks.
    pub(crate) quantise: unsafe fn(&[f32], &Place),
    /// Product of some groups of rows of the weights with some tiles of tokens.
    pub(crate) linear: unsafe fn(&Packed, Range<usize>, Tiles<'_>, Out),
    /// `out = x / rms(x) · weight`; equal lengths.
    pub(crate) rms_norm: unsafe fn(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]),
    /// `out = silu(gate) · up`; equal lengths.
    pub(crate) swiglu: unsafe fn(gate: &[f32], up: &[f32], out: &mut [f32]),
    /// Attention of one tile to one segment; `scores` is scratch for `[QUERIES][SEGMENT]`, `out` has a row a query.
    pub(crate) attend: unsafe fn(&Tile<'_>, scores: &mut [f32], out: &mut Partial),
}

/// The kernels of `isa`, where this machine has it.
pub(crate) fn table_for(isa: Isa) -> Option<&'static Table> {
    if !isa.is_available() {
        return None;
    }
    match isa {
        Isa::Scalar => Some(&scalar::TABLE),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Some(&crate::x86::AVX2),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni => Some(&crate::x86::AVX_VNNI),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Some(&crate::x86::AVX512),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => Some(&crate::x86::AVX512_VNNI),
        #[cfg(target_arch = "x86_64")]
        Isa::Amx => Some(&crate::x86::AMX),
        #[cfg(not(target_arch = "x86_64"))]
        _ => None,
    }
}
