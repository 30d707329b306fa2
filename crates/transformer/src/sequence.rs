//! One sequence's KV cache.

use std::ops::Range;

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use crate::config::Config;

/// Keys and values of the positions that a model has read, and room for more.
///
/// `[layer][kv_head][position][head_dim]` in 16-bit floats, so that one head's positions lie side by side. The pages
/// are zeroed by the system on first touch: a long context costs memory only as far as it is used.
#[derive(Clone, Debug)]
pub struct Sequence {
    len: usize,
    capacity: usize,
    layers: usize,
    kv_heads: usize,
    head_dim: usize,
    keys: Vec<u16>,
    values: Vec<u16>,
}

impl Sequence {
    pub(crate) fn new(config: &Config, capacity: usize) -> Self {
        let size = config.layers * config.kv_dim() * capacity;
        Self {
            len: 0,
            capacity,
            layers: config.layers,
            kv_heads: config.kv_heads,
            head_dim: config.head_dim,
            keys: vec![0; size],
            values: vec![0; size],
        }
    }

    /// Positions in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been read yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Positions that there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Forgets all but the first `len` positions; a greater `len` changes nothing.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    pub(crate) fn fits(&self, config: &Config) -> bool {
        (self.layers, self.kv_heads, self.head_dim) == (config.layers, config.kv_heads, config.head_dim)
    }

    /// Makes `added` more positions count, after every layer has stored them.
    pub(crate) fn advance(&mut self, added: usize) {
        self.len += added;
        debug_assert!(self.len <= self.capacity);
    }

    /// Stores keys and values (`[kv_head][head_dim]`) of one position in one layer.
    pub(crate) fn store(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        for head in 0..self.kv_heads {
            let from = head * self.head_dim..(head + 1) * self.head_dim;
            let to = self.place(layer, head) + position * self.head_dim;
            let to = to..to + self.head_dim;
            half_bits(&mut self.keys[to.clone()]).convert_from_f32_slice(&keys[from.clone()]);
            half_bits(&mut self.values[to]).convert_from_f32_slice(&values[from]);
        }
    }

    /// Keys and values of some positions of a head, f16 bits.
    pub(crate) fn head(&self, layer: usize, head: usize, positions: Range<usize>) -> (&[u16], &[u16]) {
        let at = self.place(layer, head);
        let range = at + positions.start * self.head_dim..at + positions.end * self.head_dim;
        (&self.keys[range.clone()], &self.values[range])
    }

    fn place(&self, layer: usize, head: usize) -> usize {
        (layer * self.kv_heads + head) * self.capacity * self.head_dim
    }
}

fn half_bits(bits: &mut [u16]) -> &mut [f16] {
    bits.reinterpret_cast_mut()
}
