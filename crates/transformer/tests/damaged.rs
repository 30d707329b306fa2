//! Damaged weight files and folders, exhaustively: an error or a model, never a panic, never memory beyond four times
//! the file.

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use test_support::{family_folder, family_gguf, memory};
use transformer::{Checkpoint, Dtype, Input, LoadError, LoadOptions, Model};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Opens the files as a model and, where that works, runs a token through it.
fn try_run(path: &Path) -> Result<(), LoadError> {
    let options = LoadOptions { threads: 1, dtype: Some(Dtype::Q8), ..LoadOptions::default() };
    let model = Model::open(path, &options)?;
    let mut logits = vec![0.0; model.config().vocab_size];
    let mut sequence = model.sequence(2);
    model.forward(&mut sequence, Input::Tokens(&[1]), &mut logits).expect("a loaded model runs");
    Ok(())
}

/// Whether it runs; panics with the case where it panics, or takes more than four times `size` and a mebibyte.
fn survives(path: &Path, size: usize, case: &str) -> bool {
    let (result, peak) = memory::peak(|| catch_unwind(|| try_run(path).is_ok()));
    assert!(peak <= 4 * size + (1 << 20), "{case}: {peak} bytes for a file of {size}");
    result.unwrap_or_else(|_| panic!("panicked: {case}"))
}

/// A copy of a family's folder that may be spoilt.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in ["config.json", "model.safetensors"] {
        fs::copy(family_folder(name).join(file), folder.path().join(file)).expect("room for a tiny model");
    }
    folder
}

/// Shortens the file byte by byte: nothing of it may open.
fn cut(file: &Path, open: impl Fn() -> bool) {
    let handle = fs::OpenOptions::new().write(true).open(file).expect("the copy is ours");
    let whole = handle.metadata().expect("it is there").len();
    assert!(open(), "the whole file opens");
    for len in (0..whole).rev() {
        handle.set_len(len).expect("it can be shortened");
        assert!(!open(), "{file:?} opens although it is cut at {len} of {whole}");
    }
}

/// Flips `masks` of each byte of `range` in turn; returns how many of the damaged files still ran.
fn flip(file: &Path, range: std::ops::Range<usize>, masks: &[u8], model: &Path) -> usize {
    let bytes = fs::read(file).expect("the copy is there");
    let mut ran = 0;
    for at in range {
        for mask in masks {
            let mut broken = bytes.clone();
            broken[at] ^= *mask;
            fs::write(file, &broken).expect("room for a tiny file");
            ran += usize::from(survives(model, bytes.len(), &format!("{file:?} byte {at} ^ {mask:#x}")));
        }
    }
    fs::write(file, bytes).expect("room for a tiny file");
    ran
}

#[test]
fn a_gguf_file_cut_at_any_byte_is_an_error() {
    let _alone = memory::alone();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("m.gguf");
    fs::copy(family_gguf("phi3-long"), &file).expect("room for a tiny model");
    cut(&file, || matches!(catch_unwind(|| Checkpoint::open(&file).is_ok()), Ok(true)));
}

#[test]
fn a_flipped_byte_of_a_gguf_header_never_panics() {
    let _alone = memory::alone();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("m.gguf");
    for (name, masks) in [("phi3-long", &[0x01, 0x80][..]), ("qwen2", &[0xff])] {
        fs::copy(family_gguf(name), &file).expect("room for a tiny model");
        let header = gguf_header(&file);
        let ran = flip(&file, 0..header, masks, &file);
        println!("{name}: {ran} of {} damaged headers still made a model", masks.len() * header);
    }
}

