//! The way of ordinary text through the `tokenizers` crate, fenced: a crafted file is an error, never a panic.

use super::TokenizerError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::{
    Model, ModelWrapper, NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer, PreTokenizerWrapper,
};

/// The crate's parts without its added tokens and post-processor: those are [`AddedTokens`](super::added) and
/// the prompt's template here.
pub(super) struct Pipeline {
    pub normalizer: Option<NormalizerWrapper>,
    /// The word splitter for the start of a prompt and, where it differs, for text after an added token.
    first: Option<PreTokenizerWrapper>,
    later: Option<PreTokenizerWrapper>,
    pub model: ModelWrapper,
}

impl Pipeline {
    pub fn new(
        normalizer: Option<NormalizerWrapper>,
        words: Option<PreTokenizerWrapper>,
        model: ModelWrapper,
    ) -> Self {
        let later = words.clone().map(without_first_prefix);
        Self { normalizer, first: words, later, model }
    }

    /// The word splitter.
    pub fn words(&self) -> Option<&PreTokenizerWrapper> {
        self.first.as_ref()
    }

    /// Ids of a text without added tokens; `first` when nothing comes before it.
    pub fn encode(&self, text: &str, first: bool) -> Result<Vec<u32>, TokenizerError> {
        if text.is_empty() {
            return Ok(vec![]);
        }
        fenced(|| self.run(text, if first { &self.first } else { &self.later }))
            .map_err(|reason| TokenizerError::Encode { bytes: text.len(), reason })
    }

    fn run(&self, text: &str, words: &Option<PreTokenizerWrapper>) -> tokenizers::Result<Vec<u32>> {
        let mut normalized = NormalizedString::from(text);
        if let Some(normalizer) = &self.normalizer {
            normalizer.normalize(&mut normalized)?;
        }
        let mut split = PreTokenizedString::from(normalized);
        if let Some(words) = words {
            words.pre_tokenize(&mut split)?;
        }
        let mut ids = vec![];
        for (word, _, _) in split.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            ids.extend(self.model.tokenize(word)?.iter().map(|token| token.id));
        }
        Ok(ids)
    }
}

/// Some SentencePiece models mark a word start at the beginning of the prompt only.
fn without_first_prefix(words: PreTokenizerWrapper) -> PreTokenizerWrapper {
    match words {
        PreTokenizerWrapper::Metaspace(mut metaspace)
            if metaspace.get_prepend_scheme() == PrependScheme::First =>
        {
            metaspace.set_prepend_scheme(PrependScheme::Never);
            metaspace.into()
        }
        PreTokenizerWrapper::Sequence(mut sequence) => {
            for part in sequence.as_mut() {
                *part = without_first_prefix(part.clone());
            }
            sequence.into()
        }
        other => other,
    }
}

/// Runs code of the `tokenizers` crate on data from a file; its panics become reasons.
pub(super) fn fenced<T, E: ToString>(run: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            Err(text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".into()))
        }
    }
}
