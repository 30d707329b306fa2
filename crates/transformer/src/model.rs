//! A loaded model: weights that any number of sequences share.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use half::f16;
use kernels::{Compute, Isa, Kind, Lane, Phase};

use crate::{
    Dtype,
    checkpoint::Checkpoint,
    config::Config,
    decoder::{Decoder, Scratch},
    error::{ForwardError, LoadError},
    part::{Output, Part, Slice, hand_out},
    rope::Rope,
    sequence::Sequence,
    weights::Weights,
};

/// Positions a thread that go through the blocks together, whole tiles: what they are made of stays in its second-level cache.
const BATCH: usize = 256;
/// Threads that have so many each; bounds the buffers of a pass.
const BATCHES: usize = 8;

/// How to run a model.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Threads that share the work; 0: one per core.
    pub threads: usize,
    /// The instruction set; `None`: the best that the machine has.
    pub isa: Option<Isa>,
    /// What the matrices are rounded to; `None`: as a GGUF file stores them, and `Q8` for a folder.
    pub dtype: Option<Dtype>,
    /// Where rounded weights are kept for the next start; `None`: nowhere.
    pub cache: Option<PathBuf>,
}

/// What a forward pass reads.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Token ids, looked up in the model's own embedding table.
    Tokens(&'a [u32]),
    /// Embedding rows, `[tokens, embedding_dim]`, as a host hands them to a device.
    Rows(&'a [f16]),
}

/// A decoder with its weights, packed.
#[derive(Debug)]
pub struct Model {
    checkpoint: Checkpoint,
    config: Config,
    weights: Weights,
    rope: Rope,
    compute: Compute,
    /// Of passes that are over.
    scratch: Mutex<Vec<Scratch>>,
}

impl Model {
    /// Opens the GGUF file or the Hugging Face folder at `path`.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and the field, tensor or option that stands in the way.
    pub fn open(path: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        Self::of(Checkpoint::open(path)?, options)
    }

    /// A model of open files.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn of(checkpoint: Checkpoint, options: &LoadOptions) -> Result<Self, LoadError> {
        let config = checkpoint.config()?;
        let compute = Compute::new(options.isa, options.threads)?;
        let mut options = options.clone();
        if let Checkpoint::Folder(_) = checkpoint {
            options.dtype = options.dtype.or(Some(Dtype::Q8));
        }
        let weights = Weights::read(&checkpoint, &config, &compute, &options)?;
        let rope = Rope::new(&config);
        Ok(Self { checkpoint, config, weights, rope, compute, scratch: Mutex::default() })
    }

    /// The model's shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The files.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.compute.isa()
    }

    /// How many threads share the work.
    pub fn threads(&self) -> usize {
        self.compute.threads()
    }

    /// How many positions of a prompt go through the blocks together: a longer piece of it gains nothing.
    pub fn batch(&self) -> usize {
        BATCH * self.threads().min(BATCHES)
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
                self.weights.embedding(&self.checkpoint, row, out);
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
        self.pass(sequence, input, Phase::Prefill, &mut [], 0)
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
        self.pass(sequence, input, Phase::Prefill, logits, 1)
    }

    /// As [`Model::forward`], for tokens of a reply, see [`Phase`].
    ///
    /// # Errors
    /// [`ForwardError`]; the sequence is as before then.
    pub fn decode(
        &self,
        sequence: &mut Sequence,
        input: Input<'_>,
        logits: &mut [f32],
    ) -> Result<(), ForwardError> {
        self.pass(sequence, input, Phase::Decode, logits, 1)
    }

    /// Whether a token of a reply gives other bits than the same token of a prompt. Weights of 32-bit floats are there for exact
    /// results, which bfloat16 beside them would spoil.
    pub fn has_phases(&self) -> bool {
        self.compute.has_phases() && self.weights.blocks.iter().all(|block| block.q.kind() != Kind::F32)
    }

    /// How tokens of `phase` are computed.
    fn phase(&self, phase: Phase) -> Phase {
        if self.has_phases() { phase } else { Phase::Decode }
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
        self.pass(sequence, input, Phase::Prefill, logits, tokens)
    }

    /// Adds to several sequences in one pass over the weights (one for each phase, where [phases](Self::has_phases) differ); each
    /// gets the bits that it would get alone.
    ///
    /// Give few tokens in all (some hundreds): they go through the blocks together.
    ///
    /// # Errors
    /// [`ForwardError`] of the first part that has one; all sequences are as before then.
    pub fn step(&self, parts: &mut [Part<'_>]) -> Result<(), ForwardError> {
        let mut slices = [const { Vec::new() }; 2];
        for part in parts {
            let input = Input::Tokens(part.tokens);
            let tokens = self.check(part.sequence, input)?;
            let (len, width) = part.output.shape(&self.config);
            if !len.is_multiple_of(width) || len / width > tokens {
                return Err(ForwardError::OutputLength { len, expected: width * (len / width).min(tokens) });
            }
            let output = match &mut part.output {
                Output::Logits(values) => Output::Logits(values),
                Output::States(values) => Output::States(values),
            };
            part.sequence.reserve(tokens)?;
            let slice = Slice { sequence: part.sequence, input, range: 0..tokens, output };
            slices[self.phase(part.phase) as usize].push(slice);
        }
        for (mut slices, phase) in slices.into_iter().zip([Phase::Prefill, Phase::Decode]) {
            if !slices.is_empty() {
                self.slices(&mut slices, phase)?;
            }
        }
        Ok(())
    }

    /// One pass that ends in the logits of the last `wanted` positions.
    fn pass(
        &self,
        sequence: &mut Sequence,
        input: Input<'_>,
        phase: Phase,
        logits: &mut [f32],
        wanted: usize,
    ) -> Result<(), ForwardError> {
        let tokens = self.check(sequence, input)?;
        let vocab_size = self.config.vocab_size;
        if logits.len() != wanted * vocab_size {
            return Err(ForwardError::OutputLength { len: logits.len(), expected: wanted * vocab_size });
        }
        let phase = self.phase(phase);
        sequence.reserve(tokens)?;
        for start in (0..tokens).step_by(self.batch()) {
            let range = start..tokens.min(start + self.batch());
            // the wanted positions that lie in this batch
            let from = range.start.max(tokens - wanted).min(range.end);
            let rows = (from + wanted).saturating_sub(tokens)..(range.end + wanted).saturating_sub(tokens);
            let output = Output::Logits(&mut logits[rows.start * vocab_size..rows.end * vocab_size]);
            self.slices(&mut [Slice { sequence, input, range, output }], phase)?;
        }
        Ok(())
    }

    /// Runs pieces of input through the blocks together, all checks made and all memory there, lest a part of them changes its
    /// sequence.
    fn slices(&self, slices: &mut [Slice<'_>], phase: Phase) -> Result<(), ForwardError> {
        let Config { embedding_dim, .. } = self.config;
        let tokens = slices.iter().map(|slice| slice.range.len()).sum();
        let idle = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = idle().pop().unwrap_or_default();
        scratch.fit(&self.config, tokens);
        let (mut lanes, mut wanted, mut at) = (Vec::with_capacity(tokens), Vec::new(), 0);
        for (n, slice) in slices.iter_mut().enumerate() {
            let len = slice.range.len();
            let rows = at * embedding_dim..(at + len) * embedding_dim;
            self.embed(slice.input, slice.range.clone(), &mut scratch.x[rows])?;
            let start = slice.sequence.len();
            lanes.extend((0..len).map(|n_th| Lane { sequence: n, position: start + n_th }));
            at += len;
            wanted.extend(at - slice.output.rows(&self.config)..at);
        }
        let decoder = Decoder {
            config: &self.config,
            weights: &self.weights,
            rope: &self.rope,
            compute: &self.compute,
            phase,
        };
        {
            let capacities: Vec<_> = slices.iter().map(|slice| slice.sequence.capacity()).collect();
            let mut caches: Vec<_> = slices.iter_mut().map(|slice| slice.sequence.cache()).collect();
            decoder.blocks((&mut caches, &capacities), lanes, &wanted, &mut scratch);
        }
        for slice in slices.iter_mut() {
            slice.sequence.advance(slice.range.len());
        }
        hand_out(&decoder, slices, &mut scratch);
        idle().push(scratch);
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
