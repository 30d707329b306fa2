//! Conversations on one CPU model share passes over its weights.
//!
//! Whoever comes first leads: it runs the step for all that wait, itself among them, until its own is done. A leader
//! waits a moment for the conversations that are in the middle of a reply, so that they stay in step; one that is
//! alone waits for nobody.

use std::{
    collections::VecDeque,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use transformer::{ForwardError, Model, Output, Part, Phase, Sequence};

/// Tokens of prompts that go into one step beside the replies' next tokens: bounds how long those wait.
pub(super) const PROMPT_TOKENS: usize = 64;
/// What a step of a lone prompt is to take at most, lest a cancel waits longer.
const PROMPT_TIME: Duration = Duration::from_millis(200);
/// A leader waits for others at most this part of what the last step took.
const PATIENCE: u32 = 4;

/// What one conversation wants of a step; comes back when it is done.
pub(super) struct Job {
    pub(super) sequence: Sequence,
    pub(super) tokens: Vec<u32>,
    pub(super) phase: Phase,
    pub(super) wants: Wants,
    /// Rows of what is wanted of the last tokens.
    pub(super) output: Vec<f32>,
}

/// What a job asks of its last tokens.
#[derive(Clone, Copy)]
pub(super) enum Wants {
    Logits,
    States,
}

type Done = (Job, Result<(), ForwardError>);

/// One conversation's place in the queue; what it gets is `None` inside where the step panicked.
#[derive(Default)]
struct Ticket(Mutex<Option<Option<Done>>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Arc<Ticket>, Job)>,
    /// Conversations in the middle of a reply.
    active: usize,
    led: bool,
    last_step: Duration,
    /// Tokens of a prompt that fit `PROMPT_TIME`, as far as is known.
    fitting: usize,
}

/// The queue of one model.
pub(super) struct Batcher {
    model: Arc<Model>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Batcher {
    pub(super) fn new(model: Arc<Model>) -> Self {
        Self { model, queue: Mutex::default(), changed: Condvar::new() }
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// Whether no reply is under way and nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        let queue = lock(&self.queue);
        queue.active == 0 && queue.waiting.is_empty()
    }

    /// Tokens of a prompt that its next job is to have at most. What it has does not change a bit of the reply.
    pub(super) fn piece(&self) -> usize {
        let queue = lock(&self.queue);
        if queue.active > 1 {
            return PROMPT_TOKENS;
        }
        (queue.fitting / PROMPT_TOKENS * PROMPT_TOKENS).clamp(PROMPT_TOKENS, self.model.batch())
    }

    /// A reply begins.
    pub(super) fn enter(&self) {
        lock(&self.queue).active += 1;
    }

    /// A reply has ended.
    pub(super) fn leave(&self) {
        self.left(1);
    }

    fn left(&self, conversations: usize) {
        let mut queue = lock(&self.queue);
        queue.active = queue.active.saturating_sub(conversations);
        self.changed.notify_all();
    }

    /// Some begin that end together.
    fn entered(&self, conversations: usize) -> Entered<'_> {
        lock(&self.queue).active += conversations;
        Entered(self, conversations)
    }

    /// Runs `job` with whatever else waits.
    ///
    /// # Panics
    /// When the step that it was part of panicked.
    pub(super) fn run(&self, job: Job) -> Done {
        let ticket = Arc::new(Ticket::default());
        let mut queue = lock(&self.queue);
        queue.waiting.push_back((Arc::clone(&ticket), job));
        self.finish(queue, &ticket)
    }

    /// As [`Batcher::run`], for several jobs of one caller, which go together as far as a step has room for them.
    ///
    /// # Panics
    /// As [`Batcher::run`].
    pub(super) fn run_all(&self, jobs: Vec<Job>) -> Vec<Done> {
        let tickets: Vec<_> = jobs.iter().map(|_| Arc::new(Ticket::default())).collect();
        // each counts as a conversation, lest a leader takes them for others that it waits for
        let _entered = self.entered(jobs.len());
        lock(&self.queue).waiting.extend(tickets.iter().map(Arc::clone).zip(jobs));
        tickets.iter().map(|ticket| self.finish(lock(&self.queue), ticket)).collect()
    }

    /// Leads or waits until the job of `ticket` is done.
    fn finish<'a>(&'a self, mut queue: MutexGuard<'a, Queue>, ticket: &Ticket) -> Done {
        if queue.led {
            self.changed.notify_all(); // the leader may be waiting for us
        }
        loop {
            if let Some(done) = lock(&ticket.0).take() {
                return done.expect("a step on the CPU failed, and the conversations in it with it");
            }
            queue = if queue.led {
                self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
            } else {
                queue.led = true;
                self.lead(queue)
            };
        }
    }

    /// One step, for the oldest jobs.
    fn lead<'a>(&'a self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        let mut queue = self.gather(queue);
        let mut batch = take(&mut queue.waiting);
        drop(queue);
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.step(&mut batch)));
        let elapsed = started.elapsed();
        let mut queue = lock(&self.queue);
        queue.led = false;
        queue.last_step = elapsed;
        let tokens: usize = batch.iter().map(|(_, job, _)| job.tokens.len()).sum();
        if tokens >= PROMPT_TOKENS {
            let fitting = tokens as f64 * PROMPT_TIME.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
            queue.fitting = fitting as usize;
        }
        for (ticket, job, result) in batch {
            *lock(&ticket.0) = Some(outcome.is_ok().then_some((job, result)));
        }
        self.changed.notify_all();
        if let Err(panic) = outcome {
            drop(queue);
            resume_unwind(panic);
        }
        queue
    }

    /// Waits until all active conversations have come, or patience is spent.
    fn gather<'a>(&'a self, mut queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        let until = Instant::now() + queue.last_step / PATIENCE;
        while queue.waiting.len() < queue.active {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = self.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue
    }

    fn step(&self, batch: &mut [Entry]) {
        let part = |job: &mut Job| -> Result<(), ForwardError> { self.model.step(&mut [of(job)]) };
        if let [(_, job, result)] = batch {
            *result = part(job);
            return;
        }
        let mut parts: Vec<_> = batch.iter_mut().map(|(_, job, _)| of(job)).collect();
        if self.model.step(&mut parts).is_err() {
            // one of them does not fit: alone, each gets its own answer
            drop(parts);
            for (_, job, result) in batch {
                *result = part(job);
            }
        }
    }
}

/// Conversations that end when this is dropped.
struct Entered<'a>(&'a Batcher, usize);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.left(self.1);
    }
}

type Entry = (Arc<Ticket>, Job, Result<(), ForwardError>);

fn of(job: &mut Job) -> Part<'_> {
    let Job { sequence, tokens, phase, wants, output } = job;
    let output = match wants {
        Wants::Logits => Output::Logits(output),
        Wants::States => Output::States(output),
    };
    Part { sequence, tokens, phase: *phase, output }
}

/// All single tokens, and prompts in the order of their coming as long as they fit; always the oldest.
fn take(waiting: &mut VecDeque<(Arc<Ticket>, Job)>) -> Vec<Entry> {
    let mut room = PROMPT_TOKENS;
    let (mut taken, mut left) = (Vec::new(), VecDeque::new());
    for (ticket, job) in mem::take(waiting) {
        let len = job.tokens.len();
        if len <= 1 || len <= room || taken.is_empty() {
            room = room.saturating_sub(if len > 1 { len } else { 0 });
            taken.push((ticket, job, Ok(())));
        } else {
            left.push_back((ticket, job));
        }
    }
    *waiting = left;
    taken
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
