//! Every way in which there is no runtime.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod common;

use std::os::unix::fs::PermissionsExt;

use axruntime_sys::{Candidate, Library, LoadError, Source, assumed};
use common::Tiny;

#[test]
fn a_library_without_some_symbols_is_told_all_of_them() {
    match Tiny::new(&["-DOMIT_LIST", "-DOMIT_OUTPUTS"]).open() {
        Err(LoadError::MissingSymbols { names, .. }) => {
            assert_eq!(names, ["axr_list_devices", "axr_num_model_outputs"]);
        }
        other => panic!("expected MissingSymbols, got {other:?}"),
    }
}

#[test]
fn another_major_version_is_refused_and_a_newer_minor_taken() {
    match Tiny::new(&["-DVERSION=0x20001u"]).open() {
        Err(error @ LoadError::Version { got: (2, 1), expected: assumed::API_MAJOR, .. }) => {
            assert!(error.to_string().ends_with("has interface version 2.1, expected 1.x"), "{error}");
        }
        other => panic!("expected Version, got {other:?}"),
    }
    assert_eq!(Tiny::new(&["-DVERSION=0x1ffffu"]).open().unwrap().version(), (1, 0xffff));
}

#[test]
fn a_file_that_is_no_library_is_refused_with_the_loaders_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libaxruntime.so");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    match Library::open(Some(&file)) {
        Err(LoadError::NotLoadable { path, reason }) => {
            assert_eq!(path, file.canonicalize().unwrap());
            assert!(reason.contains("file too short") || reason.contains("ELF"), "{reason}");
        }
        other => panic!("expected NotLoadable, got {other:?}"),
    }
}

#[test]
fn a_library_that_everyone_may_write_is_refused() {
    let tiny = Tiny::new(&[]);
    std::fs::set_permissions(tiny.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    match tiny.open() {
        Err(LoadError::NotLoadable { reason, .. }) => assert!(reason.contains("mode 777"), "{reason}"),
        other => panic!("expected NotLoadable, got {other:?}"),
    }
}

#[test]
fn nothing_anywhere_lists_the_places() {
    let candidate = Candidate {
        path: "libaxruntime-of-nobody.so".into(),
        source: Source::Loader,
        tried: vec!["AXLLM_RUNTIME_LIB: not set".into()],
    };
    match Library::load(&candidate) {
        Err(error @ LoadError::NotFound { .. }) => {
            let text = error.to_string();
            assert!(
                text.starts_with("libaxruntime not found; tried AXLLM_RUNTIME_LIB: not set; the loader's")
            );
        }
        other => panic!("expected NotFound, got {other:?}"),
    }
}
