//! What can be wrong with the device.

use axruntime_sys::LoadError;

use super::SystemChain;

/// Why no device could be had.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The runtime lists none.
    #[error("no device found: the runtime lists none, and {}", chain.missing())]
    None {
        /// What the system shows of a card.
        chain: SystemChain,
    },
    /// There is no runtime to ask.
    #[error("{source}; {}", chain.missing())]
    NoRuntime {
        /// Where it was looked for.
        source: Box<LoadError>,
        /// What the system shows of a card.
        chain: Box<SystemChain>,
    },
    /// Another program has it.
    #[error("device {device} is in use{}", if holder.is_empty() { String::new() } else { format!(" by {holder}") })]
    InUse {
        /// The device.
        device: String,
        /// Who has it, in the runtime's words; may be empty.
        holder: String,
        /// Every device is in use, not only this one.
        all: bool,
    },
    /// The selector fits none.
    #[error("no device {selector:?}, there {} {}", if choices.len() == 1 { "is" } else { "are" }, choices.join(", "))]
    Unknown {
        /// What was asked for.
        selector: String,
        /// Index and name of each device.
        choices: Vec<String>,
    },
    /// The model does not fit.
    #[error("device {device} has {has_gib:.0} GiB of memory, the model needs {needed_gib:.0} GiB")]
    NotEnoughMemory {
        /// The device.
        device: String,
        /// What it has.
        has_gib: f64,
        /// What the model's card asks for.
        needed_gib: f64,
    },
}

impl DeviceError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::None { .. } => "no_device",
            Self::NoRuntime { .. } => "no_runtime",
            Self::InUse { .. } => "device_in_use",
            Self::Unknown { .. } => "unknown_device",
            Self::NotEnoughMemory { .. } => "not_enough_memory",
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::None { chain } => chain.remedy().into(),
            Self::NoRuntime { chain, .. } if chain.pci.is_empty() => {
                "name the runtime in AXLLM_RUNTIME_LIB; without a card use --pipeline transformers or -d sim"
                    .into()
            }
            Self::NoRuntime { .. } => {
                "install the Voyager SDK, or name its libaxruntime.so in AXLLM_RUNTIME_LIB".into()
            }
            Self::InUse { all: true, .. } => "all devices are in use: wait until another program ends".into(),
            Self::InUse { .. } => {
                "wait until the other program ends, or choose another device with -d".into()
            }
            Self::Unknown { choices, .. } => {
                format!("-d takes an index or a name, one of {}", choices.join(", "))
            }
            Self::NotEnoughMemory { .. } => "choose a smaller model, or a card with more memory".into(),
        })
    }
}
