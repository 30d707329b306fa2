//! The root of the runtime's objects. Like all owning types here it keeps what it was made from alive, so any
//! order of dropping is right, and cannot be cloned.
#![allow(unsafe_code)] // calls the runtime

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{NonNull, null_mut};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crate::assumed;
use crate::calls::Object;
use crate::device::Device;
use crate::instance::{Connection, Model};
use crate::library::Library;
use crate::logger::{LogLevel, Sink, trampoline};
use crate::properties::Properties;
use crate::raw::AxrDeviceInfo;
use crate::status::{CallError, Status};
use crate::text;

/// The root of everything the runtime makes.
pub struct Context {
    object: Arc<Object>,
}

impl Context {
    /// Opens the runtime.
    ///
    /// # Panics
    /// If `axr_create_context` returns NULL, which its contract excludes.
    pub fn new(library: Arc<Library>) -> Context {
        let pointer = {
            let _stack = library.lock();
            // SAFETY: no arguments.
            unsafe { (library.symbols().axr_create_context)() }
        };
        #[expect(clippy::expect_used, reason = "the ABI says that it never returns NULL")]
        let pointer = NonNull::new(pointer.cast()).expect("axr_create_context never returns NULL");
        // SAFETY: fresh from this library.
        Context { object: unsafe { Object::new(pointer, library, Vec::new()) } }
    }

    /// The library behind it.
    pub fn library(&self) -> &Arc<Library> {
        self.object.library()
    }

    /// Hands log lines of `level` and above to `sink`, in place of the one before. It is called on any thread,
    /// with the runtime in the middle of a call: it must not call this crate.
    pub fn set_logger(&self, level: LogLevel, sink: impl Fn(LogLevel, &str) + Send + Sync + 'static) {
        let sink = Sink::new(Arc::new(sink));
        {
            let _stack = self.library().lock();
            // SAFETY: a live context; the trampoline accepts any `arg` at any time.
            unsafe {
                (self.object.symbols().axr_set_logger)(
                    self.object.as_ptr(),
                    level.raw(),
                    Some(trampoline),
                    sink.arg(),
                )
            };
        }
        *self.object.logger.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
    }

    /// The devices that the runtime sees, perhaps none.
    pub fn devices(&self) -> Result<Vec<Device>, CallError> {
        const CALL: &str = "axr_list_devices";
        let _stack = self.library().lock();
        let symbols = self.object.symbols();
        let mut array: *mut AxrDeviceInfo = null_mut();
        // SAFETY: a live context and a place for the answer.
        let count = unsafe { (symbols.axr_list_devices)(self.object.as_ptr(), &mut array) };
        if count == 0 {
            // SAFETY: a live context.
            let result = unsafe { (symbols.axr_last_error)(self.object.as_ptr()) };
            return self.object.check(CALL, result).map(|()| Vec::new());
        }
        if array.is_null() || count > assumed::MAX_DEVICES {
            return Err(CallError::disagrees(CALL, format!("{count} devices at {array:?}")));
        }
        let mut devices = Vec::with_capacity(count);
        for index in 0..count {
            // SAFETY: one of `count` records that live until the next listing, which the lock keeps away. If
            // the array were one of pointers, the first name would fail before anything beyond is read.
            let record = unsafe { array.add(index) };
            // SAFETY: as above; looked at byte by byte, so no further than the name reaches.
            let name = unsafe { text::copy(record.cast()) };
            if !assumed::plausible_name(name.as_bytes()) {
                let text =
                    format!("device {index}: {name:?} is no device name: the array has another layout");
                return Err(CallError::disagrees(CALL, text));
            }
            // SAFETY: as above.
            let raw = unsafe { &*record };
            // SAFETY: static text or NULL.
            let board = unsafe { text::copy((symbols.axr_board_type_string)(raw.board_type)) };
            devices
                .push(Device::from_raw(index, raw, board).map_err(|text| CallError::disagrees(CALL, text))?);
        }
        Ok(devices)
    }

    /// Connects to a device, or to any when `None`.
    pub fn connect(
        &self,
        device: Option<&Device>,
        sub_devices: usize,
        properties: Option<&Properties>,
    ) -> Result<Connection, CallError> {
        let mut raw = device.map(Device::to_raw);
        let raw = raw.as_mut().map_or(null_mut(), std::ptr::from_mut);
        let properties = properties.map_or(null_mut(), Properties::as_ptr);
        let _stack = self.library().lock();
        // SAFETY: live handles, and a record copied from the runtime's own list.
        unsafe {
            let connect = self.object.symbols().axr_device_connect;
            let pointer = connect(self.object.as_ptr(), raw, sub_devices, properties);
            Ok(Connection { object: Object::adopt("axr_device_connect", pointer, &[&self.object])? })
        }
    }

    /// Loads a compiled model: the path of its `model.json`.
    pub fn load_model(&self, path: &Path) -> Result<Model, CallError> {
        const CALL: &str = "axr_load_model";
        let c_path = std::ffi::CString::new(path.as_os_str().as_bytes()).map_err(|_| CallError {
            call: CALL,
            status: Status::InvalidArgument,
            text: format!("the path {path:?} has a NUL inside"),
        })?;
        let object = {
            let _stack = self.library().lock();
            // SAFETY: a live context and a C string that outlives the call.
            unsafe {
                let pointer = (self.object.symbols().axr_load_model)(self.object.as_ptr(), c_path.as_ptr());
                Object::adopt(CALL, pointer, &[&self.object])?
            }
        };
        Model::describe(object)
    }

    /// A set of properties with some pairs in it.
    pub fn properties(&self, initial: &[(&str, &str)]) -> Result<Properties, CallError> {
        Properties::create(&self.object, initial)
    }

    /// A device's settings and readings, as the runtime names them.
    pub fn device_configuration(&self, device: &Device) -> Result<Vec<(String, String)>, CallError> {
        let mut raw = device.to_raw();
        let properties = {
            let _stack = self.library().lock();
            let read = self.object.symbols().axr_read_device_configuration;
            // SAFETY: a live context and a record copied from the runtime's own list.
            unsafe {
                let pointer = read(self.object.as_ptr(), &mut raw);
                let object = Object::adopt("axr_read_device_configuration", pointer, &[&self.object])?;
                Properties::from_object(object)
            }
        };
        Ok(properties.list())
    }

    /// Changes a device's settings and waits, at most a minute, until it is ready again. The lock is not held
    /// while waiting.
    pub fn configure_device(&self, device: &Device, properties: &Properties) -> Result<(), CallError> {
        let mut raw = device.to_raw();
        let started = Instant::now();
        let mut pause = assumed::READY_PAUSE;
        let mut call = "axr_configure_device";
        let mut result = {
            let _stack = self.library().lock();
            let configure = self.object.symbols().axr_configure_device;
            // SAFETY: live handles and a record copied from the runtime's own list.
            unsafe { configure(self.object.as_ptr(), &mut raw, properties.as_ptr()) }
        };
        while result == assumed::PENDING && started.elapsed() < assumed::READY_DEADLINE {
            std::thread::sleep(pause);
            pause = (pause * 2).min(assumed::READY_PAUSE_MAX);
            call = "axr_device_ready";
            let _stack = self.library().lock();
            // SAFETY: as above.
            result = unsafe { (self.object.symbols().axr_device_ready)(self.object.as_ptr(), &mut raw) };
        }
        let _stack = self.library().lock();
        self.object.check(call, result)
    }
}
