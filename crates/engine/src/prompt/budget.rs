//! Which part of a conversation fits the model's context.

use super::{ChatTemplate, Message, PromptError, Rendered, Role};
use crate::{Tokenizer, TokenizerError};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Contents whose token counts are remembered; a conversation of more messages starts counting anew.
const REMEMBERED: usize = 4_096;

/// A message of at least this many contexts is refused by its length, without being encoded.
pub(crate) const FAR_TOO_LONG: usize = 4;

/// What to do with a conversation that has outgrown the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// Forget the oldest turns, whole ones only.
    #[default]
    Drop,
    /// Refuse.
    Error,
}

/// What bounds a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptOptions {
    /// Tokens of the model's context: prompt and reply together.
    pub max_tokens: usize,
    /// Tokens kept for the reply, where the model's card says how many.
    pub min_response_space: Option<usize>,
    /// What to do when the conversation does not fit.
    pub overflow: Overflow,
}

/// A prompt that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What the model is run on.
    pub ids: Vec<u32>,
    /// Turns left out from the beginning of the conversation.
    pub dropped_turns: usize,
    /// What the ids were made from.
    pub rendered: Rendered,
}

/// Tokens of the context that a prompt leaves to the reply.
pub fn reserve(max_tokens: usize, min_response_space: Option<usize>) -> usize {
    min_response_space.unwrap_or_else(|| (max_tokens / 8).clamp(32, 128))
}

/// Builds the prompts of one model: its tokenizer with its chat template.
#[derive(Debug)]
pub struct PromptBuilder {
    tokenizer: Arc<Tokenizer>,
    template: ChatTemplate,
    end_tokens: BTreeSet<u32>,
    counts: Mutex<HashMap<String, usize>>,
}

impl PromptBuilder {
    /// Takes the tokenizer's chat template; without one ChatML's where the vocabulary has its marks, else plain
    /// `user: …` lines. `model` is named in errors.
    pub fn new(tokenizer: Arc<Tokenizer>, model: &str) -> Result<Self, PromptError> {
        let source = tokenizer.chat_template().unwrap_or_else(|| ChatTemplate::fallback(tokenizer.added()));
        let (bos, eos) = (tokenizer.bos().unwrap_or(""), tokenizer.eos().unwrap_or(""));
        let template = ChatTemplate::new(model, source, bos, eos)?;
        let mut end_tokens = tokenizer.end_tokens().clone();
        end_tokens.extend(end_of_turn(&template, &tokenizer));
        Ok(Self { template, end_tokens, counts: Mutex::default(), tokenizer })
    }

    /// Every token that ends a reply: the tokenizer's and the one that the template puts behind a reply.
    pub fn end_tokens(&self) -> &BTreeSet<u32> {
        &self.end_tokens
    }

    /// The tokenizer that the ids are of.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// Runs the template over a whole conversation, at the given time.
    pub fn render(&self, messages: &[Message], now: SystemTime) -> Result<Rendered, PromptError> {
        self.template.render(messages, true, self.tokenizer.added(), now)
    }

    /// The prompt for the last message, which must be the user's, with as much of the conversation before it as
    /// the context has room for.
    ///
    /// Turns are counted newest first as plain text against the context less the reply's share, the system prompt
    /// and the message; if the template's own words then make it too long, two more turns go, and so on.
    pub fn build(&self, messages: &[Message], options: PromptOptions) -> Result<Prompt, PromptError> {
        self.build_at(messages, options, SystemTime::now())
    }

    /// As [`build`](Self::build), at the given time.
    pub fn build_at(
        &self,
        messages: &[Message],
        options: PromptOptions,
        now: SystemTime,
    ) -> Result<Prompt, PromptError> {
        let PromptOptions { max_tokens, min_response_space, overflow } = options;
        let room = max_tokens.saturating_sub(reserve(max_tokens, min_response_space));
        let conversation = Conversation::of(messages)?;
        let far = max_tokens.saturating_mul(FAR_TOO_LONG);
        let bytes = conversation.message[0].content.len();
        self.tokenizer.check_length(bytes, far).map_err(|error| too_long(error, room))?;
        let fixed = self.count(conversation.system)? + self.count(conversation.message)?;

        let turns = conversation.turns.len();
        let mut kept = 0;
        let mut left = room.saturating_sub(fixed);
        for turn in conversation.turns.iter().rev() {
            match left.checked_sub(self.count(turn)?) {
                Some(rest) => left = rest,
                None => break,
            }
            kept += 1;
        }
        loop {
            let (rendered, ids) = self.encode(&conversation.last(kept), now)?;
            let fits = match kept {
                0 => ids.len() <= room,
                // A prompt that fills the context leaves no room for one token of a reply.
                _ => ids.len() < max_tokens,
            };
            match fits {
                true if kept == turns || overflow == Overflow::Drop => {
                    return Ok(Prompt { ids, dropped_turns: turns - kept, rendered });
                }
                false if kept == 0 && (turns == 0 || overflow == Overflow::Drop) => {
                    return Err(PromptError::TooLong { prompt_tokens: ids.len(), exact: true, room });
                }
                _ if overflow == Overflow::Error => {
                    let (_, ids) = self.encode(&conversation.last(turns), now)?;
                    return Err(PromptError::HistoryTooLong { prompt_tokens: ids.len(), room });
                }
                _ => kept = kept.saturating_sub(2),
            }
        }
    }

