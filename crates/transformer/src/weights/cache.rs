//! Packed weights on disk, so that a second start maps what the first has rounded.
//!
//! `AXLLMPACK`, a version byte, the length of the header (u64, little-endian), the header in JSON, then the matrices,
//! each at a multiple of 64 bytes. A file is written under a temporary name and renamed; one that does not fit is
//! treated as if it were not there.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, BufWriter, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use kernels::{Kind, Packed, Region};
use serde::{Deserialize, Serialize};

use crate::{Dtype, checkpoint::Checkpoint, config::Config};

/// Changes with the packed layout (`kernels/src/packed.rs`) and with how weights are rounded.
const MAGIC: &[u8; 10] = b"AXLLMPACK\x02";
const ALIGN: u64 = 64;
const MOST_HEADER: u64 = 16 << 20;

#[derive(Deserialize, Serialize)]
struct Header {
    /// The weight file or folder, for those who tidy up.
    source: String,
    /// What the weights were made from.
    key: String,
    /// Bytes after the header.
    size: usize,
    matrices: Vec<Entry>,
}

#[derive(Clone, Deserialize, Serialize)]
struct Entry {
    kind: String,
    rows: usize,
    cols: usize,
    /// From the end of the header, which is aligned.
    range: Range<usize>,
}

/// Where the packed weights of these files are kept: one file a model and type.
pub(super) fn path(dir: &Path, checkpoint: &Checkpoint, dtype: Dtype) -> PathBuf {
    let path = source(checkpoint);
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    dir.join(format!("{name}-{:016x}.{dtype}", hasher.finish()))
}

fn source(checkpoint: &Checkpoint) -> PathBuf {
    let path = checkpoint.path();
    path.canonicalize().unwrap_or_else(|_| path.into())
}

/// What the packed weights depend on: each file's size, time and inode, the shape, the type.
pub(super) fn key(checkpoint: &Checkpoint, config: &Config, dtype: Dtype) -> Option<String> {
    let mut key = format!("{dtype} {config:?}");
    for path in checkpoint.files() {
        let metadata = path.metadata().ok()?;
        let time = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let name = path.file_name()?.to_string_lossy();
        key += &format!(" {name} {} {time} {}", metadata.len(), inode(&metadata));
    }
    Some(key)
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

/// A file of packed weights, mapped.
pub(super) struct Cached {
    region: Arc<Region>,
    start: usize,
    matrices: Vec<Entry>,
}

impl Cached {
    /// The file at `path`, where it was made for `key`.
    pub(super) fn open(path: &Path, key: &str) -> Option<Self> {
        let region = Region::open(path).ok()?;
        let bytes = region.bytes();
        let (magic, rest) = bytes.split_at_checked(MAGIC.len())?;
        let (len, rest) = rest.split_at_checked(8)?;
        let len = u64::from_le_bytes(len.try_into().ok()?);
        if magic != MAGIC || len > MOST_HEADER {
            return None;
        }
        let header: Header = serde_json::from_slice(rest.get(..len as usize)?).ok()?;
        let start = (MAGIC.len() as u64 + 8 + len).next_multiple_of(ALIGN) as usize;
        let whole = header.key == key && start.checked_add(header.size) == Some(bytes.len());
        whole.then(|| Self { region: Arc::new(region), start, matrices: header.matrices })
    }

    /// Matrix `n`, where it is what is expected.
    pub(super) fn matrix(&self, n: usize, kind: Kind, rows: usize, cols: usize) -> Option<Packed> {
        let entry = self.matrices.get(n)?;
        let fits = entry.kind == format!("{kind:?}") && (entry.rows, entry.cols) == (rows, cols);
        let from = self.start.checked_add(entry.range.start)?;
        let to = self.start.checked_add(entry.range.end)?;
        if !fits || from > to {
            return None;
        }
        Packed::mapped(kind, rows, cols, Arc::clone(&self.region), from..to)
    }
}

/// Writes the matrices, in the order in which they will be asked for.
pub(super) fn write<'a>(
    path: &Path,
    checkpoint: &Checkpoint,
    key: &str,
    matrices: impl Iterator<Item = &'a Packed>,
) -> io::Result<()> {
    let matrices: Vec<_> = matrices.collect();
    let mut at = 0;
    let entries = matrices.iter().map(|packed| {
        let range = at..at + packed.bytes().len();
        at = range.end.next_multiple_of(ALIGN as usize);
        Entry { kind: format!("{:?}", packed.kind()), rows: packed.rows(), cols: packed.cols(), range }
    });
    let entries: Vec<_> = entries.collect();
    let header = serde_json::to_vec(&Header {
        source: source(checkpoint).to_string_lossy().into(),
        key: key.into(),
        size: at,
        matrices: entries,
    })?;
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(dir)?;
    let file = tempfile::Builder::new().prefix(".packing-").tempfile_in(dir)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let pad = |len: usize| vec![0; len.next_multiple_of(ALIGN as usize) - len];
    out.write_all(MAGIC)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    out.write_all(&pad(MAGIC.len() + 8 + header.len()))?;
    for packed in matrices {
        out.write_all(packed.bytes())?;
        out.write_all(&pad(packed.bytes().len()))?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
