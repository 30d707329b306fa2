//! The devices of the simulated machine: records, connecting, configuration.

use std::ffi::c_char;
use std::sync::{Arc, PoisonError};

use axruntime_sys::raw::{AxrBoardType, AxrDeviceInfo, AxrLogLevel, AxrResult, TEXT};

use crate::connection::Connection;
use crate::context::Context;
use crate::error::{Failure, Outcome};
use crate::hold::{self, NotHeld};
use crate::properties::Properties;
use crate::settings::{Behaviour, CORES, DeviceSettings};

const CLOCKS: [&str; 6] = ["100", "200", "400", "600", "700", "800"];

/// What one context has changed on a device.
#[derive(Debug, Default)]
pub(crate) struct DeviceState {
    configured: Properties,
    temperatures: Option<[i32; CORES]>,
    /// Answers "pending" still to give.
    pending: u64,
}

/// The name in C of a kind of card.
pub(crate) fn board_name(board: AxrBoardType) -> &'static std::ffi::CStr {
    match board {
        AxrBoardType::ALPHA_PCIE => c"alpha_pcie",
        AxrBoardType::ALPHA_M2 => c"alpha_m2",
        AxrBoardType::OMEGA_PCIE => c"pcie",
        AxrBoardType::OMEGA_M2 => c"m2",
        AxrBoardType::DEVBOARD => c"devboard",
        AxrBoardType::SBC => c"sbc",
        _ => c"unknown",
    }
}

fn holder(device: &DeviceSettings) -> Option<String> {
    device.in_use_by.clone().or_else(|| hold::holder(&device.name))
}

/// The list as `axr_list_devices` hands it out.
pub(crate) fn list(context: &Context) -> Outcome<Vec<AxrDeviceInfo>> {
    let settings = context.settings()?;
    settings.behaviour.faults.at("list")?;
    Ok(settings.devices.iter().map(record).collect())
}

fn record(device: &DeviceSettings) -> AxrDeviceInfo {
    let holder = holder(device);
    AxrDeviceInfo {
        name: text(&device.name),
        subdevice_count: CORES,
        max_memory: device.memory as usize,
        in_use: holder.is_some().into(),
        in_use_by: text(&holder.unwrap_or_default()),
        board_type: AxrBoardType::OMEGA_PCIE,
        firmware_version: text(&device.firmware[0]),
        board_revision: 1,
        flashed_firmware_version: text(&device.firmware[1]),
        board_controller_firmware_version: text("1.4-sim"),
        board_controller_board_type: text("pcie"),
    }
}

/// A text field; what is too long for it ends early.
pub(crate) fn text(text: &str) -> [c_char; TEXT] {
    let mut field = [0; TEXT];
    for (place, byte) in field[..TEXT - 1].iter_mut().zip(text.bytes()) {
        *place = byte.cast_signed();
    }
    field
}

/// The device that a record from a client means: by its name, as the rest of it may be old.
fn find(context: &Context, record: &AxrDeviceInfo) -> Outcome<usize> {
    let name: Vec<u8> = record.name.iter().map(|c| c.cast_unsigned()).take_while(|byte| *byte != 0).collect();
    let devices = &context.settings()?.devices;
    devices.iter().position(|device| device.name.as_bytes() == name).ok_or_else(|| {
        Failure::argument(format!("no device {:?} among {}", String::from_utf8_lossy(&name), devices.len()))
    })
}

/// Connects to the device meant, or to the first free one.
pub(crate) fn connect(
    context: &Arc<Context>,
    record: Option<&AxrDeviceInfo>,
    cores: usize,
    properties: &Properties,
) -> Outcome<Connection> {
    let settings = context.settings()?;
    let mut behaviour = settings.behaviour.clone();
    properties.adjust(&mut behaviour)?;
    behaviour.faults.at("connect")?;
    if cores == 0 || cores > CORES {
        return Err(Failure::value(format!("{cores} sub-devices asked for, a device has {CORES}")));
    }
    let candidates = match record {
        Some(record) => vec![find(context, record)?],
        None => (0..settings.devices.len()).collect(),
    };
    let mut failure = Failure::new(AxrResult::CONNECTION_ERROR, "no device");
    for index in candidates {
        let device = &settings.devices[index];
        let taken = match &device.in_use_by {
            Some(holder) => Err(NotHeld::By(holder.clone())),
            None => hold::take(&device.name),
        };
        match taken {
            Ok(hold) => {
                if properties.get("temperature").is_some() {
                    with_state(context, index, |state| state.temperatures = Some(behaviour.temperatures));
                }
                context.log(
                    AxrLogLevel::INFO,
                    &format!("connected to {} with {cores} sub-devices", device.name),
                );
                return Ok(Connection::new(index, device.clone(), cores, behaviour, hold));
            }
            Err(NotHeld::By(holder)) => {
                let text = format!("device {} is in use by {holder}", device.name);
                failure = Failure::new(AxrResult::DEVICE_IN_USE, text);
            }
            Err(NotHeld::Io(reason)) => failure = Failure::new(AxrResult::CONNECTION_ERROR, reason),
        }
    }
    Err(failure)
}

