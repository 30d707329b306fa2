//! A tokenizer from a weight file's metadata.

use super::added::AddedToken;
use super::pieces::{Alphabet, Pieces, named_byte};
use super::pipeline::{Pipeline, fenced};
use super::{MAX_VOCABULARY, Parts, Tokenizer, TokenizerError, words};
use std::collections::HashSet;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::{Prepend, Replace, Sequence};
use transformer::Gguf;

/// `tokenizer.ggml.token_type`.
mod kind {
    pub const UNKNOWN: i64 = 2;
    pub const CONTROL: i64 = 3;
    pub const USER_DEFINED: i64 = 4;
    pub const UNUSED: i64 = 5;
    pub const BYTE: i64 = 6;
}

/// The metadata of one tokenizer, as the file lists it.
struct Metadata<'a> {
    tokens: Vec<&'a str>,
    /// One a token; empty when the file has none, which makes all of them ordinary.
    kinds: Vec<i64>,
    /// Keep added tokens in the vocabulary too, which files need; text is then never encoded with it.
    whole: bool,
}

impl Metadata<'_> {
    fn kind(&self, id: usize) -> i64 {
        self.kinds.get(id).copied().unwrap_or(1)
    }

    fn is_added(&self, id: usize) -> bool {
        matches!(self.kind(id), kind::CONTROL | kind::USER_DEFINED)
    }

    /// Tokens that pieces of text may become; where two have the same text the first counts.
    fn vocabulary(&self) -> Vocab {
        let mut vocabulary = Vocab::with_capacity(self.tokens.len());
        for (id, token) in self.tokens.iter().enumerate() {
            if self.whole || (!self.is_added(id) && self.kind(id) != kind::UNUSED) {
                vocabulary.entry((*token).to_owned()).or_insert(id as u32);
            }
        }
        vocabulary
    }
}

impl Tokenizer {
    /// Builds the tokenizer that a weight file carries: GPT-2's byte-level BPE or SentencePiece's.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, TokenizerError> {
        Self::read_gguf(gguf, false)
    }

    /// `whole`: the vocabulary keeps the added tokens, as files do; for writing files only.
    pub(super) fn read_gguf(gguf: &Gguf, whole: bool) -> Result<Self, TokenizerError> {
        let tokens = required("tokenizer.ggml.tokens", gguf.strings("tokenizer.ggml.tokens")?)?;
        if tokens.len() > MAX_VOCABULARY {
            return Err(TokenizerError::VocabularyTooLarge { got: tokens.len(), limit: MAX_VOCABULARY });
        }
        let kinds = gguf.integers("tokenizer.ggml.token_type")?.unwrap_or_default();
        if !kinds.is_empty() {
            same_length("tokenizer.ggml.token_type", kinds.len(), tokens.len())?;
        }
        let metadata = Metadata { tokens, kinds, whole };
        let (pipeline, alphabet, add_bos, strips_leading_space) =
            match required("tokenizer.ggml.model", gguf.string("tokenizer.ggml.model")?)? {
                "gpt2" => {
                    let words = words::named(gguf.string("tokenizer.ggml.pre")?)?;
                    let merges = required("tokenizer.ggml.merges", gguf.strings("tokenizer.ggml.merges")?)?;
                    let model = byte_level(&metadata, &merges, words.ignore_merges)?;
                    let pipeline = Pipeline::new(words.normalizer, Some(words.split), model.into());
                    (pipeline, Alphabet::ByteLevel, words.add_bos, false)
                }
                "llama" => {
                    let scores = required("tokenizer.ggml.scores", gguf.floats("tokenizer.ggml.scores")?)?;
                    same_length("tokenizer.ggml.scores", scores.len(), metadata.tokens.len())?;
                    let prefix = gguf.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
                    let model = sentence_piece(&metadata, &scores)?;
                    let mut steps = vec![];
                    if prefix {
                        steps.push(Prepend::new("▁".into()).into());
                    }
                    let replace = Replace::new(" ", "▁");
                    steps.push(
                        replace
                            .map_err(|error| TokenizerError::Invalid { reason: error.to_string() })?
                            .into(),
                    );
                    let pipeline = Pipeline::new(Some(Sequence::new(steps).into()), None, model.into());
                    (pipeline, Alphabet::SentencePiece, true, prefix)
                }
                other => {
                    return Err(TokenizerError::Unsupported {
                        what: "tokenizer.ggml.model",
                        got: other.chars().take(64).collect(),
                    });
                }
            };

        let vocab_size = metadata.tokens.len();
        let id = |key: &'static str| -> Result<Option<u32>, TokenizerError> {
            match gguf.unsigned(key)? {
                Some(id) if id < vocab_size as u64 => Ok(Some(id as u32)),
                Some(id) => {
                    let id = i64::try_from(id).unwrap_or(i64::MAX);
                    Err(TokenizerError::IdOutOfRange { what: key, id, vocab_size })
                }
                None => Ok(None),
            }
        };
        let mut end_ids = vec![];
        for key in
            ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"]
        {
            end_ids.extend(id(key)?);
        }
        let mut pieces = Pieces::default();
        for (at, token) in metadata.tokens.iter().enumerate() {
            let bytes = match metadata.kind(at) {
                kind::CONTROL | kind::UNKNOWN | kind::UNUSED => vec![],
                kind::USER_DEFINED => token.as_bytes().to_vec(),
                _ => alphabet.decode(token),
            };
            let too_large = TokenizerError::VocabularyTooLarge { got: vocab_size, limit: MAX_VOCABULARY };
            pieces.push(&bytes).ok_or(too_large)?;
        }
        // Phi-3's marks swallow the white space behind them, which its file has no way to say
        let phi_3 =
            alphabet == Alphabet::SentencePiece && gguf.string("general.architecture")? == Some("phi3");
        let swallows = |text: &str| phi_3 && !["<s>", "<unk>", "<|endoftext|>"].contains(&text);
        let added = (0..vocab_size).filter(|&at| metadata.is_added(at)).map(|at| AddedToken {
            id: at as u32,
            text: metadata.tokens[at].to_owned(),
            control: metadata.kind(at) == kind::CONTROL,
            rstrip: swallows(metadata.tokens[at]),
            ..AddedToken::default()
        });
        let special = |id: Option<u32>| id.map(|id| (id, metadata.tokens[id as usize].to_owned()));
        Tokenizer::assemble(Parts {
            pipeline,
            pieces,
            added: added.collect(),
            bos: special(id("tokenizer.ggml.bos_token_id")?),
            eos: special(id("tokenizer.ggml.eos_token_id")?),
            unknown: id("tokenizer.ggml.unknown_token_id")?,
            end_ids,
            add_bos: gguf.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(add_bos),
            add_eos: gguf.bool("tokenizer.ggml.add_eos_token")?.unwrap_or(false),
            strips_leading_space,
            chat_template: gguf.string("tokenizer.chat_template")?.map(str::to_owned),
        })
    }
}

