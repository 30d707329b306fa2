//! Contexts, errors, logging, destruction.

use super::*;
use axruntime_sys::assumed;

use crate::context::{Context, Logger};
use crate::settings::{self, Settings};

fn env(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_api_version() -> c_uint {
    let own = assumed::join_version(assumed::API_MAJOR, 0);
    catch_unwind(|| settings::api_version(env("AXSIM_API_VERSION").as_deref())).ok().flatten().unwrap_or(own)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_create_context() -> *mut AxrContext {
    let settings = catch_unwind(|| Settings::read(env));
    let settings = settings.unwrap_or_else(|panic| Err(panicked(&*panic).text));
    as_handle(registry::insert_context(Arc::new(Context::new(settings))))
}

/// A handle that is not alive is ignored.
#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_destroy(object: *const AxrObject) {
    call(
        object,
        |_| (),
        |scope| {
            let fault = match scope.context.settings() {
                Ok(settings) => settings.behaviour.faults.at("destroy"),
                Err(_) => Ok(()),
            };
            // gone in any case: a handle whose destruction failed would leak for ever
            registry::remove(object.addr());
            fault
        },
    );
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_get_context(object: *mut AxrObject) -> *mut AxrContext {
    registry::scope(object.addr()).map_or(std::ptr::null_mut(), |scope| as_handle(scope.handle))
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_last_error(object: *const AxrObject) -> AxrResult {
    registry::scope(object.addr()).map_or(AxrResult::INVALID_ARGUMENT, |scope| scope.context.last_error().0)
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_last_error_string(object: *const AxrObject) -> *const c_char {
    match registry::scope(object.addr()) {
        Some(scope) => returned(&scope.context.last_error().1),
        None => c"not a live handle".as_ptr(),
    }
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_error_string(result: AxrResult) -> *const c_char {
    let text = match result {
        AxrResult::SUCCESS => c"success",
        AxrResult::RUNTIME_ERROR => c"runtime error",
        AxrResult::VALUE_ERROR => c"value error",
        AxrResult::INVALID_ARGUMENT => c"invalid argument",
        AxrResult::CONNECTION_ERROR => c"connection error",
        AxrResult::DEVICE_IN_USE => c"device in use",
        AxrResult::INCOMPATIBLE_DEVICE => c"incompatible device",
        AxrResult::INVALID_CONFIGURATION => c"invalid configuration",
        AxrResult::NOT_IMPLEMENTED => c"not implemented",
        AxrResult::INTERNAL_ERROR => c"internal error",
        AxrResult::PENDING_ERROR => c"pending",
        _ => c"unknown error",
    };
    text.as_ptr()
}

/// # Safety
/// `function` is callable with `arg` from any thread until another logger is set or the context destroyed.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_set_logger(
    context: *mut AxrContext,
    level: AxrLogLevel,
    function: Option<AxrLogger>,
    arg: *mut c_void,
) {
    call(
        context,
        |_| (),
        |scope| {
            let arg = arg.expose_provenance();
            scope.context.set_logger(function.map(|function| Logger { level, function, arg }));
            Ok(())
        },
    );
}
