//! A tokenizer from the files that a Hugging Face model folder has.

use super::added::AddedToken;
use super::pieces::{Alphabet, Pieces};
use super::pipeline::{Pipeline, fenced};
use super::{MAX_VOCABULARY, Parts, Tokenizer, TokenizerError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use tokenizers::{Model, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper};

const TOKENIZER_LIMIT: u64 = 64 << 20;
const CONFIG_LIMIT: u64 = 8 << 20;

#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    added_tokens: Vec<FileToken>,
    #[serde(default)]
    normalizer: Option<Value>,
    #[serde(default)]
    pre_tokenizer: Option<Value>,
    #[serde(default)]
    post_processor: Option<Value>,
    #[serde(default)]
    decoder: Option<Value>,
    model: Value,
}

#[derive(Deserialize)]
struct FileToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    single_word: bool,
}

#[derive(Deserialize, Default)]
struct TokenizerConfig {
    bos_token: Option<TokenText>,
    eos_token: Option<TokenText>,
    unk_token: Option<TokenText>,
    add_bos_token: Option<bool>,
    add_eos_token: Option<bool>,
    chat_template: Option<Templates>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TokenText {
    Text(String),
    Object { content: String },
}

impl TokenText {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Object { content: text } => text,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Named(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

#[derive(Deserialize, Default)]
struct GenerationConfig {
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(i64),
    Many(Vec<i64>),
}

impl Tokenizer {
    /// Reads `tokenizer.json` and, where they exist, `tokenizer_config.json`, `generation_config.json` and
    /// `chat_template.jinja`. Nothing else is opened, whatever those files name.
    pub fn from_dir(dir: &Path) -> Result<Self, TokenizerError> {
        let file: TokenizerFile = read_json(dir, "tokenizer.json", TOKENIZER_LIMIT)?
            .ok_or_else(|| TokenizerError::NoTokenizerFile { dir: dir.to_owned() })?;
        let config: TokenizerConfig =
            read_json(dir, "tokenizer_config.json", CONFIG_LIMIT)?.unwrap_or_default();
        let generation: GenerationConfig =
            read_json(dir, "generation_config.json", CONFIG_LIMIT)?.unwrap_or_default();
        let template = match read(dir, "chat_template.jinja", CONFIG_LIMIT)? {
            Some(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            None => config.chat_template.and_then(Templates::default_one),
        };
        let alphabet = file.alphabet()?;
        let invalid = |reason| TokenizerError::Invalid { reason };
        let normalizer: Option<NormalizerWrapper> = part(file.normalizer.as_ref())?;
        let words: Option<PreTokenizerWrapper> = part(file.pre_tokenizer.as_ref())?;
        let strips_leading_space = file.decoder.as_ref().is_some_and(strips_space);
        let post_processor = file.post_processor.as_ref().map(Value::to_string).unwrap_or_default();
        let model: ModelWrapper = fenced(|| serde_json::from_value(file.model)).map_err(invalid)?;
        let vocabulary = fenced(|| Ok::<_, String>(model.get_vocab())).map_err(invalid)?;

        let ids = vocabulary.values().copied().chain(file.added_tokens.iter().map(|token| token.id));
        let vocab_size = ids.max().map_or(0, |id| id as usize + 1);
        if vocab_size > MAX_VOCABULARY {
            return Err(TokenizerError::VocabularyTooLarge { got: vocab_size, limit: MAX_VOCABULARY });
        }
        let pieces = pieces(&vocabulary, &file.added_tokens, vocab_size, alphabet)?;

        let added: HashMap<&str, u32> =
            file.added_tokens.iter().map(|token| (token.content.as_str(), token.id)).collect();
        let named = |token: &Option<TokenText>| {
            let text = token.as_ref()?.text();
            let id = added.get(text).or_else(|| vocabulary.get(text));
            id.map(|&id| (id, text.to_owned()))
        };
        let bos = named(&config.bos_token);
        let adds_bos = bos.as_ref().is_some_and(|(_, text)| {
            post_processor.contains("TemplateProcessing")
                && post_processor.contains(&Value::from(text.as_str()).to_string())
        });
        let mut end_ids = vec![];
        for id in generation.eos_token_id.into_iter().flat_map(Ids::into_list) {
            let known = u32::try_from(id).ok().filter(|&id| (id as usize) < vocab_size);
            let what = "eos_token_id of generation_config.json";
            end_ids.push(known.ok_or(TokenizerError::IdOutOfRange { what, id, vocab_size })?);
        }
        Tokenizer::assemble(Parts {
            eos: named(&config.eos_token),
            unknown: named(&config.unk_token).map(|(id, _)| id),
            bos,
            end_ids,
            add_bos: config.add_bos_token.unwrap_or(adds_bos),
            add_eos: config.add_eos_token.unwrap_or(false),
            strips_leading_space,
            chat_template: template,
            pieces,
            added: file.added_tokens.into_iter().map(FileToken::into_added).collect(),
            pipeline: Pipeline::new(normalizer, words, model),
        })
    }
}

impl TokenizerFile {
    /// How the vocabulary writes bytes, from the parts that read or write it.
    fn alphabet(&self) -> Result<Alphabet, TokenizerError> {
        let text = |part: &Option<Value>| part.as_ref().map(Value::to_string).unwrap_or_default();
        let (decoder, words, normalizer) =
            (text(&self.decoder), text(&self.pre_tokenizer), text(&self.normalizer));
        if decoder.contains("\"ByteLevel\"") || words.contains("\"ByteLevel\"") {
            Ok(Alphabet::ByteLevel)
        } else if [decoder, words, normalizer].iter().any(|part| part.contains('▁')) {
            Ok(Alphabet::SentencePiece)
        } else {
            let model = self.model.get("type").and_then(Value::as_str).unwrap_or("without byte-level pieces");
            Err(TokenizerError::Unsupported {
                what: "tokenizer model",
                got: model.chars().take(64).collect(),
            })
        }
    }
}

impl FileToken {
    fn into_added(self) -> AddedToken {
        AddedToken {
            id: self.id,
            text: self.content,
            control: self.special,
            lstrip: self.lstrip,
            rstrip: self.rstrip,
            single_word: self.single_word,
        }
    }
}

impl Templates {
    fn default_one(self) -> Option<String> {
        match self {
            Self::One(template) => Some(template),
            Self::Named(list) => {
                list.into_iter().find(|entry| entry.name == "default").map(|entry| entry.template)
            }
        }
    }
}

impl Ids {
    fn into_list(self) -> Vec<i64> {
        match self {
            Self::One(id) => vec![id],
            Self::Many(ids) => ids,
        }
    }
}

/// Whether decoding drops the space that the vocabulary puts in front of a text.
fn strips_space(decoder: &Value) -> bool {
    match decoder.get("type").and_then(Value::as_str) {
        Some("Sequence") => {
            decoder["decoders"].as_array().is_some_and(|parts| parts.iter().any(strips_space))
        }
        Some("Strip") => {
            decoder["content"] == " " && decoder["start"].as_u64().is_some_and(|start| start > 0)
        }
        Some("Metaspace") => decoder["prepend_scheme"] != "never",
        _ => false,
    }
}

fn pieces(
    vocabulary: &HashMap<String, u32>,
    added: &[FileToken],
    vocab_size: usize,
    alphabet: Alphabet,
) -> Result<Pieces, TokenizerError> {
    let mut bytes: Vec<Vec<u8>> = vec![vec![]; vocab_size];
    for (token, &id) in vocabulary {
        bytes[id as usize] = alphabet.decode(token);
    }
    for token in added {
        let control = token.special || AddedToken::looks_like_control(&token.content);
        bytes[token.id as usize] = if control { vec![] } else { token.content.as_bytes().to_vec() };
    }
    let mut pieces = Pieces::default();
    for piece in bytes {
        let too_large = TokenizerError::VocabularyTooLarge { got: vocab_size, limit: MAX_VOCABULARY };
        pieces.push(&piece).ok_or(too_large)?;
    }
    Ok(pieces)
}

fn part<T: DeserializeOwned>(value: Option<&Value>) -> Result<Option<T>, TokenizerError> {
    value
        .filter(|value| !value.is_null())
        .map(|value| fenced(|| T::deserialize(value)))
        .transpose()
        .map_err(|reason| TokenizerError::Invalid { reason })
}

fn read_json<T: DeserializeOwned>(dir: &Path, name: &str, limit: u64) -> Result<Option<T>, TokenizerError> {
    let Some(bytes) = read(dir, name, limit)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| TokenizerError::Json { path: dir.join(name), source })
}

/// The bytes of a file of the folder itself; `None` where it has no such file.
fn read(dir: &Path, name: &str, limit: u64) -> Result<Option<Vec<u8>>, TokenizerError> {
    let path = dir.join(name);
    let io = |path: &PathBuf| {
        let path = path.clone();
        move |source| TokenizerError::Io { path, source }
    };
    let target = match path.canonicalize() {
        Ok(target) => target,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(&path)(error)),
    };
    if !belongs(&target, &dir.canonicalize().map_err(io(&path))?) {
        return Err(TokenizerError::OutsideFolder { path, target });
    }
    // Asked before it is opened: opening a pipe would wait for its writer.
    let metadata = target.metadata().map_err(io(&path))?;
    if !metadata.is_file() {
        return Err(io(&path)(std::io::Error::other("not a regular file")));
    }
    let file = std::fs::File::open(&target).map_err(io(&path))?;
    let mut bytes = vec![];
    file.take(limit + 1).read_to_end(&mut bytes).map_err(io(&path))?;
    if bytes.len() as u64 > limit {
        return Err(TokenizerError::FileTooLarge { path, size: metadata.len().max(limit + 1), limit });
    }
    Ok(Some(bytes))
}

/// Whether a link's target is the folder's own: a file in it or, where Python's hub client keeps the folder as
/// `snapshots/<commit>`, one of the `blobs` beside it that all its entries are links to.
fn belongs(target: &Path, dir: &Path) -> bool {
    let snapshots = dir.parent().filter(|parent| parent.ends_with("snapshots"));
    let blobs = snapshots.and_then(Path::parent).map(|home| home.join("blobs"));
    target.starts_with(dir) || (blobs.is_some() && target.parent() == blobs.as_deref())
}
