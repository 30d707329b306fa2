//! A compiled model on the host, and its weights once an instance needs them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use axruntime_sys::assumed;
use axruntime_sys::raw::{AxrLogLevel, AxrTensorInfo, MAX_TENSOR_DIMS};
use transformer::LoadOptions;

use crate::context::Context;
use crate::device;
use crate::error::{Failure, Outcome};
use crate::model_file::{self, ModelFile};
use crate::properties::Properties;
use crate::settings::Settings;

/// Bits of one value of an embedding row, and of one logit.
pub(crate) const INPUT_BITS: usize = 16;
const OUTPUT_BITS: usize = 8;

pub(crate) struct Model {
    pub file: ModelFile,
    payload: PathBuf,
    /// Shared by this model's instances, and gone with the last of them.
    weights: Mutex<Weak<transformer::Model>>,
}

impl Model {
    pub fn load(context: &Context, path: &Path) -> Outcome<Model> {
        context.settings()?.behaviour.faults.at("load")?;
        let file = model_file::read(path)?;
        let payload = path.with_file_name(&file.payload.file);
        if let Some(reason) = file.payload.fault(&payload) {
            return Err(Failure::value(format!("{}: {reason}", payload.display())));
        }
        context.log(AxrLogLevel::INFO, &format!("loaded model {}", file.name));
        Ok(Model { file, payload, weights: Mutex::default() })
    }

    /// `None` beyond the only input.
    pub fn input(&self, n: usize) -> Option<AxrTensorInfo> {
        let dims = [self.file.context_length, self.file.embedding_dim];
        (n == 0).then(|| tensor("input", &dims, INPUT_BITS, assumed::TENSOR_FLOAT, (1.0, 0)))
    }

    /// `None` beyond the only output.
    pub fn output(&self, n: usize) -> Option<AxrTensorInfo> {
        let logits = &self.file.logits;
        let quantum = (logits.scale, logits.zero_point);
        (n == 0)
            .then(|| tensor("logits", &[self.file.vocab_size], OUTPUT_BITS, assumed::TENSOR_SIGNED, quantum))
    }

    pub fn properties(&self) -> Properties {
        Properties::from_pairs([
            ("name", self.file.name.clone()),
            ("model_version", self.file.model_version.clone()),
            ("context_length", self.file.context_length.to_string()),
            ("vocab_size", self.file.vocab_size.to_string()),
            ("embedding_dim", self.file.embedding_dim.to_string()),
        ])
    }

    /// Opens the weights, unless another instance has, and checks them against `model.json`.
    pub fn weights(&self, settings: &Settings) -> Outcome<Arc<transformer::Model>> {
        let mut shared = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(weights) = shared.upgrade() {
            return Ok(weights);
        }
        let isa = settings.isa.as_deref().map(str::parse).transpose();
        let isa = isa.map_err(|error| Failure::configuration(format!("AXSIM_ISA: {error}")))?;
        let options = LoadOptions { threads: settings.threads, isa, ..LoadOptions::default() };
        let weights = transformer::Model::open(&self.payload, &options)
            .map_err(|error| Failure::value(error.to_string()))?;
        let config = weights.config();
        let file = &self.file;
        for (name, expected, got) in [
            ("vocab_size", file.vocab_size, config.vocab_size),
            ("embedding_dim", file.embedding_dim, config.embedding_dim),
        ] {
            if expected != got {
                let text = format!("model.json says {name} {expected}, {} has {got}", self.payload.display());
                return Err(Failure::value(text));
            }
        }
        if file.context_length > config.context_length {
            let text = format!(
                "model.json says context_length {}, {} was trained for {}",
                file.context_length,
                self.payload.display(),
                config.context_length
            );
            return Err(Failure::value(text));
        }
        let weights = Arc::new(weights);
        *shared = Arc::downgrade(&weights);
        Ok(weights)
    }

    /// Bytes of device memory that an instance takes.
    pub fn memory(&self, weights: &transformer::Model) -> u64 {
        weights.checkpoint().file_size() + weights.config().kv_bytes(self.file.context_length)
    }
}

/// What is answered for a tensor that does not exist.
pub(crate) fn no_tensor() -> AxrTensorInfo {
    tensor("", &[], 0, 0, (0.0, 0))
}

fn tensor(name: &str, shape: &[usize], bits: usize, kind: usize, quantum: (f64, i32)) -> AxrTensorInfo {
    let mut dims = [0; MAX_TENSOR_DIMS];
    dims[..shape.len()].copy_from_slice(shape);
    AxrTensorInfo {
        dims,
        ndims: shape.len(),
        bits,
        kind,
        name: device::text(name),
        padding: [[0; 2]; MAX_TENSOR_DIMS],
        scale: quantum.0,
        zero_point: quantum.1,
    }
}

/// Bytes of a tensor as `axr_tensor_size` counts them; 0 for one that cannot be.
pub(crate) fn tensor_size(info: &AxrTensorInfo) -> usize {
    let Some(dims @ [_, ..]) = info.dims.get(..info.ndims) else { return 0 };
    dims.iter().try_fold(info.bits / 8, |size, dim| size.checked_mul(*dim)).unwrap_or(0)
}
