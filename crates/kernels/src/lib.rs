//! Vector arithmetic on slices: what a decoder does with numbers, and nothing that it knows about them.
//!
//! [`Compute`] is the safe front: an instruction set chosen once at run time and a pool of threads. Below it lies a
//! table of functions ([`table`]) filled either from [`scalar`], the readable oracle, or from the generic algorithms
//! of `x86`, stamped out for AVX2 and AVX-512. AVX2 and AVX-512 add in the same order, so they agree to the last
//! bit (but for prompts and 16-bit floats, which AMX takes as bfloat16); so do any two ways of cutting a batch or of sharing it among
//! threads.

mod activations;
mod ahead;
mod aligned;
mod arena;
mod attend;
mod attention;
mod blocks;
mod compute;
mod file_map;
mod format;
mod gated;
mod input;
mod isa;
mod kv;
mod matrix;
mod pack;
mod packed;
mod phase;
mod places;
mod pool;
mod products;
mod quantise;
mod scalar;
mod table;
mod weigh;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use activations::Activations;
pub use aligned::Aligned;
pub use arena::{Arena, Region};
pub use attention::{Attention, Lane};
pub use compute::Compute;
pub use file_map::FileMap;
pub use format::{BLOCK, Format};
pub use isa::{Isa, UnavailableIsa};
pub use kv::KvCache;
pub use matrix::{Matrix, ShapeMismatch};
pub use pack::RowCodes;
pub use packed::{Kind, Layout, Packed, Reals};
pub use phase::Phase;
pub use products::Linear;
pub use weigh::weigh;
