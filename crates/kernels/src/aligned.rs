//! Vectors that begin with a cache line.

use std::ops::{Deref, DerefMut};

use aligned_vec::{AVec, ConstAlign};

/// Bytes of a cache line, and of the widest register.
const LINE: usize = 64;

/// A vector of numbers whose first lies at the start of a cache line. An allocator's own place for many values is 16 bytes
/// into one, so that every wide register's worth of them lies across two lines.
#[derive(Clone, Debug)]
pub struct Aligned<T>(AVec<T, ConstAlign<LINE>>);

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self(AVec::new(LINE))
    }
}

impl<T: Clone + Default> Aligned<T> {
    /// Its first `len` values, which are left over from before or new; it never shrinks.
    pub(crate) fn room(&mut self, len: usize) -> &mut [T] {
        if self.len() < len {
            self.resize(len, T::default());
        }
        &mut self[..len]
    }
}

impl<T> Deref for Aligned<T> {
    type Target = AVec<T, ConstAlign<LINE>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
