//! The C interface: every function of `axruntime_sys::symbols`, each a shell that takes C's arguments apart,
//! calls safe code, and turns the outcome back. No panic gets past [`call`], and no handle is ever
//! dereferenced: see [`crate::registry`].
#![allow(unsafe_code)] // exported names, and the client's pointers

mod device;
mod model;
mod object;
mod properties;

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use axruntime_sys::raw::{
    AxrArgument, AxrConnection, AxrContext, AxrModel, AxrModelInstance, AxrObject, AxrProperties,
};
use axruntime_sys::raw::{AxrBoardType, AxrDeviceInfo, AxrLogLevel, AxrLogger, AxrResult, AxrTensorInfo};
use axruntime_sys::symbols::Symbols;

use crate::error::{Failure, Outcome};
use crate::properties::Properties;
use crate::registry::{self, Object, Scope};

use device::*;
use model::*;
use object::*;
use properties::*;

// Each function of the one list is here, with its very signature, or this does not compile.
macro_rules! exported {
    ($(fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty;)*) => {
        const _: Symbols = Symbols { $($name: { let f: unsafe extern "C" fn($($type),*) -> $result = $name; f }),* };
    };
}
use std::ffi::{c_uint, c_void};
axruntime_sys::for_each_function!(exported);

/// Runs one call: forgets the context's last error, catches panics, keeps the failure as the last error.
fn call<H, T>(
    handle: *const H,
    failed: impl FnOnce(AxrResult) -> T,
    body: impl FnOnce(&Scope) -> Outcome<T>,
) -> T {
    let Some(scope) = registry::scope(handle.addr()) else { return failed(AxrResult::INVALID_ARGUMENT) };
    scope.context.clear_error();
    let outcome = catch_unwind(AssertUnwindSafe(|| body(&scope)));
    match outcome.unwrap_or_else(|panic| Err(panicked(&*panic))) {
        Ok(value) => value,
        Err(failure) => {
            let code = failure.code;
            scope.context.set_error(failure);
            failed(code)
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    Failure::new(AxrResult::INTERNAL_ERROR, format!("the simulator panicked: {text}"))
}

/// A call that answers an `axrResult`.
fn result<H>(handle: *const H, body: impl FnOnce(&Scope) -> Outcome<()>) -> AxrResult {
    call(handle, |code| code, |scope| body(scope).map(|()| AxrResult::SUCCESS))
}

/// A call that answers a new handle, or NULL.
fn create<H, T>(handle: *const H, body: impl FnOnce(&Scope) -> Outcome<Object>) -> *mut T {
    call(
        handle,
        |_| std::ptr::null_mut(),
        |scope| {
            let object = body(scope)?;
            let gone = || Failure::argument("the context was destroyed meanwhile");
            registry::insert(scope, object).map(as_handle).ok_or_else(gone)
        },
    )
}

fn as_handle<T>(handle: usize) -> *mut T {
    std::ptr::without_provenance_mut(handle)
}

/// A copy of the properties behind an optional handle.
fn optional(properties: *mut AxrProperties) -> Outcome<Properties> {
    if properties.is_null() {
        return Ok(Properties::default());
    }
    let properties: Arc<Mutex<Properties>> = registry::get(properties.addr())?;
    Ok(properties.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// A client's string.
///
/// # Safety
/// NULL or a C string.
unsafe fn text(name: &str, text: *const c_char) -> Outcome<String> {
    if text.is_null() {
        return Err(Failure::argument(format!("{name} is NULL")));
    }
    // SAFETY: not NULL, and else the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(str::to_owned).map_err(|_| Failure::argument(format!("{name} is not UTF-8: {text:?}")))
}

thread_local! {
    static RETURNED: RefCell<CString> = RefCell::default();
}

/// Hands a string out: it stays valid until this thread's next call that returns one.
fn returned(text: &str) -> *const c_char {
    let text = CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
    RETURNED.with(|slot| {
        *slot.borrow_mut() = text;
        slot.borrow().as_ptr()
    })
}
