//! What computes an instance's logits: the transformer, or nothing at all.

use std::sync::Arc;

use half::f16;
use transformer::{ForwardError, Input, Sequence};

use crate::error::{Failure, Outcome};
use crate::model_file::Logits;

/// What computes logits, with what it keeps between two runs.
pub(crate) enum Computer {
    /// A real decoder.
    Transformer { weights: Arc<transformer::Model>, sequence: Sequence, logits: Vec<f32> },
    /// `AXSIM_INSTANT`: a different ordinary token each time, at no cost.
    Instant { used: usize, last: usize },
}

impl Computer {
    pub fn transformer(weights: Arc<transformer::Model>, context_length: usize) -> Computer {
        let (sequence, logits) = (weights.sequence(context_length), vec![0.0; weights.config().vocab_size]);
        Computer::Transformer { weights, sequence, logits }
    }

    pub fn instant() -> Computer {
        Computer::Instant { used: 0, last: 0 }
    }

    /// Positions in use.
    pub fn used(&self) -> usize {
        match self {
            Computer::Transformer { sequence, .. } => sequence.len(),
            Computer::Instant { used, .. } => *used,
        }
    }

    /// Adds rows (`rows × embedding_dim`) after the first `used` positions.
    pub fn run(
        &mut self,
        used: usize,
        rows: usize,
        values: &[f16],
        quantum: &Logits,
        output: &mut [i8],
    ) -> Outcome<()> {
        match self {
            Computer::Transformer { weights, sequence, logits } => {
                sequence.truncate(used);
                // a device has one arithmetic for prompts and replies
                let done = weights.decode(sequence, Input::Rows(values), logits);
                done.map_err(|error| match error {
                    ForwardError::ContextFull { .. } => Failure::value(error.to_string()),
                    _ => Failure::runtime(error.to_string()),
                })?;
                transformer::quantise_logits(logits, quantum.scale, quantum.zero_point, output);
            }
            Computer::Instant { used: count, last } => {
                *count = used + rows;
                // the caller usually brings the same buffer again: then two bytes are all that changes
                if output[*last] == i8::MAX {
                    output[*last] = i8::MIN;
                } else {
                    output.fill(i8::MIN);
                }
                // the first hundreds of a vocabulary are control tokens and bytes
                let most = output.len().min(40_000);
                *last = if most > 1_000 { 500 + *count * 7919 % (most - 500) } else { *count % most };
                output[*last] = i8::MAX;
            }
        }
        Ok(())
    }
}