fn required<T>(key: &'static str, value: Option<T>) -> Result<T, TokenizerError> {
    value.ok_or(TokenizerError::MissingKey { key })
}

fn same_length(key: &'static str, got: usize, expected: usize) -> Result<(), TokenizerError> {
    if got == expected { Ok(()) } else { Err(TokenizerError::LengthMismatch { key, got, expected }) }
}

fn byte_level(metadata: &Metadata<'_>, lines: &[&str], ignore_merges: bool) -> Result<BPE, TokenizerError> {
    let added: HashSet<&str> = (0..metadata.tokens.len())
        .filter(|&id| metadata.is_added(id))
        .map(|id| metadata.tokens[id])
        .collect();
    let mut merges = Merges::with_capacity(lines.len());
    let mut joined = String::new();
    for line in lines {
        // A token may itself begin with a space, as in llama.cpp's reader.
        let space = line.char_indices().skip(1).find(|(_, character)| *character == ' ');
        let (left, right) = match space {
            Some((at, _)) => (&line[..at], &line[at + 1..]),
            None => {
                let reason =
                    format!("merge `{}` is not two tokens", line.chars().take(64).collect::<String>());
                return Err(TokenizerError::Invalid { reason });
            }
        };
        joined.clear();
        joined.extend([left, right]);
        // What ordinary text must never form, no merge may make.
        if ![left, right, &joined].iter().any(|token| added.contains(token)) {
            merges.push((left.to_owned(), right.to_owned()));
        }
    }
    let builder = BPE::builder().vocab_and_merges(metadata.vocabulary(), merges).ignore_merges(ignore_merges);
    fenced(|| builder.build()).map_err(|reason| TokenizerError::Invalid { reason })
}

/// SentencePiece joins the pair whose union scores best: the same as merges listed by falling score.
fn sentence_piece(metadata: &Metadata<'_>, scores: &[f32]) -> Result<BPE, TokenizerError> {
    let vocabulary = metadata.vocabulary();
    let mut pairs: Vec<(f32, u32, usize)> = vec![];
    for (id, token) in metadata.tokens.iter().enumerate() {
        let ordinary = matches!(metadata.kind(id), 1) && vocabulary.get(*token) == Some(&(id as u32));
        if !ordinary || token.len() > MAX_MERGED {
            continue;
        }
        for (at, _) in token.char_indices().skip(1) {
            if part(metadata, &vocabulary, &token[..at]) && part(metadata, &vocabulary, &token[at..]) {
                pairs.push((scores[id], id as u32, at));
            }
        }
    }
    // `total_cmp` puts a crafted NaN somewhere definite; equal scores keep the file's order.
    pairs.sort_by(|left, right| right.0.total_cmp(&left.0));
    let halves = |&(_, id, at): &(f32, u32, usize)| {
        let (left, right) = metadata.tokens[id as usize].split_at(at);
        (left.to_owned(), right.to_owned())
    };
    let merges: Merges = pairs.iter().map(halves).collect();
    let bytes = (0..metadata.tokens.len())
        .any(|id| metadata.kind(id) == kind::BYTE && named_byte(metadata.tokens[id]).is_some());
    let mut builder = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .byte_fallback(bytes)
        .fuse_unk(true)
        .cache_capacity(0);
    let unknown = (0..metadata.tokens.len()).find(|&id| metadata.kind(id) == kind::UNKNOWN);
    if let Some(id) = unknown {
        builder = builder.unk_token(metadata.tokens[id].to_owned());
    }
    fenced(|| builder.build()).map_err(|reason| TokenizerError::Invalid { reason })
}

/// Longest token that is built from parts, in bytes: SentencePiece's own limit is 16 characters by default.
const MAX_MERGED: usize = 1024;

fn part(metadata: &Metadata<'_>, vocabulary: &Vocab, text: &str) -> bool {
    vocabulary.get(text).is_some_and(|&id| metadata.kind(id as usize) == 1)
}
