//! What goes wrong with a device: one message with a code and a hint, and no harm done.

use std::sync::Arc;

use axruntime_sys::Status;
use engine::{DeviceError, Error, Message, Model, Request, list_devices};

use crate::common::{
    card::{machine, open, open_error, options, options_with, runtime},
    fail, most, say,
};

fn sky() -> Vec<Message> {
    vec![Message::user("Why is the sky blue?")]
}

/// One line, with a remedy.
fn told(error: &Error) -> String {
    let text = error.to_string();
    assert!(!text.contains('\n') && error.hint().is_some_and(|hint| !hint.is_empty()), "{text:?}");
    text
}

/// What is said when the `step`-th run of the first reply fails, and that the next reply is whole.
fn run_fails_at(step: usize, status: Status) {
    let model = open();
    let mut session = model.session();
    let (said, error) = fail(&mut session, &sky(), &most(12));
    // the prompt that most invites to go on with what the device held before it failed
    let mut longer = sky();
    longer.extend([Message::assistant(&said), Message::user("And at night?")]);
    let after = say(&mut session, &longer, &most(12));
    assert_eq!(after.reply.cached_tokens, 0, "what the device held is not built upon");
    match &error {
        Error::Step { device, step: at, source } => {
            assert_eq!((device.as_str(), *at, source.status), ("metis-sim:0", step, status));
        }
        other => panic!("{other}"),
    }
    assert_eq!(error.code(), "device_failed");
    assert!(told(&error).contains(&format!("step {step}")), "{error}");
    let next = say(&mut session, &sky(), &most(12));
    assert!(next.text.starts_with(&said) && next.text != said, "{said:?} and {:?}", next.text);
    assert_eq!(said.is_empty(), step == 1);
    // other prompts start sequences of their own, and so does this one again
    let hi = || say(&mut model.session(), &[Message::user("Hi")], &most(12)).text;
    let other = hi();
    assert_eq!(say(&mut session, &sky(), &most(12)).text, next.text);
    assert_eq!(hi(), other);
}

#[test]
fn a_failed_run_is_told_with_its_step() {
    // prompts are slow, so that appending to what is held always pays
    let faults = [("AXSIM_FAULT", "run@5=RUNTIME_ERROR"), ("AXSIM_TTFT_MS", "600")];
    machine(a_failed_run_is_told_with_its_step, &faults, || run_fails_at(5, Status::Runtime));
}

#[test]
fn what_was_held_back_as_a_stop_text_is_said_when_a_run_fails() {
    let faults = [("AXSIM_FAULT", "run@5=RUNTIME_ERROR;run@10=RUNTIME_ERROR")];
    machine(what_was_held_back_as_a_stop_text_is_said_when_a_run_fails, &faults, || {
        let model = open();
        let (plain, _) = fail(&mut model.session(), &sky(), &most(12));
        assert!(plain.len() > 4, "{plain:?}");
        // all of it might be the beginning of the stop text
        let request = Request { stop: vec![format!("{plain}, and more that never comes")], ..most(12) };
        let (held, error) = fail(&mut model.session(), &sky(), &request);
        assert!(matches!(error, Error::Step { step: 5, .. }), "{error}");
        assert_eq!(held, plain);
    });
}

#[test]
fn a_failed_prompt_pass_is_step_1() {
    let faults = [("AXSIM_FAULT", "run@1=CONNECTION_ERROR")];
    machine(a_failed_prompt_pass_is_step_1, &faults, || run_fails_at(1, Status::Connection));
}

#[test]
fn a_device_that_cannot_be_loaded_again_says_so() {
    let faults = [("AXSIM_FAULT", "run@2=RUNTIME_ERROR;instance@2=CONNECTION_ERROR")];
    machine(a_device_that_cannot_be_loaded_again_says_so, &faults, || {
        let model = open();
        let mut session = model.session();
        assert!(matches!(fail(&mut session, &sky(), &most(12)).1, Error::Step { step: 2, .. }));
        let (text, error) = fail(&mut session, &sky(), &most(12));
        assert_eq!((text.as_str(), error.code()), ("", "device_failed"));
        told(&error);
        assert!(!say(&mut session, &sky(), &most(12)).text.is_empty());
    });
}

#[test]
fn without_a_device_the_missing_link_is_named() {
    machine(without_a_device_the_missing_link_is_named, &[("AXSIM_DEVICES", "0")], || {
        for error in [open_error(&options()), list_devices(Some(&runtime())).unwrap_err()] {
            assert!(matches!(error, Error::Device(DeviceError::None { .. })), "{error}");
            assert_eq!(error.code(), "no_device");
            assert!(told(&error).contains("no device found"));
        }
    });
}

