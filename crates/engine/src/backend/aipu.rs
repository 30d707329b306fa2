//! The AIPU pipeline: a compiled model on a device behind `libaxruntime`.
//!
//! The device holds one KV cache, so conversations take turns by the reply. What the device's cache contains is
//! recorded here, with the device: a reply that begins with those very tokens appends to them, any other starts
//! anew. No reply can thus see keys of another's tokens.

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axruntime_sys::{Connection, Context, Device, Instance, Model, TensorInfo, TensorKind};
use half::f16;
use zerocopy::IntoBytes;

use super::{Backend, Cache, Place, Plan, plan::Costs};
use crate::{
    Cancel, Embeddings, Error, Logits,
    devices::{self, DeviceError},
};

/// How often somebody who waits for the device looks at the cancel flag.
const PATIENCE: Duration = Duration::from_millis(20);

/// What an AIPU model is opened from.
#[derive(Clone, Debug, Default)]
pub struct AipuOptions {
    /// `model.json` of the compiled model.
    pub model: PathBuf,
    /// The `.npz` with the embedding rows.
    pub embeddings: PathBuf,
    /// The runtime library; `None`: the search order of `axruntime_sys::find`.
    pub runtime: Option<PathBuf>,
    /// Index or name of the device; `None`: the first free one.
    pub device: Option<String>,
    /// Device memory that the model needs, in GiB.
    pub required_memory_gb: Option<f64>,
    /// Positions that the model was compiled for, where its card says; else what its input tensor says.
    pub context_length: Option<usize>,
}

/// A model on a device.
pub struct Aipu {
    shared: Arc<Shared>,
    place: Place,
    device: Device,
    context: Context,
    context_length: usize,
}

/// What all conversations on a device share.
struct Shared {
    embeddings: Embeddings,
    name: String,
    vocab_size: usize,
    scale: f64,
    zero_point: i32,
    /// Positions that the device has room for.
    context_length: usize,
    turn: Mutex<Turn>,
    free: Condvar,
}

struct Turn {
    /// The device while nobody is replying.
    seat: Option<Seat>,
}

/// The right to run the device, with the record of what its cache holds.
struct Seat {
    /// `None` after a fault or a reset, until it is loaded again.
    instance: Option<Instance>,
    connection: Connection,
    model: Model,
    /// Tokens whose keys and values the device holds; empty: the next run starts anew.
    held: Vec<u32>,
    costs: Costs,
}

impl Seat {
    /// The instance, loaded again where a fault or a reset took it away.
    fn instance(&mut self) -> Result<&mut Instance, Error> {
        if self.instance.is_none() {
            self.held.clear();
            self.instance = Some(self.connection.load_instance(&self.model, None)?);
        }
        Ok(self.instance.as_mut().expect("it was put there just above"))
    }
}

impl Aipu {
    /// Finds the device, connects to it and loads the model.
    ///
    /// # Errors
    /// Each link of that chain has its own error.
    pub fn open(options: &AipuOptions) -> Result<Self, Error> {
        let context = Context::new(devices::library(options.runtime.as_deref())?);
        let chain = devices::system();
        let listed = context.devices()?;
        let device = devices::choose(&listed, options.device.as_deref(), &chain)?.clone();
        check_memory(&device, options.required_memory_gb)?;

        let connection = context.connect(Some(&device), device.sub_devices, None)?;
        let model = context.load_model(&options.model)?;
        let io = Io::of(&model, options.context_length)?;
        let instance = connection.load_instance(&model, None)?;
        let embeddings = Embeddings::open(&options.embeddings)?;
        let expect = |what, got: usize, expected: usize| {
            if got == expected {
                return Ok(());
            }
            Err(Error::Mismatch { what, got: got.to_string(), expected: expected.to_string() })
        };
        expect("the width of the embeddings", embeddings.dim(), io.embedding_dim)?;
        expect("the number of embeddings", embeddings.vocab_size(), io.vocab_size)?;

        let mut notes = chain.notes();
        let (vocab_size, dim) = (embeddings.vocab_size(), embeddings.dim());
        notes.push(format!("Loaded embeddings: vocab_size={vocab_size}, embedding_dim={dim}"));
        notes.push(format!("EmbeddingProcessor initialized with file: {}", options.embeddings.display()));
        notes.push(format!("AxInstance initialized with model: {}", options.model.display()));
        let place =
            Place { pipeline: "transformers-aipu", device: device.name.clone(), isa: "", threads: 0, notes };
        let seat =
            Seat { instance: Some(instance), connection, model, held: Vec::new(), costs: Costs::default() };
        let shared = Shared {
            embeddings,
            name: device.name.clone(),
            vocab_size,
            scale: io.scale,
            zero_point: io.zero_point,
            context_length: io.context_length,
            turn: Mutex::new(Turn { seat: Some(seat) }),
            free: Condvar::new(),
        };
        let context_length = io.context_length;
        Ok(Self { shared: Arc::new(shared), place, device, context, context_length })
    }
}

