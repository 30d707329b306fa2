//! A conversation's side of the device: rows in, int8 logits out.

use std::{sync::Arc, time::Instant};

use half::f16;
use zerocopy::IntoBytes;

use super::{
    super::Cache,
    seat::{Seat, Shared},
};
use crate::{Cancel, Error, Logits};

/// A conversation's side of the device.
pub(super) struct AipuCache {
    shared: Arc<Shared>,
    seat: Option<Seat>,
    /// Embedding rows gathered and not yet run, from `next` on: `[tokens, embedding_dim]`.
    rows: Vec<f16>,
    /// Rows of those that have been run.
    next: usize,
    /// `[vocab_size]`
    logits: Vec<i8>,
    /// Runs of this reply.
    step: usize,
    /// Tokens of its prompt that go into a run at most.
    most: usize,
}

impl AipuCache {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            logits: vec![0; shared.vocab_size],
            rows: Vec::new(),
            next: 0,
            step: 0,
            most: 1,
            seat: None,
            shared,
        }
    }
}

/// Whoever runs without having acquired the device has broken the contract of [`Cache`].
const ACQUIRED: &str = "a reply acquires the device before it runs";

impl Cache for AipuCache {
    fn acquire(&mut self, cancel: &Cancel) -> Result<(), Error> {
        self.seat = Some(self.shared.take_seat(cancel)?);
        self.step = 0;
        Ok(())
    }

    fn begin(&mut self, prompt: &[u32]) -> Result<usize, Error> {
        let seat = self.seat.as_mut().expect(ACQUIRED);
        // the device can only append: what it holds must be the prompt's beginning, to the last token
        let held = seat.held.len();
        let appends = held > 0
            && held < prompt.len()
            && prompt.starts_with(&seat.held)
            && seat.instance.is_some()
            && seat.costs.prefer_append(held, prompt.len());
        let cached = if appends { held } else { 0 };
        self.most = if appends { 1 } else { usize::MAX };
        if !appends {
            seat.held.clear();
            if prompt.len() == 1 {
                // a lone row would be appended to what the device holds; only a fresh instance starts with it
                seat.instance = None;
            }
        }
        self.shared.embeddings.gather(&prompt[cached..], &mut self.rows)?;
        self.next = 0;
        Ok(cached)
    }

    fn piece(&self) -> usize {
        self.most
    }

    fn run(&mut self, tokens: &[u32], _: usize) -> Result<(), Error> {
        let Self { shared, seat, rows, next, logits, step, .. } = self;
        let seat = seat.as_mut().expect(ACQUIRED);
        let (len, added, dim) = (seat.held.len(), tokens.len(), shared.embeddings.dim());
        if len + added > shared.context_length {
            let capacity = shared.context_length;
            return Err(transformer::ForwardError::ContextFull { len, added, capacity }.into());
        }
        if (*next + added) * dim > rows.len() {
            shared.embeddings.gather(tokens, rows)?;
            *next = 0;
        }
        let input = rows[*next * dim..][..added * dim].as_bytes();
        *next += added;
        *step += 1;
        let started = Instant::now();
        match seat.instance()?.run(&[input], &mut [logits.as_mut_bytes()]) {
            Ok(()) => {
                seat.costs.measured(added, started.elapsed());
                seat.held.extend(tokens);
                Ok(())
            }
            Err(source) => {
                // what the device holds now is anyone's guess
                seat.instance = None;
                seat.held.clear();
                Err(Error::Step { device: shared.name.clone(), step: *step, source })
            }
        }
    }

    fn logits(&self) -> Logits<'_> {
        let Shared { scale, zero_point, .. } = *self.shared;
        Logits::I8 { values: &self.logits, scale, zero_point }
    }

    fn release(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.shared.give_back(seat);
        }
    }

    fn clear(&mut self) {
        // the device's cache belongs to whoever replies next, and is checked against their prompt then
    }
}

impl Drop for AipuCache {
    fn drop(&mut self) {
        self.release();
    }
}
