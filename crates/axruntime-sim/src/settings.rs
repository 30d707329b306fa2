//! How the simulated machine looks, from the environment; read when a context is created.
//!
//! | Variable | Meaning | Default |
//! |---|---|---|
//! | `AXSIM_DEVICES` | number of devices, 0 to 64 | 1, or as many as names |
//! | `AXSIM_NAMES` | their names, by comma | `metis-sim:0,metis-sim:1,…` |
//! | `AXSIM_MEMORY` | DDR: `16GiB`, or one figure a device by comma; 0 as an older runtime says | `16GiB` |
//! | `AXSIM_FIRMWARE` | their firmware, and after a slash the one in flash: `v1.2.0/v1.3.0` | `v1.3.0-sim`, both |
//! | `AXSIM_IN_USE` | devices held by others, by comma: `0=alice`, `metis-sim:1=bob` | none |
//! | `AXSIM_FAULT` | failures on demand: see [`crate::fault`] | none |
//! | `AXSIM_TOKENS_PER_SECOND` | pace of one-row runs: the rest of the time is slept | as fast as it goes |
//! | `AXSIM_TTFT_MS` | pace of runs that start a sequence, in milliseconds | as fast as it goes |
//! | `AXSIM_TEMPERATURE` | core temperatures: `34`, or one a core by comma | `34,33,34,33` |
//! | `AXSIM_THREADS` | threads of the transformer | 0: as many as it likes |
//! | `AXSIM_ISA` | instruction set of the transformer: `scalar`, `avx2`, … | the best there is |
//! | `AXSIM_INSTANT` | `1`: no transformer and no weights; tokens made up at once, to measure what a host costs | 0 |
//! | `AXSIM_API_VERSION` | what `axr_api_version` answers: `MAJOR.MINOR` | this interface's |
//!
//! `fault`, `tokens_per_second`, `ttft_ms` and `temperature` are properties too: at connect and at loading an
//! instance they override the environment from there on.

use std::sync::Arc;
use std::time::Duration;

use axruntime_sys::assumed;

use crate::fault::Faults;

/// Cores of a Metis.
pub(crate) const CORES: usize = 4;
const GIB: u64 = 1 << 30;
const FIRMWARE: &str = "v1.3.0-sim";

/// One simulated device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DeviceSettings {
    pub name: String,
    pub memory: u64,
    /// Running, and in flash.
    pub firmware: [String; 2],
    pub in_use_by: Option<String>,
}

/// What may be set anew at connect and at loading an instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    pub faults: Arc<Faults>,
    pub per_token: Duration,
    pub first_token: Duration,
    pub temperatures: [i32; CORES],
}

/// The whole machine.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub devices: Vec<DeviceSettings>,
    pub behaviour: Behaviour,
    pub threads: usize,
    pub isa: Option<String>,
    pub instant: bool,
}

impl Settings {
    /// Reads every variable; an odd one is an error that names it.
    pub fn read(env: impl Fn(&str) -> Option<String>) -> Result<Settings, String> {
        let get = |name: &str| env(name).filter(|value| !value.trim().is_empty());
        let mut behaviour = Behaviour { temperatures: [34, 33, 34, 33], ..Behaviour::default() };
        for key in Behaviour::KEYS {
            let variable = format!("AXSIM_{}", key.to_uppercase());
            if let Some(value) = get(&variable) {
                behaviour.set(key, &value).map_err(|reason| format!("{variable}: {reason}"))?;
            }
        }
        let threads = match get("AXSIM_THREADS") {
            None => 0,
            Some(text) => number(&text, 1024).map_err(|reason| format!("AXSIM_THREADS: {reason}"))?,
        };
        let instant = match get("AXSIM_INSTANT").as_deref() {
            None | Some("0") => false,
            Some("1") => true,
            Some(other) => return Err(format!("AXSIM_INSTANT: {other:?}, expected 0 or 1")),
        };
        let (threads, isa) = (threads as usize, get("AXSIM_ISA"));
        Ok(Settings { devices: devices(get)?, behaviour, threads, isa, instant })
    }
}

impl Behaviour {
    /// The names as properties; in capitals and after `AXSIM_` they are the variables.
    pub const KEYS: [&str; 4] = ["fault", "tokens_per_second", "ttft_ms", "temperature"];

