//! The devices of a runtime.

use std::path::PathBuf;

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
        }
    }
}
