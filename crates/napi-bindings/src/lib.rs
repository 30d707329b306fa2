//! The engine as a Node module. No logic of its own: it translates options, results and errors, and moves long work
//! off the JavaScript thread. `ts/native.ts` is its only user; programs use `ts/index.ts`.
//!
//! No panic crosses: exported functions catch theirs, and work on other threads is fenced.
#![allow(unsafe_code)] // the `napi` macros expand to calls of Node's C interface; there is none of our own

mod compile;
mod devices;
mod embed;
mod error;
mod extract;
mod model;
mod panic;
mod reply;
mod session;
