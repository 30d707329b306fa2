//! The functions that exist once per instruction set.

use std::ops::Range;

use crate::{
    Activations, Isa, Packed,
    activations::{TINY, Tiling},
    attention::{Partial, Scratch, Stored, StripBuffers, Tile},
    places::{Blocks, Places},
    scalar,
};

/// Where a matrix product writes, or adds to: value `[token][row]` lies at `token · stride + row`.
#[derive(Clone, Copy)]
pub(crate) struct Out {
    pub(crate) base: *mut f32,
    pub(crate) stride: usize,
    pub(crate) add: bool,
}

impl Out {
    /// The place of a value; beyond the last one it may be named, but not touched.
    #[inline(always)]
    pub(crate) fn at(self, token: usize, row: usize) -> *mut f32 {
        self.base.wrapping_add(token * self.stride + row)
    }
}

/// The weights of a norm and its ε.
pub(crate) type Norm<'a> = (&'a [f32], f32);

/// The largest score, and the temperature.
pub(crate) type Softmax = (f32, f32);

/// Some of the strips of activations.
pub(crate) type Strips<'a> = (&'a Activations, Range<usize>);

/// Some of the tiles of activations.
pub(crate) type Tiles<'a> = (&'a Activations, Range<usize>);

/// Product of some groups of rows of the weights with some tiles of tokens.
pub(crate) type Product = unsafe fn(&Packed, Range<usize>, Tiles<'_>, Out);

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
    /// Codes and facts of some blocks of some tokens, whose values follow each other.
    pub(crate) quantise: unsafe fn(&[f32], (&Places, Blocks)),
    /// What multiplies bfloat16, where there is such a thing.
    pub(crate) bf16: Option<Bf16Table>,
    pub(crate) linear: Product,
    /// The same for weights that [spread](crate::Kind::spreads), which are spread once for all tiles; where that may pay.
    pub(crate) spread: Option<Product>,
    /// Some columns of `x / rms(x) · weight`; equal lengths.
    pub(crate) rms_norm: unsafe fn(x: &[f32], norm: Norm<'_>, columns: Range<usize>, out: &mut [f32]),
    /// `out = silu(gate) · up`; equal lengths.
    pub(crate) swiglu: unsafe fn(gate: &[f32], up: &[f32], out: &mut [f32]),
    /// `exp((score − largest) / temperature)` of each score, which is no larger; gives their sum. Equal lengths.
    pub(crate) weigh: unsafe fn(scores: &[f32], of: Softmax, weights: &mut [f32]) -> f32,
    /// Whole numbers of at most `most` for keys, values and queries, by the largest of them, which is [`LARGEST`] at most; gives what 1
    /// is in those, which is no number where one of the values is none. Equal lengths.
    pub(crate) words: unsafe fn(x: &[f32], most: f32, out: &mut [i16]) -> f32,
    /// Attention of one tile to one segment; the scratch is fit for it, `out` has a row a query.
    pub(crate) attend: unsafe fn(&Tile<'_>, &mut Scratch, out: &mut Partial),
}

/// Kernels of bfloat16, for [`Kind::Tiles`](crate::Kind::Tiles), and for codes in [`Phase::Prefill`](crate::Phase).
///
/// # Safety
/// As for [`Table`]; the activations have bfloat16.
pub(crate) struct Bf16Table {
    /// As [`Table::quantise`].
    pub(crate) round: unsafe fn(&[f32], (&Places, Blocks)),
    /// Product of some groups of rows of the weights with some strips of tokens.
    pub(crate) linear: unsafe fn(&Packed, Range<usize>, Strips<'_>, Out),
    /// As [`Table::swiglu`], for what becomes bfloat16.
    pub(crate) swiglu: unsafe fn(&[f32], &[f32], &mut [f32]),
    /// `silu(gate · x) · (up · x)`: some blocks of some strips. Both matrices have the same shape, and meet bfloat16.
    pub(crate) gated: unsafe fn([&Packed; 2], Range<usize>, Strips<'_>, &Places),
    /// Keys and values made bfloat16 in the buffers, which are fit for them.
    pub(crate) turn: unsafe fn(&Stored<'_>, &mut StripBuffers),
    /// Adds what those give to the n-th of the sums for each `(n, tile)`: up to sixteen queries, of the same segment and head.
    pub(crate) attend: for<'a> unsafe fn(&mut dyn Iterator<Item = (usize, Tile<'a>)>, &mut StripBuffers),
    /// What is left to do for the n-th query of a sum: its `dim` values by the sum of their weights, from a column of a token on.
    pub(crate) finish: unsafe fn(&Partial, n: usize, dim: usize, to: (&Places, usize, usize)),
}

/// Whether this machine takes two turns for a vector of 256 bits, so that conversions count as much as products.
pub(crate) fn is_half_width() -> bool {
    #[cfg(target_arch = "x86_64")]
    return crate::x86::is_half_width();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// What is larger becomes this in keys, values and queries: an infinity would reach positions that do not see it.
pub(crate) const LARGEST: f32 = 1e9;

/// By what values, the largest of which is this, are multiplied to be whole numbers of at most `most`, and what 1 is in those.
pub(crate) fn word_scale(largest: f32, most: f32) -> (f32, f32) {
    if largest < TINY { (0.0, 0.0) } else { (most / largest, largest / most) }
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

#[cfg(test)]
mod tests {
    #![allow(unsafe_code)] // kernels are called as they are
    use super::*;

    #[test]
    fn words_have_the_same_bits_on_every_instruction_set() {
        let special = [0.0, -0.0, 1e8, -1e9, 1e-7, -3e-8, 6.1e-5, 1e-40];
        let ties = (0..200u16).map(|n| f32::from(n) - 0.5);
        let values: Vec<f32> = special.into_iter().chain(ties).collect();
        for table in Isa::ALL.into_iter().filter_map(table_for) {
            for (start, end) in
                (0..20).flat_map(|start| (start..values.len()).step_by(7).map(move |end| (start, end)))
            {
                let values = &values[start..end];
                let largest = values.iter().fold(0f32, |m, v| m.max(v.abs()));
                for most in [4095.0, 32767.0, largest.min(1000.0)] {
                    let (mut got, mut want) = (vec![1; values.len()], vec![2; values.len()]);
                    // SAFETY: the machine has the instruction set; lengths are equal.
                    let scales = unsafe {
                        (
                            (table.words)(values, most, &mut got),
                            (scalar::TABLE.words)(values, most, &mut want),
                        )
                    };
                    assert_eq!((&got, scales.0), (&want, scales.1), "{values:?}, {}", table.isa);
                    for (word, value) in got.iter().zip(values) {
                        let off = f32::from(*word).mul_add(scales.0, -value).abs();
                        assert!(off <= largest / most * 0.51 || largest < TINY, "{value}");
                    }
                }
            }
            let mut words = [0; 17];
            for place in 0..17 {
                let mut of = |value: f32| {
                    let mut values = [1.0; 17];
                    values[place] = value;
                    // SAFETY: as above.
                    (unsafe { (table.words)(&values, 4095.0, &mut words) }, words[place])
                };
                assert!(of(f32::NAN).0.is_nan(), "at {place}, {}", table.isa);
                for (large, word) in [(f32::INFINITY, 4095), (f32::NEG_INFINITY, -4095), (-1e30, -4095)] {
                    assert_eq!(of(large), (LARGEST / 4095.0, word), "{large} at {place}, {}", table.isa);
                }
            }
        }
    }
}
