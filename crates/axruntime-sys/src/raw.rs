//! The types of `axruntime/axruntime.h`, bit for bit (LP64 Linux).
//!
//! C enums are transparent integers here: a library newer than this file may hand out a value that a Rust
//! `enum` has no name for, and receiving such a value would be undefined behaviour.

use std::ffi::{c_char, c_int, c_void};
use std::mem::{offset_of, size_of};

/// `AXR_MAX_TENSOR_DIMS`.
pub const MAX_TENSOR_DIMS: usize = 8;
/// The size of every text field, terminating NUL included.
pub const TEXT: usize = 256;

macro_rules! opaque {
    ($($name:ident)*) => { $(
        #[doc = concat!("Opaque: only a pointer to it, `", stringify!($name), " *` in C, ever exists.")]
        #[repr(C)]
        pub struct $name {
            _private: [u8; 0],
        }
    )* };
}
opaque!(AxrObject AxrContext AxrConnection AxrModel AxrModelInstance AxrProperties);

macro_rules! c_enum {
    ($(#[$meta:meta])* $type:ident: $($name:ident = $value:literal),* $(,)?) => {
        $(#[$meta])*
        #[repr(transparent)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(pub u32);

        impl $type {
            $( #[doc = concat!("`", stringify!($name), "`, ", stringify!($value), " on the wire.")]
               pub const $name: $type = $type($value); )*
            /// Every value this crate knows, with its name in C less the prefix.
            pub const ALL: &'static [($type, &'static str)] = &[$(($type($value), stringify!($name))),*];
        }
    };
}

c_enum! {
    /// `axrResult`.
    AxrResult: SUCCESS = 0, RUNTIME_ERROR = 1, VALUE_ERROR = 2, INVALID_ARGUMENT = 3, CONNECTION_ERROR = 4,
    DEVICE_IN_USE = 5, INCOMPATIBLE_DEVICE = 6, INVALID_CONFIGURATION = 7, NOT_IMPLEMENTED = 8,
    INTERNAL_ERROR = 9, PENDING_ERROR = 10, UNKNOWN_ERROR = 11,
}
c_enum! {
    /// `axrBoardType`.
    AxrBoardType: ALPHA_PCIE = 0, ALPHA_M2 = 1, OMEGA_PCIE = 2, OMEGA_M2 = 3, DEVBOARD = 4, SBC = 5, UNKNOWN = 6,
}
c_enum! {
    /// `axrLogLevel`.
    AxrLogLevel: TRACE = 0, LOG = 1, DEBUG = 2, INFO = 3, FIXME = 4, WARNING = 5, ERROR = 6,
}

/// `axrArgument`: one buffer of a run.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AxrArgument {
    /// Host memory, or NULL when `fd` is a DMA buffer.
    pub ptr: *mut c_void,
    /// A DMA buffer; 0 or -1 when `ptr` is set.
    pub fd: c_int,
    /// Must be 0.
    pub offset: usize,
    /// Bytes at `ptr`; 0 asks the runtime not to check.
    pub size: usize,
}

/// `axrDeviceInfo`: one device as `axr_list_devices` describes it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AxrDeviceInfo {
    /// For instance `metis-0:1:0` or, from SDK 1.8, `metis-0-1-0`. Never to be split.
    pub name: [c_char; TEXT],
    /// Cores; 4 on Metis.
    pub subdevice_count: usize,
    /// Bytes of DDR; 0 from older runtimes.
    pub max_memory: usize,
    /// Not 0 when somebody is connected.
    pub in_use: c_int,
    /// Who is connected.
    pub in_use_by: [c_char; TEXT],
    /// The kind of card.
    pub board_type: AxrBoardType,
    /// The running firmware.
    pub firmware_version: [c_char; TEXT],
    /// The card's hardware revision.
    pub board_revision: c_int,
    /// The firmware in flash, which the next power cycle starts.
    pub flashed_firmware_version: [c_char; TEXT],
    /// The board controller's firmware.
    pub board_controller_firmware_version: [c_char; TEXT],
    /// What the board controller says the board is.
    pub board_controller_board_type: [c_char; TEXT],
}

/// `axrTensorInfo`, returned by value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AxrTensorInfo {
    /// The first `ndims` are meant.
    pub dims: [usize; MAX_TENSOR_DIMS],
    /// 0 for a tensor that does not exist.
    pub ndims: usize,
    /// Bits of one element.
    pub bits: usize,
    /// 0 unsigned, 1 signed, 2 float.
    pub kind: usize,
    /// The tensor's name.
    pub name: [c_char; TEXT],
    /// Elements (before, after) the real ones, in each dimension.
    pub padding: [[usize; 2]; MAX_TENSOR_DIMS],
    /// The step of one quantum.
    pub scale: f64,
    /// The quantum that means 0.
    pub zero_point: c_int,
}

/// What `axr_set_logger` takes.
pub type AxrLogger = unsafe extern "C" fn(arg: *mut c_void, level: AxrLogLevel, message: *const c_char);

// The same figures come out of the C compiler in tests/layout.rs; here a slip fails the build itself.
const _: () = {
    assert!(size_of::<AxrResult>() == 4 && size_of::<AxrBoardType>() == 4 && size_of::<AxrLogLevel>() == 4);

    assert!(size_of::<AxrArgument>() == 32);
    assert!(offset_of!(AxrArgument, fd) == 8 && offset_of!(AxrArgument, offset) == 16);

    assert!(size_of::<AxrDeviceInfo>() == 1568);
    assert!(offset_of!(AxrDeviceInfo, subdevice_count) == 256 && offset_of!(AxrDeviceInfo, in_use_by) == 276);
    assert!(offset_of!(AxrDeviceInfo, board_type) == 532 && offset_of!(AxrDeviceInfo, board_revision) == 792);
    assert!(offset_of!(AxrDeviceInfo, board_controller_board_type) == 1308);

    assert!(size_of::<AxrTensorInfo>() == 488);
    assert!(offset_of!(AxrTensorInfo, name) == 88 && offset_of!(AxrTensorInfo, padding) == 344);
    assert!(offset_of!(AxrTensorInfo, scale) == 472 && offset_of!(AxrTensorInfo, zero_point) == 480);
};
