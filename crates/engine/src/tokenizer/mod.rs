//! Text to token ids and back.

mod added;
mod error;
mod files;
mod gguf;
mod pieces;
mod pipeline;
mod save;
mod words;

pub use added::Segment;
pub(crate) use added::{AddedToken, AddedTokens};
pub use error::TokenizerError;

use pieces::Pieces;
use pipeline::Pipeline;
use std::collections::BTreeSet;

use crate::Error;

/// Entries that a vocabulary may have; the largest published one has 262,144.
const MAX_VOCABULARY: usize = 1 << 21;

/// Texts that end a turn in some published model; each counts only where the vocabulary has it as a token.
const END_TEXTS: [&str; 11] = [
    "<|end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end_of_turn|>",
    "<|eos|>",
    "<end_of_turn>",
    "<EOT>",
    "</s>",
];

/// A model's vocabulary and the rules by which text becomes its tokens.
///
/// Control tokens, the marks by which a template structures a conversation, are never formed by ordinary text.
pub struct Tokenizer {
    pipeline: Pipeline,
    pieces: Pieces,
    added: AddedTokens,
    control: BTreeSet<u32>,
    bos: Option<(u32, String)>,
    eos: Option<(u32, String)>,
    end_tokens: BTreeSet<u32>,
    add_bos: bool,
    add_eos: bool,
    strips_leading_space: bool,
    chat_template: Option<String>,
    longest_piece: usize,
}

/// What the readers of files and of metadata find out.
struct Parts {
    pipeline: Pipeline,
    pieces: Pieces,
    added: Vec<AddedToken>,
    bos: Option<(u32, String)>,
    eos: Option<(u32, String)>,
    unknown: Option<u32>,
    end_ids: Vec<u32>,
    add_bos: bool,
    add_eos: bool,
    strips_leading_space: bool,
    chat_template: Option<String>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("end_tokens", &self.end_tokens)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    fn assemble(mut parts: Parts) -> Result<Self, TokenizerError> {
        let mut end_tokens: BTreeSet<u32> = parts.end_ids.iter().copied().collect();
        end_tokens.extend(parts.eos.as_ref().map(|(id, _)| *id));
        let ends = parts.added.iter().filter(|token| END_TEXTS.contains(&token.text.as_str()));
        end_tokens.extend(ends.map(|token| token.id));

        let bos = parts.bos.as_ref().map(|(id, _)| *id);
        for token in &mut parts.added {
            token.control |= AddedToken::looks_like_control(&token.text)
                || end_tokens.contains(&token.id)
                || bos == Some(token.id);
        }
        let mut control: BTreeSet<u32> =
            parts.added.iter().filter(|token| token.control).map(|token| token.id).collect();
        // The unknown token is what a piece of text becomes that the vocabulary lacks.
        if let Some(unknown) = parts.unknown {
            control.remove(&unknown);
        }
        Ok(Self {
            longest_piece: parts.pieces.longest().max(1),
            added: AddedTokens::new(parts.added)?,
            pipeline: parts.pipeline,
            pieces: parts.pieces,
            control,
            bos: parts.bos,
            eos: parts.eos,
            end_tokens,
            add_bos: parts.add_bos,
            add_eos: parts.add_eos,
            strips_leading_space: parts.strips_leading_space,
            chat_template: parts.chat_template,
        })
    }

