//! Whose turn it is on the device, and what the device's KV cache holds.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axruntime_sys::{Connection, Instance, Model};

use super::{super::plan::Costs, io::Io, line::Line};
use crate::{Cancel, Embeddings, Error};

/// How often somebody who waits for the device looks at the cancel flag.
const PATIENCE: Duration = Duration::from_millis(20);

/// What all conversations on a device share.
pub(super) struct Shared {
    pub(super) embeddings: Embeddings,
    pub(super) name: String,
    pub(super) vocab_size: usize,
    pub(super) scale: f64,
    pub(super) zero_point: i32,
    /// Positions that the device has room for.
    pub(super) context_length: usize,
    line: Mutex<Line<Seat>>,
    moved: Condvar,
}

/// The right to run the device, with the record of what its cache holds.
pub(super) struct Seat {
    /// `None` after a fault or a reset, until it is loaded again.
    pub(super) instance: Option<Instance>,
    connection: Connection,
    model: Model,
    /// Tokens whose keys and values the device holds; empty: the next run starts anew.
    pub(super) held: Vec<u32>,
    pub(super) costs: Costs,
}

impl Shared {
    pub(super) fn new(name: String, embeddings: Embeddings, io: &Io, seat: Seat) -> Self {
        Self {
            name,
            vocab_size: io.vocab_size,
            scale: io.scale,
            zero_point: io.zero_point,
            context_length: io.context_length,
            embeddings,
            line: Mutex::new(Line::with(seat)),
            moved: Condvar::new(),
        }
    }

    /// Waits for the device.
    pub(super) fn take_seat(&self, cancel: &Cancel) -> Result<Seat, Error> {
        let mut line = self.lock();
        let mine = line.join();
        loop {
            if let Some(seat) = line.take(mine) {
                return Ok(seat);
            }
            if cancel.is_set() {
                line.leave(mine);
                self.moved.notify_all();
                return Err(Error::Cancelled);
            }
            line = self.moved.wait_timeout(line, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets the next one have it.
    pub(super) fn give_back(&self, seat: Seat) {
        self.lock().put(seat);
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Line<Seat>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub(super) fn new(connection: Connection, model: Model, instance: Instance) -> Self {
        let (held, costs) = (Vec::new(), Costs::default());
        Self { instance: Some(instance), connection, model, held, costs }
    }

    /// The instance, loaded again where a fault or a reset took it away.
    pub(super) fn instance(&mut self) -> Result<&mut Instance, Error> {
        if self.instance.is_none() {
            self.held.clear();
            self.instance = Some(self.connection.load_instance(&self.model, None)?);
        }
        Ok(self.instance.as_mut().expect("it was put there just above"))
    }
}