    /// Sets one of [`Self::KEYS`].
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "fault" => self.faults = Arc::new(Faults::parse(value)?),
            "tokens_per_second" => {
                let rate: Option<f64> = value.trim().parse().ok().filter(|rate| (0.001..=1e9).contains(rate));
                let rate = rate.ok_or_else(|| format!("{value:?}, expected a number from 0.001"))?;
                self.per_token = Duration::from_secs_f64(1.0 / rate);
            }
            "ttft_ms" => self.first_token = Duration::from_millis(number(value, 3_600_000)?),
            _ => self.temperatures = temperatures(value)?,
        }
        Ok(())
    }
}

fn temperatures(text: &str) -> Result<[i32; CORES], String> {
    let degrees: Option<Vec<i32>> = text.split(',').map(|t| t.trim().parse().ok()).collect();
    match degrees.as_deref() {
        Some([all]) => Ok([*all; CORES]),
        Some(each) => each.try_into().map_err(|_| format!("{} figures, expected 1 or {CORES}", each.len())),
        None => Err(format!("{text:?}, expected whole degrees by comma")),
    }
}

fn devices(get: impl Fn(&str) -> Option<String>) -> Result<Vec<DeviceSettings>, String> {
    let names: Option<Vec<String>> =
        get("AXSIM_NAMES").map(|list| list.split(',').map(|name| name.trim().to_owned()).collect());
    let count = match get("AXSIM_DEVICES") {
        Some(text) => number(&text, 64).map_err(|reason| format!("AXSIM_DEVICES: {reason}"))? as usize,
        None => names.as_ref().map_or(1, Vec::len),
    };
    let names = names.unwrap_or_else(|| (0..count).map(|n| format!("metis-sim:{n}")).collect());
    if names.len() != count {
        return Err(format!("AXSIM_NAMES: {} names, AXSIM_DEVICES says {count}", names.len()));
    }
    for (index, name) in names.iter().enumerate() {
        if !assumed::plausible_name(name.as_bytes()) || name.len() > 200 || names[..index].contains(name) {
            return Err(format!(
                "AXSIM_NAMES: {name:?}, expected distinct printable names of 1 to 200 bytes"
            ));
        }
    }
    let memory = memories(get("AXSIM_MEMORY").as_deref(), count).map_err(|r| format!("AXSIM_MEMORY: {r}"))?;
    let firmware = get("AXSIM_FIRMWARE").unwrap_or_else(|| FIRMWARE.into());
    let (runs, flashed) = firmware.split_once('/').unwrap_or((&firmware, &firmware));
    let firmware = [runs, flashed].map(|version| version.trim().to_owned());
    let mut devices: Vec<_> = names
        .into_iter()
        .zip(memory)
        .map(|(name, memory)| DeviceSettings { name, memory, firmware: firmware.clone(), in_use_by: None })
        .collect();
    for entry in get("AXSIM_IN_USE").iter().flat_map(|list| list.split(',')) {
        let (which, holder) = entry.split_once('=').unwrap_or((entry, "somebody else"));
        let which = which.trim();
        let index = devices
            .iter()
            .position(|device| device.name == which)
            .or_else(|| which.parse().ok().filter(|index| *index < count))
            .ok_or_else(|| format!("AXSIM_IN_USE: no device {which:?} among {count}"))?;
        devices[index].in_use_by = Some(holder.trim().chars().take(60).collect());
    }
    Ok(devices)
}

fn memories(text: Option<&str>, count: usize) -> Result<Vec<u64>, String> {
    let Some(text) = text else { return Ok(vec![16 * GIB; count]) };
    let each = text.split(',').map(bytes).collect::<Result<Vec<_>, _>>()?;
    match each[..] {
        [all] => Ok(vec![all; count]),
        _ if each.len() == count => Ok(each),
        _ => Err(format!("{} figures, expected 1 or {count}", each.len())),
    }
}

/// `16GiB`, `512MiB`, `64KiB` or bytes.
fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit.trim() {
        "" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(GIB),
        _ => None,
    };
    let size = unit.zip(digits.parse::<u64>().ok()).and_then(|(unit, n)| n.checked_mul(unit));
    size.filter(|size| *size <= 1 << 50).ok_or_else(|| format!("{text:?}, expected a size such as 16GiB"))
}

