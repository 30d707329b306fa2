//! Devices: listing, configuring, connecting.

use super::*;

use crate::device;

/// The record that a client passes back.
///
/// # Safety
/// NULL or a record.
unsafe fn record(device: *mut AxrDeviceInfo) -> Outcome<AxrDeviceInfo> {
    if device.is_null() {
        return Err(Failure::argument("device is NULL"));
    }
    // SAFETY: not NULL, and else the caller's promise.
    Ok(unsafe { device.read() })
}

fn own(scope: &Scope, context: *mut AxrContext) -> Outcome<()> {
    if scope.handle == context.addr() { Ok(()) } else { Err(Failure::argument("not a context")) }
}

#[unsafe(no_mangle)]
pub(super) extern "C" fn axr_board_type_string(board: AxrBoardType) -> *const c_char {
    device::board_name(board).as_ptr()
}

/// # Safety
/// `devices` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_list_devices(
    context: *mut AxrContext,
    devices: *mut *mut AxrDeviceInfo,
) -> usize {
    call(
        context,
        |_| 0,
        |scope| {
            own(scope, context)?;
            let list = device::list(&scope.context)?;
            let count = list.len();
            if !devices.is_null() {
                let mut listed = scope.context.listed.lock().unwrap_or_else(PoisonError::into_inner);
                *listed = list;
                // SAFETY: not NULL, and else the caller's promise.
                unsafe { devices.write(listed.as_mut_ptr()) };
            }
            Ok(count)
        },
    )
}

/// # Safety
/// `info` is NULL or a record.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_configure_device(
    context: *mut AxrContext,
    info: *mut AxrDeviceInfo,
    properties: *mut AxrProperties,
) -> AxrResult {
    result(context, |scope| {
        own(scope, context)?;
        // SAFETY: the caller's promise.
        device::configure(&scope.context, &unsafe { record(info) }?, &optional(properties)?)
    })
}

/// # Safety
/// `info` is NULL or a record.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_device_ready(
    context: *mut AxrContext,
    info: *mut AxrDeviceInfo,
) -> AxrResult {
    result(context, |scope| {
        own(scope, context)?;
        // SAFETY: the caller's promise.
        device::ready(&scope.context, &unsafe { record(info) }?)
    })
}

/// # Safety
/// `info` is NULL or a record.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_read_device_configuration(
    context: *mut AxrContext,
    info: *mut AxrDeviceInfo,
) -> *mut AxrProperties {
    create(context, |scope| {
        own(scope, context)?;
        // SAFETY: the caller's promise.
        let properties = device::read(&scope.context, &unsafe { record(info) }?)?;
        Ok(Object::Properties(Arc::new(Mutex::new(properties))))
    })
}

/// # Safety
/// `info` is NULL or a record.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn axr_device_connect(
    context: *mut AxrContext,
    info: *mut AxrDeviceInfo,
    sub_devices: usize,
    properties: *mut AxrProperties,
) -> *mut AxrConnection {
    create(context, |scope| {
        own(scope, context)?;
        let info = match info.is_null() {
            true => None,
            // SAFETY: the caller's promise.
            false => Some(unsafe { record(info) }?),
        };
        let connection = device::connect(&scope.context, info.as_ref(), sub_devices, &optional(properties)?)?;
        Ok(Object::Connection(Arc::new(connection)))
    })
}
