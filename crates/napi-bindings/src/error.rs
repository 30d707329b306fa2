//! Errors on their way to JavaScript: JSON with a stable code, the message and a hint, which `ts/native.ts` turns
//! into an `AxllmError`.

use napi::Status;
use serde_json::json;

use crate::panic::fenced;

/// An error of the engine.
pub(crate) fn from_engine(error: engine::Error) -> napi::Error {
    let counts =
        error.counts().map(|(prompt_tokens, room)| json!({ "promptTokens": prompt_tokens, "room": room }));
    let hint = error.hint();
    let (code, message, index) = (error.code(), error.to_string(), error.index());
    as_json(&json!({ "code": code, "message": message, "hint": hint, "counts": counts, "index": index }))
}

/// An error of our own.
pub(crate) fn failure(code: &str, message: &str, hint: Option<&str>) -> napi::Error {
    as_json(&json!({ "code": code, "message": message, "hint": hint }))
}

fn as_json(error: &serde_json::Value) -> napi::Error {
    napi::Error::new(Status::GenericFailure, error.to_string())
}

/// A bad argument; `ts/` checks options before they get here, so this is for other callers.
pub(crate) fn invalid(option: &str, got: impl std::fmt::Debug, expected: &str) -> napi::Error {
    failure("invalid_option", &format!("{option} is {got:?}, expected {expected}"), None)
}

/// Runs long work off the JavaScript thread; a panic there becomes an error.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> napi::Result<T> + Send + 'static,
) -> napi::Result<T> {
    let done = napi::tokio::task::spawn_blocking(|| fenced(work)).await;
    done.unwrap_or_else(|_| Err(failure("cancelled", "the program is ending", None)))
}
