use super::super::archive::Archive;
use super::super::{Embeddings, EmbeddingsError, inflate, raw};
use super::*;
use half::f16;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;
use zlib_rs::{DeflateConfig, Strategy as Blocks, compress_bound, compress_slice};

const PLAN: Plan = Plan { threads: 3, segment: 64 << 10 };
/// Bytes before the numbers.
const HEADER: usize = 128;
const SIZE: usize = 3 << 19;

/// Numbers as a model has them: rounded to bfloat16, around zero.
fn numbers(size: usize) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut number = || {
        let sum: f32 = (0..6).map(|_| random.next_u32() as f32 / u32::MAX as f32 - 0.5).sum();
        f16::from_f32(f32::from_bits((sum * 0.03).to_bits() & 0xFFFF_0000)).to_le_bytes()
    };
    (0..size / 2).flat_map(|_| number()).collect()
}

/// Phrases that are copied from one to the next for ever, so that no segment ever knows its window by itself, between
/// bytes that keep it from shrinking far.
fn phrases(size: usize) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut all = vec![0; 64 * 12];
    random.fill_bytes(&mut all);
    let record = |_| {
        let phrase = random.next_u32() as usize % 64 * 12;
        [&random.next_u32().to_le_bytes()[..], &all[phrase..phrase + 12]].concat()
    };
    (0..size / 16).flat_map(record).collect()
}

fn noise(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    ChaCha8Rng::seed_from_u64(3).fill_bytes(&mut bytes);
    bytes
}

fn deflate(bytes: &[u8], level: i32, strategy: Blocks) -> Vec<u8> {
    let config = DeflateConfig { level, window_bits: -15, strategy, ..DeflateConfig::default() };
    let mut output = vec![0; compress_bound(bytes.len())];
    compress_slice(&mut output, bytes, config).0.to_vec()
}

/// A stream as a file, and what it says of itself.
fn stream(deflated: &[u8], bytes: &[u8]) -> (Deflated, Matrix) {
    let mut file = tempfile::tempfile().unwrap();
    // not at the beginning of the file, as in an archive
    file.write_all(b"before").unwrap();
    file.write_all(deflated).unwrap();
    let checksum = crc32(0, bytes);
    let rows = Deflated { file, at: 6, length: deflated.len() as u64, inflated: bytes.len() as u64 };
    (rows, Matrix { vocab_size: (bytes.len() - HEADER) / 2, dim: 1, checksum })
}

/// Whether a stream is inflated in segments; if so, to these bytes.
fn inflates(deflated: &[u8], bytes: &[u8], plan: Plan) -> bool {
    let (rows, matrix) = stream(deflated, bytes);
    let out = tempfile::tempfile().unwrap();
    let done = inflate(&rows, &matrix, &out, 10, plan).unwrap();
    if done {
        let mut got = vec![0; bytes.len() - HEADER + 10];
        out.read_exact_at(&mut got, 0).unwrap();
        assert_eq!(out.metadata().unwrap().len(), got.len() as u64);
        assert!(got[..10] == [0; 10] && got[10..] == bytes[HEADER..], "{plan:?}");
    }
    done
}

#[test]
fn streams_are_inflated_to_what_was_deflated() {
    for bytes in [numbers(SIZE), phrases(SIZE)] {
        for level in [2, 4, 6, 9] {
            let deflated = deflate(&bytes, level, Blocks::Default);
            assert!(deflated.len() as u64 > 4 * PLAN.segment, "{}", deflated.len());
            assert!(inflates(&deflated, &bytes, PLAN), "level {level}");
        }
        assert!(inflates(&deflate(&bytes, 6, Blocks::HuffmanOnly), &bytes, PLAN));
    }
}

#[test]
fn what_cannot_be_cut_is_left() {
    let bytes = numbers(SIZE);
    let deflated = deflate(&bytes, 6, Blocks::Default);
    assert!(inflates(&deflated, &bytes, PLAN));
    assert!(!inflates(&deflated, &bytes, Plan { threads: 1, ..PLAN }));
    assert!(!inflates(&deflated, &bytes, Plan { segment: deflated.len() as u64, ..PLAN }));
    // blocks that are stored, or have the code that needs no header
    assert!(!inflates(&deflate(&noise(SIZE), 6, Blocks::Default), &noise(SIZE), PLAN));
    assert!(!inflates(&deflate(&bytes, 0, Blocks::Default), &bytes, PLAN));
    assert!(!inflates(&deflate(&bytes, 6, Blocks::Fixed), &bytes, PLAN));
    // one segment that becomes too large
    let bomb = [&bytes[..], &vec![0; (PLAN.segment * MAX_GROWTH) as usize * 2], &bytes].concat();
    assert!(!inflates(&deflate(&bomb, 6, Blocks::Default), &bomb, PLAN));
}

