//! One conversation's replies: prompt → prompt pass → token after token → text.

use std::{ops::ControlFlow, sync::Arc, time::Instant};

use crate::{
    Cancel, Chunk, Error, Finish, Message, Prompt, Request, Sampler, Step, TextStream, TokenLogprob,
    backend::Cache,
    cpu_time::{CpuMeter, CpuShare},
    draft::Drafter,
    model::Model,
    prompt::PromptOptions,
    sampler::Likelihood,
    timing::{Stopwatch, Timings},
};

/// A finished reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Why it ended.
    pub finish: Finish,
    /// Tokens of the prompt, the cached ones included.
    pub prompt_tokens: usize,
    /// Tokens generated, the end token not counted.
    pub completion_tokens: usize,
    /// Leading prompt tokens that the KV cache held already.
    pub cached_tokens: usize,
    /// Turns of the conversation that no longer fit and were left out, oldest first.
    pub dropped_turns: usize,
    /// How long its parts took.
    pub timings: Timings,
    /// The process's share of all cores meanwhile, in percent, smoothed over the session's replies.
    pub cpu_percent: Option<f64>,
    /// The hottest core of the device afterwards, in °C.
    pub core_temperature: Option<f64>,
}

/// A conversation's KV cache and the model that it belongs to. `Send`, one reply at a time.
pub struct Session {
    model: Arc<Model>,
    cache: Box<dyn Cache>,
    cpu: CpuShare,
}

impl Session {
    pub(crate) fn new(model: Arc<Model>) -> Self {
        let cache = model.backend().cache();
        Self { model, cache, cpu: CpuShare::default() }
    }

    /// Forgets the conversation; the next reply reads its whole prompt.
    pub fn reset(&mut self) {
        self.cache.clear();
    }

    /// Answers the last message, handing each piece of text to `emit` as soon as it is certain.
    ///
    /// A cancel, and [`ControlFlow::Break`] from `emit`, end the reply within one step; it then is complete as far
    /// as it goes, with [`Finish::Cancelled`].
    ///
    /// # Errors
    /// What was emitted before an error stands, as an incomplete reply.
    pub fn reply(
        &mut self,
        messages: &[Message],
        request: &Request,
        cancel: &Cancel,
        emit: &mut dyn FnMut(Chunk) -> ControlFlow<()>,
    ) -> Result<Reply, Error> {
        let model = Arc::clone(&self.model);
        let build = |options| Ok(model.prompts().build(messages, options)?);
        self.generate(&build, request, cancel, emit)
    }

    /// As [`reply`](Self::reply), going on with a text as it stands, outside of any conversation. Control tokens
    /// that it spells are ordinary text.
    ///
    /// # Errors
    /// As `reply`'s; a text that is too long is never cut.
    pub fn complete(
        &mut self,
        text: &str,
        request: &Request,
        cancel: &Cancel,
        emit: &mut dyn FnMut(Chunk) -> ControlFlow<()>,
    ) -> Result<Reply, Error> {
        let model = Arc::clone(&self.model);
        let build = |options| Ok(model.prompts().build_text(text, options)?);
        self.generate(&build, request, cancel, emit)
    }