    /// Ids of ordinary text. Control tokens are never formed: `<|im_end|>` in it is so many characters.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode_segments(&self.added.split_ordinary(text))
    }

    /// As [`encode_text`](Self::encode_text), but a text that cannot be `limit` tokens or fewer is refused
    /// before any work is done on it, by its length and the longest token's.
    pub fn encode_text_limited(&self, text: &str, limit: usize) -> Result<Vec<u32>, TokenizerError> {
        self.check_length(text.len(), limit)?;
        self.encode_text(text)
    }

    /// Ids of what a chat template wrote: the template's own special tokens count, the users' text forms none.
    ///
    /// Where the model wants every prompt to start with its begin token and the template has not written it, it
    /// is added. An end token is never added: the reply is still to come.
    pub fn encode_rendered(&self, segments: &[Segment]) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = self.encode_segments(segments)?;
        if let Some((bos, _)) = self.bos.as_ref().filter(|_| self.add_bos)
            && ids.first() != Some(bos)
        {
            ids.insert(0, *bos);
        }
        Ok(ids)
    }

    /// Ids of a text that nothing follows, such as one that is to become a vector: with the begin token and the end
    /// token where the files put them around a text. Of what is longer than `most`, the end of the text is cut.
    pub fn encode_alone(&self, text: &str, most: usize) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = self.encode_rendered(&self.added.split_ordinary(text))?;
        let end = self.eos.as_ref().filter(|_| self.add_eos).map(|(id, _)| *id);
        ids.truncate(most.saturating_sub(usize::from(end.is_some())));
        ids.extend(end);
        Ok(ids)
    }

    pub(crate) fn check_length(&self, bytes: usize, limit: usize) -> Result<(), TokenizerError> {
        let at_least = bytes / self.longest_piece;
        if at_least > limit { Err(TokenizerError::TooLong { bytes, at_least, limit }) } else { Ok(()) }
    }

    fn encode_segments(&self, segments: &[Segment]) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = vec![];
        for segment in segments {
            match segment {
                Segment::Token { id, .. } => ids.push(*id),
                Segment::Text(text) => {
                    let start = ids.len();
                    ids.extend(self.pipeline.encode(text, start == 0)?);
                    // Only a crafted file's merges or normalizer get here.
                    if let Some(&id) = ids[start..].iter().find(|id| self.control.contains(id)) {
                        let token = self.added.iter().find(|token| token.id == id);
                        let token = token.map(|token| token.text.clone()).unwrap_or_default();
                        return Err(TokenizerError::ControlFromText { id, token });
                    }
                }
            }
        }
        Ok(ids)
    }

    /// The bytes that a token adds to the text: none for a control token, and possibly a part of a character.
    /// `None` for an id outside the vocabulary.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.pieces.get(id)
    }

    /// The text of ids, control tokens spelled out; U+FFFD stands for bytes that are no character.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let mut bytes = vec![];
        for &id in ids {
            let piece = self
                .token_bytes(id)
                .ok_or(TokenizerError::UnknownId { id, vocab_size: self.vocab_size() })?;
            match self.added.iter().find(|token| token.id == id) {
                Some(token) if piece.is_empty() => bytes.extend(token.text.as_bytes()),
                _ => bytes.extend(piece),
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Entries of the vocabulary, unused ones included.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// Refuses the tokenizer of another model than one with `vocab_size` tokens.
    pub(crate) fn check_fits(&self, vocab_size: usize) -> Result<(), Error> {
        if self.vocab_size() <= vocab_size {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "the tokenizer's vocabulary",
            got: self.vocab_size().to_string(),
            expected: format!("at most the model's {vocab_size}"),
        })
    }

    /// Every token that ends a reply: those that the files list and those known by their text.
    ///
    /// [`PromptBuilder::end_tokens`](crate::PromptBuilder::end_tokens) adds the one of the chat template.
    pub fn end_tokens(&self) -> &BTreeSet<u32> {
        &self.end_tokens
    }

    /// The model's own chat template, in Jinja.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    /// Text of the begin token.
    pub fn bos(&self) -> Option<&str> {
        self.bos.as_ref().map(|(_, text)| text.as_str())
    }

    /// Text of the end token.
    pub fn eos(&self) -> Option<&str> {
        self.eos.as_ref().map(|(_, text)| text.as_str())
    }

    /// Whether the first token of a reply brings a space that is no part of it.
    pub fn strips_leading_space(&self) -> bool {
        self.strips_leading_space
    }

    /// The id of an added token by its text.
    pub fn added_id(&self, text: &str) -> Option<u32> {
        self.added.get(text).map(|token| token.id)
    }

    /// Tokens that ordinary text never forms.
    pub fn control_tokens(&self) -> &BTreeSet<u32> {
        &self.control
    }

    pub(crate) fn added(&self) -> &AddedTokens {
        &self.added
    }
}
