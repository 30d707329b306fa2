//! Vectors of texts against Hugging Face transformers (`scripts/make-families.py`), alone and in company.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a test's ways to tell and to fail

mod common;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use common::{most, say};
use engine::{
    Cancel, Dtype, EmbedError, EmbedInput, Error, LoadOptions, Message, Model, ModelOptions, Source,
};
use test_support::{families, family_folder, family_gguf, string};

/// A family's model beside a tokenizer whose ids it has.
fn open(weights: PathBuf, tokenizer: &str) -> Arc<Model> {
    let options = LoadOptions { dtype: Some(Dtype::F32), ..LoadOptions::default() };
    let tokenizers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../test-support/tokenizers");
    Model::open(&ModelOptions {
        source: Source::Cpu { weights, context_length: None, options },
        tokenizer: Some(tokenizers.join(tokenizer)),
        min_response_space: None,
    })
    .unwrap_or_else(|error| panic!("{error}"))
}

fn embed(model: &Model, inputs: &[Vec<u32>]) -> Vec<Vec<f32>> {
    model.embed(inputs, &Cancel::default()).unwrap()
}

fn length(vector: impl Iterator<Item = f32>) -> f32 {
    vector.map(|v| v * v).sum::<f32>().sqrt()
}

/// That `got` has the length 1 and the direction of `want`.
fn assert_direction(got: &[f32], want: &[f32], what: &str) {
    let norm = length(want.iter().copied());
    let error = length(got.iter().zip(want).map(|(g, w)| g - w / norm));
    println!("{what}: error {error:.1e}");
    assert!(error <= 1e-3, "{what}: error {error}");
    assert!((length(got.iter().copied()) - 1.0).abs() < 1e-6, "{what}");
}

/// A family's file with `ARCHITECTURE.pooling_type`.
fn pooled(name: &str, architecture: &str, kind: u32) -> (tempfile::TempDir, PathBuf) {
    let mut bytes = std::fs::read(family_gguf(name)).unwrap();
    let mut entries = string(&format!("{architecture}.pooling_type"));
    entries.extend([4_u32, kind].iter().flat_map(|v| v.to_le_bytes()));
    // tensors stay where they are relative to a boundary of 32 bytes
    let filler = string("x").len() + 4 + string("").len();
    let missing = (entries.len() + filler).next_multiple_of(32) - entries.len() - filler;
    entries.extend(string("x").into_iter().chain(8_u32.to_le_bytes()).chain(string(&" ".repeat(missing))));
    let count = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) + 2;
    bytes[16..24].copy_from_slice(&count.to_le_bytes());
    bytes.splice(24..24, entries);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pooled.gguf");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn the_mean_is_transformers_in_every_family() {
    for (name, family) in families() {
        for weights in [family_folder(&name), family_gguf(&name)] {
            let got = embed(&open(weights, "smollm2"), std::slice::from_ref(&family.prompt));
            assert_direction(&got[0], &family.mean_state, &name);
        }
    }
}

#[test]
fn the_files_own_pooling_is_followed() {
    let all = families();
    for (name, architecture) in [("smollm2", "llama"), ("qwen3", "qwen3")] {
        let family = &all[name];
        for (kind, want) in [
            (0, &family.mean_state),
            (1, &family.mean_state),
            (2, &family.first_state),
            (3, &family.last_state),
        ] {
            let (_folder, path) = pooled(name, architecture, kind);
            let got = embed(&open(path, "smollm2"), std::slice::from_ref(&family.prompt));
            assert_direction(&got[0], want, &format!("{name} with pooling {kind}"));
        }
        let (_folder, path) = pooled(name, architecture, 4);
        let model = open(path, "smollm2");
        let error = model.embedding_tokens(vec![EmbedInput::Text("Hi".into())], false).unwrap_err();
        assert_eq!(error.code(), "embeddings_unsupported");
        assert!(model.embed(&[vec![5]], &Cancel::default()).is_err());
    }
}