    /// The prompt that is a text as it stands, with the model's begin token before it where it wants one.
    ///
    /// # Errors
    /// When it is empty or leaves no room for the reply.
    pub fn build_text(&self, text: &str, options: PromptOptions) -> Result<Prompt, PromptError> {
        let PromptOptions { max_tokens, min_response_space, .. } = options;
        let room = max_tokens.saturating_sub(reserve(max_tokens, min_response_space));
        let far = max_tokens.saturating_mul(FAR_TOO_LONG);
        self.tokenizer.check_length(text.len(), far).map_err(|error| too_long(error, room))?;
        let rendered = Rendered::plain(self.tokenizer.added().split_ordinary(text));
        let ids = self.tokenizer.encode_rendered(rendered.segments())?;
        if ids.is_empty() {
            return Err(PromptError::Empty);
        }
        if ids.len() > room {
            return Err(PromptError::TooLong { prompt_tokens: ids.len(), exact: true, room });
        }
        Ok(Prompt { ids, dropped_turns: 0, rendered })
    }

    fn encode(&self, messages: &[Message], now: SystemTime) -> Result<(Rendered, Vec<u32>), PromptError> {
        let rendered = self.template.render(messages, true, self.tokenizer.added(), now)?;
        let ids = self.tokenizer.encode_rendered(rendered.segments())?;
        Ok((rendered, ids))
    }

    /// Tokens of some messages as plain text, each content counted once.
    fn count(&self, messages: &[Message]) -> Result<usize, PromptError> {
        let mut sum = 0;
        for Message { content, .. } in messages {
            let known = self.counts().get(content).copied();
            sum += match known {
                Some(count) => count,
                None => {
                    let count = self.tokenizer.encode_text(content)?.len();
                    let mut counts = self.counts();
                    if counts.len() >= REMEMBERED {
                        counts.clear();
                    }
                    counts.insert(content.clone(), count);
                    count
                }
            };
        }
        Ok(sum)
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A conversation by what may be left out of it.
struct Conversation<'a> {
    messages: &'a [Message],
    system: &'a [Message],
    /// Each from one user message to the next.
    turns: Vec<&'a [Message]>,
    message: &'a [Message],
}

impl<'a> Conversation<'a> {
    fn of(messages: &'a [Message]) -> Result<Self, PromptError> {
        let last = messages.last().map(|message| message.role);
        if last != Some(Role::User) {
            return Err(PromptError::NoUserMessage { last });
        }
        let (rest, message) = messages.split_at(messages.len() - 1);
        let lead = rest.iter().take_while(|message| message.role == Role::System).count();
        let (system, history) = rest.split_at(lead);
        let mut turns = vec![];
        let mut start = 0;
        for at in 1..=history.len() {
            if history.get(at).is_none_or(|message| message.role == Role::User) {
                turns.push(&history[start..at]);
                start = at;
            }
        }
        if history.is_empty() {
            turns.clear();
        }
        Ok(Self { messages, system, turns, message })
    }

    /// The system prompt, the last `turns` turns and the message.
    fn last(&self, turns: usize) -> Vec<Message> {
        let kept = &self.turns[self.turns.len() - turns..];
        let kept: usize = kept.iter().map(|turn| turn.len()).sum();
        let tail = &self.messages[self.messages.len() - 1 - kept..];
        self.system.iter().chain(tail).cloned().collect()
    }
}

fn too_long(error: TokenizerError, room: usize) -> PromptError {
    match error {
        TokenizerError::TooLong { at_least, .. } => {
            PromptError::TooLong { prompt_tokens: at_least, exact: false, room }
        }
        other => other.into(),
    }
}

/// The token that a template writes right behind a reply.
fn end_of_turn(template: &ChatTemplate, tokenizer: &Tokenizer) -> Option<u32> {
    const REPLY: &str = "reply";
    let messages = [Message::user("question"), Message::assistant(REPLY), Message::user("question")];
    // A template that fails here fails for the user as well, with a message that fits.
    let rendered = template.render(&messages, true, tokenizer.added(), SystemTime::UNIX_EPOCH).ok()?;
    let mut segments = rendered.segments().iter();
    segments
        .find(|segment| matches!(segment, crate::Segment::Text(text) if text.trim_end().ends_with(REPLY)))?;
    match segments.next()? {
        crate::Segment::Token { id, .. } if tokenizer.control_tokens().contains(id) => Some(*id),
        _ => None,
    }
}
