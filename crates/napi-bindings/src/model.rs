//! A loaded model.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use napi_derive::napi;

use crate::{
    error::{failure, from_engine, invalid, off_thread},
    session::{Message, Session},
};

/// What a model is opened from; fixed for its lifetime.
#[napi(object)]
pub struct LoadOptions {
    /// `transformers` (the CPU) or `transformers-aipu`.
    #[napi(ts_type = "'transformers' | 'transformers-aipu'")]
    pub pipeline: String,
    /// The GGUF file, or the folder in Hugging Face layout (`transformers`).
    pub weights: Option<String>,
    /// `model.json` of a compiled model (`transformers-aipu`).
    pub compiled_model: Option<String>,
    /// The `.npz` with the embedding rows (`transformers-aipu`).
    pub embeddings: Option<String>,
    /// Folder with `tokenizer.json`; absent: the tokenizer inside the GGUF file, or the weights' own folder.
    pub tokenizer_dir: Option<String>,
    /// `libaxruntime.so`; absent: AXLLM_RUNTIME_LIB, AXELERA_RUNTIME_DIR, then the loader's own search.
    pub runtime_library: Option<String>,
    /// Index or name of the device; absent: the first free one.
    pub device: Option<String>,
    /// Device memory that the model needs, in GiB.
    pub required_memory_gb: Option<f64>,
    /// Tokens of prompt and reply together; absent: the model's own.
    pub context_length: Option<u32>,
    /// Tokens kept free for the reply.
    pub min_response_space: Option<u32>,
    /// Threads of the CPU kernels; absent or 0: one a core.
    pub threads: Option<u32>,
    /// Instruction set of the CPU kernels: `scalar`, `avx2` or `avx512`; absent: the machine's best.
    pub isa: Option<String>,
    /// What weights are rounded to: `f32`, `bf16`, `q8` or `q4`; absent: as a GGUF file stores them, `q8` for a folder.
    pub dtype: Option<String>,
    /// Folder where rounded weights are kept for the next start; absent: nowhere.
    pub cache_dir: Option<String>,
}

/// What was loaded, and where it runs.
#[napi(object)]
pub struct ModelInfo {
    /// `transformers` or `transformers-aipu`.
    #[napi(ts_type = "'transformers' | 'transformers-aipu'")]
    pub pipeline: String,
    /// The device's name, or `cpu`.
    pub device: String,
    /// Logits per position.
    pub vocab_size: u32,
    /// Values of an embedding row.
    pub embedding_dim: u32,
    /// Tokens of prompt and reply together.
    pub context_length: u32,
    /// Instruction set of the CPU kernels; empty on a device.
    pub isa: String,
    /// Threads of the CPU kernels; 0 on a device.
    pub threads: u32,
    /// Lines for a start-up log.
    pub notes: Vec<String>,
}

/// Loads a model, off the JavaScript thread.
#[napi(catch_unwind)]
pub async fn load(options: LoadOptions) -> napi::Result<Model> {
    let options = options.into_engine()?;
    off_thread(move || {
        let model = engine::Model::open(&options).map_err(from_engine)?;
        Ok(Model { inner: Mutex::new(Some(model)) })
    })
    .await
}

/// A model that any number of sessions share.
#[napi]
pub struct Model {
    inner: Mutex<Option<Arc<engine::Model>>>,
}

#[napi]
impl Model {
    /// What was loaded, and where it runs.
    #[napi(getter, catch_unwind)]
    pub fn info(&self) -> napi::Result<ModelInfo> {
        let model = self.inner()?;
        let place = model.place();
        Ok(ModelInfo {
            pipeline: place.pipeline.into(),
            device: place.device.clone(),
            vocab_size: model.vocab_size() as u32,
            embedding_dim: model.embedding_dim() as u32,
            context_length: model.context_length() as u32,
            isa: place.isa.into(),
            threads: place.threads as u32,
            notes: place.notes.clone(),
        })
    }

    /// A new conversation with a KV cache of its own.
    #[napi(catch_unwind)]
    pub fn session(&self) -> napi::Result<Session> {
        Ok(Session::new(self.inner()?.session()))
    }

    /// Tokens of a text, as a message holds it.
    #[napi(catch_unwind)]
    pub fn count_tokens(&self, text: String) -> napi::Result<u32> {
        Ok(self.inner()?.count_tokens(&text).map_err(from_engine)? as u32)
    }

    /// The device's hottest core in °C at this moment; absent where the device does not tell.
    #[napi(catch_unwind)]
    pub fn core_temperature(&self) -> napi::Result<Option<f64>> {
        Ok(self.inner()?.core_temperature())
    }

    /// Token ids of a text, as a message holds it.
    #[napi(catch_unwind)]
    pub fn tokenize(&self, text: String) -> napi::Result<Vec<u32>> {
        self.inner()?.tokenize(&text).map_err(from_engine)
    }

    /// The text of token ids, control tokens spelled out.
    #[napi(catch_unwind)]
    pub fn detokenize(&self, ids: Vec<u32>) -> napi::Result<String> {
        self.inner()?.detokenize(&ids).map_err(from_engine)
    }

    /// The prompt that the chat template makes of a whole conversation, control tokens spelled out.
    #[napi(catch_unwind)]
    pub fn apply_template(&self, messages: Vec<Message>) -> napi::Result<String> {
        let messages = messages.into_iter().map(Message::into_engine).collect::<napi::Result<Vec<_>>>()?;
        self.inner()?.render(&messages).map_err(from_engine)
    }

    /// Lets go of the weights and the device; sessions that still exist keep theirs until they are disposed.
    #[napi(catch_unwind)]
    pub fn dispose(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Model {
    pub(crate) fn inner(&self) -> napi::Result<Arc<engine::Model>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clone().ok_or_else(|| failure("disposed", "the model has been disposed", None))
    }
}

impl LoadOptions {
    fn into_engine(self) -> napi::Result<engine::ModelOptions> {
        let needed = |option: &str, value: Option<String>| {
            value.map(PathBuf::from).ok_or_else(|| invalid(option, "missing", "a path"))
        };
        let source = match self.pipeline.as_str() {
            "transformers" => engine::Source::Cpu {
                weights: needed("weights", self.weights)?,
                context_length: self.context_length.map(|n| n as usize),
                options: engine::LoadOptions {
                    threads: self.threads.unwrap_or(0) as usize,
                    isa: self.isa.as_deref().map(isa).transpose()?,
                    dtype: self.dtype.as_deref().map(dtype).transpose()?,
                    cache: self.cache_dir.map(PathBuf::from),
                },
            },
            "transformers-aipu" => engine::Source::Aipu(engine::AipuOptions {
                model: needed("compiledModel", self.compiled_model)?,
                embeddings: needed("embeddings", self.embeddings)?,
                runtime: self.runtime_library.map(PathBuf::from),
                device: self.device,
                required_memory_gb: self.required_memory_gb,
                context_length: self.context_length.map(|n| n as usize),
            }),
            other => return Err(invalid("pipeline", other, "transformers or transformers-aipu")),
        };
        Ok(engine::ModelOptions {
            source,
            tokenizer: self.tokenizer_dir.map(PathBuf::from),
            min_response_space: self.min_response_space.map(|n| n as usize),
        })
    }
}

fn isa(name: &str) -> napi::Result<engine::Isa> {
    name.parse().map_err(|error: engine::UnavailableIsa| from_engine(error.into()))
}

fn dtype(name: &str) -> napi::Result<engine::Dtype> {
    name.parse().map_err(|_| invalid("dtype", name, "f32, bf16, q8 or q4"))
}
