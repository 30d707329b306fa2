//! One sequence: what a model has read.

use kernels::KvCache;

use crate::{config::Config, error::ForwardError};

/// Keys and values of the positions that a model has read, and room for more: memory is taken as far as it is used.
#[derive(Debug)]
pub struct Sequence {
    len: usize,
    capacity: usize,
    cache: KvCache,
}

impl Clone for Sequence {
    /// # Panics
    /// When the system has no memory.
    fn clone(&self) -> Self {
        let cache = self.cache.try_clone(self.len).expect("memory for a copy of the KV cache");
        Self { cache, ..*self }
    }
}

impl Sequence {
    pub(crate) fn new(config: &Config, capacity: usize) -> Self {
        let cache = KvCache::new(config.layers, config.kv_heads, config.head_dim);
        Self { len: 0, capacity, cache }
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
        self.cache.shape() == (config.layers, config.kv_heads, config.head_dim)
    }

    /// Takes the memory of `added` more positions.
    pub(crate) fn reserve(&mut self, added: usize) -> Result<(), ForwardError> {
        let positions = self.len + added;
        self.cache.reserve(positions).map_err(|_| ForwardError::Memory { positions })
    }

    /// Makes `added` more positions count, after every layer has stored them.
    pub(crate) fn advance(&mut self, added: usize) {
        self.len += added;
        debug_assert!(self.len <= self.capacity);
    }

    pub(crate) fn cache(&mut self) -> &mut KvCache {
        &mut self.cache
    }
}
