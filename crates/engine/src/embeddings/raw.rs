//! The inflated rows as a `.npy` file beside their archive, which is mapped into memory.

use super::archive::{Matrix, dtype, read_header};
use half::f16;
use std::fs;
use std::path::{Path, PathBuf};
use transformer::Mapped;
use zerocopy::FromBytes;

const _: () =
    assert!(cfg!(target_endian = "little"), "the mapped numbers have their least significant byte first");

/// The copy, mapped: pages come when their rows are asked for, and go when memory is short.
#[derive(Debug)]
pub(super) struct RawRows {
    file: Mapped,
    /// Where the numbers begin; a multiple of their size.
    at: usize,
}

impl RawRows {
    /// `None` where there is no such file, or it is not what the archive's rows would make.
    pub fn map(path: &Path, matrix: &Matrix) -> Option<Self> {
        let file = Mapped::open(path).ok()?;
        let mut rest = &file[..];
        let header = read_header(&mut rest).ok()?;
        let at = file.len() - rest.len();
        let fits = header.shape() == matrix.shape()
            && dtype(&header) == "<f2"
            && header.order() == npyz::Order::C
            && at.is_multiple_of(size_of::<f16>())
            && rest.len() == matrix.size();
        fits.then_some(Self { file, at })
    }

    pub fn numbers(&self) -> &[f16] {
        <[f16]>::ref_from_bytes(&self.file[self.at..]).expect("length and alignment were checked")
    }
}

/// `name.npz` with checksum 1234abcd: `name.1234abcd.npy`
pub(super) fn path_of(archive: &Path, matrix: &Matrix) -> PathBuf {
    archive.with_extension(format!("{:08x}.npy", matrix.checksum))
}

/// Removes copies of an archive that was replaced, and what killed processes left. Only for who holds the turn.
pub(super) fn remove_outdated(copy: &Path) {
    let stem = copy.with_extension("").with_extension("");
    let (Some(folder), Some(stem)) = (copy.parent(), stem.file_name().and_then(|name| name.to_str())) else {
        return;
    };
    let Ok(entries) = fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let unfinished = name.strip_prefix('.').filter(|name| name.ends_with(".part")).unwrap_or(name);
        let Some(rest) = unfinished.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.')) else {
            continue;
        };
        let checksum = rest.get(..8).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        if checksum && rest.get(8..12) == Some(".npy") && (rest.len() == 12 || unfinished != name) {
            let _ = fs::remove_file(entry.path()); // if it stays, it costs disk space only
        }
    }
}
