//! Texts as vectors: what may be embedded, and what is wrong with the rest.

use crate::{
    Cancel, Error, Model, SamplerError, TokenizerError,
    prompt::{FAR_TOO_LONG, grouped},
};

/// Why texts do not become vectors. Inputs are counted from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// A device hands out the scores of tokens, and nothing of what they are made from.
    #[error("no embeddings can be made on {device}, which gives the scores of tokens only")]
    Device {
        /// The device.
        device: String,
    },
    /// The weight file names a kind of vector that is not known here, such as a rank.
    #[error("the model's file asks for a pooling that is not known here, expected none, mean, first or last")]
    UnknownPooling,
    /// An input without anything.
    #[error("input[{index}] is empty, expected a text or token ids")]
    Empty {
        /// Which.
        index: usize,
    },
    /// An input that is longer than the context.
    #[error("input[{index}] has {}{} tokens, room {}", if *exact { "" } else { "at least " }, grouped(*tokens), grouped(*room))]
    TooLong {
        /// Which.
        index: usize,
        /// Its tokens.
        tokens: usize,
        /// False where it is far too long to be worth encoding: the tokens are then a lower bound.
        exact: bool,
        /// Tokens of the model's context.
        room: usize,
    },
    /// A token id outside the vocabulary.
    #[error("input[{index}] has the token id {id}, outside the vocabulary of {vocab_size}")]
    UnknownToken {
        /// Which input.
        index: usize,
        /// The id.
        id: u32,
        /// Ids below this exist.
        vocab_size: usize,
    },
}

impl EmbedError {
    /// The stable code that programs tell errors apart by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Device { .. } | Self::UnknownPooling => "embeddings_unsupported",
            Self::Empty { .. } => "invalid_option",
            Self::TooLong { .. } => "context_length_exceeded",
            Self::UnknownToken { .. } => "unknown_token",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Device { .. } => "load the model on the CPU: --pipeline transformers",
            Self::UnknownPooling => "use a model that makes embeddings, or one for chats",
            Self::TooLong { .. } => "cut the text into shorter ones",
            Self::Empty { .. } | Self::UnknownToken { .. } => return None,
        };
        Some(text.into())
    }

    /// Tokens of what does not fit, and the room that there is.
    pub fn counts(&self) -> Option<(usize, usize)> {
        match self {
            Self::TooLong { tokens, room, .. } => Some((*tokens, *room)),
            _ => None,
        }
    }

    /// Which input it is about.
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::Empty { index } | Self::TooLong { index, .. } | Self::UnknownToken { index, .. } => {
                Some(*index)
            }
            Self::Device { .. } | Self::UnknownPooling => None,
        }
    }
}

/// One thing to be embedded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmbedInput {
    /// A text; control tokens that it spells are ordinary text.
    Text(String),
    /// Token ids as they are.
    Tokens(Vec<u32>),
}

impl Model {
    /// The token ids of each input, all of them checked: texts get what the model's files put around a text. With
    /// `truncate`, what is longer than the context loses its end, which is an error otherwise.
    ///
    /// # Errors
    /// [`EmbedError`] of the first input that has one, or when the model makes no embeddings.
    pub fn embedding_tokens(&self, inputs: Vec<EmbedInput>, truncate: bool) -> Result<Vec<Vec<u32>>, Error> {
        self.backend().embedder()?;
        let (room, vocab_size) = (self.context_length(), self.vocab_size());
        let mut all = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.into_iter().enumerate() {
            let mut ids = match input {
                EmbedInput::Tokens(ids) => ids,
                EmbedInput::Text(text) if text.is_empty() => Vec::new(),
                EmbedInput::Text(text) => match self.encode_alone(&text, truncate) {
                    Err(TokenizerError::TooLong { at_least: tokens, .. }) => {
                        return Err(EmbedError::TooLong { index, tokens, exact: false, room }.into());
                    }
                    ids => ids?,
                },
            };
            if ids.is_empty() {
                return Err(EmbedError::Empty { index }.into());
            }
            if truncate {
                ids.truncate(room);
            }
            if ids.len() > room {
                return Err(EmbedError::TooLong { index, tokens: ids.len(), exact: true, room }.into());
            }
            if let Some(&id) = ids.iter().find(|id| **id as usize >= vocab_size) {
                return Err(EmbedError::UnknownToken { index, id, vocab_size }.into());
            }
            all.push(ids);
        }
        Ok(all)
    }

    fn encode_alone(&self, text: &str, truncate: bool) -> Result<Vec<u32>, TokenizerError> {
        let tokenizer = self.prompts().tokenizer();
        let room = self.context_length();
        if truncate {
            return tokenizer.encode_alone(text, room);
        }
        tokenizer.check_length(text.len(), room.saturating_mul(FAR_TOO_LONG))?;
        tokenizer.encode_alone(text, usize::MAX)
    }

    /// One vector of length 1 for each input of [`Model::embedding_tokens`]. It depends on the input alone, whatever
    /// goes with it.
    ///
    /// # Errors
    /// [`Error::Cancelled`] within one step; or when the model answers with what is no number.
    pub fn embed(&self, inputs: &[Vec<u32>], cancel: &Cancel) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = self.backend().embedder()?.embed(inputs, cancel)?;
        for vector in &mut vectors {
            normalise(vector)?;
        }
        Ok(vectors)
    }
}

/// Makes the length 1; zeros stay as they are.
fn normalise(vector: &mut [f32]) -> Result<(), SamplerError> {
    let length = vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() {
        return Err(SamplerError::InvalidScores);
    }
    if length > 0.0 {
        vector.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    }
    Ok(())
}