    fn generate(
        &mut self,
        build: &dyn Fn(PromptOptions) -> Result<Prompt, Error>,
        request: &Request,
        cancel: &Cancel,
        emit: &mut dyn FnMut(Chunk) -> ControlFlow<()>,
    ) -> Result<Reply, Error> {
        let started = Instant::now();
        let mut watch = Stopwatch::start(move || started.elapsed());
        let mut sampler = Sampler::new(request.sampler.clone())?;
        let prompt = build(PromptOptions {
            max_tokens: self.model.context_length(),
            min_response_space: self.model.min_response_space(),
            overflow: request.overflow,
        })?;
        watch.tokenized();
        let device = Turn::of(&mut *self.cache, cancel)?;
        watch.resume();
        let cached = device.0.begin(&prompt.ids)?;
        watch.tokenized();

        let meter = CpuMeter::start();
        let mut reply = Reply {
            finish: Finish::Cancelled,
            prompt_tokens: prompt.ids.len(),
            completion_tokens: 0,
            cached_tokens: cached,
            dropped_turns: prompt.dropped_turns,
            timings: Timings::default(),
            cpu_percent: None,
            core_temperature: None,
        };
        let room = self.model.context_length() - prompt.ids.len();
        let limit = request.max_tokens.unwrap_or(room).min(room);
        watch.ready();

        let mut rest = &prompt.ids[cached..];
        while !rest.is_empty() && !cancel.is_set() {
            let (piece, after) = rest.split_at(device.0.piece().min(rest.len()));
            device.0.run(piece, usize::from(after.is_empty()))?;
            rest = after;
        }
        watch.prompted();

        let mut text = Text::new(&request.stop, &self.model, emit);
        let mut seen = prompt.ids;
        let mut drafter = Drafter::new(!request.no_drafts && device.0.takes_back());
        let mut generate = || {
            loop {
                if cancel.is_set() {
                    return Ok(Finish::Cancelled);
                }
                if reply.completion_tokens == limit {
                    return Ok(Finish::Length);
                }
                let token = sampler.sample(device.0.logits(), &seen)?;
                if reply.completion_tokens == 0 {
                    watch.first_token();
                }
                if self.model.prompts().end_tokens().contains(&token) {
                    return Ok(Finish::Stop);
                }
                reply.completion_tokens += 1;
                seen.push(token);
                if let Some(top) = request.logprobs {
                    text.steps.push(step(&self.model, &Likelihood::of(device.0.logits()), token, top));
                }
                if text.push(self.model.token_bytes(token)).is_break() {
                    return Ok(if text.stopped() { Finish::Stop } else { Finish::Cancelled });
                }
                if reply.completion_tokens < limit {
                    drafter.step(&mut *device.0, &seen, limit - reply.completion_tokens - 1)?;
                }
            }
        };
        let end: Result<Finish, Error> = generate();
        // what was held back was said, also where the next step has failed
        text.finish();
        drafter.settle(&mut *device.0);
        reply.finish = end?;
        drop(device);
        reply.timings = watch.end();
        reply.cpu_percent = self.cpu.add(meter.percent());
        reply.core_temperature = self.model.core_temperature();
        Ok(reply)
    }
}

/// A token beside the likeliest ones at its place.
fn step(model: &Model, likelihood: &Likelihood, token: u32, top: usize) -> Step {
    let of = |token| TokenLogprob {
        token,
        bytes: model.token_bytes(token).into(),
        logprob: likelihood.logprob(token),
    };
    Step { chosen: of(token), top: likelihood.top(top).into_iter().map(of).collect() }
}

/// A reply's turn on the device, given back however the reply ends.
struct Turn<'a>(&'a mut dyn Cache);

impl<'a> Turn<'a> {
    fn of(cache: &'a mut dyn Cache, cancel: &Cancel) -> Result<Self, Error> {
        cache.acquire(cancel)?;
        Ok(Self(cache))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// Tokens to pieces of text, each handed on with the number of tokens that it took.
struct Text<'a> {
    stream: TextStream,
    /// Tokens since the last piece.
    tokens: usize,
    /// Those tokens, where they are asked for.
    steps: Vec<Step>,
    /// The listener has left.
    left: bool,
    emit: &'a mut dyn FnMut(Chunk) -> ControlFlow<()>,
}

impl<'a> Text<'a> {
    fn new(stops: &[String], model: &Model, emit: &'a mut dyn FnMut(Chunk) -> ControlFlow<()>) -> Self {
        let strip = model.prompts().tokenizer().strips_leading_space();
        Self {
            stream: TextStream::new(stops).strip_leading_space(strip),
            tokens: 0,
            steps: Vec::new(),
            left: false,
            emit,
        }
    }

    /// Breaks where a stop text has come or the listener has left.
    fn push(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.tokens += 1;
        let text = self.stream.push(bytes);
        self.hand_on(text)?;
        if self.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn stopped(&self) -> bool {
        self.stream.stopped()
    }

    /// Hands on what was held back, and the tokens that gave no text (those of a stop text, say).
    fn finish(mut self) {
        let text = self.stream.finish();
        if !self.left && (!text.is_empty() || self.tokens > 0) {
            // whether the listener leaves now no longer matters
            let _ = (self.emit)(Chunk { text, tokens: self.tokens, steps: self.steps });
        }
    }

    fn hand_on(&mut self, text: String) -> ControlFlow<()> {
        if text.is_empty() {
            return ControlFlow::Continue(());
        }
        let (tokens, steps) = (std::mem::take(&mut self.tokens), std::mem::take(&mut self.steps));
        let heard = (self.emit)(Chunk { text, tokens, steps });
        self.left = heard.is_break();
        heard
    }
}
