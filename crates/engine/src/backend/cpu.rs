//! The CPU pipeline: the decoder of `transformer`, one KV cache a conversation.

use std::{path::Path, sync::Arc};

use transformer::{Gguf, Input, LoadOptions, Model, Sequence};

use super::{Backend, Cache, Place, Plan, plan::common_prefix};
use crate::{Cancel, Error, Logits};

/// Prompt tokens between two looks at the cancel flag: about a fifth of a second on a slow core.
const STEP: usize = 64;

/// A model on the CPU.
#[derive(Debug)]
pub struct Cpu {
    model: Arc<Model>,
    context_length: usize,
    place: Place,
}

impl Cpu {
    /// Opens the GGUF file at `path`; `context_length` may be less than the model's own, never more.
    ///
    /// # Errors
    /// When the file is no model that the decoder runs.
    pub fn open(path: &Path, context_length: Option<usize>, options: &LoadOptions) -> Result<Self, Error> {
        let model = Model::open(path, options)?;
        let trained = model.config().context_length;
        let place = Place {
            pipeline: "transformers",
            device: "cpu".into(),
            isa: model.isa().name(),
            threads: model.threads(),
            notes: Vec::new(),
        };
        let context_length = context_length.map_or(trained, |asked| asked.min(trained));
        Ok(Self { model: Arc::new(model), context_length, place })
    }

    /// The weight file, which also holds the tokenizer.
    pub fn gguf(&self) -> &Gguf {
        self.model.gguf()
    }
}

impl Backend for Cpu {
    fn place(&self) -> &Place {
        &self.place
    }

    fn vocab_size(&self) -> usize {
        self.model.config().vocab_size
    }

    fn embedding_dim(&self) -> usize {
        self.model.config().embedding_dim
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn cache(&self) -> Box<dyn Cache> {
        Box::new(CpuCache {
            sequence: self.model.sequence(self.context_length),
            logits: vec![0.0; self.vocab_size()],
            held: Vec::new(),
            model: Arc::clone(&self.model),
        })
    }
}

struct CpuCache {
    model: Arc<Model>,
    sequence: Sequence,
    /// `[vocab_size]`
    logits: Vec<f32>,
    /// The tokens whose keys and values `sequence` holds.
    held: Vec<u32>,
}

impl Cache for CpuCache {
    fn acquire(&mut self, _: &Cancel) -> Result<(), Error> {
        Ok(()) // each conversation has a cache of its own; the kernels take turns by themselves
    }

    fn begin(&mut self, prompt: &[u32]) -> Result<Plan, Error> {
        let cached = common_prefix(&self.held, prompt);
        self.held.truncate(cached);
        self.sequence.truncate(cached);
        Ok(Plan { cached, step: STEP })
    }

    fn run(&mut self, tokens: &[u32], wanted: bool) -> Result<(), Error> {
        let input = Input::Tokens(tokens);
        if wanted {
            self.model.forward(&mut self.sequence, input, &mut self.logits)?;
        } else {
            self.model.prefill(&mut self.sequence, input)?;
        }
        self.held.extend(tokens);
        Ok(())
    }

    fn logits(&self) -> Logits<'_> {
        Logits::F32(&self.logits)
    }

    fn release(&mut self) {}

    fn clear(&mut self) {
        self.held.clear();
        self.sequence.clear();
    }
}
