//! A reply on its way: a thread generates, JavaScript pulls.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use engine::Cancel;
use napi::{Env, bindgen_prelude::PromiseRaw};
use napi_derive::napi;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    error::{failure, from_engine},
    panic::fenced,
    session::Slot,
};

/// A piece of a reply.
#[napi(object)]
pub struct Chunk {
    /// Whole characters.
    pub text: String,
    /// Tokens that it took.
    pub tokens: u32,
    /// Each of those tokens, where `logprobs` asks for them.
    pub steps: Option<Vec<Step>>,
}

/// A token with the natural logarithm of its probability.
#[napi(object)]
pub struct TokenLogprob {
    /// The token.
    pub id: u32,
    /// The bytes that it adds to the text: possibly a part of a character.
    pub bytes: Vec<u8>,
    /// By the model's own scores, before any option changes them.
    pub logprob: f64,
}

/// A token of a reply, and what the model would rather have said.
#[napi(object)]
pub struct Step {
    /// The token that was chosen.
    pub chosen: TokenLogprob,
    /// The likeliest tokens, the best first.
    pub top: Vec<TokenLogprob>,
}

/// How a reply ended, and what it took.
#[napi(object)]
#[derive(Clone)]
pub struct ReplyResult {
    /// `stop`: the model or a stop text ended it; `length`: `maxTokens` or the context did.
    #[napi(ts_type = "'stop' | 'length' | 'cancelled'")]
    pub finish_reason: String,
    /// Tokens of the prompt, the cached ones included.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub completion_tokens: u32,
    /// Leading prompt tokens that the KV cache held already.
    pub cached_tokens: u32,
    /// Turns that no longer fit and were left out, oldest first.
    pub dropped_turns: u32,
    /// Building and encoding the prompt.
    pub tokenize_ms: f64,
    /// Set-up before the first run.
    pub prefill_ms: f64,
    /// From the start of generation to the first token.
    pub ttft_ms: f64,
    /// The prompt pass.
    pub prompt_ms: f64,
    /// All steps after the first token.
    pub decode_ms: f64,
    /// From the start of generation to its end.
    pub gen_ms: f64,
    /// Tokens over the whole generation.
    pub tokens_per_second: f64,
    /// The process's share of all cores, in percent.
    pub cpu_percent: Option<f64>,
    /// The hottest core of the device, in °C.
    pub core_temperature: Option<f64>,
}

/// What is answered.
pub(crate) enum Input {
    /// A conversation, by the chat template.
    Messages(Vec<engine::Message>),
    /// A text as it stands.
    Text(String),
}

/// What the generating thread sends.
enum Event {
    Chunk(engine::Chunk),
    End(Box<napi::Result<engine::Reply>>),
}

/// A reply that is being generated.
#[napi]
pub struct Reply {
    cancel: Cancel,
    inbox: Arc<tokio::sync::Mutex<Inbox>>,
    result: Arc<Mutex<Option<ReplyResult>>>,
}

/// The receiving end.
struct Inbox {
    events: UnboundedReceiver<Event>,
    /// The end, where it arrived together with the last pieces.
    end: Option<Box<napi::Result<engine::Reply>>>,
}

#[napi]
impl Reply {
    /// The next piece, `null` after the last one. Pieces that were waiting come as one.
    ///
    /// Rejects when generating failed; what came before stands, as an incomplete reply.
    // Not an async method: its future would borrow the object, which a worker that is terminated takes with it while
    // the future still waits.
    #[napi(catch_unwind, ts_return_type = "Promise<Chunk | null>")]
    pub fn next<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Option<Chunk>>> {
        let (inbox, result) = (Arc::clone(&self.inbox), Arc::clone(&self.result));
        env.spawn_future(async move {
            let mut inbox = inbox.lock().await;
            if inbox.end.is_none() {
                match inbox.events.recv().await {
                    Some(Event::Chunk(chunk)) => return Ok(Some(inbox.join(chunk))),
                    Some(Event::End(end)) => inbox.end = Some(end),
                    None => return Ok(None),
                }
            }
            if let Some(end) = inbox.end.take() {
                let end = ReplyResult::from((*end)?);
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
            }
            Ok(None)
        })
    }

