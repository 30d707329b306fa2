//! One conversation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use napi_derive::napi;

use crate::{
    error::{failure, invalid},
    reply::{Input, Reply},
};

/// One message of a conversation.
#[napi(object)]
pub struct Message {
    /// Who speaks.
    #[napi(ts_type = "'system' | 'user' | 'assistant'")]
    pub role: String,
    /// What is said.
    pub content: String,
}

/// Parameters of one reply; absent ones leave the model's scores as they are.
#[napi(object)]
pub struct GenerateOptions {
    /// 0 (the default): the best token each time.
    pub temperature: Option<f64>,
    /// Only this many of the best tokens; 0: all.
    pub top_k: Option<u32>,
    /// Only the best tokens that together have this probability; 1: all.
    pub top_p: Option<f64>,
    /// Only tokens at least this fraction as probable as the best; 0: all.
    pub min_p: Option<f64>,
    /// Divides the scores of tokens seen before; 1: no change.
    pub repeat_penalty: Option<f64>,
    /// Taken off the score of every token seen before.
    pub presence_penalty: Option<f64>,
    /// Taken off the score of a token as many times as it was seen.
    pub frequency_penalty: Option<f64>,
    /// Added to the scores of tokens, by their ids.
    pub logit_bias: Option<HashMap<String, f64>>,
    /// The same seed, prompt and options give the same reply.
    pub seed: Option<i64>,
    /// Most tokens of the reply; absent: as many as the context has room for.
    pub max_tokens: Option<u32>,
    /// Texts that end the reply; they are not part of it.
    pub stop: Option<Vec<String>>,
    /// What to do with a conversation that has outgrown the context; `drop` where absent.
    #[napi(ts_type = "'drop' | 'error'")]
    pub on_overflow: Option<String>,
    /// Tell each token's log-probability, beside those of this many of the likeliest; absent: none.
    pub logprobs: Option<u32>,
}

/// One conversation's KV cache.
#[napi]
pub struct Session {
    slot: Arc<Slot>,
}

/// Where the engine's session is while nobody replies.
pub(crate) struct Slot(Mutex<State>);

enum State {
    Idle(Box<engine::Session>),
    /// A reply has it; `reset` and `disposed` wait for its end.
    Busy {
        reset: bool,
        disposed: bool,
    },
    Disposed,
}

#[napi]
impl Session {
    /// Answers the last message.
    #[napi(catch_unwind)]
    pub fn reply(&self, messages: Vec<Message>, options: GenerateOptions) -> napi::Result<Reply> {
        let messages = messages.into_iter().map(Message::into_engine).collect::<napi::Result<_>>()?;
        let request = options.into_engine()?;
        Reply::start(Arc::clone(&self.slot), self.slot.take()?, Input::Messages(messages), request)
    }

    /// Goes on with a text as it stands, outside of any conversation.
    #[napi(catch_unwind)]
    pub fn complete(&self, text: String, options: GenerateOptions) -> napi::Result<Reply> {
        let request = options.into_engine()?;
        Reply::start(Arc::clone(&self.slot), self.slot.take()?, Input::Text(text), request)
    }

    /// Forgets the conversation; the next reply reads its whole prompt.
    #[napi(catch_unwind)]
    pub fn reset(&self) {
        match &mut *self.slot.lock() {
            State::Idle(session) => session.reset(),
            State::Busy { reset, .. } => *reset = true,
            State::Disposed => {}
        }
    }

    /// Lets go of the KV cache, after a reply that is still running.
    #[napi(catch_unwind)]
    pub fn dispose(&self) {
        let mut state = self.slot.lock();
        match &mut *state {
            State::Busy { disposed, .. } => *disposed = true,
            _ => *state = State::Disposed,
        }
    }
}

impl Session {
    pub(crate) fn new(session: engine::Session) -> Self {
        Self { slot: Arc::new(Slot(Mutex::new(State::Idle(Box::new(session))))) }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> napi::Result<Box<engine::Session>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Busy { reset: false, disposed: false }) {
            State::Idle(session) => Ok(session),
            busy @ State::Busy { .. } => {
                *state = busy;
                let hint = "wait for the reply to end, or cancel it";
                Err(failure("busy", "the conversation is still being answered", Some(hint)))
            }
            State::Disposed => {
                *state = State::Disposed;
                Err(failure("disposed", "the conversation has been disposed", None))
            }
        }
    }

    /// Puts the session back after a reply.
    pub(crate) fn put_back(&self, mut session: Box<engine::Session>) {
        let mut state = self.lock();
        *state = match *state {
            State::Busy { disposed: true, .. } | State::Disposed => State::Disposed,
            State::Busy { reset, .. } => {
                if reset {
                    session.reset();
                }
                State::Idle(session)
            }
            State::Idle(_) => State::Idle(session),
        };
    }
}

impl Message {
    pub(crate) fn into_engine(self) -> napi::Result<engine::Message> {
        match self.role.as_str() {
            "system" => Ok(engine::Message::system(self.content)),
            "user" => Ok(engine::Message::user(self.content)),
            "assistant" => Ok(engine::Message::assistant(self.content)),
            other => Err(invalid("role", other, "system, user or assistant")),
        }
    }
}

impl GenerateOptions {
    fn into_engine(self) -> napi::Result<engine::Request> {
        let default = engine::SamplerOptions::default();
        let or = |value: Option<f64>, default: f32| value.map_or(default, |value| value as f32);
        let seed = match self.seed {
            Some(seed) => Some(u64::try_from(seed).map_err(|_| invalid("seed", seed, "0 or more"))?),
            None => None,
        };
        let overflow = match self.on_overflow.as_deref() {
            None | Some("drop") => engine::Overflow::Drop,
            Some("error") => engine::Overflow::Error,
            Some(other) => return Err(invalid("onOverflow", other, "drop or error")),
        };
        let biases = self.logit_bias.unwrap_or_default().into_iter().map(|(token, bias)| {
            let id = token.parse().map_err(|_| invalid("logitBias", &token, "the id of a token"))?;
            Ok((id, bias as f32))
        });
        Ok(engine::Request {
            no_drafts: false,
            sampler: engine::SamplerOptions {
                temperature: or(self.temperature, default.temperature),
                top_k: self.top_k.map_or(default.top_k, |k| k as usize),
                top_p: or(self.top_p, default.top_p),
                min_p: or(self.min_p, default.min_p),
                repeat_penalty: or(self.repeat_penalty, default.repeat_penalty),
                presence_penalty: or(self.presence_penalty, default.presence_penalty),
                frequency_penalty: or(self.frequency_penalty, default.frequency_penalty),
                bias: biases.collect::<napi::Result<_>>()?,
                seed,
            },
            max_tokens: self.max_tokens.map(|n| n as usize),
            stop: self.stop.unwrap_or_default(),
            overflow,
            logprobs: self.logprobs.map(|n| n as usize),
        })
    }
}