impl Backend for Aipu {
    fn place(&self) -> &Place {
        &self.place
    }

    fn vocab_size(&self) -> usize {
        self.shared.vocab_size
    }

    fn embedding_dim(&self) -> usize {
        self.shared.embeddings.dim()
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn cache(&self) -> Box<dyn Cache> {
        Box::new(AipuCache {
            logits: vec![0; self.shared.vocab_size],
            rows: Vec::new(),
            next: 0,
            step: 0,
            seat: None,
            shared: Arc::clone(&self.shared),
        })
    }

    fn core_temperature(&self) -> Option<f64> {
        let configuration = self.context.device_configuration(&self.device).ok()?;
        let temperatures = &configuration.iter().find(|(key, _)| key == CORE_TEMPERATURES)?.1;
        temperatures.split(',').filter_map(|t| t.trim().parse::<f64>().ok()).reduce(f64::max)
    }
}

/// The property of the simulated card; a real one is read through `triton_trace`, which is another issue's work.
const CORE_TEMPERATURES: &str = "core_temps";

fn check_memory(device: &Device, required_gb: Option<f64>) -> Result<(), DeviceError> {
    const GIB: f64 = (1u64 << 30) as f64;
    let has = device.max_memory as f64 / GIB;
    match required_gb {
        // an older runtime leaves the size 0: then loading will tell
        Some(needed) if device.max_memory > 0 && has < needed => Err(DeviceError::NotEnoughMemory {
            device: device.name.clone(),
            has_gib: has,
            needed_gib: needed,
        }),
        _ => Ok(()),
    }
}

/// What a compiled language model takes and gives.
struct Io {
    embedding_dim: usize,
    vocab_size: usize,
    context_length: usize,
    scale: f64,
    zero_point: i32,
}

impl Io {
    /// One input of f16 rows, one output of int8 logits.
    fn of(model: &Model, context_length: Option<usize>) -> Result<Self, Error> {
        let one = |what, tensors: &[TensorInfo]| match tensors {
            [tensor] => Ok(tensor.clone()),
            _ => Err(Error::Mismatch { what, got: tensors.len().to_string(), expected: "1".into() }),
        };
        let kind = |what, tensor: &TensorInfo, kind: TensorKind, bits: usize| {
            if tensor.kind == kind && tensor.bits == bits && !tensor.dims.is_empty() {
                return Ok(());
            }
            let got = format!("{:?} of {} bits, dims {:?}", tensor.kind, tensor.bits, tensor.dims);
            Err(Error::Mismatch { what, got, expected: format!("{kind:?} of {bits} bits") })
        };
        let input = one("the number of inputs", model.inputs())?;
        let output = one("the number of outputs", model.outputs())?;
        kind("the input", &input, TensorKind::Float, 16)?;
        kind("the output", &output, TensorKind::Signed, 8)?;
        if !(output.scale.is_finite() && output.scale > 0.0) {
            let got = output.scale.to_string();
            return Err(Error::Mismatch { what: "the output's scale", got, expected: "above 0".into() });
        }
        let embedding_dim = input.dims[input.dims.len() - 1];
        let rows: usize = input.dims[..input.dims.len() - 1].iter().product();
        let context_length = context_length.map_or(rows, |asked| asked.min(rows)).max(1);
        Ok(Self {
            embedding_dim,
            vocab_size: output.dims.iter().product(),
            context_length,
            scale: output.scale,
            zero_point: output.zero_point,
        })
    }
}

/// A conversation's side of the device.
struct AipuCache {
    shared: Arc<Shared>,
    seat: Option<Seat>,
    /// Embedding rows gathered and not yet run, from `next` on: `[tokens, embedding_dim]`.
    rows: Vec<f16>,
    /// Rows of those that have been run.
    next: usize,
    /// `[vocab_size]`
    logits: Vec<i8>,
    /// Runs of this reply.
    step: usize,
}

/// Whoever runs without having acquired the device has broken the contract of [`Cache`].
const ACQUIRED: &str = "a reply acquires the device before it runs";

impl Cache for AipuCache {
    fn acquire(&mut self, cancel: &Cancel) -> Result<(), Error> {
        let mut turn = lock(&self.shared.turn);
        loop {
            if let Some(seat) = turn.seat.take() {
                drop(turn);
                self.seat = Some(seat);
                self.step = 0;
                return Ok(());
            }
            if cancel.is_set() {
                return Err(Error::Cancelled);
            }
            let waited = self.shared.free.wait_timeout(turn, PATIENCE);
            turn = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn begin(&mut self, prompt: &[u32]) -> Result<Plan, Error> {
        let seat = self.seat.as_mut().expect(ACQUIRED);
        // the device can only append: what it holds must be the prompt's beginning, to the last token
        let held = seat.held.len();
        let appends = held > 0
            && held < prompt.len()
            && prompt.starts_with(&seat.held)
            && seat.instance.is_some()
            && seat.costs.prefer_append(held, prompt.len());
        let plan =
            if appends { Plan { cached: held, step: 1 } } else { Plan { cached: 0, step: usize::MAX } };
        if !appends {
            seat.held.clear();
            if prompt.len() == 1 {
                // a lone row would be appended to what the device holds; only a fresh instance starts with it
                seat.instance = None;
            }
        }
        self.shared.embeddings.gather(&prompt[plan.cached..], &mut self.rows)?;
        self.next = 0;
        Ok(plan)
    }

    fn run(&mut self, tokens: &[u32], _: bool) -> Result<(), Error> {
        let Self { shared, seat, rows, next, logits, step } = self;
        let seat = seat.as_mut().expect(ACQUIRED);
        let (len, added, dim) = (seat.held.len(), tokens.len(), shared.embeddings.dim());
        if len + added > shared.context_length {
            let capacity = shared.context_length;
            return Err(transformer::ForwardError::ContextFull { len, added, capacity }.into());
        }
        if (*next + added) * dim > rows.len() {
            shared.embeddings.gather(tokens, rows)?;
            *next = 0;
        }
        let input = rows[*next * dim..][..added * dim].as_bytes();
        *next += added;
        *step += 1;
        let started = Instant::now();
        match seat.instance()?.run(&[input], &mut [logits.as_mut_bytes()]) {
            Ok(()) => {
                seat.costs.measured(added, started.elapsed());
                seat.held.extend(tokens);
                Ok(())
            }
            Err(source) => {
                // what the device holds now is anyone's guess
                seat.instance = None;
                seat.held.clear();
                Err(Error::Step { device: shared.name.clone(), step: *step, source })
            }
        }
    }

    fn logits(&self) -> Logits<'_> {
        let Shared { scale, zero_point, .. } = *self.shared;
        Logits::I8 { values: &self.logits, scale, zero_point }
    }

    fn release(&mut self) {
        if let Some(seat) = self.seat.take() {
            lock(&self.shared.turn).seat = Some(seat);
            self.shared.free.notify_one();
        }
    }

    fn clear(&mut self) {
        // the device's cache belongs to whoever replies next, and is checked against their prompt then
    }
}

impl Drop for AipuCache {
    fn drop(&mut self) {
        self.release();
    }
}

fn lock(turn: &Mutex<Turn>) -> MutexGuard<'_, Turn> {
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}
