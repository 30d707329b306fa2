//! A loaded model: backend, tokenizer and prompt builder together.

use std::{
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::SystemTime,
};

use transformer::{Checkpoint, LoadOptions};

use crate::{
    Error, Message, PromptBuilder, Session, Tokenizer,
    backend::{Aipu, AipuOptions, Backend, Cpu, Place},
};

/// Where a model runs, with what that place needs to know.
#[derive(Clone, Debug)]
pub enum Source {
    /// A GGUF file or a Hugging Face folder on the CPU.
    Cpu {
        /// The file, or the folder with `config.json`, safetensors and `tokenizer.json`.
        weights: PathBuf,
        /// Positions of prompt and reply together; `None`, or more than the model has: the model's own.
        context_length: Option<usize>,
        /// Threads, instruction set, and what weights are rounded to.
        options: LoadOptions,
    },
    /// A compiled model on a device.
    Aipu(AipuOptions),
}

/// What a model is opened from; fixed for its lifetime.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// Weights and place.
    pub source: Source,
    /// Folder with `tokenizer.json` and its companions; `None`: the one inside the GGUF file, or
    /// in the weights' own folder.
    pub tokenizer: Option<PathBuf>,
    /// Tokens kept free for the reply, where the card says so.
    pub min_response_space: Option<usize>,
}

/// A model that any number of sessions share.
pub struct Model {
    backend: Box<dyn Backend>,
    prompts: PromptBuilder,
    min_response_space: Option<usize>,
}

impl Model {
    /// Loads weights and tokenizer.
    ///
    /// # Errors
    /// Which of them failed, and how.
    pub fn open(options: &ModelOptions) -> Result<Arc<Self>, Error> {
        let name = match &options.source {
            Source::Cpu { weights, .. } => weights,
            Source::Aipu(aipu) if options.tokenizer.is_some() => &aipu.model,
            Source::Aipu(_) => {
                return Err(Error::Mismatch {
                    what: "the tokenizer folder of a compiled model",
                    got: "missing".into(),
                    expected: "a folder with tokenizer.json".into(),
                });
            }
        };
        // the tokenizer takes as long as a small model's weights, and they know nothing of each other
        let (backend, tokenizer) = thread::scope(|scope| {
            let tokenizer = scope.spawn(|| tokenizer(name, options.tokenizer.as_deref()));
            let backend: Result<Box<dyn Backend>, Error> = match &options.source {
                Source::Cpu { weights, context_length, options: load } => {
                    Cpu::open(weights, *context_length, load).map(|cpu| Box::new(cpu) as _)
                }
                Source::Aipu(aipu) => Aipu::open(aipu).map(|aipu| Box::new(aipu) as _),
            };
            (backend, tokenizer.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let (backend, tokenizer) = (backend?, tokenizer?);
        tokenizer.check_fits(backend.vocab_size())?;
        let name = name.file_name().unwrap_or(name.as_os_str()).to_string_lossy();
        let prompts = PromptBuilder::new(Arc::new(tokenizer), &name)?;
        let min_response_space = options.min_response_space;
        Ok(Arc::new(Self { backend, prompts, min_response_space }))
    }

    /// A new conversation.
    pub fn session(self: &Arc<Self>) -> Session {
        Session::new(Arc::clone(self))
    }

    /// Where it runs.
    pub fn place(&self) -> &Place {
        self.backend.place()
    }

    /// Logits per position.
    pub fn vocab_size(&self) -> usize {
        self.backend.vocab_size()
    }

    /// Values of an embedding row.
    pub fn embedding_dim(&self) -> usize {
        self.backend.embedding_dim()
    }

    /// Tokens of prompt and reply together.
    pub fn context_length(&self) -> usize {
        self.backend.context_length()
    }

    /// Tokens of `text`, as a message holds it.
    ///
    /// # Errors
    /// When the tokenizer cannot encode it.
    pub fn count_tokens(&self, text: &str) -> Result<usize, Error> {
        Ok(self.tokenize(text)?.len())
    }

    /// Token ids of `text`, as a message holds it.
    ///
    /// # Errors
    /// When the tokenizer cannot encode it.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(self.prompts.tokenizer().encode_text(text)?)
    }

    /// The text of token ids, control tokens spelled out; U+FFFD stands for bytes that are no character.
    ///
    /// # Errors
    /// When there is no such token.
    pub fn detokenize(&self, ids: &[u32]) -> Result<String, Error> {
        Ok(self.prompts.tokenizer().decode(ids)?)
    }

    /// The prompt that the model's chat template makes of a whole conversation, control tokens spelled out.
    ///
    /// # Errors
    /// When the template fails on it.
    pub fn render(&self, messages: &[Message]) -> Result<String, Error> {
        Ok(self.prompts.render(messages, SystemTime::now())?.text())
    }

    /// The model's prompt builder, with its tokenizer.
    pub fn prompts(&self) -> &PromptBuilder {
        &self.prompts
    }

    /// The device's hottest core in °C at this moment; `None` where the device does not tell.
    pub fn core_temperature(&self) -> Option<f64> {
        self.backend().core_temperature()
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    pub(crate) fn min_response_space(&self) -> Option<usize> {
        self.min_response_space
    }

    /// The bytes of a token; none for a control token.
    pub(crate) fn token_bytes(&self, token: u32) -> &[u8] {
        self.prompts.tokenizer().token_bytes(token).unwrap_or_default()
    }
}

/// The one in `dir`, else that of the weights: inside a GGUF file, beside safetensors.
fn tokenizer(weights: &Path, dir: Option<&Path>) -> Result<Tokenizer, Error> {
    let from_dir = |dir: &Path| Tokenizer::from_dir(dir).map_err(|error| error.of(dir));
    if let Some(dir) = dir {
        return Ok(from_dir(dir)?);
    }
    match Checkpoint::open(weights)?.gguf() {
        Some(gguf) => Ok(Tokenizer::from_gguf(gguf).map_err(|error| error.of(weights))?),
        None => Ok(from_dir(weights)?),
    }
}
