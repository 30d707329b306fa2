//! Which device a run uses, and what is missing when there is none.

mod chain;
mod error;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use axruntime_sys::{Context, Device, Library, LoadError as RuntimeError};

pub use chain::SystemChain;
pub use error::DeviceError;

use crate::Error;

/// The devices that the runtime lists; `runtime` as in [`axruntime_sys::find`].
///
/// # Errors
/// When there is no runtime, it cannot be used, or it lists nothing.
pub fn list(runtime: Option<&Path>) -> Result<Vec<Device>, Error> {
    some(Context::new(library(runtime)?).devices()?)
}

fn some(devices: Vec<Device>) -> Result<Vec<Device>, Error> {
    if devices.is_empty() { Err(DeviceError::None { chain: system() }.into()) } else { Ok(devices) }
}

/// A runtime library that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Where it was found.
    pub path: PathBuf,
    /// Major and minor version of its interface.
    pub version: (u32, u32),
}

/// Finds, opens and checks the runtime without asking it for devices; `runtime` as in [`axruntime_sys::find`].
///
/// # Errors
/// When there is none, or it cannot be used.
pub fn runtime(runtime: Option<&Path>) -> Result<Runtime, Error> {
    let library = library(runtime)?;
    Ok(Runtime { path: library.path().into(), version: library.version() })
}

/// A device's settings and readings, by the runtime's own keys.
pub type Configuration = Vec<(String, String)>;

/// The devices as [`list`] gives them, each with its settings where the runtime can read them.
///
/// # Errors
/// As [`list`].
pub fn inspect(runtime: Option<&Path>) -> Result<Vec<(Device, Option<Configuration>)>, Error> {
    let context = Context::new(library(runtime)?);
    let devices = some(context.devices()?)?;
    Ok(devices
        .into_iter()
        .map(|device| {
            let configuration = context.device_configuration(&device).ok();
            (device, configuration)
        })
        .collect())
}

/// The runtime library; where there is none, the error also says what the system shows of a card.
pub(crate) fn library(runtime: Option<&Path>) -> Result<Arc<Library>, Error> {
    Library::open(runtime).map_err(|error| match error {
        RuntimeError::NotFound { .. } => {
            DeviceError::NoRuntime { source: Box::new(error), chain: Box::new(system()) }.into()
        }
        other => other.into(),
    })
}

/// What this machine shows of a card.
pub(crate) fn system() -> SystemChain {
    SystemChain::probe(Path::new("/"))
}

/// A line for a start-up log about the firmware, where the device says which one it is.
pub(crate) fn firmware_note(device: &Device) -> Option<String> {
    let (runs, flashed) = (&device.firmware_version, &device.flashed_firmware_version);
    if runs.is_empty() || flashed.is_empty() {
        return None;
    }
    Some(if runs == flashed {
        format!("Firmware version matches: {runs}")
    } else {
        format!("Firmware {runs} runs, but {flashed} is flashed: switch the machine off and on to start it")
    })
}

/// What choosing looks at.
#[derive(Clone, Debug)]
struct Entry<'a> {
    name: &'a str,
    /// Who has it, where somebody does; may be empty.
    holder: Option<&'a str>,
}

/// The device that `selector` (an index or a name) means; without one the first that is free.
///
/// # Errors
/// When there is none, it is in use, or the selector fits none; the choices are named.
pub(crate) fn choose<'a>(
    devices: &'a [Device],
    selector: Option<&str>,
    chain: &SystemChain,
) -> Result<&'a Device, DeviceError> {
    let entry = |d: &'a Device| Entry { name: &d.name, holder: d.in_use.then_some(d.in_use_by.as_str()) };
    let entries: Vec<_> = devices.iter().map(entry).collect();
    pick(&entries, selector, chain).map(|index| &devices[index])
}

fn pick(entries: &[Entry<'_>], selector: Option<&str>, chain: &SystemChain) -> Result<usize, DeviceError> {
    let means = |(index, entry): (usize, &Entry<'_>), selector: &str| {
        // SDK 1.8 writes `metis-0-1-0` where earlier ones write `metis-0:1:0`: both mean the same device
        selector == index.to_string() || entry.name.replace(':', "-") == selector.replace(':', "-")
    };
    let chosen = match selector {
        _ if entries.is_empty() => return Err(DeviceError::None { chain: chain.clone() }),
        None => entries.iter().position(|entry| entry.holder.is_none()).unwrap_or(0),
        Some(selector) => {
            let found = entries.iter().enumerate().position(|entry| means(entry, selector));
            found.ok_or_else(|| DeviceError::Unknown {
                selector: selector.into(),
                choices: entries
                    .iter()
                    .enumerate()
                    .map(|(n, entry)| format!("{n} ({})", entry.name))
                    .collect(),
            })?
        }
    };
    match entries[chosen] {
        Entry { holder: None, .. } => Ok(chosen),
        Entry { name, holder: Some(holder) } => Err(DeviceError::InUse {
            device: name.into(),
            holder: holder.into(),
            all: selector.is_none() && entries.len() > 1,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(entries: &[Entry<'_>], selector: Option<&str>) -> Result<usize, DeviceError> {
        super::pick(entries, selector, &SystemChain::default())
    }

    #[test]
    fn index_name_and_both_spellings_mean_the_device() {
        let entries = ["metis-0:1:0", "metis-0-3-0"].map(|name| Entry { name, holder: None });
        for (selector, index) in [("0", 0), ("metis-0:1:0", 0), ("metis-0-1-0", 0), ("metis-0:3:0", 1)] {
            assert_eq!(pick(&entries, Some(selector)), Ok(index), "{selector}");
        }
        let error = pick(&entries, Some("2")).unwrap_err();
        assert_eq!(error.to_string(), "no device \"2\", there are 0 (metis-0:1:0), 1 (metis-0-3-0)");
    }

    #[test]
    fn without_a_selector_the_first_free_one_is_taken() {
        let mut entries = ["metis-0:1:0", "metis-0:3:0"].map(|name| Entry { name, holder: None });
        entries[0].holder = Some("alice");
        assert_eq!(pick(&entries, None), Ok(1));
        let busy = pick(&entries, Some("0")).unwrap_err();
        assert_eq!(busy.to_string(), "device metis-0:1:0 is in use by alice");
        entries[1].holder = Some("");
        assert!(matches!(pick(&entries, None), Err(DeviceError::InUse { all: true, .. })));
        assert!(matches!(pick(&[], None), Err(DeviceError::None { .. })));
    }
}
