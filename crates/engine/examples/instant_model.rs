//! `instant_model FOLDER CONTEXT`: a model of Llama 3.2's size for the simulated card with `AXSIM_INSTANT=1`, and the
//! default model's tokenizer for it. `benchmarks/host-path.mjs` runs the command line on it.
#![allow(clippy::unwrap_used, missing_docs)] // a measuring program

#[path = "../benches/instant/mod.rs"]
mod instant;

use std::{env, fs, path::PathBuf};

use engine::{CompileOptions, compile};

fn main() {
    let mut args = env::args().skip(1);
    let folder = PathBuf::from(args.next().unwrap());
    let context = args.next().unwrap().parse().unwrap();
    fs::create_dir_all(&folder).unwrap();
    instant::write(&folder, context);
    let apart = tempfile::tempdir_in(&folder).unwrap();
    let compiled = compile(&CompileOptions {
        weights: test_support::default_model(),
        out: apart.path().into(),
        name: "default".into(),
        context_length: 1024, // only the tokenizer is taken
    });
    fs::rename(compiled.unwrap().tokenizer_dir, folder.join("tokenizer")).unwrap();
}
