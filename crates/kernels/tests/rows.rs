//! What is done with rows of floats, through every instruction set that the machine has, against the formulas.

mod common;

use common::{Noise, assert_close, machines};
use kernels::Phase;

#[test]
fn norms_and_activations_are_what_the_formula_says_at_every_length_and_alignment() {
    let machines = machines(1);
    let mut noise = Noise(6);
    for len in (1..=130).chain([576, 2048]) {
        for start in [0, 1, 7] {
            let (x, weight) = (noise.floats(len + start), noise.floats(len + start));
            let (x, weight) = (&x[start..], &weight[start..]);
            let gate: Vec<f32> = noise.floats(len).iter().map(|v| v * 40.0).collect();
            let square = x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / len as f64;
            let norm = |x: &f32, w: &f32| (f64::from(*x) / (square + 1e-5).sqrt() * f64::from(*w)) as f32;
            let want: Vec<f32> = x.iter().zip(weight).map(|(x, w)| norm(x, w)).collect();
            let silu =
                |g: &f32, x: &f32| (f64::from(*g) / (1.0 + (-f64::from(*g)).exp()) * f64::from(*x)) as f32;
            let want_gate: Vec<f32> = gate.iter().zip(x).map(|(g, x)| silu(g, x)).collect();
            for machine in &machines {
                let case = format!("{len} values from {start}, {}", machine.isa());
                let mut got = vec![0.0; len + start];
                machine.rms_norm(x, (weight, 1e-5), 0..len, &mut got[start..]);
                assert_close(&got[start..], &want, 1e-6, &case);
                let (columns, mut some) = (len / 3..len, vec![0.0; len - len / 3]);
                machine.rms_norm(x, (weight, 1e-5), columns.clone(), &mut some);
                assert_eq!(some, got[start..][columns], "columns, {case}");
                for (phase, tolerance) in [(Phase::Decode, 1e-6), (Phase::Prefill, 1e-4)] {
                    machine.swiglu(phase, &gate, x, &mut got[start..]);
                    assert_close(&got[start..], &want_gate, tolerance, &case);
                }
            }
        }
    }
}
