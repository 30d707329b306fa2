//! Memory for weights: anonymous pages, huge where the system grants them, given out piece by piece.
//!
//! Matrices are small beside a huge page of 2 MiB, so they share regions; read in the order in which they were
//! taken, they stream.
#![allow(unsafe_code)]

use std::{fs::File, io, ops::Deref, path::Path, slice, sync::Arc};

use memmap2::MmapMut;

use crate::FileMap;

/// What a region holds at least: 16 huge pages.
const REGION: usize = 32 << 20;
/// Every piece begins at a cache line.
const ALIGN: usize = 64;

/// Memory that pieces lie in.
#[derive(Debug)]
pub enum Region {
    /// Anonymous and writable.
    Own(MmapMut),
    /// A file's, read-only.
    File(FileMap),
}

impl Region {
    /// Maps a file of packed weights.
    ///
    /// # Errors
    /// When there is no such file, or it is empty.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self::File(FileMap::new(&file, path)?))
    }

    /// All bytes of a file.
    ///
    /// # Panics
    /// For memory of an arena, whose pieces may be written to.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::File(map) => map,
            Self::Own(_) => panic!("pieces of an arena are seen through themselves"),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Own(map) => map.len(),
            Self::File(map) => map.len(),
        }
    }

    fn as_ptr(&self) -> *const u8 {
        match self {
            Self::Own(map) => map.as_ptr(),
            Self::File(map) => map.as_ptr(),
        }
    }
}

/// Gives out zeroed memory. What it gave out lives on without it.
#[derive(Debug, Default)]
pub struct Arena {
    region: Option<Arc<Region>>,
    used: usize,
    expected: usize,
}

impl Arena {
    /// An arena from which about `bytes` will be taken in all, so that the last region is no larger than needed.
    pub fn expecting(bytes: usize) -> Self {
        Self { expected: bytes, ..Self::default() }
    }

    /// `len` zeroed bytes.
    ///
    /// # Errors
    /// When the system has no memory.
    pub(crate) fn take(&mut self, len: usize) -> io::Result<Piece> {
        let room = self.region.as_ref().map_or(0, |region| region.len() - self.used);
        if room < len {
            let size = len.max(REGION.min(self.expected.max(1 << 16)));
            let region = MmapMut::map_anon(size)?;
            #[cfg(target_os = "linux")]
            let _ = region.advise(memmap2::Advice::HugePage); // a kernel without them still works
            self.region = Some(Arc::new(Region::Own(region)));
            self.used = 0;
        }
        let Some(region) = &self.region else { return Err(io::ErrorKind::OutOfMemory.into()) };
        let piece = Piece { region: Arc::clone(region), start: self.used, len };
        self.used = (self.used + len).next_multiple_of(ALIGN).min(region.len());
        self.expected = self.expected.saturating_sub(len);
        Ok(piece)
    }
}

/// Bytes of a region; of an arena's nobody else has them.
#[derive(Debug)]
pub(crate) struct Piece {
    region: Arc<Region>,
    start: usize,
    len: usize,
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range lies within the region, which lives as long as this piece; `Arena::take` gives no byte
        // out twice, so only this piece's own `&mut` writes to it; nobody writes to a file's.
        unsafe { slice::from_raw_parts(self.region.as_ptr().add(self.start), self.len) }
    }
}

impl Piece {
    /// Bytes of a mapped file; `None` where they are not within it.
    pub(crate) fn mapped(region: Arc<Region>, range: std::ops::Range<usize>) -> Option<Self> {
        let fits =
            matches!(*region, Region::File(_)) && range.start <= range.end && range.end <= region.len();
        fits.then(|| Self { region, start: range.start, len: range.len() })
    }

    /// # Panics
    /// For bytes of a file.
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        assert!(matches!(*self.region, Region::Own(_)), "a file is not written to");
        // SAFETY: as above, and `&mut self` excludes other views. The region is mapped writable; the pointer comes
        // from the map itself, not from a Rust reference to its bytes.
        unsafe { slice::from_raw_parts_mut(self.region.as_ptr().cast_mut().add(self.start), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_zeroed_aligned_and_apart() {
        let mut arena = Arena::expecting(1000);
        let mut pieces: Vec<_> = [100, 1, 64, 1 << 20].map(|len| arena.take(len).expect("memory")).into();
        for (n, piece) in pieces.iter_mut().enumerate() {
            assert!(piece.iter().all(|b| *b == 0) && piece.as_ptr().addr().is_multiple_of(ALIGN));
            piece.as_mut().fill(n as u8 + 1);
        }
        drop(arena);
        assert!(pieces.iter().enumerate().all(|(n, piece)| piece.iter().all(|b| *b == n as u8 + 1)));
    }
}
