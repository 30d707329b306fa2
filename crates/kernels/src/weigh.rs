//! What softmax weighs scores with, for who has no [`Compute`](crate::Compute).
#![allow(unsafe_code)] // kernels are called as they are

use std::sync::LazyLock;

use crate::{
    Isa, scalar,
    table::{Table, table_for},
};

/// `exp((score − largest) / temperature)` of each score, within 3 units in the last place; gives their sum, in 32 bits. Scores are
/// finite or -∞, and no larger than `largest`, which is finite; `temperature` is above 0. What weighs less than e⁻⁸⁷ weighs nothing.
///
/// By the best instruction set that the machine has; another may give other bits.
///
/// # Panics
/// When the lengths differ.
pub fn weigh(scores: &[f32], largest: f32, temperature: f32, weights: &mut [f32]) -> f32 {
    static BEST: LazyLock<&Table> = LazyLock::new(|| table_for(Isa::best()).unwrap_or(&scalar::TABLE));
    assert_eq!(scores.len(), weights.len(), "as many weights as scores");
    // SAFETY: the machine has the instruction set; lengths are equal.
    unsafe { (BEST.weigh)(scores, (largest, temperature), weights) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_what_the_formula_says_at_every_length_and_alignment() {
        let scores: Vec<f32> = (0..100).map(|n| (n as f32 * 0.77).sin() * 30.0 - 31.0).collect();
        for table in Isa::ALL.into_iter().filter_map(table_for) {
            for (start, end) in (0..20).flat_map(|start| (start..100).map(move |end| (start, end))) {
                for of in [(0.0, 1.0), (-1.0, 0.3), (2.5, 7.0)] {
                    let scores = &scores[start..end];
                    let mut got = vec![f32::NAN; scores.len()];
                    // SAFETY: the machine has the instruction set; lengths are equal.
                    let sum = unsafe { (table.weigh)(scores, of, &mut got) };
                    let want = scores.iter().map(|score| f64::from((score - of.0) / of.1).exp());
                    let close = |got: f32, want: f64| (f64::from(got) - want).abs() <= want * 4e-7 + 4e-38;
                    assert!(
                        got.iter().zip(want.clone()).all(|(got, want)| close(*got, want)),
                        "{}",
                        table.isa
                    );
                    assert!(close(sum, want.sum()), "{} {start} {end}", table.isa);
                }
            }
        }
    }

    #[test]
    fn what_is_far_below_weighs_nothing() {
        let scores = [f32::NEG_INFINITY, f32::MIN, -100.0, 0.0];
        for table in Isa::ALL.into_iter().filter_map(table_for) {
            for temperature in [1.0, 1e-30, f32::from_bits(1)] {
                let mut weights = [f32::NAN; 4];
                // SAFETY: the machine has the instruction set; lengths are equal.
                let sum = unsafe { (table.weigh)(&scores, (0.0, temperature), &mut weights) };
                assert!(weights[..3].iter().all(|weight| *weight < 1e-37) && weights[..2] == [0.0; 2]);
                assert_eq!((weights[3], sum), (1.0, 1.0), "{} {temperature}", table.isa);
            }
        }
    }
}
