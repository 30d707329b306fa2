//! `axrResult` as a type, and the error of a call: loading has its own, because its remedies differ.

use crate::raw::AxrResult;

macro_rules! statuses {
    ($($variant:ident = $code:ident: $text:literal,)*) => {
        /// Why a call failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Status {
            $(
                #[doc = concat!("`AXR_ERROR_", stringify!($code), "`: ", $text)]
                $variant,
            )*
            /// A code that the header does not name.
            Other(u32),
            /// Not a code of the runtime: what it answered cannot be, so runtime and this crate disagree.
            Disagrees,
        }

        impl Status {
            /// Every named status, in the order of the header.
            pub const ALL: &'static [Status] = &[$(Status::$variant),*];

            /// `None` for success.
            pub fn from_raw(result: AxrResult) -> Option<Status> {
                match result {
                    AxrResult::SUCCESS => None,
                    $(AxrResult::$code => Some(Status::$variant),)*
                    AxrResult(other) => Some(Status::Other(other)),
                }
            }

            /// The name in C without `AXR_ERROR_`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Status::$variant => stringify!($code),)*
                    Status::Other(_) => "OTHER",
                    Status::Disagrees => "DISAGREES",
                }
            }

            fn text(self) -> &'static str {
                match self {
                    $(Status::$variant => $text,)*
                    Status::Other(_) => "a status this program does not know",
                    Status::Disagrees => "model and runtime disagree",
                }
            }
        }
    };
}

statuses! {
    Runtime = RUNTIME_ERROR: "runtime error",
    Value = VALUE_ERROR: "value error",
    InvalidArgument = INVALID_ARGUMENT: "invalid argument",
    Connection = CONNECTION_ERROR: "connection error",
    DeviceInUse = DEVICE_IN_USE: "device in use",
    IncompatibleDevice = INCOMPATIBLE_DEVICE: "incompatible device",
    InvalidConfiguration = INVALID_CONFIGURATION: "invalid configuration",
    NotImplemented = NOT_IMPLEMENTED: "not implemented",
    Internal = INTERNAL_ERROR: "internal error",
    Pending = PENDING_ERROR: "pending",
    Unknown = UNKNOWN_ERROR: "unknown error",
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Status::Other(code) => write!(f, "{} ({code})", self.text()),
            _ => f.write_str(self.text()),
        }
    }
}

/// A call that failed, with the runtime's text, copied at once: it is gone after the thread's next call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {status}{}{text}", if text.is_empty() { "" } else { ": " })]
pub struct CallError {
    /// The C function.
    pub call: &'static str,
    /// The code it answered or left behind.
    pub status: Status,
    /// The runtime's words: at most 4 KiB, control characters escaped, perhaps empty.
    pub text: String,
}

impl CallError {
    pub(crate) fn disagrees(call: &'static str, text: String) -> CallError {
        CallError { call, status: Status::Disagrees, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_header_has_a_status() {
        for (code, name) in AxrResult::ALL {
            match Status::from_raw(*code) {
                None => assert_eq!(*code, AxrResult::SUCCESS),
                Some(status) => assert_eq!(status.name(), *name),
            }
        }
        assert_eq!(Status::ALL.len() + 1, AxrResult::ALL.len());
        assert_eq!(Status::from_raw(AxrResult(99)), Some(Status::Other(99)));
    }

    #[test]
    fn an_error_reads_as_one_line() {
        let mut error = CallError { call: "axr_x", status: Status::DeviceInUse, text: "by pid 7".into() };
        assert_eq!(error.to_string(), "axr_x: device in use: by pid 7");
        error.text.clear();
        assert_eq!(error.to_string(), "axr_x: device in use");
    }
}
