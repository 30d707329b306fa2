//! How a byte-level vocabulary splits text into words, by the name its weight file gives.

use super::TokenizerError;
use tokenizers::SplitDelimiterBehavior::Isolated;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN_2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT_4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What `tokenizer.ggml.pre` names.
pub(super) struct Words {
    pub normalizer: Option<NormalizerWrapper>,
    pub split: PreTokenizerWrapper,
    /// A word that is in the vocabulary is one token, whatever the merges say.
    pub ignore_merges: bool,
    /// What llama.cpp does where the file does not say whether a prompt starts with the begin token.
    pub add_bos: bool,
}

/// A file without a name is split as GPT-2 does.
pub(super) fn named(pre: Option<&str>) -> Result<Words, TokenizerError> {
    let gpt_2 = || PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, true));
    let digits_first =
        || PreTokenizerWrapper::Sequence(Sequence::new(vec![Digits::new(true).into(), gpt_2()]));
    let words = |split, ignore_merges, add_bos| Ok(Words { normalizer: None, split, ignore_merges, add_bos });
    match pre.unwrap_or("default") {
        "default" | "gpt-2" | "phi-2" | "olmo" => words(gpt_2(), false, false),
        "smollm" | "starcoder" | "refact" | "command-r" => words(digits_first(), false, false),
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" => words(by_regex(LLAMA_3)?, true, true),
        "qwen2" | "deepseek-r1-qwen" => {
            Ok(Words { normalizer: Some(NFC.into()), ..words(by_regex(QWEN_2)?, false, false)? })
        }
        "gpt-4o" | "llama4" => words(by_regex(GPT_4O)?, true, false),
        "tekken" => words(by_regex(TEKKEN)?, true, true),
        other => Err(TokenizerError::Unsupported {
            what: "tokenizer.ggml.pre",
            got: other.chars().take(64).collect(),
        }),
    }
}

fn by_regex(regex: &str) -> Result<PreTokenizerWrapper, TokenizerError> {
    let split = Split::new(SplitPattern::Regex(regex.to_owned()), Isolated, false)
        .map_err(|error| TokenizerError::Invalid { reason: error.to_string() })?;
    Ok(Sequence::new(vec![split.into(), ByteLevel::new(false, false, false).into()]).into())
}
