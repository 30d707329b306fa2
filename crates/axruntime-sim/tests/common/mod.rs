//! The simulator as a program meets it: opened through `axruntime-sys`, set up by variables.
#![allow(dead_code)] // each test file uses its part
#![allow(clippy::unwrap_used)] // a test's way to fail
#![allow(unsafe_code)] // sets variables of its own process

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axruntime_sys::{Connection, Context, Device, Instance, Library, Model};
use half::f16;
use tempfile::TempDir;
use test_support::tiny;

/// The library, which cargo puts beside the test's own program: this crate is also an rlib, so tests depend on
/// it being built.
pub fn library() -> Arc<Library> {
    let path = std::env::current_exe().unwrap().with_file_name("libaxruntime.so");
    Library::open(Some(&path)).unwrap()
}

/// Variables are the process's: tests of one process take turns.
static TURN: Mutex<()> = Mutex::new(());

/// A machine of its own: variables while it lives, and a folder for device locks.
pub struct Machine {
    pub context: Context,
    folder: TempDir,
    keys: Vec<String>,
    _turn: MutexGuard<'static, ()>,
}

impl Machine {
    pub fn new(pairs: &[(&str, &str)]) -> Machine {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let runtime = folder.path().to_str().unwrap().to_owned();
        let pairs = pairs.iter().copied().chain([("XDG_RUNTIME_DIR", runtime.as_str())]);
        let keys = pairs.map(|(key, value)| {
            // SAFETY: the turn is ours; no other thread of a test process touches variables without it.
            unsafe { std::env::set_var(key, value) };
            key.to_owned()
        });
        let keys = keys.collect();
        Machine { context: Context::new(library()), folder, keys, _turn: turn }
    }

    /// Another client of the same machine.
    pub fn second(&self) -> Context {
        Context::new(library())
    }

    pub fn device(&self) -> Device {
        self.context.devices().unwrap().remove(0)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A compiled model with some words of its `model.json` changed.
    pub fn compile(&self, changes: &[(&str, &str)]) -> PathBuf {
        compile(self.folder(), changes)
    }

    /// Everything up to a loaded instance of the tiny model.
    pub fn loaded(&self) -> (Connection, Model, Instance) {
        let connection = self.context.connect(None, 4, None).unwrap();
        let model = self.context.load_model(&self.compile(&[])).unwrap();
        let instance = connection.load_instance(&model, None).unwrap();
        (connection, model, instance)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: as in `new`.
        self.keys.iter().for_each(|key| unsafe { std::env::remove_var(key) });
    }
}

pub const COMPILED_CONTEXT: usize = 8;
pub const SCALE: f64 = 0.05;
pub const ZERO_POINT: i32 = -20;

pub fn compile(folder: &Path, changes: &[(&str, &str)]) -> PathBuf {
    std::fs::write(folder.join("weights.gguf"), tiny::model(tiny::floats).bytes()).unwrap();
    let mut json = format!(
        r#"{{"model_version":"5.0","name":"tiny","context_length":{COMPILED_CONTEXT},"vocab_size":{},
        "embedding_dim":{},"logits":{{"scale":{SCALE},"zero_point":{ZERO_POINT}}},
        "payload":{{"format":"axsim-gguf","file":"weights.gguf"}}}}"#,
        tiny::VOCAB,
        tiny::DIM
    );
    for (from, to) in changes {
        assert!(json.contains(from), "{from:?} is not in model.json");
        json = json.replacen(from, to, 1);
    }
    let path = folder.join("model.json");
    std::fs::write(&path, json).unwrap();
    path
}

/// Some embedding rows as f16 values.
pub fn rows(count: usize, seed: u64) -> Vec<f16> {
    let mut seed = seed;
    (0..count * tiny::DIM).map(|_| f16::from_f32(tiny::random(&mut seed))).collect()
}

pub fn bytes(rows: &[f16]) -> Vec<u8> {
    rows.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub fn run(instance: &mut Instance, rows: &[f16]) -> Result<Vec<u8>, axruntime_sys::CallError> {
    let mut logits = vec![0; tiny::VOCAB];
    instance.run(&[&bytes(rows)], &mut [&mut logits]).map(|()| logits)
}
