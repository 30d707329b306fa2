//! Token ids to vectors on the CPU: the states of their positions, pooled.

use transformer::{Phase, Pooling, Sequence};

use super::batch::{Batcher, Job, PROMPT_TOKENS, Wants};
use crate::{Cancel, Error};

/// An input on its way.
struct Reading<'a> {
    index: usize,
    sequence: Sequence,
    rest: &'a [u32],
}

/// A vector an input, pooled but of any length. Several short inputs share a step, beside the replies that are under way;
/// what an input gets does not depend on that.
pub(super) fn embed(
    batcher: &Batcher,
    pooling: Pooling,
    inputs: &[Vec<u32>],
    cancel: &Cancel,
) -> Result<Vec<Vec<f32>>, Error> {
    let model = batcher.model();
    let dim = model.config().embedding_dim;
    let mut waiting = inputs.iter().enumerate().map(|(index, ids)| Reading {
        index,
        // no more positions than there are tokens: the rotation of some models depends on the room
        sequence: model.sequence(ids.len()),
        rest: if pooling == Pooling::First { &ids[..1.min(ids.len())] } else { ids },
    });
    let mut sums = vec![vec![0.0_f64; dim]; inputs.len()];
    // the one that is longer than a step, between two of them
    let mut open: Option<Reading<'_>> = None;
    loop {
        if cancel.is_set() {
            return Err(Error::Cancelled);
        }
        let (mut room, mut jobs, mut read) = (PROMPT_TOKENS, Vec::new(), Vec::new());
        while room > 0 {
            let Some(mut next) = open.take().or_else(|| waiting.next()) else { break };
            let (piece, rest) = next.rest.split_at(room.min(next.rest.len()));
            room -= piece.len();
            let rows = match pooling {
                Pooling::Mean => piece.len(),
                Pooling::First | Pooling::Last => usize::from(rest.is_empty()),
            };
            next.rest = rest;
            jobs.push(Job {
                sequence: next.sequence,
                tokens: piece.to_vec(),
                phase: Phase::Prefill,
                wants: Wants::States,
                output: vec![0.0; rows * dim],
            });
            read.push((next.index, rest));
        }
        if jobs.is_empty() {
            break;
        }
        for ((index, rest), (job, result)) in read.into_iter().zip(batcher.run_all(jobs)) {
            result?;
            // row after row, so that the order of the additions is the tokens'
            for row in job.output.chunks_exact(dim) {
                sums[index].iter_mut().zip(row).for_each(|(sum, state)| *sum += f64::from(*state));
            }
            if !rest.is_empty() {
                open = Some(Reading { index, sequence: job.sequence, rest });
            }
        }
    }
    Ok(sums.into_iter().map(|sum| sum.into_iter().map(|value| value as f32).collect()).collect())
}
