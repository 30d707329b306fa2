//! Embeddings files that are damaged or made to harm: an error or the rows, never a panic, and never much memory.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
};

use engine::{Embeddings, EmbeddingsError};
use half::f16;
use test_support::memory::{Counting, alone, peak};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROWS: usize = 24;
const DIM: usize = 8;
/// Beside four times the file: buffers and the names in messages.
const ALLOWANCE: usize = 1 << 20;

fn sound(path: &Path) -> Vec<u8> {
    Embeddings::write_npz(path, ROWS, DIM, |id, row| -> Result<(), EmbeddingsError> {
        row.iter_mut()
            .enumerate()
            .for_each(|(at, out)| *out = f16::from_f32((id as usize * 37 + at * 5) as f32));
        Ok(())
    })
    .unwrap();
    fs::read(path).unwrap()
}

/// Opens what is in the only file of an empty folder, with every bound checked; what it says, or `None` for rows.
fn opened(path: &Path, bytes: &[u8], case: &str) -> Option<EmbeddingsError> {
    let folder = path.parent().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::write(path, bytes).unwrap();
    let (result, most) = peak(|| {
        Embeddings::open(path).map(|rows| {
            let mut out = Vec::new();
            rows.gather(&[0, rows.vocab_size() as u32 - 1], &mut out).map(|()| out.len() / 2 == rows.dim())
        })
    });
    assert!(most <= 4 * bytes.len() + ALLOWANCE, "{case}: {most} bytes for a file of {}", bytes.len());
    let names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    match result {
        Ok(gathered) => {
            assert!(gathered.unwrap(), "{case}");
            assert_eq!(names.len(), 2, "{case}: {names:?}");
            None
        }
        Err(error) => {
            assert_eq!(names.len(), 1, "{case}: {names:?} after {error}");
            assert!(error.to_string().contains("embeddings"), "{case}: {error}");
            assert!(error.hint().is_some(), "{case}: {error}");
            Some(error)
        }
    }
}

#[test]
fn truncated_at_every_byte_it_is_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("embeddings.npz");
    let bytes = sound(&path);
    assert!(opened(&path, &bytes, "whole").is_none());
    for end in 0..bytes.len() {
        let error = opened(&path, &bytes[..end], &format!("cut at {end}"));
        assert!(error.is_some(), "cut at {end}");
    }
}

#[test]
fn with_any_bit_flipped_it_is_an_error_or_other_rows() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("embeddings.npz");
    let mut bytes = sound(&path);
    let mut refused = 0;
    for at in 0..bytes.len() {
        for bit in [1, 4, 0x80] {
            bytes[at] ^= bit;
            refused += usize::from(opened(&path, &bytes, &format!("bit {bit} of byte {at}")).is_some());
            bytes[at] ^= bit;
        }
    }
    // times, attributes and versions mean nothing to the rows; all else is checked
    assert!(refused > bytes.len() * 3 / 2, "{refused} of {}", bytes.len() * 3);
}

/// A `.npy` member.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

fn header(dtype: &str, shape: &str) -> String {
    format!("{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n")
}

fn archive(rows: Vec<u8>, vocab_size: i64) -> Vec<u8> {
    let number = |value: i64| npy(&header("'<i8'", "()"), &value.to_le_bytes());
    let name: Vec<u8> = "float16".chars().flat_map(|each| u32::from(each).to_le_bytes()).collect();
    let members = [
        ("embeddings", rows),
        ("vocab_size", number(vocab_size)),
        ("embedding_dim", number(2)),
        ("dtype", npy(&header("'<U7'", "()"), &name)),
    ];
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in members {
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn what_is_made_to_harm_is_refused_in_little_memory() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("embeddings.npz");
    let rows = |dtype: &str, shape: &str, data: &[u8]| npy(&header(dtype, shape), data);
    let zeros = vec![0; 64 << 20];
    let version_2 = [b"\x93NUMPY\x02\x00".as_slice(), &(100_000_000_u32).to_le_bytes(), &zeros].concat();
    let cases = [
        ("deflate bomb", archive(rows("'<f2'", "(16777216, 2)", &zeros), 16 << 20), "in so small a file"),
        ("bomb behind the rows", archive(rows("'<f2'", "(3, 2)", &zeros), 3), "bytes, expected 12 bytes"),
        ("header of 100 MB", archive(version_2, 3), "no sound .npz archive"),
        ("pickled objects", archive(rows("'|O'", "(3, 2)", b"cos\nsystem\n"), 3), "pickle is code"),
        (
            "header that is no literal",
            archive(npy("__import__('os')\n", &[0; 12]), 3),
            "no sound .npz archive",
        ),
        ("rows of another count", archive(rows("'<f2'", "(3, 2)", &[0; 12]), 4), "expected [4, 2]"),
        ("a size that overflows", archive(rows("'<f2'", "(3, 2)", &[0; 12]), i64::MAX), "expected 1 to"),
        ("big-endian numbers", archive(rows("'>f2'", "(3, 2)", &[0; 12]), 3), "expected type <f2"),
    ];
    for (case, bytes, expected) in cases {
        let error = opened(&path, &bytes, case).unwrap_or_else(|| panic!("{case} is taken"));
        assert_eq!(error.code(), "embeddings_invalid", "{case}");
        assert!(error.to_string().contains(expected), "{case}: {error}");
    }
}

#[test]
fn a_large_one_is_opened_in_little_memory() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("embeddings.npz");
    let mut state = 1_u32;
    let fill = |_, row: &mut [f16]| -> Result<(), EmbeddingsError> {
        for number in row {
            state = state.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
            *number = f16::from_bits((state >> 16) as u16 & 0x3FF8);
        }
        Ok(())
    };
    // large enough to be inflated on several threads
    Embeddings::write_npz(&path, 9000, 1024, fill).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 9 << 20, "{}", bytes.len());
    assert!(opened(&path, &bytes, "whole").is_none());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert!(opened(&path, &bytes, "damaged").is_some());
}

#[test]
fn numbers_that_are_not_those_of_the_checksum_are_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("embeddings.npz");
    let bytes = sound(&path);
    let mut zip = zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
    let checksum = zip.by_name("embeddings.npy").unwrap().crc32().to_le_bytes();
    let mut other = bytes.clone();
    for at in 0..other.len() - 4 {
        if other[at..at + 4] == checksum {
            other[at] ^= 1;
        }
    }
    assert_ne!(other, bytes);
    let error = opened(&path, &other, "checksum").unwrap();
    assert!(error.to_string().to_lowercase().contains("checksum"), "{error}");
}
