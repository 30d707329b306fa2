//! The C side, called as a careless C program would: wrong handles, NULLs, odd arguments.
#![allow(clippy::unwrap_used)] // a test's way to fail
#![allow(unsafe_code)] // calls the raw table

mod common;

use std::ffi::{CStr, CString, c_char};
use std::ptr::{null, null_mut, without_provenance_mut};

use axruntime_sys::raw::*;
use axruntime_sys::symbols::{NAMES, Symbols};
use common::{COMPILED_CONTEXT, Machine};
use test_support::tiny::{DIM, VOCAB};

/// # Safety
/// A C string.
unsafe fn text(text: *const c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

fn path(machine: &Machine) -> CString {
    CString::new(machine.compile(&[]).to_str().unwrap()).unwrap()
}

/// A raw context with everything up to an instance.
struct Raw {
    s: Symbols,
    context: *mut AxrContext,
    connection: *mut AxrConnection,
    model: *mut AxrModel,
    instance: *mut AxrModelInstance,
}

fn raw(machine: &Machine) -> Raw {
    let s = *machine.context.library().symbols();
    // SAFETY: as the ABI says.
    unsafe {
        let context = (s.axr_create_context)();
        let connection = (s.axr_device_connect)(context, null_mut(), 4, null_mut());
        let model = (s.axr_load_model)(context, path(machine).as_ptr());
        let instance = (s.axr_load_model_instance)(connection, model, null_mut());
        assert!(!instance.is_null(), "{}", text((s.axr_last_error_string)(context.cast())));
        Raw { s, context, connection, model, instance }
    }
}

#[test]
fn every_name_is_exported_and_nothing_else_of_that_prefix() {
    let file = std::env::current_exe().unwrap().with_file_name("libaxruntime.so");
    let output = std::process::Command::new("nm").args(["-D", "--defined-only"]).arg(&file).output();
    let listed = String::from_utf8(output.expect("nm, of the C tools that rustc needs too").stdout).unwrap();
    let mut exported: Vec<&str> = listed.split_whitespace().filter(|word| word.starts_with("axr")).collect();
    let mut names = NAMES.to_vec();
    exported.sort_unstable();
    names.sort_unstable();
    assert_eq!(exported, names);
}

#[test]
fn handles_that_are_none_do_nothing() {
    let machine = Machine::new(&[]);
    let raw = raw(&machine);
    let s = raw.s;
    // SAFETY: handles are never dereferenced by this library, which is what the test is about.
    unsafe {
        let wrong: [*mut AxrObject; 4] =
            [null_mut(), without_provenance_mut(1), raw.model.cast(), raw.context.cast()];
        for handle in wrong {
            let run = (s.axr_run_model_instance)(handle.cast(), null_mut(), 0, null_mut(), 0);
            assert_eq!(run, AxrResult::INVALID_ARGUMENT);
            assert!((s.axr_get_property)(handle.cast(), c"k".as_ptr()).is_null());
            assert!((s.axr_load_model_instance)(handle.cast(), raw.model, null_mut()).is_null());
        }
        assert!((s.axr_load_model)(raw.model.cast(), c"x".as_ptr()).is_null());
        assert_eq!(text((s.axr_last_error_string)(raw.context.cast())), "not a context");
        assert!((s.axr_load_model_instance)(raw.connection, raw.connection.cast(), null_mut()).is_null());
        assert!(text((s.axr_last_error_string)(raw.context.cast())).starts_with("not a live model: 0x"));
        assert_eq!((s.axr_list_devices)(raw.model.cast(), null_mut()), 0);
        assert_eq!((s.axr_num_model_inputs)(raw.context.cast()), 0);
        assert_eq!((s.axr_get_model_output)(raw.context.cast(), 0).ndims, 0);
        assert_eq!((s.axr_last_error)(null()), AxrResult::INVALID_ARGUMENT);
        assert_eq!(text((s.axr_last_error_string)(null())), "not a live handle");
        assert!((s.axr_create_properties)(null_mut(), null()).is_null());
        assert_eq!((s.axr_get_context)(raw.instance.cast()), raw.context);
        (s.axr_destroy)(null());
        (s.axr_destroy)(raw.instance.cast());
        (s.axr_destroy)(raw.instance.cast());
        let run = (s.axr_run_model_instance)(raw.instance, null_mut(), 0, null_mut(), 0);
        assert_eq!(run, AxrResult::INVALID_ARGUMENT);
        (s.axr_destroy)(raw.context.cast());
    }
}

#[test]
fn a_context_takes_everything_along() {
    let machine = Machine::new(&[]);
    let raw = raw(&machine);
    assert!(machine.device().in_use);
    // SAFETY: as above.
    unsafe {
        (raw.s.axr_destroy)(raw.context.cast());
        assert_eq!((raw.s.axr_last_error)(raw.instance.cast()), AxrResult::INVALID_ARGUMENT);
        assert!((raw.s.axr_get_context)(raw.connection.cast()).is_null());
    }
    assert!(!machine.device().in_use);
}

#[test]
fn an_instance_does_not_outlive_its_connection() {
    let machine = Machine::new(&[]);
    let raw = raw(&machine);
    let mut buffers = (vec![0u8; 2 * DIM], vec![0u8; VOCAB]);
    let argument = |buffer: &mut Vec<u8>| AxrArgument {
        ptr: buffer.as_mut_ptr().cast(),
        fd: -1,
        offset: 0,
        size: buffer.len(),
    };
    let (mut input, mut output) = (argument(&mut buffers.0), argument(&mut buffers.1));
    // SAFETY: as above, with buffers of the sizes given.
    unsafe {
        let mut run = || (raw.s.axr_run_model_instance)(raw.instance, &mut input, 1, &mut output, 1);
        assert_eq!(run(), AxrResult::SUCCESS);
        (raw.s.axr_destroy)(raw.connection.cast());
        assert!(!machine.device().in_use);
        assert_eq!(run(), AxrResult::CONNECTION_ERROR);
        (raw.s.axr_destroy)(raw.context.cast());
    }
}

#[test]
fn arguments_of_a_run_are_checked() {
    let machine = Machine::new(&[]);
    let raw = raw(&machine);
    let mut memory = vec![0u8; 2 * DIM * (COMPILED_CONTEXT + 1)];
    let row = 2 * DIM;
    let ptr = memory.as_mut_ptr().cast();
    let good = AxrArgument { ptr, fd: 0, offset: 0, size: row };
    let out = AxrArgument { size: VOCAB, ..good };
    use AxrResult as R;
    let cases = [
        (good, 1, out, 1, R::SUCCESS),
        (good, 1, AxrArgument { size: 0, ..out }, 1, R::SUCCESS),
        (good, 0, out, 1, R::INVALID_ARGUMENT),
        (good, 2, out, 1, R::INVALID_ARGUMENT),
        (good, 1, out, 0, R::INVALID_ARGUMENT),
        (AxrArgument { ptr: null_mut(), ..good }, 1, out, 1, R::INVALID_ARGUMENT),
        (AxrArgument { ptr: null_mut(), fd: 5, ..good }, 1, out, 1, R::NOT_IMPLEMENTED),
        (AxrArgument { fd: 5, ..good }, 1, out, 1, R::INVALID_ARGUMENT),
        (AxrArgument { offset: 2, ..good }, 1, out, 1, R::INVALID_ARGUMENT),
        (AxrArgument { size: 0, ..good }, 1, out, 1, R::INVALID_ARGUMENT),
        (AxrArgument { size: row + 1, ..good }, 1, out, 1, R::INVALID_ARGUMENT),
        (AxrArgument { size: row * (COMPILED_CONTEXT + 1), ..good }, 1, out, 1, R::VALUE_ERROR),
        (AxrArgument { size: usize::MAX / row * row, ..good }, 1, out, 1, R::VALUE_ERROR),
        (good, 1, AxrArgument { size: VOCAB - 1, ..out }, 1, R::INVALID_ARGUMENT),
        (good, 1, AxrArgument { ptr: null_mut(), ..out }, 1, R::INVALID_ARGUMENT),
    ];
    for (number, (mut input, n_in, output, n_out, expected)) in cases.into_iter().enumerate() {
        let mut logits = vec![0u8; VOCAB];
        let ptr = if output.ptr.is_null() { null_mut() } else { logits.as_mut_ptr().cast() };
        let mut output = AxrArgument { ptr, ..output };
        // SAFETY: buffers of the sizes given, or arguments that are refused before they are read.
        let got =
            unsafe { (raw.s.axr_run_model_instance)(raw.instance, &mut input, n_in, &mut output, n_out) };
        assert_eq!(got, expected, "case {number}");
        // SAFETY: a live handle.
        let error = unsafe { (raw.s.axr_last_error)(raw.instance.cast()) };
        assert_eq!(error, expected, "case {number}");
    }
    // SAFETY: as above.
    unsafe { (raw.s.axr_destroy)(raw.context.cast()) };
}

#[test]
fn sizes_strings_and_properties_as_the_header_says() {
    let machine = Machine::new(&[]);
    let raw = raw(&machine);
    let s = raw.s;
    // SAFETY: as above.
    unsafe {
        let input = (s.axr_get_model_input)(raw.model, 0);
        assert_eq!((s.axr_tensor_size)(&input), COMPILED_CONTEXT * DIM * 2);
        assert_eq!((s.axr_get_model_input)(raw.model, 1).ndims, 0);
        assert_eq!((s.axr_tensor_size)(null()), 0);
        assert_eq!((s.axr_list_devices)(raw.context, null_mut()), 1);
        assert_eq!(text((s.axr_board_type_string)(AxrBoardType::OMEGA_M2)), "m2");
        assert_eq!(text((s.axr_board_type_string)(AxrBoardType(77))), "unknown");
        assert_eq!(text((s.axr_error_string)(AxrResult::DEVICE_IN_USE)), "device in use");
        assert_eq!(text((s.axr_error_string)(AxrResult(77))), "unknown error");

        let properties = (s.axr_create_properties)(raw.context, c"a=1\nb=2;junk".as_ptr());
        assert_eq!((s.axr_last_error)(raw.context.cast()), AxrResult::INVALID_ARGUMENT);
        assert_eq!(text((s.axr_list_properties)(properties)), "a;b");
        (s.axr_set_property)(properties, c"a".as_ptr(), c"3".as_ptr());
        (s.axr_del_property)(properties, c"b".as_ptr());
        (s.axr_set_property)(properties, null(), c"3".as_ptr());
        assert_eq!(text((s.axr_get_property)(properties, c"a".as_ptr())), "3");
        assert!((s.axr_get_property)(properties, c"b".as_ptr()).is_null());
        assert!((s.axr_load_model)(raw.context, null()).is_null());
        assert!((s.axr_load_model)(raw.context, c"\xff".as_ptr()).is_null());
        (s.axr_destroy)(raw.context.cast());
    }
}
