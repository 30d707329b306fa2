//! A loaded model: weights that any number of sequences share.

use std::{ops::Range, path::Path, sync::Arc};

use half::f16;
use kernels::{Compute, Isa};

use crate::{
    config::Config,
    decoder::{Decoder, Scratch},
    error::{ForwardError, LoadError},
    gguf::Gguf,
    rope::Rope,
    sequence::Sequence,
    weights::Weights,
};

/// Positions that go through the blocks together: bounds the buffers of a pass.
const BATCH: usize = 256;

/// How to run a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Threads that share the work; 0: one per core.
    pub threads: usize,
    /// The instruction set; `None`: the best that the machine has.
    pub isa: Option<Isa>,
}

/// What a forward pass reads.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Token ids, looked up in the model's own embedding table.
    Tokens(&'a [u32]),
    /// Embedding rows, `[tokens, embedding_dim]`, as a host hands them to a device.
    Rows(&'a [f16]),
}

/// A decoder with its weights, memory-mapped.
#[derive(Debug)]
pub struct Model {
    gguf: Arc<Gguf>,
    config: Config,
    weights: Weights,
    rope: Rope,
    compute: Compute,
}

impl Model {
    /// Opens the GGUF file at `path`.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and the field, tensor or option that stands in the way.
    pub fn open(path: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        Self::from_gguf(Arc::new(Gguf::open(path)?), options)
    }

    /// A model over an open file.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_gguf(gguf: Arc<Gguf>, options: &LoadOptions) -> Result<Self, LoadError> {
        let config = Config::read(&gguf)?;
        let compute = Compute::new(options.isa, options.threads)?;
        let weights = Weights::read(&gguf, &config, &compute)?;
        let rope = Rope::new(config.rope_dim, config.rope_base, weights.rope_factors.as_deref());
        Ok(Self { gguf, config, weights, rope, compute })
    }

    /// The model's shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The file.
    pub fn gguf(&self) -> &Gguf {
        &self.gguf
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.compute.isa()
    }

    /// How many threads share the work.
    pub fn threads(&self) -> usize {
        self.compute.threads()
    }

    /// An empty sequence with room for `capacity` positions.
    pub fn sequence(&self, capacity: usize) -> Sequence {
        Sequence::new(&self.config, capacity)
    }

    /// The embedding row of token `id` into `out` (`embedding_dim` values).
    ///
    /// # Errors
    /// When the vocabulary has no such id.
    ///
    /// # Panics
    /// When `out` has another length.
    pub fn embedding(&self, id: u32, out: &mut [f32]) -> Result<(), ForwardError> {
        let vocab_size = self.config.vocab_size;
        match usize::try_from(id) {
            Ok(row) if row < vocab_size => {
                self.weights.embedding(&self.gguf, row, out);
                Ok(())
            }
            _ => Err(ForwardError::UnknownToken { id, vocab_size }),
        }
    }

    /// Adds the input to the sequence without computing logits.
    ///
    /// # Errors
    /// [`ForwardError`]; the sequence is as before then.
    pub fn prefill(&self, sequence: &mut Sequence, input: Input<'_>) -> Result<(), ForwardError> {
        self.pass(sequence, input, &mut [], 0)
    }

    /// Adds the input to the sequence and gives the logits of its last position (`vocab_size` values).
    ///
    /// The result depends on the sequence's contents alone, not on how they were cut into calls.
    ///
    /// # Errors
    /// [`ForwardError`]; the sequence is as before then.
    pub fn forward(
        &self,
        sequence: &mut Sequence,
        input: Input<'_>,
        logits: &mut [f32],
    ) -> Result<(), ForwardError> {
        self.pass(sequence, input, logits, 1)
    }

    /// As [`Model::forward`], with the logits of every position: `[tokens, vocab_size]`.
    ///
    /// # Errors
    /// [`ForwardError`]; the sequence is as before then.
    pub fn forward_all(
        &self,
        sequence: &mut Sequence,
        input: Input<'_>,
        logits: &mut [f32],
    ) -> Result<(), ForwardError> {
        let tokens = self.check(sequence, input)?;
        self.pass(sequence, input, logits, tokens)
    }

    /// One pass that ends in the logits of the last `wanted` positions.
    fn pass(
        &self,
        sequence: &mut Sequence,
        input: Input<'_>,
        logits: &mut [f32],
        wanted: usize,
    ) -> Result<(), ForwardError> {
        let tokens = self.check(sequence, input)?;
        let vocab_size = self.config.vocab_size;
        if logits.len() != wanted * vocab_size {
            return Err(ForwardError::LogitsLength { len: logits.len(), expected: wanted * vocab_size });
        }
        let decoder = Decoder {
            config: &self.config,
            weights: &self.weights,
            rope: &self.rope,
            compute: &self.compute,
        };
        for start in (0..tokens).step_by(BATCH) {
            let batch = start..tokens.min(start + BATCH);
            let mut scratch = Scratch::new(&self.config, batch.len());
            self.embed(input, batch.clone(), &mut scratch.x)?;
            decoder.blocks(sequence, &mut scratch);
            // the wanted positions that lie in this batch
            let from = batch.start.max(tokens - wanted);
            if from < batch.end {
                let rows = from + wanted - tokens..batch.end + wanted - tokens;
                decoder.head(&mut scratch, &mut logits[rows.start * vocab_size..rows.end * vocab_size]);
            }
        }
        Ok(())
    }

    /// How many tokens the input holds, all checks made.
    fn check(&self, sequence: &Sequence, input: Input<'_>) -> Result<usize, ForwardError> {
        let Config { vocab_size, embedding_dim, .. } = self.config;
        let tokens = match input {
            Input::Tokens(ids) => {
                if let Some(&id) = ids.iter().find(|id| **id as usize >= vocab_size) {
                    return Err(ForwardError::UnknownToken { id, vocab_size });
                }
                ids.len()
            }
            Input::Rows(rows) if rows.len().is_multiple_of(embedding_dim) => rows.len() / embedding_dim,
            Input::Rows(rows) => return Err(ForwardError::RowLength { len: rows.len(), embedding_dim }),
        };
        let (len, capacity) = (sequence.len(), sequence.capacity());
        if tokens == 0 {
            Err(ForwardError::Empty)
        } else if tokens > capacity - len {
            Err(ForwardError::ContextFull { len, added: tokens, capacity })
        } else if !sequence.fits(&self.config) {
            Err(ForwardError::ForeignSequence)
        } else {
            Ok(tokens)
        }
    }

    fn embed(&self, input: Input<'_>, batch: Range<usize>, x: &mut [f32]) -> Result<(), ForwardError> {
        let dim = self.config.embedding_dim;
        match input {
            Input::Tokens(ids) => {
                for (id, row) in ids[batch].iter().zip(x.chunks_exact_mut(dim)) {
                    self.embedding(*id, row)?;
                }
            }
            Input::Rows(rows) => {
                use half::slice::HalfFloatSliceExt;
                rows[batch.start * dim..batch.end * dim].convert_to_f32_slice(x);
            }
        }
        Ok(())
    }
}
