//! Rust's structs against the C compiler's, field by field.

#![allow(clippy::unwrap_used)] // a test's way to fail

mod common;

use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};
use std::process::Command;

use axruntime_sys::raw::*;

fn size_of_field<S, F>(_: impl Fn(&S) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! expect {
    ($c:ident: $rust:ident { $($field:ident $(as $c_field:literal)?),* }) => {{
        vec![
            (stringify!($c).to_owned(), "-".to_owned(), size_of::<$rust>()),
            $((
                format!("{}.{}", stringify!($c), [$($c_field,)? stringify!($field)][0]),
                offset_of!($rust, $field).to_string(),
                size_of_field(|s: &$rust| &s.$field),
            ),)*
        ]
    }};
}

#[test]
fn every_struct_is_laid_out_as_in_c() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("layout");
    common::compile("layout.c", &program, &[]);
    let output = Command::new(&program).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let mut c: BTreeMap<&str, &str> = output.lines().map(|line| line.split_once(' ').unwrap()).collect();

    let rust = [
        expect!(axrResult: AxrResult {}),
        expect!(axrBoardType: AxrBoardType {}),
        expect!(axrLogLevel: AxrLogLevel {}),
        expect!(axrArgument: AxrArgument { ptr, fd, offset, size }),
        expect!(axrDeviceInfo: AxrDeviceInfo {
            name, subdevice_count, max_memory, in_use, in_use_by, board_type, firmware_version, board_revision,
            flashed_firmware_version, board_controller_firmware_version, board_controller_board_type
        }),
        expect!(axrTensorInfo: AxrTensorInfo {
            dims, ndims, bits, kind as "type", name, padding, scale, zero_point
        }),
    ];
    for (name, offset, size) in rust.into_iter().flatten() {
        assert_eq!(c.remove(name.as_str()), Some(format!("{offset} {size}").as_str()), "{name}");
    }
    let last = [
        ("AXR_ERROR_UNKNOWN_ERROR", AxrResult::UNKNOWN_ERROR.0),
        ("AXR_BOARD_UNKNOWN", AxrBoardType::UNKNOWN.0),
        ("AXR_LOG_ERROR", AxrLogLevel::ERROR.0),
    ];
    for (name, value) in last {
        assert_eq!(c.remove(name), Some(value.to_string().as_str()), "{name}");
    }
    assert!(c.is_empty(), "C knows more than Rust: {c:?}");
}
