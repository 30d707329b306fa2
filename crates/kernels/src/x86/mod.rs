//! Thin shells: the generic algorithms compiled for AVX2 and for AVX-512.
#![allow(unsafe_code)]

mod linear;
mod rows;
mod vector;

use std::ops::Range;

use crate::{
    Activations, Attention, Isa, Matrix,
    table::{Out, Table},
};

macro_rules! shells {
    ($module:ident, $table:ident, $vector:ident, $isa:ident, $features:literal) => {
        mod $module {
            use super::*;
            use vector::$vector as V;

            // SAFETY (all of them): `table_for` hands the table out only where the machine has the features, and
            // the callers of the table keep the contract written there.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn quantise(x: &mut Activations) {
                // SAFETY: see above.
                unsafe { rows::quantise::<V>(x) }
            }
            #[target_feature(enable = $features)]
            pub(super) unsafe fn linear(w: &Matrix<'_>, range: Range<usize>, x: &Activations, out: Out) {
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

shells!(avx2, AVX2, Avx2, Avx2, "avx2,fma,f16c");
shells!(avx512, AVX512, Avx512, Avx512, "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni");
