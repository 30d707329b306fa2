//! The KV cache: keys and values of one sequence, laid out for [`Compute::attend`](crate::Compute::attend).
//!
//! Memory comes in segments of [`SEGMENT`] positions with all layers and heads in one piece: a short conversation
//! costs one segment, a long one streams through huge pages. Within a segment each head of each layer has
//!
//! - its keys in blocks of sixteen positions, a vector lane a position: values 0 and 1 of all sixteen, values 2 and 3, …;
//! - then its values, two positions a row, a lane a column, padded to whole vectors;
//! - then the scales of both, one a position.
//!
//! So scores need no sum across lanes, and neither do the weighted values; a lane's two numbers are what one instruction multiplies and
//! adds up (`vpmaddwd`). All are whole numbers of 16 bits, of at most [`most_of_key`] and [`MOST_OF_VALUE`]: so large that sums fit 32
//! bits, and as exact as 16-bit floats.
#![allow(unsafe_code)]

use std::{fmt, io, slice};

use memmap2::{MmapMut, MmapRaw};

/// Positions in a segment. Attention works segment by segment and joins the results in order, so a result does not
/// depend on how a prompt was cut or who computed what.
pub(crate) const SEGMENT: usize = 256;
/// Positions that share a vector of keys.
pub(crate) const LANES: usize = 16;
/// Numbers that are multiplied together: neighbours in a key, neighbouring positions of values.
pub(crate) const PAIR: usize = 2;

/// The largest number of a key or query with `dim` of them, whose product takes 32 bits.
pub(crate) fn most_of_key(dim: usize) -> f32 {
    (i32::MAX as usize / dim).isqrt().min(i16::MAX as usize) as f32
}
/// The largest number of a value, of which a segment's are added up, weighted with [`WEIGHTS`] in all.
pub(crate) const MOST_OF_VALUE: f32 = 4095.0;
/// What the weights of a segment's positions sum up to at most, but for their rounding.
pub(crate) const WEIGHTS: f32 = 500_000.0;
const _: () = assert!((WEIGHTS as usize + SEGMENT) * (MOST_OF_VALUE as usize) < i32::MAX as usize);

/// Keys and values of a head of a segment.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    /// `[SEGMENT / 16][head_dim / 2][16][2]`
    pub(crate) keys: &'a [i16],
    /// `[SEGMENT / 2][width][2]`
    pub(crate) values: &'a [i16],
    /// What 1 is in the keys of each position, and in its values.
    pub(crate) key_scales: &'a [f32],
    pub(crate) value_scales: &'a [f32],
}

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
        let size =
            self.head_bytes().checked_mul(self.layers * self.heads).ok_or(io::ErrorKind::OutOfMemory)?;
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

    /// Numbers of the keys of a head of a segment, and of its values.
    fn lens(&self) -> (usize, usize) {
        (SEGMENT * self.head_dim.next_multiple_of(PAIR), SEGMENT * self.width())
    }

    /// Bytes of a head of a segment.
    fn head_bytes(&self) -> usize {
        let (keys, values) = self.lens();
        (keys + values) * size_of::<i16>() + 2 * SEGMENT * size_of::<f32>()
    }

    /// Where keys, values and the scales of both begin for a head of a segment.
    fn place(&self, segment: usize, layer: usize, head: usize) -> (*mut i16, *mut i16, [*mut f32; 2]) {
        assert!(layer < self.layers && head < self.heads, "no such layer or head");
        let (keys, values) = self.lens();
        // SAFETY: the segment holds so many bytes for every layer and head, see `reserve`; all begin with a multiple of their size.
        unsafe {
            let start =
                self.segments[segment].as_mut_ptr().add((layer * self.heads + head) * self.head_bytes());
            let start = start.cast::<i16>();
            let scales = start.add(keys + values).cast::<f32>();
            (start, start.add(keys), [scales, scales.add(SEGMENT)])
        }
    }

    /// Keys and values of a head.
    pub(crate) fn head(&self, segment: usize, layer: usize, head: usize) -> Head<'_> {
        let (keys, values, scales) = self.place(segment, layer, head);
        let lens = self.lens();
        // SAFETY: the ranges lie within the segment (`place`), every bit pattern is a value, and writing takes a
        // `&mut` to the cache (`write`).
        unsafe {
            let [key_scales, value_scales] = scales.map(|scales| slice::from_raw_parts(scales, SEGMENT));
            let (keys, values) = (slice::from_raw_parts(keys, lens.0), slice::from_raw_parts(values, lens.1));
            Head { keys, values, key_scales, value_scales }
        }
    }

    /// Stores keys and values (`[head_dim]`) of one position in a head of a layer, and what 1 is in either.
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
        (keys, key_scale): (&[i16], f32),
        (values, value_scale): (&[i16], f32),
    ) {
        let (segment, at) = (position / SEGMENT, position % SEGMENT);
        let (dim, width) = (self.head_dim, self.width());
        assert!(keys.len() == dim && values.len() == dim, "keys and values of another length");
        let (to_keys, to_values, scales) = self.place(segment, layer, head);
        // SAFETY: `at` is below SEGMENT, so all places lie within the head's keys, values and scales.
        unsafe {
            let column = to_keys.add(at / LANES * LANES * dim.next_multiple_of(PAIR) + at % LANES * PAIR);
            for (d, key) in keys.iter().enumerate() {
                column.add(d / PAIR * PAIR * LANES + d % PAIR).write(*key);
            }
            let row = to_values.add(at / PAIR * PAIR * width + at % PAIR);
            for (d, value) in values.iter().enumerate() {
                row.add(d * PAIR).write(*value);
            }
            scales[0].add(at).write(key_scale);
            scales[1].add(at).write(value_scale);
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
        let keys: Vec<i16> = (0..15).collect();
        let values: Vec<i16> = keys.iter().map(|key| key + 100).collect();
        let place = SEGMENT + 17;
        for (head, (keys, values)) in keys.chunks(5).zip(values.chunks(5)).enumerate() {
            // SAFETY: nobody else knows the cache.
            unsafe { cache.write((1, head), place, (keys, 0.5), (values, 2.0)) };
        }
        let copy = cache.try_clone(SEGMENT + 1).expect("memory");
        // SAFETY: as above.
        unsafe { cache.write((1, 0), place, (&[7; 5], 3.0), (&[8; 5], 4.0)) };
        let Head { keys: k, values: v, key_scales, value_scales } = copy.head(1, 1, 2);
        for n in 0..5 {
            let (key, value) = (k[16 * 6 + n / 2 * 32 + 2 + n % 2], v[8 * 16 * 2 + 2 * n + 1]);
            assert_eq!((key, value), (keys[10 + n], values[10 + n]));
        }
        assert_eq!((key_scales[17], value_scales[17]), (0.5, 2.0));
        let of = cache.head(1, 1, 0);
        assert_eq!((of.keys[16 * 6 + 2], of.values[8 * 16 * 2 + 1]), (7, 8));
        assert_eq!((of.key_scales[17], of.value_scales[17]), (3.0, 4.0));
        assert!(cache.head(0, 1, 0).keys.iter().all(|number| *number == 0));
    }

    #[test]
    fn sums_fit_32_bits_and_numbers_16() {
        for dim in [1, 2, 5, 64, 80, 96, 128, 256, 576] {
            let most = most_of_key(dim) as usize;
            assert!(dim * most * most <= i32::MAX as usize && most <= i16::MAX as usize);
            assert!(dim < 4 || dim * (most + 1) * (most + 1) > i32::MAX as usize, "{dim}");
        }
    }
}
