//! Replies read again as prompts, in the time after them.
//!
//! Where a model's phases differ, keys and values of a reply are not those that the same tokens have in a prompt, and what a
//! conversation goes on with must not depend on what is still in the cache: only what was read as a prompt is kept. A reply
//! is read as one while nobody waits, so that the next prompt finds it.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use transformer::{Phase, Sequence};

use super::batch::{Batcher, Job, Wants};

/// What passes before it begins: a program that ends with its reply, or asks on at once, is not kept waiting.
const DELAY: Duration = Duration::from_millis(50);
/// Tokens of a step: bounds how long a reply that begins meanwhile waits.
const STEP: usize = 32;

/// A sequence on its way; dropped, it ends within a step.
pub(super) struct Rereading {
    stop: Sender<()>,
    back: Receiver<(Sequence, usize)>,
}

impl Rereading {
    /// Adds `tokens` to `sequence`; gives it back where there is no thread to be had.
    pub(super) fn start(
        batcher: &Arc<Batcher>,
        sequence: Sequence,
        tokens: Vec<u32>,
    ) -> Result<Self, Sequence> {
        let (give, take) = mpsc::channel();
        let (stop, stopped) = mpsc::channel();
        let (hand_back, back) = mpsc::channel();
        let batcher = Arc::clone(batcher);
        let thread = thread::Builder::new().name("axllm-reread".into()).spawn(move || {
            if let Ok(sequence) = take.recv() {
                // nobody may be left to take it
                let _ = hand_back.send(reread(&batcher, sequence, &tokens, &stopped));
            }
        });
        match thread {
            Ok(_) => match give.send(sequence) {
                Ok(()) => Ok(Self { stop, back }),
                Err(mpsc::SendError(sequence)) => Err(sequence),
            },
            Err(_) => Err(sequence),
        }
    }

    /// The sequence, and how many tokens it has more; `None` where a step panicked.
    pub(super) fn stop(self) -> Option<(Sequence, usize)> {
        drop(self.stop);
        self.back.recv().ok()
    }
}

fn reread(
    batcher: &Batcher,
    mut sequence: Sequence,
    tokens: &[u32],
    stopped: &Receiver<()>,
) -> (Sequence, usize) {
    let (mut read, mut wait) = (0, DELAY);
    for piece in tokens.chunks(STEP) {
        let stopped = stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
        if stopped || !batcher.is_idle() {
            break;
        }
        wait = Duration::ZERO;
        let (wants, tokens) = (Wants::Logits, piece.to_vec());
        let job = Job { sequence, tokens, phase: Phase::Prefill, wants, output: Vec::new() };
        let (job, result) = batcher.run(job);
        sequence = job.sequence;
        if result.is_err() {
            break;
        }
        read += piece.len();
    }
    (sequence, read)
}
