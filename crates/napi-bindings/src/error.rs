//! Errors on their way to JavaScript: JSON with a stable code, the message and a hint, which `ts/native.ts` turns
//! into an `AxllmError`.

use std::any::Any;

use napi::Status;
use serde_json::json;

/// An error of the engine.
pub(crate) fn from_engine(error: engine::Error) -> napi::Error {
    failure(error.code(), &error.to_string(), error.hint().as_deref())
}

/// An error of our own.
pub(crate) fn failure(code: &str, message: &str, hint: Option<&str>) -> napi::Error {
    napi::Error::new(
        Status::GenericFailure,
        json!({ "code": code, "message": message, "hint": hint }).to_string(),
    )
}

/// A bad argument; `ts/` checks options before they get here, so this is for other callers.
pub(crate) fn invalid(option: &str, got: impl std::fmt::Debug, expected: &str) -> napi::Error {
    failure("invalid_option", &format!("{option} is {got:?}, expected {expected}"), None)
}

/// A panic that was caught on another thread.
pub(crate) fn from_panic(panic: &(dyn Any + Send)) -> napi::Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    failure("internal", &format!("axllm met a fault of its own: {text}"), Some("please report it"))
}

/// Runs long work off the JavaScript thread; a panic there becomes an error.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> napi::Result<T> + Send + 'static,
) -> napi::Result<T> {
    match napi::tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => Err(from_panic(&*error.into_panic())),
        Err(_) => Err(failure("cancelled", "the program is ending", None)),
    }
}
