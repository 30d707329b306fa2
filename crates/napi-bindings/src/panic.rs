//! The fence around our own faults: a panic ends as a rejected promise, with its place in the message.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook},
};

use napi_derive::{module_init, napi};

use crate::error::{failure, off_thread};

thread_local! {
    /// What the last panic of this thread said, place and all.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what a panic says for the error that it becomes: nothing of ours prints.
#[module_init]
fn keep_panics_quiet() {
    set_hook(Box::new(|info| LAST.set(info.to_string())));
}

/// Runs `work`; a panic becomes an error.
pub(crate) fn fenced<T>(work: impl FnOnce() -> napi::Result<T>) -> napi::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let said = LAST.take().replace('\n', " ");
        Err(failure("internal", &format!("axllm met a fault of its own: {said}"), Some("please report it")))
    })
}

/// Panics where models are loaded and replies generated: for the test that no panic crosses.
#[napi(catch_unwind)]
pub async fn provoke_panic() -> napi::Result<()> {
    off_thread(|| panic!("provoked")).await
}
