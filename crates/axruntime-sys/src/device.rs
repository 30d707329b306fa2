//! What the runtime says about a device, copied out of the context's array and checked on the way.

use crate::assumed;
use crate::raw::AxrDeviceInfo;
use crate::text;

/// One device. Keeps the runtime's own record, to hand back when connecting.
#[derive(Clone)]
pub struct Device {
    /// Its place in the list.
    pub index: usize,
    /// Its name; an opaque word, spelt differently by different SDKs.
    pub name: String,
    /// Cores.
    pub sub_devices: usize,
    /// Bytes of DDR; 0 when the runtime is too old to say.
    pub max_memory: u64,
    /// Whether somebody is connected.
    pub in_use: bool,
    /// Who, in the runtime's words; may be empty.
    pub in_use_by: String,
    /// The kind of card, as a number.
    pub board_type: u32,
    /// The kind of card, in the runtime's words.
    pub board_type_name: String,
    /// The running firmware.
    pub firmware_version: String,
    /// The card's hardware revision.
    pub board_revision: i32,
    /// The firmware in flash.
    pub flashed_firmware_version: String,
    /// The board controller's firmware.
    pub board_controller_firmware_version: String,
    /// What the board controller says the board is.
    pub board_controller_board_type: String,
    raw: Box<AxrDeviceInfo>,
}

impl Device {
    /// Copies a record, or says why it cannot be one.
    pub(crate) fn from_raw(index: usize, raw: &AxrDeviceInfo, board: String) -> Result<Device, String> {
        let text = |what: &str, field: &[std::ffi::c_char]| {
            text::field(field).ok_or_else(|| format!("device {index}: its {what} has no end"))
        };
        let name = text("name", &raw.name)?;
        if !assumed::plausible_name(name.as_bytes()) {
            return Err(format!("device {index}: {name:?} is no device name"));
        }
        Ok(Device {
            index,
            name,
            sub_devices: raw.subdevice_count,
            max_memory: raw.max_memory as u64,
            in_use: raw.in_use != 0,
            in_use_by: text("holder", &raw.in_use_by)?,
            board_type: raw.board_type.0,
            board_type_name: board,
            firmware_version: text("firmware version", &raw.firmware_version)?,
            board_revision: raw.board_revision,
            flashed_firmware_version: text("flashed firmware version", &raw.flashed_firmware_version)?,
            board_controller_firmware_version: text(
                "board controller version",
                &raw.board_controller_firmware_version,
            )?,
            board_controller_board_type: text("board controller type", &raw.board_controller_board_type)?,
            raw: Box::new(*raw),
        })
    }

    /// A copy for a call: the C prototype takes it without const.
    pub(crate) fn to_raw(&self) -> AxrDeviceInfo {
        *self.raw
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("index", &self.index)
            .field("name", &self.name)
            .field("sub_devices", &self.sub_devices)
            .field("max_memory", &self.max_memory)
            .field("in_use", &self.in_use)
            .field("in_use_by", &self.in_use_by)
            .field("board_type", &self.board_type_name)
            .field("firmware_version", &self.firmware_version)
            .finish_non_exhaustive()
    }
}