#[test]
fn what_the_directory_says_has_to_be_so() {
    let bytes = numbers(SIZE);
    let deflated = deflate(&bytes, 6, Blocks::Default);
    let out = tempfile::tempfile().unwrap();
    let says = |change: &dyn Fn(&mut Deflated, &mut Matrix)| {
        let (mut rows, mut matrix) = stream(&deflated, &bytes);
        change(&mut rows, &mut matrix);
        inflate(&rows, &matrix, &out, 0, PLAN).unwrap()
    };
    assert!(says(&|_, _| ()));
    assert!(!says(&|_, matrix| matrix.checksum ^= 1));
    assert!(!says(&|rows, _| rows.inflated += 1));
    assert!(!says(&|rows, _| rows.inflated -= 1));
    assert!(!says(&|rows, _| rows.inflated = 1));
    assert!(!says(&|rows, _| rows.length -= 1));
    assert!(!says(&|rows, _| rows.length -= 100_000));
    assert!(!says(&|rows, _| rows.length += 1_000_000));
    assert!(!says(&|rows, _| rows.at -= 1));
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let bytes = numbers(SIZE);
    let (rows, matrix) = stream(&deflate(&bytes, 6, Blocks::Default), &bytes);
    let file = tempfile::NamedTempFile::new().unwrap();
    let out = File::open(file.path()).unwrap();
    assert!(inflate(&rows, &matrix, &out, 0, PLAN).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_cut_gives_the_same(kind in 0_usize..2, segment in 50_000_u64..400_000, threads in 2_usize..5) {
        static STREAMS: LazyLock<[(Vec<u8>, Vec<u8>); 2]> = LazyLock::new(|| {
            [numbers(SIZE), phrases(SIZE)].map(|bytes| (deflate(&bytes, 6, Blocks::Default), bytes))
        });
        let (deflated, bytes) = &STREAMS[kind];
        let cut = deflated.len() as u64 / segment >= 2;
        prop_assert_eq!(inflates(deflated, bytes, Plan { threads, segment }), cut);
    }
}

/// The copy of an archive, or what is wrong with it.
fn copied(path: &Path, plan: Plan) -> Result<Vec<u8>, String> {
    let text = |error: EmbeddingsError| error.to_string();
    let mut archive = Archive::open(path).map_err(text)?;
    let matrix = archive.matrix().map_err(text)?;
    let copy = raw::path_of(path, &matrix);
    let result = inflate::to_file(&mut archive, &matrix, &copy, None, plan).map_err(text);
    assert_eq!(result.is_ok(), copy.exists());
    result.map(|()| fs::read(&copy).unwrap()).inspect(|_| fs::remove_file(&copy).unwrap())
}

#[test]
fn a_damaged_archive_is_what_it_is_to_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.npz");
    let rows = numbers(400 << 10);
    let fill = |id: u32, row: &mut [f16]| -> Result<(), EmbeddingsError> {
        for (number, bytes) in row.iter_mut().zip(rows[id as usize * 1024..].as_chunks::<2>().0) {
            *number = f16::from_le_bytes(*bytes);
        }
        Ok(())
    };
    Embeddings::write_npz(&path, 400, 512, fill).unwrap();
    let plan = Plan { segment: 50_000, ..PLAN };
    let alone = Plan { threads: 1, ..plan };
    let sound = copied(&path, plan).unwrap();
    assert!(sound.ends_with(&rows) && sound == copied(&path, alone).unwrap());

    let bytes = fs::read(&path).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..150 {
        let mut damaged = bytes.clone();
        damaged[random.next_u32() as usize % bytes.len()] ^= 1 << (random.next_u32() % 8);
        fs::write(&path, damaged).unwrap();
        let expected = copied(&path, alone);
        assert_eq!(copied(&path, plan), expected);
        assert!(expected.is_err() || expected.is_ok_and(|copy| copy == sound));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
