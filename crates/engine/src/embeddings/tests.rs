use super::*;
use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::thread;
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn npy(dtype: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

fn integer(value: i64) -> Vec<u8> {
    npy("'<i8'", "False", "()", &value.to_le_bytes())
}

fn utf32(text: &str) -> Vec<u8> {
    text.chars().flat_map(|character| u32::from(character).to_le_bytes()).collect()
}

/// A 3 × 2 archive as NumPy writes it.
fn members() -> Vec<(&'static str, Vec<u8>)> {
    let numbers: Vec<u8> = (0..6).flat_map(|number| f16::from_f32(number as f32).to_le_bytes()).collect();
    vec![
        ("embeddings", npy("'<f2'", "False", "(3, 2)", &numbers)),
        ("vocab_size", integer(3)),
        ("embedding_dim", integer(2)),
        ("dtype", npy("'<U7'", "False", "()", &utf32("float16"))),
    ]
}

fn zip(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    for (name, bytes) in members {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn open(bytes: &[u8]) -> Result<Embeddings, EmbeddingsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.npz");
    fs::write(&path, bytes).unwrap();
    Embeddings::open(&path)
}

/// An archive in a folder of its own, of `rows` × 8 numbers.
fn written(rows: usize) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.model_embeddings.npz");
    write(&path, rows, 8, 1);
    (folder, path)
}

fn write(path: &Path, rows: usize, dim: usize, factor: usize) {
    Embeddings::write_npz(path, rows, dim, |id, row| -> Result<(), EmbeddingsError> {
        row.iter_mut().enumerate().for_each(|(column, out)| *out = number(id as usize * factor, column));
        Ok(())
    })
    .unwrap();
}

fn number(id: usize, column: usize) -> f16 {
    f16::from_f32((id * 7 + column) as f32)
}

/// Names in a folder but the archive's.
fn beside(folder: &TempDir) -> Vec<String> {
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).filter(|name| !name.ends_with(".npz")).collect()
}

fn replaced(name: &'static str, bytes: Vec<u8>) -> Result<Embeddings, EmbeddingsError> {
    let mut members = members();
    members.iter_mut().find(|member| member.0 == name).unwrap().1 = bytes;
    open(&zip(&members))
}

#[test]
fn rows_are_gathered_by_id() {
    let embeddings = open(&zip(&members())).unwrap();
    assert_eq!((embeddings.vocab_size(), embeddings.dim()), (3, 2));
    let mut out = vec![f16::ONE; 9];
    embeddings.gather(&[2, 0, 2], &mut out).unwrap();
    assert_eq!(out, [4.0, 5.0, 0.0, 1.0, 4.0, 5.0].map(f16::from_f32));
    assert_eq!(embeddings.row(1).unwrap().to_vec(), [2.0, 3.0].map(f16::from_f32));
    assert!(embeddings.row(3).is_none());
    let error = embeddings.gather(&[0, 3], &mut out).unwrap_err();
    assert_eq!(error.to_string(), "token 3 has no embedding: the matrix has 3 rows");
    assert!(out.is_empty());
}

#[test]
fn what_is_written_is_read_and_is_numpys_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.npz");
    write(&path, 500, 33, 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let embeddings = Embeddings::open(&path).unwrap();
    assert_eq!((embeddings.vocab_size(), embeddings.dim()), (500, 33));
    assert_eq!(embeddings.row(499).unwrap()[32], number(499, 32));

    let mut zip = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
    let mut start = |name: &str| {
        let mut bytes = vec![];
        std::io::Read::read_to_end(&mut zip.by_name(name).unwrap(), &mut bytes).unwrap();
        let length = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
        assert_eq!((&bytes[..8], (10 + length) % 16), (&b"\x93NUMPY\x01\x00"[..], 0));
        let text = String::from_utf8(bytes[10..10 + length].to_vec()).unwrap();
        (text.split_whitespace().collect::<String>(), bytes[10 + length..].to_vec())
    };
    let (header, numbers) = start("embeddings.npy");
    for entry in ["'descr':'<f2'", "'fortran_order':False", "'shape':(500,33"] {
        assert!(header.contains(entry), "{header}");
    }
    assert_eq!(numbers.len(), 500 * 33 * 2);
    let (header, value) = start("vocab_size.npy");
    assert!(header.contains("'descr':'<i8'") && header.contains("'shape':()"), "{header}");
    assert_eq!(value, 500_i64.to_le_bytes());
    let (header, value) = start("dtype.npy");
    assert!(header.contains("'descr':'<U7'"), "{header}");
    assert_eq!(value, utf32("float16"));
}

