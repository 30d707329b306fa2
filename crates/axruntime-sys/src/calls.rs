//! One object of the runtime: how it is destroyed, and how a call's outcome becomes a `Result`. Every owning
//! type is a thin shell around an [`Object`], so destruction and error reading are written once.
#![allow(unsafe_code)] // destroys foreign objects and reads the runtime's last error

use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use crate::library::Library;
use crate::logger::Sink;
use crate::raw::{AxrObject, AxrResult};
use crate::status::{CallError, Status};
use crate::symbols::Symbols;
use crate::text;

/// Owns one handle. The parents are destroyed after it, however the shells are dropped.
pub(crate) struct Object {
    pointer: NonNull<AxrObject>,
    library: Arc<Library>,
    /// Only a context has one; it lives as long as the context, not as long as the shell around it.
    pub(crate) logger: Mutex<Option<Sink>>,
    _parents: Vec<Arc<Object>>,
}

// SAFETY: the runtime keeps no thread-local state in its handles (its clients create and run them on
// different threads), and through a shared `Object` nothing is called without the process-wide lock; the one
// call made without it, a run, is behind `&mut Instance`.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Object {
    /// # Safety
    /// `pointer` is a live handle of `library` that nobody else destroys, made from `parents`.
    pub(crate) unsafe fn new(
        pointer: NonNull<AxrObject>,
        library: Arc<Library>,
        parents: Vec<Arc<Object>>,
    ) -> Arc<Object> {
        Arc::new(Object { pointer, library, logger: Mutex::new(None), _parents: parents })
    }

    /// The pointer under the type that a function wants.
    pub(crate) fn as_ptr<T>(&self) -> *mut T {
        self.pointer.as_ptr().cast()
    }

    pub(crate) fn library(&self) -> &Arc<Library> {
        &self.library
    }

    pub(crate) fn symbols(&self) -> &Symbols {
        self.library.symbols()
    }

    /// The outcome of a call that answers an `axrResult`.
    pub(crate) fn check(&self, call: &'static str, result: AxrResult) -> Result<(), CallError> {
        let Some(status) = Status::from_raw(result) else { return Ok(()) };
        // SAFETY: a live handle; the strings are copied before this thread's next call.
        let text = unsafe {
            // without the lock another thread may have left its own error: words of a different code are not ours
            if (self.symbols().axr_last_error)(self.as_ptr()) == result {
                text::copy((self.symbols().axr_last_error_string)(self.as_ptr()))
            } else {
                text::copy((self.symbols().axr_error_string)(result))
            }
        };
        Err(CallError { call, status, text })
    }

    /// The outcome of a call that answers NULL (or a count of 0) on failure: whatever the last error says.
    pub(crate) fn failure(&self, call: &'static str) -> CallError {
        // SAFETY: a live handle.
        let result = unsafe { (self.symbols().axr_last_error)(self.as_ptr()) };
        match self.check(call, result) {
            Err(error) => error,
            Ok(()) => {
                CallError { call, status: Status::Unknown, text: "it failed without leaving an error".into() }
            }
        }
    }

    /// Takes ownership of what a creation function returned.
    ///
    /// # Safety
    /// `pointer` is NULL or a fresh handle, made from `parents`, the first of which is asked for the error.
    pub(crate) unsafe fn adopt<T>(
        call: &'static str,
        pointer: *mut T,
        parents: &[&Arc<Object>],
    ) -> Result<Arc<Object>, CallError> {
        let maker = parents[0];
        match NonNull::new(pointer.cast()) {
            None => Err(maker.failure(call)),
            Some(pointer) => {
                let parents = parents.iter().map(|parent| Arc::clone(parent)).collect();
                // SAFETY: fresh, so ours alone; the rest is the caller's promise.
                Ok(unsafe { Object::new(pointer, Arc::clone(&maker.library), parents) })
            }
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let _stack = self.library.lock();
        // SAFETY: live until now, never used again; the parents are fields and go later.
        unsafe { (self.symbols().axr_destroy)(self.as_ptr()) };
    }
}