    /// Ends the reply within one step; it then is complete as far as it goes.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancel.set();
    }

    /// How it ended; throws before `next` has given `null`.
    #[napi(catch_unwind)]
    pub fn result(&self) -> napi::Result<ReplyResult> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result.clone().ok_or_else(|| failure("not_finished", "the reply has not ended yet", None))
    }
}

impl Inbox {
    /// `first` with all pieces that are there already: a slow reader gets few large ones.
    fn join(&mut self, first: engine::Chunk) -> Chunk {
        let mut joined = Chunk::from(first);
        loop {
            match self.events.try_recv() {
                Ok(Event::Chunk(chunk)) => {
                    joined.text.push_str(&chunk.text);
                    joined.tokens += chunk.tokens as u32;
                    if let Some(steps) = &mut joined.steps {
                        steps.extend(chunk.steps.into_iter().map(Step::from));
                    }
                }
                Ok(Event::End(end)) => {
                    self.end = Some(end);
                    return joined;
                }
                Err(_) => return joined,
            }
        }
    }
}

impl Reply {
    /// Starts the thread that generates.
    pub(crate) fn start(
        slot: Arc<Slot>,
        session: Box<engine::Session>,
        input: Input,
        request: engine::Request,
    ) -> napi::Result<Self> {
        let (sender, events) = unbounded_channel();
        let cancel = Cancel::default();
        let job = Job { session, input, request, cancel: cancel.clone(), sender };
        let thread = thread::Builder::new().name("axllm-reply".into());
        let started = thread.spawn(move || job.run(&slot));
        started.map_err(|error| {
            let hint = "end other programs, or raise the limit on threads";
            failure("no_thread", &format!("could not start a thread: {error}"), Some(hint))
        })?;
        let inbox = Arc::new(tokio::sync::Mutex::new(Inbox { events, end: None }));
        Ok(Self { cancel, inbox, result: Arc::default() })
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // nobody can read it any more
        self.cancel.set();
    }
}

/// What the generating thread works on.
struct Job {
    session: Box<engine::Session>,
    input: Input,
    request: engine::Request,
    cancel: Cancel,
    sender: UnboundedSender<Event>,
}

impl Job {
    fn run(self, slot: &Slot) {
        let Self { mut session, input, request, cancel, sender } = self;
        let mut emit = |chunk| match sender.send(Event::Chunk(chunk)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        let mut returned = false;
        let end = fenced(|| {
            let reply = match &input {
                Input::Messages(messages) => session.reply(messages, &request, &cancel, &mut emit),
                Input::Text(text) => session.complete(text, &request, &cancel, &mut emit),
            };
            returned = true;
            reply.map_err(from_engine)
        });
        if !returned {
            // what a panic left in the cache is not to be built on
            session.reset();
        }
        // first the session, so that whoever hears of the end can go on at once
        slot.put_back(session);
        // a reader that has left does not care
        let _ = sender.send(Event::End(Box::new(end)));
    }
}

impl From<engine::Chunk> for Chunk {
    fn from(chunk: engine::Chunk) -> Self {
        let steps = (!chunk.steps.is_empty()).then(|| chunk.steps.into_iter().map(Step::from).collect());
        Self { text: chunk.text, tokens: chunk.tokens as u32, steps }
    }
}

impl From<engine::Step> for Step {
    fn from(step: engine::Step) -> Self {
        let of = |token: engine::TokenLogprob| TokenLogprob {
            id: token.token,
            bytes: token.bytes,
            logprob: token.logprob,
        };
        Self { chosen: of(step.chosen), top: step.top.into_iter().map(of).collect() }
    }
}

impl From<engine::Reply> for ReplyResult {
    fn from(reply: engine::Reply) -> Self {
        let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1e3;
        let timings = &reply.timings;
        Self {
            finish_reason: reply.finish.as_str().into(),
            prompt_tokens: reply.prompt_tokens as u32,
            completion_tokens: reply.completion_tokens as u32,
            cached_tokens: reply.cached_tokens as u32,
            dropped_turns: reply.dropped_turns as u32,
            tokenize_ms: ms(timings.tokenize),
            prefill_ms: ms(timings.setup),
            ttft_ms: ms(timings.first_token),
            prompt_ms: ms(timings.prompt),
            decode_ms: ms(timings.decode),
            gen_ms: ms(timings.generation),
            tokens_per_second: timings.tokens_per_second(reply.completion_tokens),
            cpu_percent: reply.cpu_percent,
            core_temperature: reply.core_temperature,
        }
    }
}
