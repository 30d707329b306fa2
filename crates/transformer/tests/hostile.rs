//! Hostile GGUF files: an error that names the field, or a model that runs; never a panic.

use std::{fs, panic::catch_unwind};

use test_support::{GgufWriter, kind, string, tiny};
use transformer::{Gguf, GgufError, Input, LoadError, LoadOptions, Model};

fn one_thread() -> LoadOptions {
    LoadOptions { threads: 1, ..LoadOptions::default() }
}

/// Opens the bytes as a model and, where that works, runs a token through it.
fn try_run(bytes: &[u8]) -> Result<(), LoadError> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), bytes).expect("room for a tiny model");
    let model = Model::open(file.path(), &one_thread())?;
    let mut logits = vec![0.0; model.config().vocab_size];
    let mut sequence = model.sequence(2);
    model.forward(&mut sequence, Input::Tokens(&[1]), &mut logits).expect("a loaded model runs");
    Ok(())
}

fn survives(bytes: &[u8], case: &str) {
    assert!(catch_unwind(|| try_run(bytes).is_ok()).is_ok(), "panicked: {case}");
}

fn message(writer: &GgufWriter) -> String {
    try_run(&writer.bytes()).expect_err("a broken file is refused").to_string()
}

fn open(writer: &GgufWriter) -> Result<Gguf, GgufError> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), writer.bytes()).expect("room for a tiny file");
    Gguf::open(file.path())
}

/// Bytes before the tensor data.
fn header_len(bytes: &[u8]) -> usize {
    let weights: usize =
        tiny::tensors().iter().map(|(_, dims)| dims.iter().product::<u64>() as usize * 4).sum();
    bytes.len() - weights
}

#[test]
fn truncated_anywhere_it_is_an_error() {
    let bytes = tiny::model(tiny::floats).bytes();
    try_run(&bytes).expect("the whole file runs");
    let header = header_len(&bytes);
    for len in (0..header).chain((header..bytes.len()).step_by(4099)) {
        let cut = catch_unwind(|| try_run(&bytes[..len]));
        assert!(matches!(cut, Ok(Err(_))), "cut at {len}");
    }
}

#[test]
fn a_flipped_byte_of_the_header_never_panics() {
    let bytes = tiny::model(tiny::floats).bytes();
    for at in 0..header_len(&bytes) {
        for flip in [0x01, 0x80, 0xff] {
            let mut broken = bytes.clone();
            broken[at] ^= flip;
            survives(&broken, &format!("byte {at} ^ {flip:#x}"));
        }
    }
}

#[test]
fn broken_counts_and_lengths_name_the_field() {
    let bytes = tiny::model(tiny::floats).bytes();
    let cases: [(usize, &[u8], &str); 5] = [
        (0, b"GGML", "not a GGUF"),
        (4, &9u32.to_le_bytes(), "version 9"),
        (8, &u64::MAX.to_le_bytes(), "the number of tensors"),
        (16, &u64::MAX.to_le_bytes(), "the number of metadata entries"),
        (24, &u64::MAX.to_le_bytes(), "a metadata key"),
    ];
    for (at, value, expected) in cases {
        let mut broken = bytes.clone();
        broken[at..at + value.len()].copy_from_slice(value);
        let text = try_run(&broken).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn metadata_out_of_range_names_the_key() {
    let base = || tiny::model(tiny::floats);
    let twice = base().u32("llama.block_count", 2);
    assert!(message(&twice).contains("second \"llama.block_count\""));
    let alignment = base().u32("general.alignment", 13);
    assert!(message(&alignment).contains("general.alignment"));
    let huge = GgufWriter::default().array("a", kind::U32, u64::MAX, &[]);
    assert!(message(&huge).contains("truncated"));
    let nested = GgufWriter::default().array("a", kind::ARRAY, 1, &[0; 12]);
    assert!(message(&nested).contains("array of arrays"));
    let text =
        GgufWriter::default().raw("a", kind::STRING, &[&2u64.to_le_bytes()[..], &[0xff, 0xfe]].concat());
    assert!(message(&text).contains("UTF-8"));
    let bool = GgufWriter::default().raw("a", kind::BOOL, &[2]);
    assert!(message(&bool).contains("0 or 1"));
    assert!(message(&GgufWriter::default().raw("a", 13, &[0; 8])).contains("value type"));
    let other = GgufWriter::default().string("general.architecture", "mamba");
    assert!(message(&other).contains("mamba"));
    assert!(message(&GgufWriter::default()).contains("architecture"));
}

#[test]
fn hostile_shapes_are_refused() {
    let with = |dims: &[u64], code| open(&tiny::metadata().tensor("t", dims, code, vec![0; 64]));
    for dims in [&[0][..], &[u64::MAX], &[1 << 40, 1 << 40], &[1; 5], &[], &[17]] {
        assert!(with(dims, 0).is_err(), "{dims:?}");
    }
    assert!(with(&[16], 0).is_ok());
    // no whole blocks
    assert!(with(&[33], 8).is_err());
    // a type that is not read is an error only for whoever asks for the tensor
    let unknown = with(&[256], 23).expect("the file opens");
    assert!(unknown.tensor("t").unwrap_err().to_string().contains("IQ4_XS"));
}

#[test]
fn tensors_that_share_bytes_are_refused() {
    let mut bytes =
        tiny::metadata().tensor("a", &[16], 0, vec![0; 64]).tensor("b", &[16], 0, vec![0; 64]).bytes();
    let name = bytes.windows(9).position(|window| window == string("b")).expect("tensor b is listed");
    let offset = name + 9 + 4 + 8 + 4;
    bytes[offset..offset + 8].copy_from_slice(&0u64.to_le_bytes());
    assert!(try_run(&bytes).unwrap_err().to_string().contains("overlapping"));
}

#[test]
fn missing_and_misshapen_tensors_are_named() {
    let (code, data) = tiny::floats(&[0.0; 64]);
    assert!(message(&tiny::metadata()).contains("token_embd.weight"));
    let bias = tiny::model(tiny::floats).tensor("blk.0.attn_output.bias", &[64], code, data.clone());
    assert!(message(&bias).contains("blk.0.attn_output.bias"));
    let alone = tiny::model(tiny::floats).tensor("blk.0.attn_q.bias", &[64], code, data.clone());
    assert!(message(&alone).contains("blk.0.attn_k.bias"));
    let narrow = tiny::metadata().tensor("token_embd.weight", &[32, 2], code, data);
    assert!(message(&narrow).contains("shape"));
    let factors = tiny::model(tiny::floats).tensor("rope_freqs.weight", &[3], 0, vec![0; 12]);
    assert!(message(&factors).contains("rope_freqs.weight"));
}

#[test]
fn directories_and_missing_files_are_errors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(matches!(Gguf::open(folder.path()), Err(GgufError::Open { .. })));
    assert!(matches!(Gguf::open(&folder.path().join("none")), Err(GgufError::Open { .. })));
}
