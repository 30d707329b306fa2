//! The machine: what is listed, connected to, configured; who may have what.
#![allow(clippy::unwrap_used)] // a test's way to fail

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axruntime_sys::{LogLevel, Status};
use common::Machine;

#[test]
fn the_default_machine_has_one_whole_device() {
    let machine = Machine::new(&[]);
    let [device] = &machine.context.devices().unwrap()[..] else { panic!("expected one device") };
    assert_eq!((device.name.as_str(), device.sub_devices, device.max_memory), ("metis-sim:0", 4, 16 << 30));
    assert_eq!(
        (device.in_use, device.in_use_by.as_str(), device.board_type_name.as_str()),
        (false, "", "pcie")
    );
    assert_eq!((device.firmware_version.as_str(), device.board_revision), ("v1.3.0-sim", 1));
    assert_eq!(device.flashed_firmware_version, device.firmware_version);
    assert_eq!(device.board_controller_board_type, "pcie");
    assert!(!device.board_controller_firmware_version.is_empty());
}

#[test]
fn settings_shape_the_machine() {
    let machine = Machine::new(&[
        ("AXSIM_NAMES", "metis-0:1:0,metis-0-2-0"),
        ("AXSIM_MEMORY", "4GiB,0"),
        ("AXSIM_IN_USE", "1=alice"),
        ("AXSIM_TEMPERATURE", "91"),
    ]);
    let devices = machine.context.devices().unwrap();
    assert_eq!((devices[0].name.as_str(), devices[0].max_memory), ("metis-0:1:0", 4 << 30));
    assert_eq!((devices[1].max_memory, devices[1].in_use_by.as_str()), (0, "alice"));
    let error = machine.context.connect(Some(&devices[1]), 4, None).err().unwrap();
    assert_eq!(
        (error.status, error.text.as_str()),
        (Status::DeviceInUse, "device metis-0-2-0 is in use by alice")
    );
    let configuration = machine.context.device_configuration(&devices[0]).unwrap();
    assert!(configuration.contains(&("core_temps".into(), "91,91,91,91".into())), "{configuration:?}");
    drop(machine);
    assert!(Machine::new(&[("AXSIM_DEVICES", "0")]).context.devices().unwrap().is_empty());
}

#[test]
fn odd_settings_are_told_at_the_first_use() {
    let machine = Machine::new(&[("AXSIM_MEMORY", "lots")]);
    let error = machine.context.devices().unwrap_err();
    assert_eq!(error.status, Status::InvalidConfiguration);
    assert!(error.text.starts_with("AXSIM_MEMORY: "), "{error}");
    assert_eq!(machine.context.connect(None, 4, None).err().unwrap().status, Status::InvalidConfiguration);
}

#[test]
fn a_device_has_one_client_at_a_time() {
    let machine = Machine::new(&[]);
    let device = machine.device();
    let first = machine.context.connect(Some(&device), 4, None).unwrap();
    let own = format!("pid {}", std::process::id());
    let listed = machine.device();
    assert_eq!((listed.in_use, listed.in_use_by.as_str()), (true, own.as_str()));
    let second = machine.second();
    for which in [Some(&device), None] {
        let error = second.connect(which, 4, None).err().unwrap();
        assert_eq!(
            (error.status, error.text),
            (Status::DeviceInUse, format!("device metis-sim:0 is in use by {own}"))
        );
    }
    drop(first);
    assert!(!machine.device().in_use);
    assert!(second.connect(None, 1, None).is_ok());
}

#[test]
fn any_free_device_is_taken_when_none_is_named() {
    let machine = Machine::new(&[("AXSIM_DEVICES", "2")]);
    let _first = machine.context.connect(None, 4, None).unwrap();
    let _second = machine.context.connect(None, 4, None).unwrap();
    assert!(machine.context.devices().unwrap().iter().all(|device| device.in_use));
    assert_eq!(machine.context.connect(None, 4, None).err().unwrap().status, Status::DeviceInUse);
}

