//! Models on the device: loading, the KV cache's rules, and logits equal to the transformer's own.
#![allow(clippy::unwrap_used)] // a test's way to fail

mod common;

use std::time::Instant;

use axruntime_sys::{Status, TensorKind};
use common::{COMPILED_CONTEXT, Machine, SCALE, ZERO_POINT, rows, run};
use half::f16;
use test_support::tiny::{DIM, KV_DIM, KV_HEADS, LAYERS, VOCAB};
use transformer::{Input, LoadOptions};

/// What the CPU says for the same rows, quantised.
fn expected(machine: &Machine, rows: &[f16]) -> Vec<u8> {
    let options = LoadOptions { threads: 1, ..LoadOptions::default() };
    let model = transformer::Model::open(&machine.folder().join("weights.gguf"), &options).unwrap();
    let mut logits = vec![0.0; VOCAB];
    model.decode(&mut model.sequence(COMPILED_CONTEXT), Input::Rows(rows), &mut logits).unwrap();
    let mut codes = vec![0; VOCAB];
    transformer::quantise_logits(&logits, SCALE, ZERO_POINT, &mut codes);
    codes.into_iter().map(i8::cast_unsigned).collect()
}

#[test]
fn a_model_tells_its_tensors() {
    let machine = Machine::new(&[]);
    let model = machine.context.load_model(&machine.compile(&[])).unwrap();
    let ([input], [output]) = (model.inputs(), model.outputs()) else { panic!("one input, one output") };
    assert_eq!(
        (&input.dims[..], input.bits, input.kind),
        (&[COMPILED_CONTEXT, DIM][..], 16, TensorKind::Float)
    );
    assert_eq!((&output.dims[..], output.bits, output.kind), (&[VOCAB][..], 8, TensorKind::Signed));
    assert_eq!((output.scale, output.zero_point), (SCALE, ZERO_POINT));
    assert!(model.properties().unwrap().contains(&("name".into(), "tiny".into())));
}

#[test]
fn several_rows_start_a_sequence_and_one_is_appended() {
    let machine = Machine::new(&[]);
    let (_connection, _model, mut instance) = machine.loaded();
    let all = rows(5, 7);
    let other = rows(3, 99);
    let upto = |n: usize| &all[..n * DIM];
    // the first run starts, even with one row
    assert_eq!(run(&mut instance, upto(1)).unwrap(), expected(&machine, upto(1)));
    assert_eq!(run(&mut instance, &all[DIM..2 * DIM]).unwrap(), expected(&machine, upto(2)));
    // a prompt forgets that; then rows are appended one by one
    assert_eq!(run(&mut instance, &other).unwrap(), expected(&machine, &other));
    assert_eq!(run(&mut instance, upto(3)).unwrap(), expected(&machine, upto(3)));
    for n in 4..=5 {
        let row = &all[(n - 1) * DIM..n * DIM];
        assert_eq!(run(&mut instance, row).unwrap(), expected(&machine, upto(n)), "{n} rows");
    }
    let distinct: std::collections::BTreeSet<_> = expected(&machine, upto(5)).into_iter().collect();
    assert!(distinct.len() > 10, "logits that say something: {distinct:?}");
}

#[test]
fn an_instance_loaded_anew_knows_nothing() {
    let machine = Machine::new(&[]);
    let (connection, model, mut instance) = machine.loaded();
    let one = rows(1, 3);
    let fresh = run(&mut instance, &one).unwrap();
    run(&mut instance, &rows(2, 4)).unwrap();
    assert_ne!(run(&mut instance, &one).unwrap(), fresh, "appended, it depends on what was there");
    let error = connection.load_instance(&model, None).err().unwrap();
    assert_eq!(error.status, Status::Runtime, "one model at a time: {error}");
    drop(instance);
    let mut instance = connection.load_instance(&model, None).unwrap();
    assert_eq!(run(&mut instance, &one).unwrap(), fresh);
}

#[test]
fn the_compiled_context_is_the_end() {
    let machine = Machine::new(&[]);
    let (_connection, _model, mut instance) = machine.loaded();
    let all = rows(COMPILED_CONTEXT + 1, 5);
    run(&mut instance, &all[..(COMPILED_CONTEXT - 1) * DIM]).unwrap();
    let last = run(&mut instance, &all[(COMPILED_CONTEXT - 1) * DIM..COMPILED_CONTEXT * DIM]).unwrap();
    assert_eq!(last, expected(&machine, &all[..COMPILED_CONTEXT * DIM]));
    let error = run(&mut instance, &all[..DIM]).unwrap_err();
    let text = "context full: 8 of 8 positions used, 1 more asked for";
    assert_eq!((error.status, error.text.as_str()), (Status::Value, text));
    // a new prompt is welcome
    assert_eq!(run(&mut instance, &all[..2 * DIM]).unwrap(), expected(&machine, &all[..2 * DIM]));
}

#[test]
fn values_that_are_no_numbers_are_refused() {
    let machine = Machine::new(&[]);
    let (_connection, _model, mut instance) = machine.loaded();
    for odd in [f16::NAN, f16::INFINITY] {
        let mut rows = rows(2, 1);
        rows[DIM + 3] = odd;
        let error = run(&mut instance, &rows).unwrap_err();
        let text = "input row 1 has a value that is not finite";
        assert_eq!((error.status, error.text.as_str()), (Status::Value, text));
    }
}

