//! Failures on demand: each result at each call, hanging, crashing.
#![allow(clippy::unwrap_used)] // a test's way to fail
#![allow(unsafe_code)] // sets a variable of its own process

mod common;

use std::process::{Command, Stdio};
use std::time::Duration;

use axruntime_sys::{CallError, Library, LoadError, Status};
use common::{Machine, rows, run};

/// What a client gets from one call of a machine on which it fails.
type Attempt = fn(&Machine) -> CallError;

const CALLS: [(&str, Attempt); 9] = [
    ("list", |m| m.context.devices().unwrap_err()),
    ("configure", |m| {
        m.context.configure_device(&m.device(), &m.context.properties(&[]).unwrap()).unwrap_err()
    }),
    ("read", |m| m.context.device_configuration(&m.device()).unwrap_err()),
    ("connect", |m| m.context.connect(None, 4, None).err().unwrap()),
    ("load", |m| m.context.load_model(&m.compile(&[])).err().unwrap()),
    ("properties", |m| m.context.load_model(&m.compile(&[])).unwrap().properties().unwrap_err()),
    ("instance", |m| {
        let connection = m.context.connect(None, 4, None).unwrap();
        connection.load_instance(&m.context.load_model(&m.compile(&[])).unwrap(), None).err().unwrap()
    }),
    ("run@1", |m| run(&mut m.loaded().2, &rows(2, 1)).unwrap_err()),
    ("run@3", |m| {
        let (_connection, _model, mut instance) = m.loaded();
        run(&mut instance, &rows(2, 1)).unwrap();
        run(&mut instance, &rows(1, 1)).unwrap();
        let error = run(&mut instance, &rows(1, 1)).unwrap_err();
        run(&mut instance, &rows(1, 1)).unwrap();
        error
    }),
];

#[test]
fn each_result_at_each_call() {
    for (call, attempt) in CALLS {
        for status in Status::ALL {
            // waiting is a story of its own: tests/devices.rs
            if call == "configure" && *status == Status::Pending {
                continue;
            }
            let machine = Machine::new(&[("AXSIM_FAULT", &format!("{call}={}", status.name()))]);
            let error = attempt(&machine);
            assert_eq!(error.status, *status, "{call}: {error}");
            assert!(error.text.starts_with("simulated failure at "), "{call}: {error}");
        }
    }
}

#[test]
fn a_device_may_fail_while_it_is_waited_for() {
    let machine = Machine::new(&[("AXSIM_FAULT", "configure=PENDING;ready@2=RUNTIME_ERROR")]);
    let properties = machine.context.properties(&[]).unwrap();
    let error = machine.context.configure_device(&machine.device(), &properties).unwrap_err();
    assert_eq!((error.call, error.status), ("axr_device_ready", Status::Runtime));
}

#[test]
fn a_model_without_tensor_infos_disagrees() {
    let machine = Machine::new(&[("AXSIM_FAULT", "info@1=INTERNAL_ERROR")]);
    let error = machine.context.load_model(&machine.compile(&[])).err().unwrap();
    assert_eq!((error.status, error.call), (Status::Disagrees, "axr_get_model_input"));
}

#[test]
fn another_interface_version_is_refused_at_load() {
    let machine = Machine::new(&[("AXSIM_API_VERSION", "1.7")]);
    assert_eq!(machine.context.library().version(), (1, 7));
    // SAFETY: the turn is this machine's; it takes the variable back when it goes.
    unsafe { std::env::set_var("AXSIM_API_VERSION", "2.3") };
    match Library::open(Some(machine.context.library().path())) {
        Err(LoadError::Version { got: (2, 3), .. }) => {}
        other => panic!("expected Version, got {other:?}"),
    }
}

/// The victim of the tests below: this very program, told by a variable to run into it.
#[test]
fn runs_into_it_for_another_test() {
    if std::env::var_os("AXSIM_TEST_VICTIM").is_none() {
        return; // only a part of the next tests
    }
    let fault = std::env::var("AXSIM_FAULT").unwrap();
    let machine = Machine::new(&[("AXSIM_FAULT", &fault)]);
    let (_connection, _model, mut instance) = machine.loaded();
    run(&mut instance, &rows(2, 1)).unwrap();
    run(&mut instance, &rows(1, 1)).unwrap();
}

fn victim(fault: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "runs_into_it_for_another_test"])
        .envs([("AXSIM_TEST_VICTIM", "1"), ("AXSIM_FAULT", fault)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_crash_is_a_crash() {
    use std::os::unix::process::ExitStatusExt;
    const SIGABRT: i32 = 6;
    assert_eq!(victim("run@2=crash").wait().unwrap().signal(), Some(SIGABRT));
    assert!(victim("run@3=crash").wait().unwrap().success());
}

#[test]
fn a_hang_is_a_hang() {
    let mut child = victim("run@2=hang");
    std::thread::sleep(Duration::from_millis(1500));
    let still = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(still, None, "it ended");
}
