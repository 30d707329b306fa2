//! Files mapped into memory: the one place where this crate needs `unsafe`.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    ops::{Deref, Range},
    path::{Path, PathBuf},
};

/// The bytes of a file, mapped read-only.
#[derive(Debug)]
pub struct Mapped {
    path: PathBuf,
    map: memmap2::Mmap,
}

impl Mapped {
    /// Maps the file at `path`; an empty file is an error of kind `InvalidData`.
    ///
    /// # Errors
    /// When it cannot be opened or mapped, or is no regular file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if metadata.len() == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
        }
        // SAFETY: the map is read-only and private. That no other process shortens or rewrites the file while it is
        // mapped cannot be enforced: the store writes weight files only under a temporary name and renames them, so
        // our own writers never touch a mapped inode.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self { path: path.into(), map })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the memory of the whole pages within `range` go.
    pub(crate) fn let_go(&self, range: Range<usize>) {
        const PAGE: usize = 1 << 16; // at least the system's
        let (start, end) = (range.start.next_multiple_of(PAGE), range.end / PAGE * PAGE);
        #[cfg(unix)]
        if start < end {
            // SAFETY: the map is read-only and of a file, so the pages hold nothing that the file does not.
            let advised = unsafe {
                self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start)
            };
            let _ = advised; // only memory is at stake
        }
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