#[test]
fn a_device_in_use_is_told_with_its_user() {
    machine(a_device_in_use_is_told_with_its_user, &[("AXSIM_IN_USE", "0=alice")], || {
        for selector in [None, Some("0"), Some("metis-sim:0")] {
            let error = open_error(&options_with(|aipu| aipu.device = selector.map(str::to_owned)));
            assert_eq!(error.code(), "device_in_use");
            assert!(told(&error).contains("alice"), "{error}");
        }
    });
}

#[test]
fn the_first_free_device_is_taken() {
    machine(the_first_free_device_is_taken, &[("AXSIM_DEVICES", "2")], || {
        let first = open();
        let second = open();
        assert_eq!(
            (first.place().device.as_str(), second.place().device.as_str()),
            ("metis-sim:0", "metis-sim:1")
        );
        let error = open_error(&options());
        assert_eq!(error.code(), "device_in_use");
        told(&error);
        let texts = [&first, &second].map(|model| say(&mut model.session(), &sky(), &most(8)).text);
        assert_eq!(texts[0], texts[1]);
        drop(first);
        assert_eq!(open().place().device, "metis-sim:0", "a closed model gives its device back");
    });
}

#[test]
fn another_may_take_the_device_between_listing_and_connecting() {
    let faults = [("AXSIM_FAULT", "connect@1=DEVICE_IN_USE")];
    machine(another_may_take_the_device_between_listing_and_connecting, &faults, || {
        let error = open_error(&options());
        assert_eq!(error.code(), "device_in_use");
        told(&error);
    });
}

#[test]
fn an_unknown_selector_lists_the_choices() {
    machine(an_unknown_selector_lists_the_choices, &[("AXSIM_NAMES", "metis-0:1:0,metis-0:3:0")], || {
        let error = open_error(&options_with(|aipu| aipu.device = Some("7".into())));
        assert_eq!(error.code(), "unknown_device");
        let text = told(&error);
        assert!(text.contains("0 (metis-0:1:0)") && text.contains("1 (metis-0:3:0)"), "{text}");
        let model = Model::open(&options_with(|aipu| aipu.device = Some("metis-0-3-0".into()))).unwrap();
        assert_eq!(model.place().device, "metis-0:3:0");
        assert!(Arc::strong_count(&model) == 1);
    });
}

#[test]
fn too_little_device_memory_is_told_with_both_sizes() {
    machine(too_little_device_memory_is_told_with_both_sizes, &[("AXSIM_MEMORY", "4GiB")], || {
        let error = open_error(&options_with(|aipu| aipu.required_memory_gb = Some(16.0)));
        assert_eq!(error.code(), "not_enough_memory");
        let text = told(&error);
        assert!(text.contains("4 GiB") && text.contains("16 GiB"), "{text}");
    });
}

#[test]
fn a_device_that_is_full_is_told_too() {
    machine(a_device_that_is_full_is_told_too, &[("AXSIM_MEMORY", "64MiB")], || {
        let error = open_error(&options());
        println!("{}: {error}; {:?}", error.code(), error.hint());
        assert!(told(&error).contains("not enough device memory"), "{error}");
    });
}

#[test]
fn another_version_of_the_runtime_is_refused() {
    machine(another_version_of_the_runtime_is_refused, &[("AXSIM_API_VERSION", "2.3")], || {
        let error = open_error(&options());
        assert_eq!(error.code(), "version_mismatch");
        told(&error);
    });
}

#[test]
fn a_missing_or_broken_runtime_is_told() {
    machine(a_missing_or_broken_runtime_is_told, &[], || {
        let missing = options_with(|aipu| aipu.runtime = Some("/nowhere/libaxruntime.so".into()));
        let text = options_with(|aipu| aipu.runtime = Some(aipu.model.clone()));
        for options in [missing, text] {
            let error = open_error(&options);
            println!("{}: {error}", error.code());
            assert!(["no_runtime", "bad_runtime"].contains(&error.code()), "{}", error.code());
            told(&error);
        }
    });
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    machine(parts_that_do_not_belong_together_are_refused, &[], || {
        let folder = tempfile::tempdir().unwrap();
        let npz = folder.path().join("small.npz");
        let ones = |_, row: &mut [half::f16]| -> Result<(), engine::EmbeddingsError> {
            row.fill(half::f16::ONE);
            Ok(())
        };
        engine::Embeddings::write_npz(&npz, 100, 576, ones).unwrap();
        let error = open_error(&options_with(|aipu| aipu.embeddings = npz));
        assert_eq!(error.code(), "mismatch");
        assert!(told(&error).contains("100"), "{error}");
        let error = open_error(&options_with(|aipu| aipu.embeddings = folder.path().join("none.npz")));
        told(&error);
        let error = open_error(&options_with(|aipu| aipu.model = folder.path().join("model.json")));
        assert_eq!(error.code(), "device_failed");
        told(&error);
        // none of those keeps the device
        open();
    });
}
