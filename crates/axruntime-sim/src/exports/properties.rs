//! Property sets.

use super::*;

fn with<T>(handle: *mut AxrProperties, failed: T, body: impl FnOnce(&mut Properties) -> Outcome<T>) -> T {
    call(
        handle,
        |_| failed,
        |_| {
            let properties = registry::get::<Mutex<Properties>>(handle.addr())?;
            let mut properties = properties.lock().unwrap_or_else(PoisonError::into_inner);
            body(&mut properties)
        },
    )
}

/// NULL only without a context: what cannot be read of `initial` is left out and becomes the last error.
///
/// # Safety
/// `initial` is NULL or a C string.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_create_properties(
    context: *mut AxrContext,
    initial: *const c_char,
) -> *mut AxrProperties {
    create(context, |scope| {
        let text = match initial.is_null() {
            true => Ok(String::new()),
            // SAFETY: the caller's promise.
            false => unsafe { text("initial", initial) },
        };
        let (properties, outcome) = match text {
            Ok(text) => Properties::parse(&text),
            Err(failure) => (Properties::default(), Err(failure)),
        };
        if let Err(failure) = outcome {
            scope.context.set_error(failure);
        }
        Ok(Object::Properties(Arc::new(Mutex::new(properties))))
    })
}

/// # Safety
/// `key` is NULL or a C string.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_get_property(
    properties: *mut AxrProperties,
    key: *const c_char,
) -> *const c_char {
    with(properties, std::ptr::null(), |properties| {
        // SAFETY: the caller's promise.
        let key = unsafe { text("key", key) }?;
        Ok(properties.get(&key).map_or(std::ptr::null(), returned))
    })
}

/// # Safety
/// `key` and `value` are NULL or C strings.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_set_property(
    properties: *mut AxrProperties,
    key: *const c_char,
    value: *const c_char,
) {
    with(properties, (), |properties| {
        // SAFETY: the caller's promise.
        let (key, value) = unsafe { (text("key", key)?, text("value", value)?) };
        properties.set(&key, &value);
        Ok(())
    });
}

/// # Safety
/// `key` is NULL or a C string.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_del_property(properties: *mut AxrProperties, key: *const c_char) {
    with(properties, (), |properties| {
        // SAFETY: the caller's promise.
        properties.delete(&unsafe { text("key", key) }?);
        Ok(())
    });
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_list_properties(properties: *mut AxrProperties) -> *const c_char {
    with(properties, std::ptr::null(), |properties| Ok(returned(&properties.keys())))
}
