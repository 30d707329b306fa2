//! The KV cache: keys and values of one sequence, laid out for [`Compute::attend`](crate::Compute::attend).
//!
//! Memory comes in segments of [`SEGMENT`] positions with all layers and heads in one piece: a short conversation
//! costs one segment, a long one streams through huge pages. Within a segment each head of each layer has
//!
//! - its keys in blocks of sixteen positions, a vector lane a position: value 0 of all sixteen, value 1, …;
//! - then its values, a row a position, padded to whole vectors.
//!
//! So scores need no sum across lanes, and neither do the weighted values. All are 16-bit floats.
#![allow(unsafe_code)]

use std::{fmt, io, slice};

use memmap2::{MmapMut, MmapRaw};

/// Positions in a segment. Attention works segment by segment and joins the results in order, so a result does not
/// depend on how a prompt was cut or who computed what.
pub(crate) const SEGMENT: usize = 256;
/// Positions that share a vector of keys.
pub(crate) const LANES: usize = 16;

/// Keys and values of one sequence: `layers` × `heads` × positions × `head_dim`.
pub struct KvCache {
    layers: usize,
    heads: usize,
    head_dim: usize,
    segments: Vec<MmapRaw>,
}

impl fmt::Debug for KvCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layers, heads, head_dim, segments } = self;
        let shape = (layers, heads, head_dim);
        f.debug_struct("KvCache").field("shape", &shape).field("segments", &segments.len()).finish()
    }
}

impl KvCache {
    /// An empty cache.
    pub fn new(layers: usize, heads: usize, head_dim: usize) -> Self {
        Self { layers, heads, head_dim, segments: Vec::new() }
    }

    /// `(layers, heads, head_dim)`
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.layers, self.heads, self.head_dim)
    }

    /// Makes room for `positions` in all.
    ///
    /// # Errors
    /// When the system has no memory; what is there stays.
    pub fn reserve(&mut self, positions: usize) -> io::Result<()> {
        let head = 2 * SEGMENT * (self.head_dim + self.width());
        let size = head.checked_mul(self.layers * self.heads).ok_or(io::ErrorKind::OutOfMemory)?;
        while self.segments.len() < positions.div_ceil(SEGMENT) {
            let segment = MmapMut::map_anon(size)?;
            #[cfg(target_os = "linux")]
            let _ = segment.advise(memmap2::Advice::HugePage); // a kernel without them still works
            self.segments.push(segment.into());
        }
        Ok(())
    }

    /// A copy of the first `positions`.
    ///
    /// # Errors
    /// When the system has no memory.
    pub fn try_clone(&self, positions: usize) -> io::Result<Self> {
        let mut copy = Self::new(self.layers, self.heads, self.head_dim);
        copy.reserve(positions)?;
        for (from, to) in self.segments.iter().zip(&copy.segments) {
            // SAFETY: both maps are as long; the new one is ours alone, and `&self` keeps writers off the old one.
            unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        }
        Ok(copy)
    }

    /// Values of a head's row, padded to whole vectors.
    pub(crate) fn width(&self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    /// Where the keys of a head begin in a segment, as a pointer; its values follow them.
    fn place(&self, segment: usize, layer: usize, head: usize) -> *mut u16 {
        assert!(layer < self.layers && head < self.heads, "no such layer or head");
        let at = (layer * self.heads + head) * SEGMENT * (self.head_dim + self.width());
        // SAFETY: the segment holds so many values for every layer and head, see `reserve`.
        unsafe { self.segments[segment].as_mut_ptr().cast::<u16>().add(at) }
    }

    /// Keys (`[SEGMENT / 16][head_dim][16]`) and values (`[SEGMENT][width]`) of a head, f16 bits.
    pub(crate) fn head(&self, segment: usize, layer: usize, head: usize) -> (&[u16], &[u16]) {
        let keys = self.place(segment, layer, head);
        // SAFETY: the ranges lie within the segment (`place`), every bit pattern is a value, and writing takes a
        // `&mut` to the cache (`write`).
        unsafe {
            let values = slice::from_raw_parts(keys.add(SEGMENT * self.head_dim), SEGMENT * self.width());
            (slice::from_raw_parts(keys, SEGMENT * self.head_dim), values)
        }
    }

    /// Stores keys and values (`[head_dim]`, f16 bits) of one position in a head of a layer.
    ///
    /// # Safety
    /// The caller has the cache for itself, and nobody else reads or writes this position of this head meanwhile.
    ///
    /// # Panics
    /// When there is no room for the position.
    pub(crate) unsafe fn write(
        &self,
        (layer, head): (usize, usize),
        position: usize,
        keys: &[u16],
        values: &[u16],
    ) {
        let (segment, at) = (position / SEGMENT, position % SEGMENT);
        let (dim, width) = (self.head_dim, self.width());
        assert!(keys.len() == dim && values.len() == dim, "keys and values of another length");
        let base = self.place(segment, layer, head);
        // SAFETY: `at` is below SEGMENT, so all places lie within the head's keys and values.
        unsafe {
            let column = base.add(at / LANES * LANES * dim + at % LANES);
            for (d, key) in keys.iter().enumerate() {
                column.add(d * LANES).write(*key);
            }
            base.add(SEGMENT * dim + at * width).copy_from_nonoverlapping(values.as_ptr(), dim);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_lies_where_the_layout_says_and_copies_are_apart() {
        let mut cache = KvCache::new(2, 3, 5);
        cache.reserve(SEGMENT + 1).expect("memory");
        let keys: Vec<u16> = (0..15).collect();
        let values: Vec<u16> = keys.iter().map(|key| key + 100).collect();
        let place = SEGMENT + 17;
        for (head, (keys, values)) in keys.chunks(5).zip(values.chunks(5)).enumerate() {
            // SAFETY: nobody else knows the cache.
            unsafe { cache.write((1, head), place, keys, values) };
        }
        let copy = cache.try_clone(SEGMENT + 1).expect("memory");
        // SAFETY: as above.
        unsafe { cache.write((1, 0), place, &[7; 5], &[8; 5]) };
        let (k, v) = copy.head(1, 1, 2);
        for n in 0..5 {
            assert_eq!((k[16 * 5 + n * 16 + 1], v[17 * 16 + n]), (keys[10 + n], values[10 + n]));
        }
        let (k, v) = cache.head(1, 1, 0);
        assert_eq!((k[16 * 5 + 1], v[17 * 16]), (7, 8));
        assert!(cache.head(0, 1, 0).0.iter().all(|bits| *bits == 0));
    }
}