#[test]
fn a_vector_is_the_same_to_the_bit_whatever_goes_with_it() {
    for name in ["llama3", "qwen3", "phi3-long"] {
        let model = open(family_gguf(name), "smollm2");
        let inputs: Vec<Vec<u32>> = [1, 3, 64, 5, 65, 100, 4, 128, 2]
            .iter()
            .map(|len| (0..*len).map(|at| 3 + (at * 7 + len) % 380).collect())
            .collect();
        let alone: Vec<_> =
            inputs.iter().flat_map(|input| embed(&model, std::slice::from_ref(input))).collect();
        let different: BTreeSet<Vec<u32>> =
            alone.iter().map(|vector| vector.iter().map(|v| v.to_bits()).collect()).collect();
        assert_eq!(different.len(), inputs.len(), "{name}: each input has a vector of its own");
        assert!(embed(&model, &inputs) == alone, "{name}: together");
        // beside other callers', and beside a reply
        thread::scope(|scope| {
            let go_on = || say(&mut model.session(), &[Message::user("Go on")], &most(10)).text;
            let replies = scope.spawn(move || (0..20).map(|_| go_on()).collect::<BTreeSet<_>>());
            let callers: Vec<_> = (0..3).map(|_| scope.spawn(|| embed(&model, &inputs))).collect();
            for caller in callers {
                assert!(caller.join().unwrap() == alone, "{name}: in company");
            }
            assert_eq!(replies.join().unwrap(), BTreeSet::from([go_on()]), "{name}");
        });
    }
}

#[test]
fn what_cannot_be_embedded_is_named_by_its_place() {
    let model = open(family_gguf("llama3"), "llama3");
    let text = |text: &str| EmbedInput::Text(text.into());
    let check = |inputs| match model.embedding_tokens(inputs, false).unwrap_err() {
        Error::Embed(error) => error,
        other => panic!("{other}"),
    };
    let fine = text("fine");
    let error = check(vec![fine.clone(), text("")]);
    assert!(matches!(error, EmbedError::Empty { index: 1 }), "{error}");
    let error = check(vec![fine.clone(), fine.clone(), EmbedInput::Tokens(vec![5; 129])]);
    assert!(
        matches!(error, EmbedError::TooLong { index: 2, tokens: 129, exact: true, room: 128 }),
        "{error}"
    );
    assert_eq!(error.to_string(), "input[2] has 129 tokens, room 128");
    let error = check(vec![text(&"z".repeat(1_000_000))]);
    assert!(matches!(error, EmbedError::TooLong { index: 0, exact: false, .. }), "{error}");
    let error = check(vec![EmbedInput::Tokens(vec![5, 400])]);
    assert!(matches!(error, EmbedError::UnknownToken { index: 0, id: 400, vocab_size: 400 }), "{error}");
    // to the edge
    let ids = model.embedding_tokens(vec![EmbedInput::Tokens(vec![5; 128])], false).unwrap();
    assert_eq!(embed(&model, &ids).len(), 1);
    // or cut, for who wants that
    let long = vec![text(&"Hello ".repeat(200)), EmbedInput::Tokens(vec![5; 129])];
    let cut = model.embedding_tokens(long, true).unwrap();
    assert_eq!(cut[1], ids[0]);
    assert_eq!(cut[0].len(), 128);
    assert_eq!(cut[0][1..], model.tokenize(&"Hello ".repeat(200)).unwrap()[..127]);
}

#[test]
fn a_text_begins_as_the_models_files_say() {
    let model = open(family_gguf("llama3"), "llama3");
    let ids =
        model.embedding_tokens(vec![EmbedInput::Text("Hi <|eot_id|>".into())], false).unwrap().remove(0);
    let tokenizer = model.prompts().tokenizer();
    assert_eq!(Some(ids[0]), tokenizer.added_id(tokenizer.bos().unwrap()));
    assert_eq!(ids[1..], model.tokenize("Hi <|eot_id|>").unwrap());
    assert!(ids[1..].iter().all(|id| !tokenizer.control_tokens().contains(id)));
}

#[test]
fn a_cancel_ends_it() {
    let model = open(family_gguf("smollm2"), "smollm2");
    let cancel = Cancel::default();
    let inputs = vec![vec![7; 128]; 100_000];
    thread::scope(|scope| {
        let embedding = scope.spawn(|| model.embed(&inputs, &cancel));
        cancel.set();
        assert!(matches!(embedding.join().unwrap(), Err(Error::Cancelled)));
    });
    assert_eq!(embed(&model, &inputs[..1]).len(), 1);
}