/// Lets an instance's properties change what a device's thermometer says.
pub(crate) fn heat(context: &Context, device: usize, behaviour: &Behaviour) {
    with_state(context, device, |state| state.temperatures = Some(behaviour.temperatures));
}

/// Settings and readings.
pub(crate) fn read(context: &Context, record: &AxrDeviceInfo) -> Outcome<Properties> {
    let settings = context.settings()?;
    settings.behaviour.faults.at("read")?;
    let index = find(context, record)?;
    let device = &settings.devices[index];
    Ok(with_state(context, index, |state| {
        let temperatures = state.temperatures.unwrap_or(settings.behaviour.temperatures);
        let mut properties = Properties::from_pairs([
            ("ddr_size", device.memory.to_string()),
            ("clock_profile", "800".into()),
            ("device_firmware", device.firmware[0].clone()),
            ("core_temps", temperatures.map(|degrees| degrees.to_string()).join(",")),
        ]);
        for core in 0..CORES {
            properties.set(&format!("clock_profile_core_{core}"), "800");
            properties.set(&format!("mvm_utilisation_core_{core}"), "100");
        }
        for (key, value) in state.configured.pairs() {
            properties.set(key, value);
            if key == "clock_profile" {
                (0..CORES).for_each(|core| properties.set(&format!("clock_profile_core_{core}"), value));
            }
        }
        properties
    }))
}

/// Changes settings: checked first, so that a refused set changes nothing.
pub(crate) fn configure(context: &Context, record: &AxrDeviceInfo, properties: &Properties) -> Outcome<()> {
    let faults = &context.settings()?.behaviour.faults;
    faults.at("configure")?;
    let index = find(context, record)?;
    for (key, value) in properties.pairs() {
        let core = |prefix: &str| {
            key.strip_prefix(prefix).and_then(|n| n.parse().ok()).is_some_and(|n: usize| n < CORES)
        };
        let good = match key {
            "clock_profile" => CLOCKS.contains(&value),
            _ if core("clock_profile_core_") => CLOCKS.contains(&value),
            _ if core("mvm_utilisation_core_") => value.parse().is_ok_and(|n: u32| (1..=100).contains(&n)),
            "ddr_size" | "device_firmware" => !value.is_empty(),
            _ => return Err(Failure::configuration(format!("unknown setting {key}"))),
        };
        if !good {
            return Err(Failure::configuration(format!("{key}={value} is not possible")));
        }
    }
    let answers = faults.pending();
    with_state(context, index, |state| {
        properties.pairs().for_each(|(key, value)| state.configured.set(key, value));
        state.pending = answers;
    });
    waiting(context, index)
}

/// Whether a device has finished configuring.
pub(crate) fn ready(context: &Context, record: &AxrDeviceInfo) -> Outcome<()> {
    context.settings()?.behaviour.faults.at("ready")?;
    waiting(context, find(context, record)?)
}

fn waiting(context: &Context, index: usize) -> Outcome<()> {
    with_state(context, index, |state| match state.pending {
        0 => Ok(()),
        more => {
            // for ever stays for ever
            state.pending = if more == u64::MAX { more } else { more - 1 };
            Err(Failure::new(AxrResult::PENDING_ERROR, "the device is not ready yet"))
        }
    })
}

fn with_state<T>(context: &Context, index: usize, body: impl FnOnce(&mut DeviceState) -> T) -> T {
    body(context.states.lock().unwrap_or_else(PoisonError::into_inner).entry(index).or_default())
}