#[test]
fn the_first_open_leaves_a_copy_that_later_ones_map() {
    let (folder, path) = written(300);
    let first = Embeddings::open(&path).unwrap();
    let [copy] = beside(&folder).try_into().unwrap();
    assert!(copy.starts_with("some.model_embeddings.") && copy.ends_with(".npy"), "{copy}");
    let copy = folder.path().join(copy);
    let made = copy.metadata().unwrap().modified().unwrap();
    let second = Embeddings::open(&path).unwrap();
    for embeddings in [&first, &second] {
        assert_eq!(embeddings.why_resident(), None);
        for id in 0..300 {
            let expected: Vec<_> = (0..8).map(|column| number(id, column)).collect();
            assert_eq!(embeddings.row(id as u32).unwrap().to_vec(), expected);
        }
        assert!(embeddings.row(300).is_none());
    }
    assert_eq!(copy.metadata().unwrap().modified().unwrap(), made);
    // it is what is read: a number changed there is a number changed
    let mut bytes = fs::read(&copy).unwrap();
    let last = bytes.len() - 2;
    bytes[last..].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
    fs::write(&copy, bytes).unwrap();
    assert_eq!(Embeddings::open(&path).unwrap().row(299).unwrap()[7], f16::from_f32(0.5));
}

#[test]
fn a_copy_of_another_archive_or_a_broken_one_is_replaced() {
    let (folder, path) = written(300);
    Embeddings::open(&path).unwrap();
    let old = beside(&folder);
    let copy = folder.path().join(&old[0]);
    for damage in [0, 1, 60, 127, 4000] {
        let whole = fs::read(&copy).unwrap();
        fs::write(&copy, &whole[..damage]).unwrap();
        assert_eq!(Embeddings::open(&path).unwrap().row(299).unwrap()[7], number(299, 7));
        assert_eq!(fs::read(&copy).unwrap(), whole);
    }
    // left by a process that was killed; the others are not ours
    fs::write(folder.path().join(format!(".{}.x1y2z3.part", old[0])), "half").unwrap();
    fs::write(folder.path().join("some.model_embeddings.letter.npy"), "mine").unwrap();
    fs::write(folder.path().join("some.model_embeddings.12345678.npy.txt"), "mine").unwrap();
    write(&path, 300, 8, 3);
    assert_eq!(Embeddings::open(&path).unwrap().row(299).unwrap()[7], number(299 * 3, 7));
    let mut now = beside(&folder);
    now.retain(|name| !name.contains("letter") && !name.ends_with(".txt"));
    assert!(now.len() == 1 && now != old, "{now:?} after {old:?}");
    assert_eq!(beside(&folder).len(), 3);
}

#[test]
fn several_at_once_make_one_sound_copy() {
    let (folder, path) = written(20_000);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let embeddings = Embeddings::open(&path).unwrap();
                assert_eq!(embeddings.row(19_999).unwrap()[7], number(19_999, 7));
                assert_eq!(embeddings.why_resident(), None);
            });
        }
    });
    assert_eq!(beside(&folder).len(), 1);
}

#[test]
fn without_a_place_for_the_copy_the_rows_are_in_memory() {
    let (folder, path) = written(300);
    // a folder of the copy's name cannot be replaced by a file, whoever asks: tests may run as root
    let copy = {
        Embeddings::open(&path).unwrap();
        folder.path().join(&beside(&folder)[0])
    };
    fs::remove_file(&copy).unwrap();
    fs::create_dir(&copy).unwrap();
    fs::write(copy.join("inside"), "").unwrap();
    let embeddings = Embeddings::open(&path).unwrap();
    assert!(embeddings.why_resident().is_some());
    assert_eq!(embeddings.row(299).unwrap()[7], number(299, 7));
    let mut out = vec![];
    embeddings.gather(&[1, 299], &mut out).unwrap();
    assert_eq!((out[0], out[15]), (number(1, 0), number(299, 7)));
    assert_eq!(beside(&folder).len(), 1, "no unfinished file stays");
}

#[test]
fn a_matrix_that_shrank_too_far_is_refused_before_it_is_inflated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.npz");
    let zeros = |_, _: &mut [f16]| Ok::<(), EmbeddingsError>(());
    Embeddings::write_npz(&path, 1 << 14, 1 << 11, zeros).unwrap();
    let error = Embeddings::open(&path).unwrap_err();
    assert_eq!(error.code(), "embeddings_invalid");
    assert!(error.to_string().contains("67108864 bytes in so small a file"), "{error}");
    assert!(beside(&folder).is_empty());
}