#[test]
fn models_that_are_not_for_this_card_are_refused() {
    let machine = Machine::new(&[]);
    for (from, to, expected) in [
        ("5.0", "4.0", "Unsupported model version: 4.0, expected at least 5.0"),
        ("axsim-gguf", "elf", "compiled for a real Metis"),
        ("weights.gguf", "nothing.gguf", "nothing.gguf: No such file"),
        ("axsim-gguf", "axsim-folder", "weights.gguf: not a folder"),
        ("weights.gguf", "../weights.gguf", "plain file name"),
        ("{", "", "model.json: "),
    ] {
        let error = machine.context.load_model(&machine.compile(&[(from, to)])).err().unwrap();
        assert!(error.status == Status::Value && error.text.contains(expected), "{error} lacks {expected:?}");
    }
    let error = machine.context.load_model(&machine.folder().join("none.json")).err().unwrap();
    assert!(error.status == Status::Value && error.text.contains("No such file"), "{error}");
    assert_eq!(machine.context.load_model(machine.folder()).err().unwrap().status, Status::Value);
}

#[test]
fn weights_are_checked_when_an_instance_is_loaded() {
    let machine = Machine::new(&[]);
    let connection = machine.context.connect(None, 2, None).unwrap();
    for (from, to, expected) in [
        (r#""vocab_size":64"#, r#""vocab_size":65"#, "model.json says vocab_size 65"),
        (r#""embedding_dim":64"#, r#""embedding_dim":32"#, "model.json says embedding_dim 32"),
        (r#""context_length":8"#, r#""context_length":65"#, "was trained for 64"),
        ("weights.gguf", "model.json", "model.json"),
    ] {
        let model = machine.context.load_model(&machine.compile(&[(from, to)])).unwrap();
        let error = connection.load_instance(&model, None).err().unwrap();
        assert!(error.status == Status::Value && error.text.contains(expected), "{error} lacks {expected:?}");
    }
    let model = machine.context.load_model(&machine.compile(&[])).unwrap();
    for (key, value, status) in [
        ("aipu_cores", "4", Status::Value),
        ("num_sub_devices", "x", Status::Value),
        ("input_dmabuf", "1", Status::NotImplemented),
    ] {
        let properties = machine.context.properties(&[(key, value)]).unwrap();
        let error = connection.load_instance(&model, Some(&properties)).err().unwrap();
        assert_eq!(error.status, status, "{error}");
    }
}

#[test]
fn a_model_needs_its_memory() {
    let machine = Machine::new(&[("AXSIM_MEMORY", "64KiB")]);
    let connection = machine.context.connect(None, 4, None).unwrap();
    let model = machine.context.load_model(&machine.compile(&[])).unwrap();
    let error = connection.load_instance(&model, None).err().unwrap();
    let needs = std::fs::metadata(machine.folder().join("weights.gguf")).unwrap().len()
        + (2 * (2 * KV_DIM + 4 * KV_HEADS) * LAYERS * COMPILED_CONTEXT) as u64;
    let text = format!("not enough device memory: needs {needs} bytes, has 65536 bytes");
    assert_eq!((error.status, error.text), (Status::Runtime, text));
    drop((connection, model, machine));
    let machine = Machine::new(&[("AXSIM_MEMORY", "0")]);
    machine.loaded();
}

#[test]
fn a_pace_is_kept() {
    let machine = Machine::new(&[("AXSIM_TTFT_MS", "80"), ("AXSIM_TOKENS_PER_SECOND", "20")]);
    let (_connection, _model, mut instance) = machine.loaded();
    for (count, least) in [(2, 80), (1, 50)] {
        let started = Instant::now();
        run(&mut instance, &rows(count, 1)).unwrap();
        let took = started.elapsed().as_millis();
        assert!(took >= least, "{count} rows took {took} ms, expected at least {least}");
    }
}

#[test]
fn every_instruction_set_gives_almost_the_same() {
    let prompt = rows(4, 11);
    let mut all = Vec::new();
    for isa in transformer::Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let machine = Machine::new(&[("AXSIM_ISA", isa.name()), ("AXSIM_THREADS", "2")]);
        let (_connection, _model, mut instance) = machine.loaded();
        all.push(run(&mut instance, &prompt).unwrap());
    }
    for other in &all[1..] {
        let apart = all[0].iter().zip(other).map(|(a, b)| a.cast_signed().abs_diff(b.cast_signed())).max();
        assert!(apart <= Some(1), "{apart:?} quanta apart");
    }
    let machine = Machine::new(&[("AXSIM_ISA", "mmx")]);
    let connection = machine.context.connect(None, 4, None).unwrap();
    let model = machine.context.load_model(&machine.compile(&[])).unwrap();
    let error = connection.load_instance(&model, None).err().unwrap();
    assert!(error.status == Status::InvalidConfiguration && error.text.starts_with("AXSIM_ISA: "), "{error}");
}

#[test]
fn a_thousand_loads_leave_nothing_behind() {
    let machine = Machine::new(&[("AXSIM_THREADS", "2")]);
    let path = machine.compile(&[]);
    let once = || {
        let context = machine.second();
        let connection = context.connect(None, 4, None).unwrap();
        let model = context.load_model(&path).unwrap();
        let mut instance = connection.load_instance(&model, None).unwrap();
        run(&mut instance, &rows(2, 1)).unwrap();
    };
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    (0..100).for_each(|_| once());
    let before = (count("/proc/self/fd"), count("/proc/self/task"), resident());
    (0..1000).for_each(|_| once());
    let after = (count("/proc/self/fd"), count("/proc/self/task"), resident());
    assert_eq!(before.0, after.0, "open files");
    assert!(after.1 <= before.1 + 2, "threads: {before:?} to {after:?}");
    assert!(after.2 <= before.2 + (8 << 20), "memory: {before:?} to {after:?}");
}
