use crate::TokenizerError;
use crate::prompt::Role;

/// Why a conversation cannot become a prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// The model's chat template failed on this conversation, or is no template at all.
    #[error("chat template of {model} failed: {reason}")]
    Template {
        /// The model that the template came with.
        model: String,
        /// What the template engine said, or the template itself.
        reason: String,
    },
    /// The template is larger than any real one.
    #[error("chat template of {model} has {size} bytes, more than the {limit} allowed")]
    TemplateTooLarge {
        /// The model that the template came with.
        model: String,
        /// Its bytes.
        size: usize,
        /// The most that is accepted.
        limit: usize,
    },
    /// The template wrote without end.
    #[error("chat template of {model} writes more than {limit} bytes")]
    OutputTooLarge {
        /// The model that the template came with.
        model: String,
        /// The most that it may write.
        limit: usize,
    },
    /// A message that does not fit even without the conversation before it.
    #[error("prompt {}{} tokens, room {}", if *exact { "" } else { "at least " }, grouped(*prompt_tokens), grouped(*room))]
    TooLong {
        /// Tokens of the system prompt and the message, as the template writes them.
        prompt_tokens: usize,
        /// False where the text is far too long to be worth encoding: the tokens are then a lower bound.
        exact: bool,
        /// Tokens of the model's context that are not kept for the reply.
        room: usize,
    },
    /// The conversation does not fit, and the caller wants none of it dropped.
    #[error("conversation {} tokens, room {}", grouped(*prompt_tokens), grouped(*room))]
    HistoryTooLong {
        /// Tokens of the whole conversation.
        prompt_tokens: usize,
        /// Tokens of the model's context that are not kept for the reply.
        room: usize,
    },
    /// The last message is not the user's, or there is none.
    #[error("the conversation ends with {}, expected a user message", last.map_or("nothing", Role::as_str))]
    NoUserMessage {
        /// Who spoke last.
        last: Option<Role>,
    },
    /// A text to go on with that is not one token long.
    #[error("the prompt is empty, expected a text")]
    Empty,
    /// The tokenizer failed.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

impl PromptError {
    /// The stable code that programs tell errors apart by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Template { .. } | Self::TemplateTooLarge { .. } | Self::OutputTooLarge { .. } => {
                "template_failed"
            }
            Self::TooLong { .. } | Self::HistoryTooLong { .. } => "context_length_exceeded",
            Self::NoUserMessage { .. } | Self::Empty => "invalid_messages",
            Self::Tokenizer(error) => error.code(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooLong { .. } => Some("shorten the message, or use a model with a longer context".into()),
            Self::HistoryTooLong { .. } => Some("clear the conversation or drop its oldest messages".into()),
            Self::NoUserMessage { .. } => Some("end the messages with one whose role is user".into()),
            Self::Template { .. }
            | Self::TemplateTooLarge { .. }
            | Self::OutputTooLarge { .. }
            | Self::Empty => None,
            Self::Tokenizer(error) => error.hint(),
        }
    }

    /// Tokens of what does not fit, and the room that there is.
    pub fn counts(&self) -> Option<(usize, usize)> {
        match self {
            Self::TooLong { prompt_tokens, room, .. } | Self::HistoryTooLong { prompt_tokens, room } => {
                Some((*prompt_tokens, *room))
            }
            _ => None,
        }
    }
}

/// 1203 as `1,203`.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_counts_are_named() {
        let error = PromptError::TooLong { prompt_tokens: 90_000, exact: false, room: 896 };
        assert_eq!(error.to_string(), "prompt at least 90,000 tokens, room 896");
        let error = PromptError::TooLong { prompt_tokens: 1_203, exact: true, room: 896 };
        assert_eq!(error.to_string(), "prompt 1,203 tokens, room 896");
        assert_eq!(error.code(), "context_length_exceeded");
        let error = PromptError::HistoryTooLong { prompt_tokens: 1_234_567, room: 0 };
        assert_eq!(error.to_string(), "conversation 1,234,567 tokens, room 0");
        let error = PromptError::NoUserMessage { last: Some(Role::System) };
        assert_eq!(error.to_string(), "the conversation ends with system, expected a user message");
    }
}
