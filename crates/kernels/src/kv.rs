//! The KV cache: keys and values of one sequence, laid out for [`Compute::attend`](crate::Compute::attend).
//!
//! Memory comes in segments of [`SEGMENT`] positions with all layers and heads in one piece: a short conversation
//! costs one segment, a long one streams through huge pages. Within a segment each head of each layer has
//!
//! - its keys in blocks of sixteen positions, a vector lane a position: the scales of their keys, those of their values, then the keys'
//!   numbers 0 and 1, numbers 2 and 3, …;
//! - then its values, sixteen columns after sixteen columns, padded to whole vectors: two positions a row, a lane a column.
//!
//! So scores need no sum across lanes, and neither do the weighted values; a lane's two numbers are what one instruction multiplies and
//! adds up (`vpmaddwd`). They are whole numbers of 16 bits, of at most [`most_of_key`] and [`MOST_OF_VALUE`]: so large that sums fit 32
//! bits, and as exact as 16-bit floats. Scales lie with the keys, which are read as one stream.
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
    (f64::from(i32::MAX) / dim as f64).sqrt().floor().min(f64::from(i16::MAX)) as f32
}
/// The largest number of a value, of which a segment's are added up, weighted with [`WEIGHTS`] in all.
pub(crate) const MOST_OF_VALUE: f32 = 4095.0;
/// What the weights of a segment's positions sum up to at most, but for their rounding.
pub(crate) const WEIGHTS: f32 = 500_000.0;
const _: () = assert!((WEIGHTS as usize + SEGMENT) * (MOST_OF_VALUE as usize) < i32::MAX as usize);

/// Keys and values of a head of a segment. 32 bits are those of a float, or of two whole numbers, the first one the lower.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    /// `[SEGMENT / 16][2 + head_dim / 2][16]`
    pub(crate) keys: &'a [u32],
    /// `[width / 16][SEGMENT / 2][16]`
    pub(crate) values: &'a [u32],
}

/// Vectors of scales at the beginning of a block of keys.
pub(crate) const SCALES: usize = 2;

/// Vectors of a block of keys.
pub(crate) const fn block_lines(dim: usize) -> usize {
    SCALES + dim.div_ceil(PAIR)
}

/// Where a position's lane of a line of its block lies in keys.
fn lane(dim: usize, position: usize, line: usize) -> usize {
    (position / LANES * block_lines(dim) + line) * LANES + position % LANES
}

/// How far sixteen columns of values lie from the next.
pub(crate) const APART: usize = SEGMENT / PAIR * LANES;

/// Where a position's pair of a column lies in values.
pub(crate) const fn column(position: usize, d: usize) -> usize {
    d / LANES * APART + position / PAIR * LANES + d % LANES
}

impl Head<'_> {
    /// What 1 is in the keys of a position, and in its values.
    pub(crate) fn scales(&self, dim: usize, position: usize) -> [f32; SCALES] {
        std::array::from_fn(|line| f32::from_bits(self.keys[lane(dim, position, line)]))
    }

    /// A number of a position's keys.
    pub(crate) fn key(&self, dim: usize, position: usize, d: usize) -> i16 {
        half(self.keys[lane(dim, position, SCALES + d / PAIR)], d % PAIR)
    }

    /// A number of a position's values.
    pub(crate) fn value(&self, position: usize, d: usize) -> i16 {
        half(self.values[column(position, d)], position % PAIR)
    }
}

/// The first or second number (`n`) of a pair.
fn half(pair: u32, n: usize) -> i16 {
    (pair >> (16 * n)) as i16
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
        let (keys, values) = self.lens();
        let head = (keys + values) * size_of::<u32>();
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

    /// 32 bits of the keys of a head of a segment, and of its values.
    fn lens(&self) -> (usize, usize) {
        (SEGMENT * block_lines(self.head_dim), SEGMENT / PAIR * self.width())
    }

    /// Where keys and values begin for a head of a segment.
    fn place(&self, segment: usize, layer: usize, head: usize) -> (*mut u32, *mut u32) {
        assert!(layer < self.layers && head < self.heads, "no such layer or head");
        let (keys, values) = self.lens();
        // SAFETY: the segment holds so many for every layer and head, see `reserve`.
        unsafe {
            let start = self.segments[segment].as_mut_ptr().cast::<u32>();
            let start = start.add((layer * self.heads + head) * (keys + values));
            (start, start.add(keys))
        }
    }

    /// Keys and values of a head.
    pub(crate) fn head(&self, segment: usize, layer: usize, head: usize) -> Head<'_> {
        let (keys, values) = self.place(segment, layer, head);
        let lens = self.lens();
        // SAFETY: the ranges lie within the segment (`place`), every bit pattern is a value, and writing takes a
        // `&mut` to the cache (`write`).
        unsafe {
            Head { keys: slice::from_raw_parts(keys, lens.0), values: slice::from_raw_parts(values, lens.1) }
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
        let dim = self.head_dim;
        assert!(keys.len() == dim && values.len() == dim, "keys and values of another length");
        let (to_keys, to_values) = self.place(segment, layer, head);
        // SAFETY: `at` is below SEGMENT, so all places lie within the head's keys and values. The other half of a pair of values is
        // another position's, and perhaps another thread's.
        unsafe {
            let lanes = to_keys.add(lane(dim, at, 0));
            lanes.write(key_scale.to_bits());
            lanes.add(LANES).write(value_scale.to_bits());
            for (n, pair) in keys.chunks(PAIR).enumerate() {
                let [low, high] =
                    [pair[0], pair.get(1).map_or(0, |high| *high)].map(|number| u32::from(number as u16));
                lanes.add((SCALES + n) * LANES).write(low | high << 16);
            }
            for (d, value) in values.iter().enumerate() {
                to_values.add(column(at, d)).cast::<i16>().add(at % PAIR).write(*value);
            }
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
        let of = copy.head(1, 1, 2);
        let row: Vec<_> = (0..5).map(|d| (of.key(5, 17, d), of.value(17, d))).collect();
        assert_eq!(row, keys[10..].iter().copied().zip(values[10..].iter().copied()).collect::<Vec<_>>());
        assert_eq!((of.scales(5, 17), of.scales(5, 16)), ([0.5, 2.0], [0.0; 2]));
        let line = 16 * 5 + 2 * 16 + 1; // of five lines a block
        assert_eq!((of.keys[line], of.values[8 * 16]), (10 | 11 << 16, 110 << 16));
        let of = cache.head(1, 1, 0);
        assert_eq!((of.key(5, 17, 4), of.value(17, 4), of.scales(5, 17)), (7, 8, [3.0, 4.0]));
        assert!(cache.head(0, 1, 0).keys.iter().all(|pair| *pair == 0));
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
