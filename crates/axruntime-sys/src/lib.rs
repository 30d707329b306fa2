//! The C ABI of `libaxruntime`, in three layers; the upper never mixes with the lower.
//!
//! 1. Names: [`raw`] has the types, [`symbols`] the one list of functions.
//! 2. Statuses: [`find()`] and [`Library`] turn "is there a runtime" into a [`LoadError`], each call's
//!    `axrResult` becomes a [`CallError`] with the runtime's own words.
//! 3. Ownership: [`Context`], [`Connection`], [`Model`], [`Instance`] and [`Properties`] are safe to use and
//!    destroy themselves in the right order.
//!
//! What the vendor's public pages leave open is decided in [`assumed`], and nowhere else.
//!
//! ```no_run
//! use axruntime_sys::{Context, Library};
//! let context = Context::new(Library::open(None)?);
//! for device in context.devices()? {
//!     println!("{} has {} cores", device.name, device.sub_devices);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test's way to fail"))]

pub mod assumed;
mod calls;
mod context;
mod device;
mod find;
mod instance;
mod library;
mod logger;
mod model;
mod properties;
pub mod raw;
mod status;
pub mod symbols;
mod text;

pub use context::Context;
pub use device::Device;
pub use find::{Candidate, Source, find, find_with};
pub use instance::{Connection, Instance, Model};
pub use library::{Library, LoadError};
pub use logger::LogLevel;
pub use model::{TensorInfo, TensorKind};
pub use properties::Properties;
pub use status::{CallError, Status};
