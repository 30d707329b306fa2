//! The AIPU pipeline: a compiled model on a device behind `libaxruntime`.
//!
//! The device holds one KV cache, so conversations take turns by the reply. What the device's cache contains is
//! recorded here, with the device: a reply that begins with those very tokens appends to them, any other starts
//! anew. No reply can thus see keys of another's tokens.

mod cache;
mod io;
mod line;
mod seat;

use std::{path::PathBuf, sync::Arc};

use axruntime_sys::{Context, Device};

use self::{
    cache::AipuCache,
    io::Io,
    seat::{Seat, Shared},
};
use super::{Backend, Cache, Place};
use crate::{
    Embeddings, Error,
    devices::{self, DeviceError},
};

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
        notes.extend(devices::firmware_note(&device));
        let (vocab_size, dim) = (embeddings.vocab_size(), embeddings.dim());
        notes.push(format!("Loaded embeddings: vocab_size={vocab_size}, embedding_dim={dim}"));
        if let Some(why) = embeddings.why_resident() {
            notes.push(format!("The embeddings stay in memory and are inflated at each start: {why}"));
        }
        notes.push(format!("EmbeddingProcessor initialized with file: {}", options.embeddings.display()));
        notes.push(format!("AxInstance initialized with model: {}", options.model.display()));
        let place =
            Place { pipeline: "transformers-aipu", device: device.name.clone(), isa: "", threads: 0, notes };
        let seat = Seat::new(connection, model, instance);
        let shared = Arc::new(Shared::new(device.name.clone(), embeddings, &io, seat));
        Ok(Self { shared, place, device, context })
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
        self.shared.context_length
    }

    fn cache(&self) -> Box<dyn Cache> {
        Box::new(AipuCache::new(Arc::clone(&self.shared)))
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
