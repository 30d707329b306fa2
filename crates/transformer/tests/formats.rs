//! A tiny model in every format, against the same weights as 32-bit floats.

use half::{bf16, f16};
use kernels::Format;
use test_support::{GgufWriter, tiny};
use transformer::{Input, Isa, LoadOptions, Model};

fn load(writer: &GgufWriter) -> Model {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), writer.bytes()).expect("room for a tiny model");
    // the mapping outlives the name
    Model::open(file.path(), &LoadOptions::default()).expect("the tiny model loads")
}

/// Plain rounding to each format; how well it is done does not matter here.
fn encode(format: Format, values: &[f32]) -> (u32, Vec<u8>) {
    let blocks =
        |code, block: &dyn Fn(&[f32]) -> Vec<u8>| (code, values.chunks(32).flat_map(block).collect());
    let half = |value: f32| f16::from_f32(value).to_le_bytes();
    let largest = |block: &[f32]| block.iter().fold(0f32, |m, v| m.max(v.abs()));
    let pack = |block: &[f32], code: &dyn Fn(f32) -> f32| -> Vec<u8> {
        let nibble = |v: f32| code(v).round().clamp(0.0, 15.0) as u8;
        (0..16).map(|i| nibble(block[i]) | nibble(block[i + 16]) << 4).collect()
    };
    match format {
        Format::F32 => tiny::floats(values),
        Format::F16 => (1, values.iter().flat_map(|v| half(*v)).collect()),
        Format::Bf16 => (30, values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect()),
        Format::Q8_0 => blocks(8, &|block| {
            let d = largest(block) / 127.0;
            let codes = block.iter().map(|v| ((v / d).round() as i8).cast_unsigned());
            half(d).into_iter().chain(codes).collect()
        }),
        Format::Q4_0 => blocks(2, &|block| {
            let d = largest(block) / 8.0;
            [&half(d)[..], &pack(block, &|v| v / d + 8.0)].concat()
        }),
        Format::Q4_1 => blocks(3, &|block| {
            let low = block.iter().copied().fold(f32::INFINITY, f32::min);
            let high = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let d = (high - low) / 15.0;
            [&half(d)[..], &half(low), &pack(block, &|v| (v - low) / d)].concat()
        }),
        other => panic!("{other:?} is decoded as the fixture says, see below"),
    }
}

fn logits(model: &Model) -> Vec<f32> {
    let ids = [1, 5, 9, 2, 33, 63, 0, 7];
    let mut logits = vec![0.0; ids.len() * tiny::VOCAB];
    model.forward_all(&mut model.sequence(ids.len()), Input::Tokens(&ids), &mut logits).expect("it fits");
    logits
}

#[test]
fn every_format_gives_what_its_weights_give_as_floats() {
    for format in [Format::F32, Format::F16, Format::Bf16, Format::Q8_0, Format::Q4_0, Format::Q4_1] {
        let stored = tiny::model(|values| encode(format, values));
        let decoded = tiny::model(|values| {
            let (_, bytes) = encode(format, values);
            let mut floats = vec![0.0; values.len()];
            format.dequantise(&bytes, &mut floats);
            tiny::floats(&floats)
        });
        let (got, want) = (logits(&load(&stored)), logits(&load(&decoded)));
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
        let error = norm(&mut got.iter().zip(&want).map(|(g, w)| g - w)) / norm(&mut want.iter().copied());
        // quantised weights meet activations of 8 bits: under a percent a layer in a net of random weights; 16-bit floats meet
        // bfloat16 where there are tiles
        let brief = format != Format::F32 && Isa::best() == Isa::Amx;
        let tolerance = if format.is_quantised() || brief { 0.03 } else { 1e-5 };
        assert!(error <= tolerance, "{format:?}: relative error {error}");
    }
}

#[test]
fn a_file_that_aligns_nothing_gives_the_same_bits() {
    for format in [Format::F32, Format::F16, Format::Q8_0, Format::Q4_0, Format::Q4_1] {
        let aligned = tiny::model(|values| encode(format, values));
        let want = logits(&load(&aligned));
        for odd in 0..8 {
            // the length of a text moves all tensors
            let text = "x".repeat(odd);
            let mut loose = aligned.clone().u32("general.alignment", 1).string("general.description", &text);
            loose.alignment = 1;
            assert_eq!(logits(&load(&loose)), want, "{format:?}, moved by {odd}");
        }
    }
}

