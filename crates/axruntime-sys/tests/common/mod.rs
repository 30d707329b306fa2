//! Compiles the C files of `tests/c` into a temporary folder.
#![allow(dead_code)] // each test file uses its part

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use axruntime_sys::{Library, LoadError};
use tempfile::TempDir;

/// Runs `cc` on `tests/c/<source>`; `CC` picks another compiler.
pub fn compile(source: &str, output: &Path, flags: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let result = Command::new(&compiler)
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror"])
        .args(flags)
        .arg("-o")
        .arg(output)
        .arg(folder.join(source))
        .output()
        .unwrap_or_else(|error| panic!("cannot run {compiler}: {error}; a C compiler is needed"));
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
}

/// The tiny library, compiled with some `-D` switches; the folder goes with the value.
pub struct Tiny {
    folder: TempDir,
}

impl Tiny {
    pub fn new(flags: &[&str]) -> Tiny {
        let tiny = Tiny { folder: tempfile::tempdir().unwrap() };
        compile("tiny.c", &tiny.path(), &[&["-shared", "-fPIC"], flags].concat());
        tiny
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("libaxruntime.so")
    }

    pub fn open(&self) -> Result<Arc<Library>, LoadError> {
        Library::open(Some(&self.path()))
    }
}
