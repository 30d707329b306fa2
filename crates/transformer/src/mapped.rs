//! Weight files mapped into memory.

use std::{
    fs::File,
    io,
    ops::Deref,
    path::{Path, PathBuf},
};

use kernels::FileMap;

/// The bytes of a file, mapped read-only.
#[derive(Debug)]
pub struct Mapped {
    path: PathBuf,
    map: FileMap,
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
        let map = FileMap::new(&file, path)?;
        Ok(Self { path: path.into(), map })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the memory that was read go; it is read again where it is asked for.
    pub(crate) fn let_go(&self) {
        self.map.let_go();
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
