//! A simulated Metis: the C ABI of `libaxruntime` over a real transformer.
//!
//! It is a device, not a mock. It loads a compiled model, takes f16 embedding rows, keeps the KV cache on its
//! side, and answers int8 logits with scale and zero point; a program cannot tell it from the vendor's library,
//! and needs no code for it. What a card can do wrong it does on demand: see `settings`.
//!
//! A call's way: `exports` (C in, C out, panics caught) → `registry` (is the handle alive, and of the right
//! kind) → `context`, `device`, `connection`, `model`, `instance` (safe code that answers an
//! `error::Outcome`).

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test's way to fail"))]

mod computer;
mod connection;
mod context;
mod device;
mod error;
mod exports;
mod fault;
mod hold;
mod instance;
mod model;
mod model_file;
mod properties;
mod registry;
mod settings;
