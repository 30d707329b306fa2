//! Time per operation of the engine's own steps; one module an operation.
#![allow(missing_docs)] // criterion's macros write undocumented functions

mod detokenise;
mod gather;
mod passes;
mod prompt;
mod sample;

use std::time::Duration;

/// What is measured takes milliseconds at most, unless a group says otherwise.
fn short() -> criterion::Criterion {
    let (warm_up, measurement) = (Duration::from_secs(1), Duration::from_secs(2));
    criterion::Criterion::default().warm_up_time(warm_up).measurement_time(measurement)
}

criterion::criterion_main!(
    gather::benches,
    sample::benches,
    detokenise::benches,
    prompt::benches,
    passes::benches
);