/// Bytes before the first tensor's.
fn gguf_header(file: &Path) -> usize {
    let whole = fs::metadata(file).expect("it is there").len() as usize;
    let Checkpoint::Gguf(gguf) = Checkpoint::open(file).expect("it opens") else { panic!("a GGUF file") };
    let parts = ["attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
        .map(|part| [0, 1].map(|layer| format!("blk.{layer}.{part}.weight")));
    let names = parts.into_iter().flatten().chain(["token_embd.weight".into(), "output.weight".into()]);
    let weights = names.filter_map(|name| Some(gguf.tensor(&name).ok()??.bytes.len()));
    // the norms lie before the end of what is left: a few bytes more than the header
    whole - weights.sum::<usize>()
}

#[test]
fn a_safetensors_file_cut_at_any_byte_is_an_error() {
    let _alone = memory::alone();
    let folder = copy("phi3-long");
    let file = folder.path().join("model.safetensors");
    cut(&file, || matches!(catch_unwind(|| Checkpoint::open(folder.path()).is_ok()), Ok(true)));
}

#[test]
fn a_flipped_byte_of_a_safetensors_header_never_panics() {
    let _alone = memory::alone();
    for name in ["phi3-long", "qwen3"] {
        let folder = copy(name);
        let file = folder.path().join("model.safetensors");
        let bytes = fs::read(&file).expect("the copy is there");
        let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize + 8;
        let ran = flip(&file, 0..header, &[0x01, 0x80, 0xff], folder.path());
        println!("{name}: {ran} of {} damaged headers still made a model", 3 * header);
    }
}

#[test]
fn a_damaged_configuration_never_panics() {
    let _alone = memory::alone();
    for name in ["phi3-long", "llama3", "qwen2"] {
        let folder = copy(name);
        let file = folder.path().join("config.json");
        let len = fs::metadata(&file).expect("the copy is there").len() as usize;
        flip(&file, 0..len, &[0x01, 0x80], folder.path());
        let bytes = fs::read(&file).expect("the copy is there");
        let size = fs::metadata(folder.path().join("model.safetensors")).expect("it is there").len() as usize;
        for end in 0..len - 2 {
            fs::write(&file, &bytes[..end]).expect("room for a tiny file");
            assert!(!survives(folder.path(), size, &format!("config.json cut at {end}")), "cut at {end}");
        }
    }
}

fn message(folder: &Path) -> String {
    try_run(folder).expect_err("a broken folder is refused").to_string()
}

#[test]
fn shards_are_one_model_and_their_index_names_no_other_folder() {
    let _alone = memory::alone();
    let folder = copy("qwen3");
    let path = |name: &str| folder.path().join(name);
    fs::rename(path("model.safetensors"), path("model-00001-of-00001.safetensors"))
        .expect("it can be renamed");
    assert!(message(folder.path()).contains("neither model.safetensors nor"));
    let index =
        |file: &str| format!(r#"{{"metadata": {{}}, "weight_map": {{"model.norm.weight": "{file}"}}}}"#);
    let write =
        |text: String| fs::write(path("model.safetensors.index.json"), text).expect("room for an index");
    write(index("model-00001-of-00001.safetensors"));
    try_run(folder.path()).expect("a folder with an index runs");
    for name in ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "weights.bin", "", ".."] {
        write(index(name));
        assert!(message(folder.path()).contains("names of safetensors files in the same folder"), "{name}");
    }
    write(index("model-00002-of-00002.safetensors"));
    assert!(message(folder.path()).contains("model-00002-of-00002.safetensors"));
    write("{".into());
    assert!(message(folder.path()).contains("index.json"));
}

#[test]
fn what_no_decoder_here_runs_is_named() {
    let _alone = memory::alone();
    let folder = copy("llama3");
    let file = folder.path().join("config.json");
    let text = fs::read_to_string(&file).expect("the copy is there");
    for (from, to, expected) in [
        (r#""model_type": "llama""#, r#""model_type": "mamba""#, "mamba"),
        (r#""hidden_act": "silu""#, r#""hidden_act": "gelu""#, "hidden_act"),
        (r#""rope_type": "llama3""#, r#""rope_type": "yarn""#, "yarn"),
        (r#""num_key_value_heads": 2"#, r#""num_key_value_heads": 3"#, "num_key_value_heads"),
        (r#""hidden_size": 64"#, r#""hidden_size": 0"#, "hidden_size"),
        (r#""num_hidden_layers": 2"#, r#""num_hidden_layers": 3"#, "model.layers.2.self_attn.q_proj.weight"),
        (r#""vocab_size": 400"#, r#""vocab_size": 399"#, "model.embed_tokens.weight"),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&file, text.replace(from, to)).expect("room for a tiny file");
        assert!(message(folder.path()).contains(expected), "{to}: {}", message(folder.path()));
    }
    fs::remove_file(&file).expect("it is there");
    assert!(message(folder.path()).contains("config.json"));
}

#[test]
fn rounded_weights_are_kept_and_a_damaged_copy_is_made_anew() {
    let _alone = memory::alone();
    let (folder, cache) = (copy("qwen2"), tempfile::tempdir().expect("a temporary folder"));
    let run = |dtype| {
        let options = LoadOptions {
            threads: 1,
            dtype: Some(dtype),
            cache: Some(cache.path().into()),
            ..LoadOptions::default()
        };
        let model = Model::open(folder.path(), &options).unwrap_or_else(|error| panic!("{error}"));
        let mut logits = vec![0.0; model.config().vocab_size];
        model.forward(&mut model.sequence(4), Input::Tokens(&[5, 6, 7]), &mut logits).expect("it fits");
        logits
    };
    let kept = || -> Vec<PathBuf> {
        fs::read_dir(cache.path())
            .expect("it is there")
            .map(|entry| entry.expect("readable").path())
            .collect()
    };
    for dtype in Dtype::ALL {
        let first = run(dtype);
        assert_eq!(run(dtype), first, "{dtype} from the copy");
        let file = kept().into_iter().find(|path| path.extension().is_some_and(|end| end == dtype.name()));
        let file = file.expect("a file of this type");
        let bytes = fs::read(&file).expect("it is there");
        // another beginning, a cut, another shape: packed anew, and the copy is whole again
        for (len, at) in [(bytes.len(), 3), (bytes.len() - 1, 0), (40, 20), (bytes.len(), 400), (0, 0)] {
            let mut broken = bytes[..len].to_vec();
            if let Some(byte) = broken.get_mut(at) {
                *byte ^= 0x10;
            }
            fs::write(&file, broken).expect("room for a tiny file");
            assert_eq!(run(dtype), first, "{dtype} after damage at {at}, {len} bytes");
            assert_eq!(fs::read(&file).expect("it is there"), bytes, "{dtype}: the copy is whole again");
        }
    }
    assert_eq!(kept().len(), Dtype::ALL.len());
    // other weights under the same name are not taken from the copy
    let before = run(Dtype::Q8);
    let file = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&file).expect("it is there");
    let end = bytes.len();
    bytes[end - 4000..].fill(0x3c);
    fs::write(&file, bytes).expect("room for a tiny model");
    assert_ne!(run(Dtype::Q8), before);
}