#[test]
fn every_block_type_of_a_file_is_read_as_llama_cpp_reads_it() {
    let codes = [
        ("Q4_0", 2),
        ("Q4_1", 3),
        ("Q5_0", 6),
        ("Q5_1", 7),
        ("Q8_0", 8),
        ("Q2_K", 10),
        ("Q3_K", 11),
        ("Q4_K", 12),
        ("Q5_K", 13),
        ("Q6_K", 14),
        ("IQ4_NL", 20),
    ];
    for fixture in test_support::blocks() {
        let (_, code) = codes.iter().find(|(name, _)| *name == fixture.name).expect("a known type");
        let (cols, rows) = (fixture.values.len() as u64 / 4, 4);
        let writer = GgufWriter::default().tensor("t", &[cols, rows], *code, fixture.bytes);
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), writer.bytes()).expect("room for a tiny file");
        let gguf = transformer::Gguf::open(file.path()).expect("it opens");
        let tensor = gguf.tensor("t").expect("its type is read").expect("it is there");
        let mut row = vec![0.0; cols as usize];
        for (n, want) in fixture.values.chunks(cols as usize).enumerate() {
            tensor.matrix().dequantise_row(n, &mut row);
            assert_eq!(row, want, "{} row {n}", fixture.name);
        }
    }
}

#[test]
fn a_split_file_is_one_model() {
    let whole = tiny::model(tiny::floats);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let part = |n: usize| folder.path().join(format!("tiny-{:05}-of-00003.gguf", n + 1));
    for (n, writer) in whole.split(3).into_iter().enumerate() {
        std::fs::write(part(n), writer.bytes()).expect("room for a tiny model");
    }
    let open = |path: &std::path::Path| Model::open(path, &LoadOptions::default());
    for n in 0..3 {
        let model = open(&part(n)).unwrap_or_else(|error| panic!("part {n}: {error}"));
        assert_eq!(logits(&model), logits(&load(&whole)), "opened by part {n}");
    }
    std::fs::rename(part(1), folder.path().join("elsewhere.gguf")).expect("it can be renamed");
    assert!(open(&part(0)).unwrap_err().to_string().contains("tiny-00002-of-00003.gguf"));
    let error = open(&folder.path().join("elsewhere.gguf")).unwrap_err().to_string();
    assert!(error.contains("-00001-of-00003.gguf"), "{error}");
    std::fs::copy(part(2), part(1)).expect("it can be copied");
    assert!(open(&part(0)).unwrap_err().to_string().contains("split.no"));
}

#[test]
fn rows_and_ids_are_the_same_input() {
    let model = load(&tiny::model(|values| encode(Format::F16, values)));
    let ids = [3, 1, 4, 1, 5];
    let mut rows = Vec::new();
    for id in ids {
        let mut row = vec![0.0; tiny::DIM];
        model.embedding(id, &mut row).expect("the id is in the vocabulary");
        rows.extend(row.into_iter().map(f16::from_f32));
    }
    let run = |input| {
        let mut logits = vec![0.0; tiny::VOCAB];
        model.forward(&mut model.sequence(8), input, &mut logits).expect("it fits");
        logits
    };
    assert_eq!(run(Input::Tokens(&ids)), run(Input::Rows(&rows)));
}

#[test]
fn a_separate_head_is_used_where_there_is_one() {
    let mut seed = 9;
    let head: Vec<f32> = (0..tiny::VOCAB * tiny::DIM).map(|_| tiny::random(&mut seed)).collect();
    let (code, bytes) = tiny::floats(&head);
    let tied = tiny::model(tiny::floats);
    let own = tied.clone().tensor("output.weight", &[tiny::DIM as u64, tiny::VOCAB as u64], code, bytes);
    assert_ne!(logits(&load(&tied)), logits(&load(&own)));
}

#[test]
fn frequency_factors_stretch_the_rotation() {
    let plain = tiny::model(tiny::floats);
    let factors = |factor: f32| {
        let (code, bytes) = tiny::floats(&[factor; 8]);
        plain.clone().tensor("rope_freqs.weight", &[8], code, bytes)
    };
    assert_eq!(logits(&load(&plain)), logits(&load(&factors(1.0))));
    assert_ne!(logits(&load(&plain)), logits(&load(&factors(8.0))));
}

#[test]
fn what_does_not_fit_is_an_error_and_changes_nothing() {
    use transformer::ForwardError;
    let model = load(&tiny::model(tiny::floats));
    let mut sequence = model.sequence(4);
    let mut logits = vec![0.0; tiny::VOCAB];
    model.forward(&mut sequence, Input::Tokens(&[1, 2, 3]), &mut logits).expect("it fits");
    let mut run = |input, logits: &mut [f32]| model.forward(&mut sequence, input, logits).unwrap_err();
    assert_eq!(run(Input::Tokens(&[]), &mut logits), ForwardError::Empty);
    assert_eq!(
        run(Input::Tokens(&[1, 2]), &mut logits),
        ForwardError::ContextFull { len: 3, added: 2, capacity: 4 }
    );
    let unknown = ForwardError::UnknownToken { id: 64, vocab_size: 64 };
    assert_eq!(run(Input::Tokens(&[64]), &mut logits), unknown);
    assert!(matches!(run(Input::Rows(&[f16::ZERO; 63]), &mut logits), ForwardError::RowLength { .. }));
    assert!(matches!(run(Input::Tokens(&[1]), &mut [0.0]), ForwardError::OutputLength { .. }));
    assert_eq!(sequence.len(), 3);
}