/// The other process of the test below: this very program, told by a variable to connect and wait.
#[test]
fn holds_a_device_for_another_test() {
    if std::env::var_os("AXSIM_TEST_HOLD").is_none() {
        return; // only a part of the next test
    }
    let context = axruntime_sys::Context::new(common::library());
    let _connection = context.connect(None, 4, None).unwrap();
    writeln!(std::io::stdout(), "\nheld").unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn a_device_of_another_process_is_in_use_until_that_ends() {
    let machine = Machine::new(&[]);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_device_for_another_test", "--nocapture"])
        .env("AXSIM_TEST_HOLD", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap() == "held"));
    let holder = format!("pid {}", child.id());
    assert_eq!(machine.device().in_use_by, holder);
    let error = machine.context.connect(None, 4, None).err().unwrap();
    assert!(error.status == Status::DeviceInUse && error.text.ends_with(&holder), "{error}");
    // killed, not asked: nobody cleans up
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(machine.context.connect(None, 4, None).is_ok());
}

#[test]
fn impossible_connections_are_refused() {
    let machine = Machine::new(&[("AXSIM_NAMES", "here")]);
    for cores in [0, 5] {
        let error = machine.context.connect(None, cores, None).err().unwrap();
        assert_eq!(error.status, Status::Value, "{error}");
    }
    let here = machine.device();
    drop(machine);
    let machine = Machine::new(&[("AXSIM_NAMES", "elsewhere")]);
    let error = machine.context.connect(Some(&here), 4, None).err().unwrap();
    assert_eq!((error.status, error.text.as_str()), (Status::InvalidArgument, "no device \"here\" among 1"));
    drop(machine);
    let machine = Machine::new(&[("AXSIM_DEVICES", "0")]);
    assert_eq!(machine.context.connect(None, 4, None).err().unwrap().status, Status::Connection);
}

#[test]
fn devices_are_configured() {
    let machine = Machine::new(&[("AXSIM_FAULT", "configure=PENDING*3")]);
    let device = machine.device();
    let set = |pairs: &[(&str, &str)]| {
        let properties = machine.context.properties(pairs).unwrap();
        machine.context.configure_device(&device, &properties)
    };
    set(&[("clock_profile", "400"), ("mvm_utilisation_core_1", "50")]).unwrap();
    let configuration = machine.context.device_configuration(&device).unwrap();
    for (key, value) in [("clock_profile_core_3", "400"), ("mvm_utilisation_core_1", "50")] {
        assert!(configuration.contains(&(key.into(), value.into())), "{configuration:?}");
    }
    for pair in [("clock_profile", "801"), ("mvm_utilisation_core_4", "50"), ("colour", "red")] {
        assert_eq!(set(&[pair]).unwrap_err().status, Status::InvalidConfiguration, "{pair:?}");
    }
}

#[test]
fn properties_at_connect_override_the_environment() {
    let machine = Machine::new(&[("AXSIM_TEMPERATURE", "20"), ("AXSIM_FAULT", "connect=VALUE_ERROR")]);
    let properties =
        machine.context.properties(&[("temperature", "77"), ("fault", "instance=DEVICE_IN_USE")]).unwrap();
    let connection = machine.context.connect(None, 4, Some(&properties)).unwrap();
    let configuration = machine.context.device_configuration(&machine.device()).unwrap();
    assert!(configuration.contains(&("core_temps".into(), "77,77,77,77".into())));
    let model = machine.context.load_model(&machine.compile(&[])).unwrap();
    assert_eq!(connection.load_instance(&model, None).err().unwrap().status, Status::DeviceInUse);
    let properties = machine.context.properties(&[("fault", "")]).unwrap();
    connection.load_instance(&model, Some(&properties)).unwrap();
    let odd = machine.context.properties(&[("ttft_ms", "soon")]).unwrap();
    let error = machine.context.connect(None, 4, Some(&odd)).err().unwrap();
    assert_eq!(error.status, Status::InvalidConfiguration, "{error}");
}

#[test]
fn the_logger_hears_what_happens() {
    let machine = Machine::new(&[]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let copy = Arc::clone(&heard);
    machine.context.set_logger(LogLevel::Info, move |level, text| {
        copy.lock().unwrap().push((level, text.to_owned()));
    });
    let _connection = machine.context.connect(None, 4, None).unwrap();
    machine.context.connect(None, 9, None).err().unwrap();
    let heard = heard.lock().unwrap();
    assert_eq!(heard[0], (LogLevel::Info, "connected to metis-sim:0 with 4 sub-devices".into()));
    assert_eq!(heard[1].0, LogLevel::Error);
}
