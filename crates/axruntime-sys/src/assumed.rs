//! What the vendor's public pages do not settle. Each guess lives here once; a real card that disagrees is
//! answered by changing this file.
//!
//! Beside the figures below:
//! - **Device array.** `axr_list_devices` hands out one contiguous array of `axrDeviceInfo`, not an array of
//!   pointers (the page says both). Checked before it is believed: see [`plausible_name`].
//! - **KV cache.** A run with more than one row, or the first run after the instance was loaded, starts a new
//!   sequence at position 0; a run with one row appends. So a one-token prompt on a used instance would be
//!   appended to a stranger's conversation: whoever drives [`crate::Instance`] has to avoid that.
//! - **Row count.** It reaches the device through `axrArgument.size`, in bytes.
//! - **Last error.** Every call resets it, so that a count of 0 with a last error is a failure and a count of
//!   0 without one is an empty list.
//! - **Threads.** Runs of different instances may overlap. All else goes through one process-wide lock
//!   ([`crate::Library`]), because loading from several threads is known to be unsafe in the vendor's stack.

use std::time::Duration;

use crate::raw::AxrResult;

/// The major version of the ABI that this crate speaks.
pub const API_MAJOR: u32 = 1;

/// Takes `axr_api_version` apart: major in the upper, minor in the lower half.
pub const fn split_version(version: u32) -> (u32, u32) {
    (version >> 16, version & 0xffff)
}

/// Puts a version together, as [`split_version`] takes it apart.
pub const fn join_version(major: u32, minor: u32) -> u32 {
    major << 16 | minor & 0xffff
}

/// `axrTensorInfo.type`, unsigned integers.
pub const TENSOR_UNSIGNED: usize = 0;
/// `axrTensorInfo.type`, signed integers.
pub const TENSOR_SIGNED: usize = 1;
/// `axrTensorInfo.type`, floating point.
pub const TENSOR_FLOAT: usize = 2;

/// More devices than any machine holds: a larger count is a misread answer.
pub const MAX_DEVICES: usize = 1024;

/// What `axr_configure_device` and `axr_device_ready` say while the device restarts.
pub const PENDING: AxrResult = AxrResult::PENDING_ERROR;
/// The first pause between two questions whether the device is ready; it doubles up to [`READY_PAUSE_MAX`].
pub const READY_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two such questions.
pub const READY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// When to give up on a device that stays pending.
pub const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Whether a device name is one: printable ASCII, not empty. Were the array one of pointers, the first bytes
/// would be an address, whose upper bytes are not printable.
pub fn plausible_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
}
