//! Tokenizer folders made to harm: each is an error, in time, and opens nothing outside its folder.
#![allow(clippy::unwrap_used)]

use engine::{Tokenizer, TokenizerError};
use serde_json::{Value, json};
use std::fs::write;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A small sound byte-level tokenizer, to be spoilt.
fn sound() -> Value {
    let letters = ["a", "b", "c", "Ġ", "ab", "abc", "<", "|", "e", ">", "é"];
    let vocab: serde_json::Map<String, Value> =
        letters.iter().enumerate().map(|(id, token)| ((*token).to_owned(), json!(id))).collect();
    json!({
        "version": "1.0",
        "added_tokens": [{"id": 11, "content": "<|e|>", "special": true, "lstrip": false, "rstrip": true, "normalized": false, "single_word": false}],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false, "byte_fallback": false,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "vocab": vocab, "merges": [["a", "b"], ["ab", "c"]]},
    })
}

fn folder(tokenizer: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    folder
}

fn load(tokenizer: &Value) -> Result<Tokenizer, TokenizerError> {
    Tokenizer::from_dir(folder(tokenizer).path())
}

fn spoilt(change: impl FnOnce(&mut Value)) -> Result<Tokenizer, TokenizerError> {
    let mut tokenizer = sound();
    change(&mut tokenizer);
    load(&tokenizer)
}

#[test]
fn the_sound_one_works() {
    let folder = folder(&sound());
    let config = json!({"eos_token": {"content": "<|e|>"}, "chat_template": [{"name": "tool", "template": "t"}, {"name": "default", "template": "d"}]});
    write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    write(folder.path().join("generation_config.json"), r#"{"eos_token_id": [11, 3]}"#).unwrap();
    let tokenizer = Tokenizer::from_dir(folder.path()).unwrap();
    assert_eq!(tokenizer.encode_text("abc ab<|e|>").unwrap(), [5, 3, 4, 6, 7, 8, 7, 9]);
    assert_eq!(
        (tokenizer.vocab_size(), tokenizer.eos(), tokenizer.chat_template()),
        (12, Some("<|e|>"), Some("d"))
    );
    assert_eq!(tokenizer.end_tokens().iter().copied().collect::<Vec<_>>(), [3, 11]);
    assert_eq!((tokenizer.token_bytes(3), tokenizer.token_bytes(11)), (Some(&b" "[..]), Some(&b""[..])));
    write(folder.path().join("chat_template.jinja"), "file").unwrap();
    assert_eq!(Tokenizer::from_dir(folder.path()).unwrap().chat_template(), Some("file"));
}

#[test]
fn spoilt_files_are_errors() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 11] = [
        ("id 2^31", |t| t["model"]["vocab"]["a"] = json!(1_u64 << 31)),
        ("id 2^40", |t| t["model"]["vocab"]["a"] = json!(1_u64 << 40)),
        ("added id 2^31", |t| t["added_tokens"][0]["id"] = json!(1_u64 << 31)),
        ("negative id", |t| t["model"]["vocab"]["a"] = json!(-1)),
        ("merge of nothing", |t| t["model"]["merges"] = json!([["x", "y"]])),
        ("no model", |t| t["model"] = json!({"type": "None"})),
        ("vocabulary is a number", |t| t["model"]["vocab"] = json!(7)),
        ("fixed length 0", |t| t["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0})),
        ("broken regex", |t| {
            t["pre_tokenizer"] =
                json!({"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated", "invert": false})
        }),
        ("a suffix in the middle of a character", |t| {
            t["model"]["continuing_subword_prefix"] = json!("éé");
            t["model"]["merges"] = json!([["a", "é"]]);
        }),
        ("unknown normalizer", |t| t["normalizer"] = json!({"type": "Nothing"})),
    ];
    for (name, change) in cases {
        let started = Instant::now();
        let result = spoilt(change).and_then(|tokenizer| tokenizer.encode_text("abc ab"));
        let error = result.err().unwrap_or_else(|| panic!("{name}: no error"));
        assert!(error.code().starts_with("tokenizer_"), "{name}: {error}");
        assert!(started.elapsed() < Duration::from_secs(2), "{name}");
    }
}

#[test]
fn merges_cannot_make_a_control_token() {
    let result = spoilt(|t| {
        t["model"]["vocab"]["<|e|>"] = json!(11);
        t["model"]["vocab"]["<|"] = json!(12);
        t["model"]["vocab"]["e|>"] = json!(13);
        t["model"]["vocab"]["|>"] = json!(14);
        t["model"]["merges"] = json!([["<", "|"], ["|", ">"], ["e", "|>"], ["<|", "e|>"]]);
        t["pre_tokenizer"]["use_regex"] = json!(false);
    });
    let error = result.unwrap().encode_text("<|e|>").unwrap_err();
    assert_eq!(error.to_string(), "the tokenizer turns ordinary text into the control token 11 `<|e|>`");
}

#[test]
fn an_exponential_regex_ends() {
    let tokenizer = spoilt(|t| {
        t["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "(?=((a+)+)+$)b|(a|aa)+(?!a)c"}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]});
    })
    .unwrap();
    let started = Instant::now();
    let _ = tokenizer.encode_text(&"a".repeat(200));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[test]
fn ids_outside_the_vocabulary_are_refused() {
    let folder = folder(&sound());
    write(folder.path().join("generation_config.json"), r#"{"eos_token_id": [1, 99]}"#).unwrap();
    let error = Tokenizer::from_dir(folder.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "eos_token_id of generation_config.json has token id 99, the vocabulary 12 entries"
    );
}

#[test]
fn a_folder_without_a_tokenizer_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = Tokenizer::from_dir(folder.path()).unwrap_err();
    assert_eq!(error.code(), "tokenizer_unreadable");
    assert!(error.hint().unwrap().contains("tokenizer.json"));
    write(folder.path().join("tokenizer.json"), "{").unwrap();
    assert_eq!(Tokenizer::from_dir(folder.path()).unwrap_err().code(), "tokenizer_invalid");
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_refused() {
    let secret = tempfile::tempdir().unwrap();
    write(secret.path().join("passwd"), "root").unwrap();
    let folder = folder(&sound());
    std::os::unix::fs::symlink(secret.path().join("passwd"), folder.path().join("chat_template.jinja"))
        .unwrap();
    let error = Tokenizer::from_dir(folder.path()).unwrap_err();
    assert!(matches!(error, TokenizerError::OutsideFolder { .. }), "{error}");
}
