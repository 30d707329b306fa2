//! A request's own stop button.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Ends one reply, from any thread. It is looked at between tokens and between pieces of the prompt.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the reply to end. There is no way back.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
