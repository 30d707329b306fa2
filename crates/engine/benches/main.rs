//! Time per operation of the engine's own steps; one module an operation.
#![allow(missing_docs)] // criterion's macros write undocumented functions

mod detokenise;
mod gather;
mod passes;
mod prompt;
mod sample;

criterion::criterion_main!(
    gather::benches,
    sample::benches,
    detokenise::benches,
    prompt::benches,
    passes::benches
);