fn number(text: &str, most: u64) -> Result<u64, String> {
    let number = text.trim().parse().ok().filter(|n| *n <= most);
    number.ok_or_else(|| format!("{text:?}, expected a whole number up to {most}"))
}

/// What `AXSIM_API_VERSION` says; `None` when it is unset or no version.
pub(crate) fn api_version(text: Option<&str>) -> Option<u32> {
    let (major, minor) = text?.split_once('.').unwrap_or((text?, "0"));
    let half = |text: &str| text.trim().parse::<u16>().ok().map(u32::from);
    Some(assumed::join_version(half(major)?, half(minor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_variables_there_is_one_free_device_of_16_gib() {
        let settings = read(&[]).unwrap();
        let firmware = [FIRMWARE; 2].map(str::to_owned);
        let device =
            DeviceSettings { name: "metis-sim:0".into(), memory: 16 * GIB, firmware, in_use_by: None };
        assert_eq!(settings.devices, [device]);
        assert_eq!(settings.behaviour.temperatures, [34, 33, 34, 33]);
    }

    #[test]
    fn every_variable_is_heard() {
        let settings = read(&[
            ("AXSIM_NAMES", "metis-0:1:0, metis-0-2-0"),
            ("AXSIM_MEMORY", "4GiB,0"),
            ("AXSIM_FIRMWARE", "v1.2.0/v1.3.0"),
            ("AXSIM_IN_USE", "1=alice"),
            ("AXSIM_TOKENS_PER_SECOND", "20"),
            ("AXSIM_TTFT_MS", "300"),
            ("AXSIM_TEMPERATURE", "90"),
            ("AXSIM_THREADS", "2"),
            ("AXSIM_ISA", "scalar"),
            ("AXSIM_INSTANT", "1"),
        ])
        .unwrap();
        assert!(settings.instant);
        let devices = settings.devices;
        assert_eq!((devices[0].name.as_str(), devices[0].memory), ("metis-0:1:0", 4 * GIB));
        assert_eq!(devices[1].firmware, ["v1.2.0", "v1.3.0"]);
        assert_eq!((devices[1].memory, devices[1].in_use_by.as_deref()), (0, Some("alice")));
        let behaviour = settings.behaviour;
        assert_eq!((behaviour.per_token.as_millis(), behaviour.first_token.as_millis()), (50, 300));
        assert_eq!((behaviour.temperatures, settings.threads), ([90; 4], 2));
        assert_eq!(settings.isa.as_deref(), Some("scalar"));
        assert_eq!(read(&[("AXSIM_DEVICES", "0")]).unwrap().devices, []);
    }

    #[test]
    fn an_odd_variable_is_named() {
        for pair in [
            ("AXSIM_DEVICES", "65"),
            ("AXSIM_NAMES", "a,a"),
            ("AXSIM_NAMES", "a\u{1b}"),
            ("AXSIM_MEMORY", "16GB"),
            ("AXSIM_MEMORY", "1GiB,2GiB"),
            ("AXSIM_IN_USE", "7=alice"),
            ("AXSIM_FAULT", "run=what"),
            ("AXSIM_TOKENS_PER_SECOND", "0"),
            ("AXSIM_TTFT_MS", "-1"),
            ("AXSIM_TEMPERATURE", "1,2"),
            ("AXSIM_THREADS", "many"),
            ("AXSIM_INSTANT", "yes"),
        ] {
            let error = read(&[pair]).unwrap_err();
            assert!(error.starts_with(&format!("{}: ", pair.0)), "{error}");
        }
        assert!(read(&[("AXSIM_DEVICES", "3"), ("AXSIM_NAMES", "a,b")]).is_err());
    }

    #[test]
    fn a_version_is_major_and_minor() {
        assert_eq!(api_version(Some("2.1")), Some(assumed::join_version(2, 1)));
        assert_eq!(api_version(Some("3")), Some(assumed::join_version(3, 0)));
        assert_eq!((api_version(Some("x")), api_version(None)), (None, None));
    }
}
