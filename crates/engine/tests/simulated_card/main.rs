//! The AIPU pipeline through the simulated card's library, as a program meets a Metis.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a test's ways to tell and to fail

#[path = "../common/mod.rs"]
mod common;

mod compile;
mod errors;
mod logits;
mod sessions;
mod turns;
