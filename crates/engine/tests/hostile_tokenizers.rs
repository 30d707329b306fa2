//! Tokenizer folders made to harm: each is an error, in time, and opens nothing outside its folder.
#![allow(clippy::unwrap_used)]

use engine::{Tokenizer, TokenizerError};
use test_support::memory;
use transformer::Gguf;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;
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
    let _alone = memory::alone();
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
    let _alone = memory::alone();
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
    let _alone = memory::alone();
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
    let _alone = memory::alone();
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
    let _alone = memory::alone();
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
    let _alone = memory::alone();
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
    let _alone = memory::alone();
    let secret = tempfile::tempdir().unwrap();
    write(secret.path().join("passwd"), "root").unwrap();
    let folder = folder(&sound());
    std::os::unix::fs::symlink(secret.path().join("passwd"), folder.path().join("chat_template.jinja"))
        .unwrap();
    let error = Tokenizer::from_dir(folder.path()).unwrap_err();
    assert!(matches!(error, TokenizerError::OutsideFolder { .. }), "{error}");
}

/// `<home>/snapshots/<commit>` of links to `<home>/blobs`, as Python's hub client keeps what it downloads.
#[cfg(unix)]
#[test]
fn links_of_a_snapshot_lead_to_its_own_blobs_and_nowhere_else() {
    let _alone = memory::alone();
    let home = tempfile::tempdir().unwrap();
    let (blobs, snapshot) = (home.path().join("blobs"), home.path().join("snapshots/c0ffee"));
    for dir in [&blobs, &snapshot] {
        std::fs::create_dir_all(dir).unwrap();
    }
    let sound = folder(&sound());
    std::fs::copy(sound.path().join("tokenizer.json"), blobs.join("1234")).unwrap();
    let link = |to: &str| {
        let path = snapshot.join("tokenizer.json");
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(to, path).unwrap();
        Tokenizer::from_dir(&snapshot)
    };
    link("../../blobs/1234").unwrap();
    for elsewhere in ["../../1234", "../other/1234", "../../blobs/deep/1234"] {
        let target = snapshot.join(elsewhere);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(blobs.join("1234"), target).unwrap();
        let error = link(elsewhere).unwrap_err();
        assert!(matches!(error, TokenizerError::OutsideFolder { .. }), "{elsewhere}: {error}");
    }
}

fn fixtures() -> std::path::PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../test-support/tokenizers").into()
}

/// An error or a tokenizer that encodes, within four times the file and what the splitters' tables take, which does not
/// depend on the file.
fn survives(size: usize, case: &str, load: impl Fn() -> Result<Tokenizer, TokenizerError>) -> bool {
    let (loaded, peak) = memory::peak(|| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            load().and_then(|tokenizer| tokenizer.encode_text("it's 12 <|e|>\u{e9}\n")).is_ok()
        }))
    });
    assert!(peak <= 4 * size + (16 << 20), "{case}: {peak} bytes for a file of {size}");
    loaded.unwrap_or_else(|_| panic!("panicked: {case}"))
}

#[test]
fn a_tokenizer_file_cut_at_any_byte_is_an_error() {
    let _alone = memory::alone();
    for name in ["llama3", "smollm2", "qwen2", "qwen3", "gpt2", "tekken", "mistral", "phi3", "metaspace"] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokenizer.json");
        std::fs::copy(fixtures().join(name).join("tokenizer.json"), &file).unwrap();
        let handle = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        let whole = handle.metadata().unwrap().len() as usize;
        assert!(survives(whole, name, || Tokenizer::from_dir(folder.path())));
        for len in (0..whole).rev() {
            handle.set_len(len as u64).unwrap();
            let case = format!("{name} cut at {len}");
            assert!(!survives(whole, &case, || Tokenizer::from_dir(folder.path())), "{case}");
        }
    }
}

#[test]
fn a_damaged_tokenizer_file_never_panics() {
    let _alone = memory::alone();
    for (name, file, step) in [
        ("gpt2", "tokenizer.json", 1),
        ("phi3", "tokenizer.json", 5),
        ("smollm2", "tokenizer_config.json", 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            std::fs::copy(fixtures().join(name).join(file), folder.path().join(file)).unwrap();
        }
        let path = folder.path().join(file);
        let bytes = std::fs::read(&path).unwrap();
        let size = std::fs::metadata(folder.path().join("tokenizer.json")).unwrap().len() as usize;
        for at in (0..bytes.len()).step_by(step) {
            let mut broken = bytes.clone();
            broken[at] ^= [0x01, 0x80, 0x10][at % 3];
            write(&path, broken).unwrap();
            survives(size, &format!("{name}/{file} byte {at}"), || Tokenizer::from_dir(folder.path()));
        }
    }
}

#[test]
fn damaged_tokenizer_metadata_never_panics() {
    let _alone = memory::alone();
    for (name, step) in [("smollm2", 1), ("mistral", 5)] {
        let bytes = std::fs::read(fixtures().join(format!("{name}.gguf"))).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let load = || match Gguf::open(file.path()) {
            Ok(gguf) => Tokenizer::from_gguf(&gguf),
            Err(error) => Err(error.into()),
        };
        for at in (0..bytes.len()).step_by(step) {
            let mut broken = bytes.clone();
            broken[at] ^= [0xff, 0x01, 0x80][at % 3];
            write(file.path(), broken).unwrap();
            survives(bytes.len(), &format!("{name}.gguf byte {at}"), load);
        }
        // the last bytes only fill up to the alignment
        for len in (0..bytes.len() - 32).step_by(3) {
            write(file.path(), &bytes[..len]).unwrap();
            assert!(
                !survives(bytes.len(), &format!("{name}.gguf cut at {len}"), load),
                "{name}.gguf cut at {len}"
            );
        }
    }
}

#[test]
fn long_and_odd_texts_are_encoded_in_time() {
    let _alone = memory::alone();
    let texts = [
        "a".repeat(1_000_000),
        "\u{1f468}\u{200d}".repeat(100_000),
        "\u{fffd}".repeat(100_000),
        " ".repeat(1_000_000),
        "1".repeat(100_000),
        "\n".repeat(100_000),
    ];
    for name in ["smollm2", "qwen2", "llama3", "tekken", "mistral", "metaspace"] {
        let tokenizer = Tokenizer::from_dir(&fixtures().join(name)).unwrap();
        for text in &texts {
            let started = Instant::now();
            let shown: String = text.chars().take(1).collect();
            // a splitter that would look back too often says so
            let outcome = match tokenizer.encode_text(text) {
                Ok(ids) => format!("{} ids", ids.len()),
                Err(error) => {
                    assert_eq!(error.code(), "tokenizer_failed", "{name} {shown:?}: {error}");
                    error.to_string()
                }
            };
            println!("{name} {} × {shown:?}: {outcome} in {:?}", text.len(), started.elapsed());
            // two seconds on an idle machine
            assert!(started.elapsed() < Duration::from_secs(60), "{name} {shown:?}: {:?}", started.elapsed());
            assert!(matches!(
                tokenizer.encode_text_limited(text, 8),
                Err(TokenizerError::TooLong { limit: 8, .. })
            ));
        }
    }
}
