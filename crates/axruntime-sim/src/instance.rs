//! A model on a device: the KV cache there, and the run.

use std::sync::{Arc, Mutex, TryLockError, Weak};
use std::time::Instant;

use axruntime_sys::raw::{AxrLogLevel, AxrResult};
use half::f16;

use crate::computer::Computer;
use crate::connection::Connection;
use crate::context::Context;
use crate::device;
use crate::error::{Failure, Outcome};
use crate::model::{INPUT_BITS, Model};
use crate::properties::Properties;
use crate::settings::Behaviour;

pub(crate) struct Instance {
    connection: Weak<Connection>,
    model: Arc<Model>,
    behaviour: Behaviour,
    state: Mutex<State>,
}

/// What lives on the device between two runs.
struct State {
    computer: Computer,
    /// Nothing has run since the load: the next run starts a sequence even with one row.
    fresh: bool,
    rows: Vec<f16>,
}

impl Instance {
    pub fn load(
        context: &Context,
        connection: &Arc<Connection>,
        model: &Arc<Model>,
        properties: &Properties,
    ) -> Outcome<Arc<Instance>> {
        let mut behaviour = connection.behaviour.clone();
        properties.adjust(&mut behaviour)?;
        behaviour.faults.at("instance")?;
        for key in ["aipu_cores", "num_sub_devices"] {
            if let Some(cores) = properties.number(key)?
                && !(1..=connection.cores).contains(&cores)
            {
                let text = format!("{key}={cores}, the connection has {} sub-devices", connection.cores);
                return Err(Failure::value(text));
            }
        }
        for key in ["input_dmabuf", "output_dmabuf"] {
            if properties.number(key)?.is_some_and(|wanted| wanted != 0) {
                return Err(Failure::new(AxrResult::NOT_IMPLEMENTED, format!("{key}: no DMA buffers here")));
            }
        }
        let mut how = "instantly".to_owned();
        let instance = connection.occupy(|| {
            let settings = context.settings()?;
            let computer = if settings.instant {
                Computer::instant()
            } else {
                let weights = model.weights(settings)?;
                let (needs, has) = (model.memory(&weights), connection.device.memory);
                // 0 is an older runtime's way not to say
                if has != 0 && needs > has {
                    let text = format!("not enough device memory: needs {needs} bytes, has {has} bytes");
                    return Err(Failure::runtime(text));
                }
                how = format!("{} threads, {}", weights.threads(), weights.isa());
                Computer::transformer(weights, model.file.context_length)
            };
            Ok(Arc::new(Instance {
                connection: Arc::downgrade(connection),
                model: Arc::clone(model),
                behaviour: behaviour.clone(),
                state: Mutex::new(State { computer, fresh: true, rows: Vec::new() }),
            }))
        })?;
        if properties.get("temperature").is_some() {
            device::heat(context, connection.index, &behaviour);
        }
        let text = format!("{} on {}: {how}", model.file.name, connection.device.name);
        context.log(AxrLogLevel::INFO, &text);
        Ok(instance)
    }

    /// Bytes of one embedding row.
    fn row_bytes(&self) -> usize {
        self.model.file.embedding_dim * INPUT_BITS / 8
    }

    /// Says what is wrong with the sizes of a run's buffers; an output of 0 bytes is one left unchecked.
    pub fn check_sizes(&self, input: usize, output: usize) -> Outcome<()> {
        let row = self.row_bytes();
        if input == 0 || !input.is_multiple_of(row) {
            let text = format!("input of {input} bytes, expected whole rows of {row} bytes, at least one");
            return Err(Failure::argument(text));
        }
        // before anybody makes a slice of that size
        self.check_room(0, input / row)?;
        let vocab = self.output_bytes();
        if output != 0 && output != vocab {
            return Err(Failure::argument(format!("output of {output} bytes, expected {vocab}")));
        }
        Ok(())
    }

    /// A static model ends at the context it was compiled for.
    fn check_room(&self, used: usize, rows: usize) -> Outcome<()> {
        let context = self.model.file.context_length;
        if rows > context - used {
            let text = format!("context full: {used} of {context} positions used, {rows} more asked for");
            return Err(Failure::value(text));
        }
        Ok(())
    }

    /// Bytes of the logits.
    pub fn output_bytes(&self) -> usize {
        self.model.file.vocab_size
    }

    /// Runs rows through the model: several start a sequence, one is appended.
    pub fn run(&self, input: &[u8], output: &mut [i8]) -> Outcome<()> {
        let started = Instant::now();
        self.behaviour.faults.at("run")?;
        // kept for the whole run: the device is ours until the end
        let _connection = self.connection.upgrade().ok_or_else(|| {
            Failure::new(AxrResult::CONNECTION_ERROR, "the connection of this instance is destroyed")
        })?;
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::runtime("this instance is running already: a run is not re-entrant"));
            }
            Err(TryLockError::Poisoned(_)) => {
                return Err(Failure::runtime("an earlier run of this instance broke: load it again"));
            }
        };
        let rows = input.len() / self.row_bytes();
        let starts = state.fresh || rows > 1;
        let State { computer, fresh, rows: values } = &mut *state;
        let used = if starts { 0 } else { computer.used() };
        self.check_room(used, rows)?;
        values.clear();
        values.extend(input.chunks_exact(2).map(|pair| f16::from_le_bytes([pair[0], pair[1]])));
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let text =
                format!("input row {} has a value that is not finite", at / self.model.file.embedding_dim);
            return Err(Failure::value(text));
        }
        computer.run(used, rows, values, &self.model.file.logits, output)?;
        *fresh = false;
        let pace = if starts { self.behaviour.first_token } else { self.behaviour.per_token };
        std::thread::sleep(pace.saturating_sub(started.elapsed()));
        Ok(())
    }
}
