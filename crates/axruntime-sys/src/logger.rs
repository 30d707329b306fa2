//! The runtime's log lines, handed to a closure.
//!
//! C keeps no address of ours, only a number: a line that arrives from one of the library's own threads after
//! the context is gone finds no closure under that number and is dropped.
#![allow(unsafe_code)] // the callback is entered from C

use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::raw::AxrLogLevel;
use crate::text;

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the header's")]
pub enum LogLevel {
    Trace,
    Log,
    Debug,
    Info,
    Fixme,
    Warning,
    Error,
}

impl LogLevel {
    pub(crate) fn raw(self) -> AxrLogLevel {
        AxrLogLevel(self as u32)
    }

    fn from_raw(level: AxrLogLevel) -> LogLevel {
        match level {
            AxrLogLevel::TRACE => LogLevel::Trace,
            AxrLogLevel::LOG => LogLevel::Log,
            AxrLogLevel::DEBUG => LogLevel::Debug,
            AxrLogLevel::INFO => LogLevel::Info,
            AxrLogLevel::FIXME => LogLevel::Fixme,
            AxrLogLevel::WARNING => LogLevel::Warning,
            _ => LogLevel::Error,
        }
    }
}

type Closure = Arc<dyn Fn(LogLevel, &str) + Send + Sync>;

static CLOSURES: RwLock<BTreeMap<usize, Closure>> = RwLock::new(BTreeMap::new());
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// Keeps a closure reachable from C until dropped.
pub(crate) struct Sink(usize);

impl Sink {
    pub(crate) fn new(closure: Closure) -> Sink {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        CLOSURES.write().unwrap_or_else(PoisonError::into_inner).insert(number, closure);
        Sink(number)
    }

    /// What to register as `arg` with [`trampoline`].
    pub(crate) fn arg(&self) -> *mut c_void {
        std::ptr::without_provenance_mut(self.0)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        CLOSURES.write().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// # Safety
/// `message` is NULL or a C string.
pub(crate) unsafe extern "C" fn trampoline(arg: *mut c_void, level: AxrLogLevel, message: *const c_char) {
    // a panic must not unwind into C; there is nobody to tell either, this is the logger
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let closure = CLOSURES.read().unwrap_or_else(PoisonError::into_inner).get(&arg.addr()).cloned();
        if let Some(closure) = closure {
            // SAFETY: the caller's promise.
            closure(LogLevel::from_raw(level), &unsafe { text::copy(message) });
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_line_and_a_panicking_closure_are_harmless() {
        let sink = Sink::new(Arc::new(|_, text| panic!("{text}")));
        let arg = sink.arg();
        // SAFETY: a C string.
        unsafe { trampoline(arg, AxrLogLevel::INFO, c"caught".as_ptr()) };
        drop(sink);
        // SAFETY: a C string.
        unsafe { trampoline(arg, AxrLogLevel::INFO, c"late".as_ptr()) };
    }

    #[test]
    fn levels_go_there_and_back() {
        for (raw, _) in AxrLogLevel::ALL {
            assert_eq!(LogLevel::from_raw(*raw).raw(), *raw);
        }
    }
}
