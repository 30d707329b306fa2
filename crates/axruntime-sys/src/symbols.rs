//! The one list of functions: pointer table, names and loader are expanded from it, and so is the
//! simulator's check that it exports each of them with this very signature.
#![allow(unsafe_code)] // a symbol's address becomes a typed function here, and nowhere else

use std::ffi::{CStr, c_char, c_uint, c_void};

use crate::raw::*;

/// Hands the list of every function of the ABI to the macro `$callback`, as `fn name(argument: type, …) -> type;`.
#[macro_export]
macro_rules! for_each_function {
    ($callback:ident) => {
        $callback! {
            fn axr_api_version() -> c_uint;
            fn axr_board_type_string(board: AxrBoardType) -> *const c_char;
            fn axr_create_context() -> *mut AxrContext;
            fn axr_destroy(object: *const AxrObject) -> ();
            fn axr_get_context(object: *mut AxrObject) -> *mut AxrContext;
            fn axr_last_error(object: *const AxrObject) -> AxrResult;
            fn axr_last_error_string(object: *const AxrObject) -> *const c_char;
            fn axr_error_string(result: AxrResult) -> *const c_char;
            fn axr_set_logger(
                context: *mut AxrContext, level: AxrLogLevel, function: Option<AxrLogger>, arg: *mut c_void
            ) -> ();
            fn axr_list_devices(context: *mut AxrContext, devices: *mut *mut AxrDeviceInfo) -> usize;
            fn axr_configure_device(
                context: *mut AxrContext, device: *mut AxrDeviceInfo, properties: *mut AxrProperties
            ) -> AxrResult;
            fn axr_device_ready(context: *mut AxrContext, device: *mut AxrDeviceInfo) -> AxrResult;
            fn axr_read_device_configuration(
                context: *mut AxrContext, device: *mut AxrDeviceInfo
            ) -> *mut AxrProperties;
            fn axr_device_connect(
                context: *mut AxrContext, device: *mut AxrDeviceInfo, sub_devices: usize, properties: *mut AxrProperties
            ) -> *mut AxrConnection;
            fn axr_load_model(context: *mut AxrContext, path: *const c_char) -> *mut AxrModel;
            fn axr_num_model_inputs(model: *mut AxrModel) -> usize;
            fn axr_num_model_outputs(model: *mut AxrModel) -> usize;
            fn axr_get_model_input(model: *mut AxrModel, n: usize) -> AxrTensorInfo;
            fn axr_get_model_output(model: *mut AxrModel, n: usize) -> AxrTensorInfo;
            fn axr_get_model_properties(model: *mut AxrModel) -> *mut AxrProperties;
            fn axr_load_model_instance(
                connection: *mut AxrConnection, model: *mut AxrModel, properties: *mut AxrProperties
            ) -> *mut AxrModelInstance;
            fn axr_run_model_instance(
                instance: *mut AxrModelInstance,
                inputs: *mut AxrArgument, n_inputs: usize,
                outputs: *mut AxrArgument, n_outputs: usize
            ) -> AxrResult;
            fn axr_create_properties(context: *mut AxrContext, initial: *const c_char) -> *mut AxrProperties;
            fn axr_get_property(properties: *mut AxrProperties, key: *const c_char) -> *const c_char;
            fn axr_set_property(
                properties: *mut AxrProperties, key: *const c_char, value: *const c_char
            ) -> ();
            fn axr_del_property(properties: *mut AxrProperties, key: *const c_char) -> ();
            fn axr_list_properties(properties: *mut AxrProperties) -> *const c_char;
            fn axr_tensor_size(info: *const AxrTensorInfo) -> usize;
        }
    };
}

macro_rules! table {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty;)*) => {
        /// Every function of the runtime. All are present, or the library was not loaded.
        #[derive(Clone, Copy)]
        pub struct Symbols {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                pub $name: unsafe extern "C" fn($($argument: $type),*) -> $result,
            )*
        }

        /// The names, in the order of the list.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];

        impl Symbols {
            /// Looks every name up and, when some are missing, reports all of them together: a runtime that
            /// is too old is one clear error instead of a surprise in minute ten.
            ///
            /// # Safety
            /// What `lookup` finds must be the function of that name with the signature in the list.
            pub unsafe fn resolve(
                mut lookup: impl FnMut(&CStr) -> Option<*mut c_void>,
            ) -> Result<Symbols, Vec<&'static str>> {
                let mut missing = Vec::new();
                $(
                    let $name = CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes())
                        .ok()
                        .and_then(&mut lookup)
                        .filter(|address| !address.is_null());
                    if $name.is_none() {
                        missing.push(stringify!($name));
                    }
                )*
                match ($($name,)*) {
                    ($(Some($name),)*) => Ok(Symbols { $(
                        // SAFETY: not null (filtered above), and the caller promises the signature; data and
                        // function pointers have one representation wherever dlsym exists.
                        $name: unsafe {
                            std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($type),*) -> $result>($name)
                        },
                    )* }),
                    _ => Err(missing),
                }
            }
        }
    };
}
for_each_function!(table);

const _: () = assert!(NAMES.len() == 28);