#[test]
fn other_spellings_of_the_scalars_are_read() {
    assert!(replaced("dtype", npy("'|S7'", "False", "()", b"float16")).is_ok());
    assert!(replaced("vocab_size", npy("'<i4'", "False", "()", &3_i32.to_le_bytes())).is_ok());
}

#[test]
fn wrong_arrays_are_refused_with_what_was_expected() {
    let text = |result: Result<Embeddings, EmbeddingsError>| {
        let error = result.unwrap_err();
        assert_eq!(error.code(), "embeddings_invalid", "{error}");
        error.to_string()
    };
    let cases = [
        (replaced("embeddings", npy("'|O'", "False", "(3, 2)", b"cos\nsystem")), "pickle is code"),
        (
            replaced("embeddings", npy("'>f2'", "False", "(3, 2)", &[0; 12])),
            "has type >f2, expected type <f2",
        ),
        (
            replaced("embeddings", npy("'<f4'", "False", "(3, 2)", &[0; 24])),
            "has type <f4, expected type <f2",
        ),
        (replaced("embeddings", npy("'<f2'", "True", "(3, 2)", &[0; 12])), "has columns first"),
        (
            replaced("embeddings", npy("'<f2'", "False", "(2, 3)", &[0; 12])),
            "has shape [2, 3], expected [3, 2]",
        ),
        (
            replaced("embeddings", npy("'<f2'", "False", "(3, 2)", &[0; 11])),
            "has 11 bytes, expected 12 bytes",
        ),
        (
            replaced("embeddings", npy("'<f2'", "False", "(3, 2)", &[0; 13])),
            "has 13 bytes, expected 12 bytes",
        ),
        (replaced("embeddings", npy("'<f2'", "False", "(9999999999, 9999999999)", &[])), "has shape"),
        (replaced("embeddings", b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec()), "no sound .npz archive"),
        (replaced("embeddings", b"hello".to_vec()), "no sound .npz archive"),
        (replaced("vocab_size", integer(i64::MAX)), "rows of 2 numbers, expected 1 to"),
        (replaced("vocab_size", integer(-1)), "rows of 2 numbers, expected 1 to"),
        (replaced("vocab_size", integer(0)), "0 rows of 2 numbers, expected 1 to"),
        (
            replaced("vocab_size", npy("'<f8'", "False", "()", &[0; 8])),
            "expected a little-endian whole number",
        ),
        (replaced("vocab_size", npy("'<i8'", "False", "(1,)", &[0; 8])), "expected a single value"),
        (
            replaced("dtype", npy("'<U7'", "False", "()", &utf32("float32"))),
            "has `float32`, expected `float16`",
        ),
        (replaced("dtype", npy("'<U999999999'", "False", "()", &[])), "expected a short text"),
        (open(b"PK"), "no sound .npz archive"),
        (open(&zip(&members()[1..])), "has no array `embeddings`"),
        (open(&zip(&members()[..3])), "has no array `dtype`"),
    ];
    for (result, expected) in cases {
        let text = text(result);
        assert!(text.contains(expected), "{text} / {expected}");
    }
}

#[test]
fn two_members_of_a_name_are_refused() {
    let mut members = members();
    members.push(("dtypf", members[3].1.clone()));
    let mut bytes = zip(&members);
    for at in 0..bytes.len() - 9 {
        if &bytes[at..at + 9] == b"dtypf.npy" {
            bytes[at + 4] = b'e';
        }
    }
    assert!(open(&bytes).unwrap_err().to_string().contains("5 members under 4 names"));
}

#[test]
fn a_truncated_or_damaged_archive_is_an_error() {
    let bytes = zip(&members());
    for end in 0..bytes.len() {
        assert!(open(&bytes[..end]).is_err(), "{end}");
    }
    let data = bytes.windows(6).position(|window| window == b"\x93NUMPY").unwrap_or(60);
    let mut damaged = bytes.clone();
    damaged[data + 20] ^= 0x40;
    assert!(open(&damaged).is_err());
}

#[test]
fn a_missing_file_names_itself() {
    let error = Embeddings::open(Path::new("/no/such.npz")).unwrap_err();
    assert_eq!(error.code(), "embeddings_unreadable");
    assert!(error.to_string().contains("/no/such.npz"));
}
