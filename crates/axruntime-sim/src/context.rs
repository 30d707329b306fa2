//! The root object: settings, last error, logger, and what this client changed on the devices.
#![allow(unsafe_code)] // calls the client's logger

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::sync::{Mutex, PoisonError};

use axruntime_sys::raw::{AxrDeviceInfo, AxrLogLevel, AxrLogger, AxrResult};

use crate::device::DeviceState;
use crate::error::{Failure, Outcome};
use crate::settings::Settings;

/// A client's function for log lines.
#[derive(Clone, Copy)]
pub(crate) struct Logger {
    pub level: AxrLogLevel,
    pub function: AxrLogger,
    /// The client's pointer, kept as its address: it is only handed back.
    pub arg: usize,
}

pub(crate) struct Context {
    settings: Result<Settings, String>,
    last_error: Mutex<(AxrResult, String)>,
    logger: Mutex<Option<Logger>>,
    /// The array that the last listing handed out; lives until the next one.
    pub listed: Mutex<Vec<AxrDeviceInfo>>,
    pub states: Mutex<HashMap<usize, DeviceState>>,
}

impl Context {
    /// Odd settings do not fail here, since a context is never NULL, but at the first use.
    pub fn new(settings: Result<Settings, String>) -> Context {
        Context {
            settings,
            last_error: Mutex::new((AxrResult::SUCCESS, String::new())),
            logger: Mutex::default(),
            listed: Mutex::default(),
            states: Mutex::default(),
        }
    }

    pub fn settings(&self) -> Outcome<&Settings> {
        self.settings.as_ref().map_err(|text| Failure::configuration(text.clone()))
    }

    pub fn last_error(&self) -> (AxrResult, String) {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every call begins by forgetting the error of the one before.
    pub fn clear_error(&self) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = (AxrResult::SUCCESS, String::new());
    }

    pub fn set_error(&self, failure: Failure) {
        self.log(AxrLogLevel::ERROR, &failure.text);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = (failure.code, failure.text);
    }

    pub fn set_logger(&self, logger: Option<Logger>) {
        *self.logger.lock().unwrap_or_else(PoisonError::into_inner) = logger;
    }

    /// Hands a line to the client, if it wants lines of that level.
    pub fn log(&self, level: AxrLogLevel, text: &str) {
        // copied out, so that the client's function may set another logger
        let logger = *self.logger.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Logger { level: least, function, arg }) = logger
            && level >= least
            && let Ok(text) = CString::new(text)
        {
            // SAFETY: the client gave this function for exactly these arguments.
            unsafe { function(std::ptr::with_exposed_provenance_mut::<c_void>(arg), level, text.as_ptr()) };
        }
    }
}
