//! The CPU pipeline: the decoder of `transformer`, one KV cache a conversation.

use std::{mem, path::Path, sync::Arc};

use transformer::{LoadOptions, Model, Phase, Pooling, Sequence};

use super::{
    Backend, Cache, Embedder, Place,
    batch::{Batcher, Job, Wants},
    embed,
    plan::common_prefix,
    reread::Rereading,
};
use crate::{Cancel, EmbedError, Error, Logits};

/// A model on the CPU.
pub struct Cpu {
    batcher: Arc<Batcher>,
    context_length: usize,
    place: Place,
}

impl Cpu {
    /// Opens the GGUF file or the Hugging Face folder at `path`; `context_length` may be less than the model's own, never more.
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
        Ok(Self { batcher: Arc::new(Batcher::new(Arc::new(model))), context_length, place })
    }

    fn pooling(&self) -> Result<Pooling, EmbedError> {
        self.batcher.model().config().pooling.ok_or(EmbedError::UnknownPooling)
    }
}

impl Embedder for Cpu {
    fn embed(&self, inputs: &[Vec<u32>], cancel: &Cancel) -> Result<Vec<Vec<f32>>, Error> {
        embed::embed(&self.batcher, self.pooling()?, inputs, cancel)
    }
}

impl Backend for Cpu {
    fn place(&self) -> &Place {
        &self.place
    }

    fn vocab_size(&self) -> usize {
        self.batcher.model().config().vocab_size
    }

    fn embedding_dim(&self) -> usize {
        self.batcher.model().config().embedding_dim
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn embedder(&self) -> Result<&dyn Embedder, EmbedError> {
        self.pooling()?;
        Ok(self)
    }

    fn cache(&self) -> Box<dyn Cache> {
        Box::new(CpuCache {
            sequence: Some(self.batcher.model().sequence(self.context_length)),
            vocab_size: self.vocab_size(),
            logits: Vec::new(),
            row: 0,
            held: Vec::new(),
            prompt: 0,
            rereading: None,
            context_length: self.context_length,
            batcher: Arc::clone(&self.batcher),
            acquired: false,
        })
    }
}

struct CpuCache {
    batcher: Arc<Batcher>,
    /// `None` while a step has it, or it is reread, and ever after where that panicked.
    sequence: Option<Sequence>,
    vocab_size: usize,
    /// `[wanted, vocab_size]`
    logits: Vec<f32>,
    /// Which of them is asked for.
    row: usize,
    /// The tokens whose keys and values `sequence` holds.
    held: Vec<u32>,
    /// So many of them are a prompt's, the others a reply's.
    prompt: usize,
    rereading: Option<Rereading>,
    context_length: usize,
    acquired: bool,
}

impl CpuCache {
    /// Gives up what a prompt would not find as it reads it: a reply, as far as it was not reread.
    fn settle(&mut self) {
        if let Some(rereading) = self.rereading.take()
            && let Some((sequence, read)) = rereading.stop()
        {
            self.sequence = Some(sequence);
            self.prompt += read;
        }
        if self.batcher.model().has_phases() {
            self.keep(self.prompt);
        }
    }

    /// Begins to read the reply again.
    fn reread(&mut self) {
        if !self.batcher.model().has_phases() || self.held.len() <= self.prompt {
            return;
        }
        let Some(mut sequence) = self.sequence.take() else { return };
        sequence.truncate(self.prompt);
        match Rereading::start(&self.batcher, sequence, self.held[self.prompt..].to_vec()) {
            Ok(rereading) => self.rereading = Some(rereading),
            Err(sequence) => self.sequence = Some(sequence),
        }
    }

    fn keep(&mut self, len: usize) {
        self.held.truncate(len);
        if let Some(sequence) = &mut self.sequence {
            sequence.truncate(len);
        }
    }
}

impl Cache for CpuCache {
    /// Each conversation has a cache of its own; they share the passes over the weights.
    fn acquire(&mut self, _: &Cancel) -> Result<(), Error> {
        if !mem::replace(&mut self.acquired, true) {
            self.batcher.enter();
        }
        Ok(())
    }

    fn begin(&mut self, prompt: &[u32]) -> Result<usize, Error> {
        self.settle();
        let cached = common_prefix(&self.held, prompt);
        self.keep(cached);
        self.prompt = prompt.len();
        Ok(cached)
    }

    fn piece(&self) -> usize {
        self.batcher.piece()
    }

    fn run(&mut self, tokens: &[u32], wanted: usize) -> Result<(), Error> {
        let sequence = self.sequence.take().expect("a step that panicked ends its conversation");
        let mut logits = mem::take(&mut self.logits);
        logits.resize(wanted * self.vocab_size, 0.0);
        self.row = 0;
        let phase = if self.held.len() < self.prompt { Phase::Prefill } else { Phase::Decode };
        let (wants, tokens) = (Wants::Logits, tokens.to_vec());
        let (job, result) = self.batcher.run(Job { sequence, tokens, phase, wants, output: logits });
        self.sequence = Some(job.sequence);
        self.logits = job.output;
        result?;
        self.held.extend(job.tokens);
        Ok(())
    }

    fn logits(&self) -> Logits<'_> {
        Logits::F32(&self.logits[self.row * self.vocab_size..][..self.vocab_size])
    }

    fn takes_back(&self) -> bool {
        true
    }

    fn look_at(&mut self, n: usize) {
        self.row = n;
    }

    fn take_back(&mut self, tokens: usize) {
        self.keep(self.held.len().saturating_sub(tokens));
    }

    fn release(&mut self) {
        if mem::take(&mut self.acquired) {
            self.batcher.leave();
            self.reread();
        }
    }

    /// Waits for nobody: JavaScript's own thread calls this.
    fn clear(&mut self) {
        if self.rereading.take().is_some() {
            self.sequence = Some(self.batcher.model().sequence(self.context_length));
        }
        self.keep(0);
    }
}
