//! Thin shells: the generic algorithms compiled for AVX2 and for AVX-512.
#![allow(unsafe_code)]

mod avx2;
mod avx512;
mod linear;
mod rows;
mod vector;

use std::ops::Range;

use crate::{
    Activations, Attention, Isa, Packed,
    activations::BlockScale,
    table::{Out, Table},
};

macro_rules! shells {
    ($module:ident, $vectors:ident, $table:ident, $vector:ident, $isa:ident, $features:literal) => {
        mod $module {
            use super::$vectors::$vector as V;
            use super::*;

            // SAFETY (all of them): `table_for` hands the table out only where the machine has the features, and
            // the callers of the table keep the contract written there.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn quantise(values: &[f32], codes: &mut [i8], scales: &mut [BlockScale]) {
                // SAFETY: see above.
                unsafe { rows::quantise::<V>(values, codes, scales) }
            }
            #[target_feature(enable = $features)]
            pub(super) unsafe fn linear(w: &Packed, range: Range<usize>, x: &Activations, out: Out) {
                // SAFETY: see above.
                unsafe { linear::linear::<V>(w, range, x, out) }
            }
            #[target_feature(enable = $features)]
            pub(super) unsafe fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
                // SAFETY: see above.
                unsafe { rows::rms_norm::<V>(x, weight, eps, out) }
            }
            #[target_feature(enable = $features)]
            pub(super) unsafe fn swiglu(gate: &mut [f32], up: &[f32]) {
                // SAFETY: see above.
                unsafe { rows::swiglu::<V>(gate, up) }
            }
            #[target_feature(enable = $features)]
            pub(super) unsafe fn attend(job: &Attention<'_>, scores: &mut [f32], out: &mut [f32]) {
                // SAFETY: see above.
                unsafe { rows::attend::<V>(job, scores, out) }
            }
        }

        pub(crate) static $table: Table = Table {
            isa: Isa::$isa,
            quantise: $module::quantise,
            linear: $module::linear,
            rms_norm: $module::rms_norm,
            swiglu: $module::swiglu,
            attend: $module::attend,
        };
    };
}

shells!(avx2_shells, avx2, AVX2, Avx2, Avx2, "avx2,fma,f16c");
shells!(avx512_shells, avx512, AVX512, Avx512, Avx512, "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni");
