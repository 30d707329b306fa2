//! A hold on one device.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::{Failure, Outcome};
use crate::hold::Hold;
use crate::instance::Instance;
use crate::settings::{Behaviour, DeviceSettings};

/// Ends when destroyed, even if its instance is not: that one can then no longer run.
pub(crate) struct Connection {
    /// The device's place in the list.
    pub index: usize,
    pub device: DeviceSettings,
    pub cores: usize,
    pub behaviour: Behaviour,
    loaded: Mutex<Weak<Instance>>,
    _hold: Hold,
}

impl Connection {
    pub fn new(
        index: usize,
        device: DeviceSettings,
        cores: usize,
        behaviour: Behaviour,
        hold: Hold,
    ) -> Connection {
        Connection { index, device, cores, behaviour, loaded: Mutex::default(), _hold: hold }
    }

    /// Puts the instance that `load` makes on the device, of which there is one at a time.
    pub fn occupy(&self, load: impl FnOnce() -> Outcome<Arc<Instance>>) -> Outcome<Arc<Instance>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.strong_count() > 0 {
            let text =
                format!("device {} already holds a model: destroy its instance first", self.device.name);
            return Err(Failure::runtime(text));
        }
        let instance = load()?;
        *loaded = Arc::downgrade(&instance);
        Ok(instance)
    }
}
