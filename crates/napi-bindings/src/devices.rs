//! The devices of a runtime.

use std::{collections::HashMap, path::PathBuf};

use napi_derive::napi;

use crate::error::{from_engine, off_thread};

/// A device as the runtime lists it.
#[napi(object)]
pub struct DeviceInfo {
    /// Its place in the list.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The kind of card.
    pub board_type: String,
    /// Bytes of memory; 0 where the runtime does not say.
    pub max_memory: f64,
    /// Cores.
    pub subdevices: u32,
    /// Whether a program is connected.
    pub in_use: bool,
    /// Which one, in the runtime's words; may be empty.
    pub in_use_by: String,
    /// The running firmware.
    pub firmware_version: String,
    /// The card's hardware revision.
    pub board_revision: i32,
    /// The firmware in flash.
    pub flashed_firmware_version: String,
    /// The board controller's firmware.
    pub board_controller_firmware_version: String,
    /// Settings and readings by the runtime's own keys; absent where they were not asked for, or cannot be read.
    pub configuration: Option<HashMap<String, String>>,
}

/// What the system shows of a card, without any runtime.
#[napi(object)]
pub struct SystemChain {
    /// PCI cards of the vendor, as lspci prints them.
    pub pci: Vec<String>,
    /// The driver's row of /proc/modules, as lsmod prints it.
    pub module: Option<String>,
    /// The driver's version, where it says one.
    pub driver_version: Option<String>,
    /// Names of the device nodes in /dev.
    pub nodes: Vec<String>,
}

/// A runtime library that can be used.
#[napi(object)]
pub struct RuntimeInfo {
    /// Where it was found.
    pub path: String,
    /// Version of its interface, such as `1.0`.
    pub version: String,
}

/// The devices that a runtime lists; rejects where there is no runtime, or no device.
///
/// Without a path the runtime is searched for as `LoadOptions.runtimeLibrary` says.
#[napi(catch_unwind)]
pub async fn list_devices(runtime_library: Option<String>) -> napi::Result<Vec<DeviceInfo>> {
    off_thread(move || {
        let library = runtime_library.map(PathBuf::from);
        let devices = engine::list_devices(library.as_deref()).map_err(from_engine)?;
        Ok(devices.into_iter().map(DeviceInfo::from).collect())
    })
    .await
}

/// The devices with their settings and readings; otherwise as `listDevices`.
#[napi(catch_unwind)]
pub async fn inspect_devices(runtime_library: Option<String>) -> napi::Result<Vec<DeviceInfo>> {
    off_thread(move || {
        let library = runtime_library.map(PathBuf::from);
        let devices = engine::inspect_devices(library.as_deref()).map_err(from_engine)?;
        Ok(devices
            .into_iter()
            .map(|(device, configuration)| DeviceInfo {
                configuration: configuration.map(|pairs| pairs.into_iter().collect()),
                ..DeviceInfo::from(device)
            })
            .collect())
    })
    .await
}

/// Finds, opens and checks the runtime library; rejects where there is none, or it cannot be used.
#[napi(catch_unwind)]
pub async fn probe_runtime(runtime_library: Option<String>) -> napi::Result<RuntimeInfo> {
    off_thread(move || {
        let library = runtime_library.map(PathBuf::from);
        let engine::Runtime { path, version } = engine::runtime(library.as_deref()).map_err(from_engine)?;
        Ok(RuntimeInfo {
            path: path.to_string_lossy().into_owned(),
            version: format!("{}.{}", version.0, version.1),
        })
    })
    .await
}

/// What the system shows of a card below `root`, which is `/` but for tests.
#[napi(catch_unwind)]
pub async fn system_chain(root: String) -> napi::Result<SystemChain> {
    off_thread(move || {
        let engine::SystemChain { pci, module, driver_version, nodes } =
            engine::SystemChain::probe(root.as_ref());
        Ok(SystemChain { pci, module, driver_version, nodes })
    })
    .await
}

impl From<engine::Device> for DeviceInfo {
    fn from(device: engine::Device) -> Self {
        Self {
            index: device.index as u32,
            name: device.name,
            board_type: device.board_type_name,
            max_memory: device.max_memory as f64,
            subdevices: device.sub_devices as u32,
            in_use: device.in_use,
            in_use_by: device.in_use_by,
            firmware_version: device.firmware_version,
            board_revision: device.board_revision,
            flashed_firmware_version: device.flashed_firmware_version,
            board_controller_firmware_version: device.board_controller_firmware_version,
            configuration: None,
        }
    }
}
