//! String pairs that go along with a call or come back from one.
#![allow(unsafe_code)] // calls the runtime

use std::sync::Arc;

use crate::calls::Object;
use crate::raw::AxrProperties;
use crate::status::{CallError, Status};
use crate::text;

/// A set of `key=value` pairs owned by the runtime.
pub struct Properties {
    object: Arc<Object>,
}

impl Properties {
    pub(crate) fn create(context: &Arc<Object>, initial: &[(&str, &str)]) -> Result<Properties, CallError> {
        const CALL: &str = "axr_create_properties";
        let pointer = {
            let _stack = context.library().lock();
            // SAFETY: a live context; an empty text is a valid one.
            unsafe { (context.symbols().axr_create_properties)(context.as_ptr(), c"".as_ptr()) }
        };
        // SAFETY: fresh from this context.
        let object = unsafe { Object::adopt(CALL, pointer, &[context]) }?;
        let mut properties = Properties { object };
        for (key, value) in initial {
            properties.set(key, value)?;
        }
        Ok(properties)
    }

    /// # Safety
    /// `object` is an `axrProperties`.
    pub(crate) unsafe fn from_object(object: Arc<Object>) -> Properties {
        Properties { object }
    }

    pub(crate) fn as_ptr(&self) -> *mut AxrProperties {
        self.object.as_ptr()
    }

    /// The value under a key, if there is one.
    pub fn get(&self, key: &str) -> Option<String> {
        let _stack = self.object.library().lock();
        // SAFETY: live properties, and the lock is held.
        unsafe { get(&self.object, self.as_ptr(), key) }
    }

    /// Sets one pair. A `;` or a line break would end the pair early in the runtime's own text form, and a
    /// NUL in C's, so they are refused.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), CallError> {
        const CALL: &str = "axr_set_property";
        let odd = |text: &str| text.contains(['\0', '\n', ';']);
        if key.is_empty() || key.contains('=') || odd(key) || odd(value) {
            let text = format!("{key:?} = {value:?} cannot be written as key=value");
            return Err(CallError { call: CALL, status: Status::InvalidArgument, text });
        }
        let (key, value) = (text::to_c(key), text::to_c(value));
        let _stack = self.object.library().lock();
        // SAFETY: live properties and C strings that outlive the call.
        unsafe { (self.object.symbols().axr_set_property)(self.as_ptr(), key.as_ptr(), value.as_ptr()) };
        Ok(())
    }

    /// Removes a key; without effect when it is not there.
    pub fn delete(&mut self, key: &str) {
        let key = text::to_c(key);
        let _stack = self.object.library().lock();
        // SAFETY: live properties and a C string that outlives the call.
        unsafe { (self.object.symbols().axr_del_property)(self.as_ptr(), key.as_ptr()) };
    }

    /// All pairs, in the runtime's order.
    pub fn list(&self) -> Vec<(String, String)> {
        let _stack = self.object.library().lock();
        // SAFETY: live properties, and the lock is held.
        unsafe { list(&self.object, self.as_ptr()) }
    }
}

/// # Safety
/// `properties` are live and of `object`'s library; the process-wide lock is held.
unsafe fn get(object: &Object, properties: *mut AxrProperties, key: &str) -> Option<String> {
    let key = text::to_c(key);
    // SAFETY: see above.
    let value = unsafe { (object.symbols().axr_get_property)(properties, key.as_ptr()) };
    // SAFETY: NULL or a C string that lives until the next call of this thread.
    (!value.is_null()).then(|| unsafe { text::copy(value) })
}

/// All pairs of a set that may belong to somebody else.
///
/// # Safety
/// As [`get`].
pub(crate) unsafe fn list(object: &Object, properties: *mut AxrProperties) -> Vec<(String, String)> {
    // SAFETY: see above; copied before the next call.
    let keys = unsafe { text::copy((object.symbols().axr_list_properties)(properties)) };
    let pairs = keys.split(';').map(str::trim).filter(|key| !key.is_empty()).map(|key| {
        // SAFETY: see above.
        let value = unsafe { get(object, properties, key) }.unwrap_or_default();
        (key.to_owned(), value)
    });
    pairs.collect()
}
