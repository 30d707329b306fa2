//! Thin shells: the generic algorithms compiled for AVX2 and for AVX-512.
#![allow(unsafe_code)]

mod amx;
mod attend;
mod avx2;
mod avx2_asm;
mod avx512;
mod bf16;
mod bf16_rows;
mod bf16_unit;
mod bf16_weights;
mod dots;
mod four_asm;
mod gated;
mod half_width;
mod linear;
mod pace;
mod panel;
mod quantise;
mod quantise_fours;
mod quantise_lanes;
mod rows;
mod short;
mod signed;
mod softmax;
mod spread;
mod strips;
mod tiles;
mod turn;
mod unpack;
mod vector;
mod whole;

use std::ops::Range;

use crate::{
    Isa, Packed,
    activations::Tiling,
    attention::{Partial, Scratch, Tile},
    places::{Blocks, Places},
    table::{Bf16Table, Norm, Out, Softmax, Table, Tiles},
};
pub(crate) use amx::is_available as has_amx;
pub(crate) use half_width::is_half_width;
use vector::Vector;
pub(crate) use vector::{prefetch_far, prefetch_write};

macro_rules! shells {
    ($module:ident, $vector:ty, $table:ident, $isa:ident, $features:literal, $spread:expr) => {
        mod $module {
            use super::*;

            type V = $vector;

            // SAFETY (all of them): `table_for` hands the table out only where the machine has the features, and
            // the callers of the table keep the contract written there.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn quantise(values: &[f32], to: (&Places, Blocks)) {
                // SAFETY: see above.
                unsafe { quantise::quantise::<V>(values, to) }
            }
            #[target_feature(enable = $features)]
            pub(super) unsafe fn linear(w: &Packed, range: Range<usize>, x: Tiles<'_>, out: Out) {
                // SAFETY: see above.
                unsafe { linear::linear::<V>(w, range, x, out) }
            }
            #[target_feature(enable = $features)]
            pub(super) unsafe fn rms_norm(x: &[f32], norm: Norm<'_>, columns: Range<usize>, out: &mut [f32]) {
                // SAFETY: see above.
                unsafe { rows::rms_norm::<V>(x, norm, columns, out) }
            }
            #[target_feature(enable = $features)]
            pub(super) unsafe fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
                // SAFETY: see above.
                unsafe { rows::swiglu::<V>(gate, up, out) }
            }
            #[target_feature(enable = $features)]
            pub(super) unsafe fn weigh(scores: &[f32], of: Softmax, weights: &mut [f32]) -> f32 {
                // SAFETY: see above.
                unsafe { rows::weigh::<V>(scores, of, weights) }
            }
            #[target_feature(enable = $features)]
            pub(super) unsafe fn words(x: &[f32], most: f32, out: &mut [i16]) -> f32 {
                // SAFETY: see above.
                unsafe { rows::words::<V>(x, most, out) }
            }
            #[target_feature(enable = $features)]
            pub(super) unsafe fn attend(tile: &Tile<'_>, scratch: &mut Scratch, out: &mut Partial) {
                // SAFETY: see above.
                unsafe { attend::attend::<V>(tile, scratch, out) }
            }
        }

        pub(crate) static $table: Table = Table {
            isa: Isa::$isa,
            tiling: Tiling::quads(<$vector as Vector>::TILES),
            quantise: $module::quantise,
            bf16: None,
            linear: $module::linear,
            spread: $spread,
            rms_norm: $module::rms_norm,
            swiglu: $module::swiglu,
            weigh: $module::weigh,
            words: $module::words,
            attend: $module::attend,
        };
    };
}

shells!(avx2_shells, avx2::Avx2<false>, AVX2, Avx2, "avx2,fma,f16c", Some(spread::linear));
shells!(avx_vnni_shells, avx2::Avx2<true>, AVX_VNNI, AvxVnni, "avx2,fma,f16c,avxvnni", None);
shells!(
    avx512_shells,
    avx512::Avx512<false>,
    AVX512,
    Avx512,
    "avx2,fma,f16c,avx512f,avx512bw,avx512vl",
    None
);
shells!(
    avx512_vnni_shells,
    avx512::Avx512<true>,
    AVX512_VNNI,
    Avx512Vnni,
    "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni",
    None
);

/// What its tiles are not made for is done by the vectors of AVX-512.
pub(crate) static AMX: Table = Table {
    isa: Isa::Amx,
    tiling: Tiling { lens: &[amx::TOKENS, 12, 8, 4, 2, 1], rows_from: amx::TOKENS },
    bf16: Some(Bf16Table {
        round: bf16_rows::round,
        linear: bf16::linear,
        swiglu: bf16_rows::swiglu,
        gated: gated::gated,
        turn: turn::turn,
        attend: strips::attend,
        finish: bf16_rows::finish,
    }),
    linear: tiles::linear,
    ..AVX512_VNNI
};
