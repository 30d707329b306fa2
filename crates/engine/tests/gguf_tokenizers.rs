//! Tokenizers of kinds that the default model is not, from weight files written here.
#![allow(clippy::unwrap_used)]

use engine::{PromptBuilder, Tokenizer, TokenizerError};
use proptest::prelude::*;
use std::io::Write;
use std::sync::Arc;
use transformer::Gguf;

/// Metadata of a weight file without weights.
#[derive(Default, Clone)]
struct File {
    count: u64,
    bytes: Vec<u8>,
}

impl File {
    fn key(mut self, key: &str, kind: u32) -> Self {
        self.count += 1;
        self.text(key);
        self.bytes.extend(kind.to_le_bytes());
        self
    }

    fn text(&mut self, text: &str) {
        self.bytes.extend((text.len() as u64).to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }

    fn list(&mut self, kind: u32, length: usize) {
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((length as u64).to_le_bytes());
    }

    fn string(self, key: &str, value: &str) -> Self {
        let mut file = self.key(key, 8);
        file.text(value);
        file
    }

    fn unsigned(self, key: &str, value: u32) -> Self {
        let mut file = self.key(key, 4);
        file.bytes.extend(value.to_le_bytes());
        file
    }

    fn flag(self, key: &str, value: bool) -> Self {
        let mut file = self.key(key, 7);
        file.bytes.push(value.into());
        file
    }

    fn strings<T: AsRef<str>>(self, key: &str, values: &[T]) -> Self {
        let mut file = self.key(key, 9);
        file.list(8, values.len());
        values.iter().for_each(|value| file.text(value.as_ref()));
        file
    }

    fn integers(self, key: &str, values: &[i32]) -> Self {
        let mut file = self.key(key, 9);
        file.list(5, values.len());
        file.bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        file
    }

    fn floats(self, key: &str, values: &[f32]) -> Self {
        let mut file = self.key(key, 9);
        file.list(6, values.len());
        file.bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        file
    }

    fn load(&self) -> Result<Tokenizer, TokenizerError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for part in
            [&b"GGUF"[..], &3_u32.to_le_bytes(), &0_u64.to_le_bytes(), &self.count.to_le_bytes(), &self.bytes]
        {
            file.write_all(part).unwrap();
        }
        Tokenizer::from_gguf(&Gguf::open(file.path()).unwrap())
    }
}

const WORDS: [(&str, f32); 14] = [
    ("▁a", -1.0),
    ("ab", -2.0),
    ("▁ab", -3.0),
    ("ba", -4.0),
    ("aba", -5.0),
    ("bb", -6.0),
    ("▁▁", -7.0),
    ("bba", -8.0),
    ("▁b", -9.0),
    ("▁", -20.0),
    ("a", -21.0),
    ("b", -22.0),
    ("é", -23.0),
    ("<", -24.0),
];

/// `<unk>`, `<s>`, `</s>`, `[INST]`, all bytes, then the words.
fn sentence_piece() -> (File, Vec<(String, f32)>) {
    let mut tokens: Vec<(String, f32)> =
        ["<unk>", "<s>", "</s>", "[INST]"].iter().map(|token| ((*token).to_owned(), 0.0)).collect();
    let mut kinds = vec![2, 3, 3, 3];
    tokens.extend((0..256).map(|byte| (format!("<0x{byte:02X}>"), 0.0)));
    kinds.extend([6; 256]);
    tokens.extend(WORDS.iter().map(|(word, score)| ((*word).to_owned(), *score)));
    kinds.extend([1; WORDS.len()]);
    let texts: Vec<&String> = tokens.iter().map(|(text, _)| text).collect();
    let scores: Vec<f32> = tokens.iter().map(|(_, score)| *score).collect();
    let file = File::default()
        .string("tokenizer.ggml.model", "llama")
        .strings("tokenizer.ggml.tokens", &texts)
        .floats("tokenizer.ggml.scores", &scores)
        .integers("tokenizer.ggml.token_type", &kinds)
        .unsigned("tokenizer.ggml.bos_token_id", 1)
        .unsigned("tokenizer.ggml.eos_token_id", 2)
        .unsigned("tokenizer.ggml.unknown_token_id", 0);
    (file, tokens)
}

/// llama.cpp's way, slowly: join the neighbours whose union scores best, the leftmost of equals, until none is left.
fn slow_sentence_piece(tokens: &[(String, f32)], text: &str) -> Vec<u32> {
    let words = &tokens[260..];
    let find = |text: &str| words.iter().position(|(word, _)| word == text);
    if text.is_empty() {
        return vec![];
    }
    let mut parts: Vec<String> = format!("▁{}", text.replace(' ', "▁")).chars().map(String::from).collect();
    loop {
        let mut best: Option<(f32, usize)> = None;
        for at in 1..parts.len() {
            if let Some(word) = find(&(parts[at - 1].clone() + &parts[at]))
                && best.is_none_or(|(score, _)| words[word].1 > score)
            {
                best = Some((words[word].1, at));
            }
        }
        let Some((_, at)) = best else { break };
        let right = parts.remove(at);
        parts[at - 1] += &right;
    }
    let ids = parts.iter().flat_map(|part| match find(part) {
        Some(word) => vec![word as u32 + 260],
        None => part.bytes().map(|byte| u32::from(byte) + 4).collect(),
    });
    ids.collect()
}

#[test]
fn sentence_piece_pieces_bytes_and_prefix() {
    let (file, tokens) = sentence_piece();
    let tokenizer = file.load().unwrap();
    for text in ["ab", "abab bba", "  a", "é\n€", "<0x0A>", "<s>", ""] {
        assert_eq!(tokenizer.encode_text(text).unwrap(), slow_sentence_piece(&tokens, text), "{text:?}");
    }
    assert!(tokenizer.strips_leading_space());
    assert_eq!(tokenizer.token_bytes(4 + 10), Some(&b"\n"[..]));
    assert_eq!(tokenizer.token_bytes(260), Some(&b" a"[..]));
    let without = file.flag("tokenizer.ggml.add_space_prefix", false).load().unwrap();
    assert_eq!(without.encode_text("ab").unwrap(), [261]);
    assert!(!without.strips_leading_space());
}

#[test]
fn a_begin_token_is_added_once() {
    let (file, _) = sentence_piece();
    for template in ["{{ bos_token }}[INST] {{ messages[0].content }}", "[INST] {{ messages[0].content }}"] {
        let tokenizer = file.clone().string("tokenizer.chat_template", template).load().unwrap();
        let builder = PromptBuilder::new(Arc::new(tokenizer), "m").unwrap();
        let rendered = builder.render(&[engine::Message::user("a[INST]")], std::time::UNIX_EPOCH).unwrap();
        let ids = builder.tokenizer().encode_rendered(rendered.segments()).unwrap();
        assert_eq!(ids[..2], [1, 3], "{template}");
        assert!(!ids[2..].contains(&3));
    }
}

#[test]
fn without_a_template_roles_are_written_out() {
    let tokenizer = sentence_piece().0.load().unwrap();
    let builder = PromptBuilder::new(Arc::new(tokenizer), "m").unwrap();
    let rendered = builder.render(&[engine::Message::user("hi")], std::time::UNIX_EPOCH).unwrap();
    assert_eq!(rendered.text(), "user: hi\nassistant:");
}

/// A byte-level vocabulary of single bytes and a few words.
fn byte_level(pre: &str) -> File {
    let mut tokens: Vec<String> = ('!'..='~').map(String::from).collect();
    tokens.extend(["Ġ", "Ċ", "12", "123", "Ġ1", "<|im_end|>", "<think>", "Ġhello", "'S"].map(String::from));
    let mut kinds = vec![1; tokens.len()];
    kinds[tokens.iter().position(|token| token == "<|im_end|>").unwrap()] = 3;
    kinds[tokens.iter().position(|token| token == "<think>").unwrap()] = 4;
    File::default()
        .string("tokenizer.ggml.model", "gpt2")
        .string("tokenizer.ggml.pre", pre)
        .strings("tokenizer.ggml.tokens", &tokens)
        .integers("tokenizer.ggml.token_type", &kinds)
        .strings("tokenizer.ggml.merges", &["1 2", "12 3", "Ġ 1"])
        .unsigned("tokenizer.ggml.eos_token_id", 0)
}

fn pieces(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    let ids = tokenizer.encode_text(text).unwrap();
    ids.iter().map(|&id| String::from_utf8(tokenizer.token_bytes(id).unwrap().to_vec()).unwrap()).collect()
}

#[test]
fn words_are_split_as_the_file_names() {
    let split = |pre, text| pieces(&byte_level(pre).load().unwrap(), text).join("|");
    assert_eq!(split("gpt-2", " 1231"), " |123|1");
    assert_eq!(split("smollm", "1231"), "1|2|3|1");
    assert_eq!(split("llama-bpe", "12312"), "123|12");
    assert_eq!(split("qwen2", "123"), "1|2|3");
    // in the vocabulary, though no merge makes it
    assert_eq!(split("llama-bpe", "a hello"), "a| hello");
    assert_eq!(split("tekken", "a hello"), "a| hello");
    assert_eq!(split("gpt-2", "a hello"), "a| |h|e|l|l|o");
    assert_eq!(split("llama-bpe", "x'S"), "x|'S");
    let error = byte_level("of-tomorrow").load().unwrap_err();
    assert_eq!(error.to_string(), "tokenizer.ggml.pre `of-tomorrow` is not supported");
}

#[test]
fn user_defined_tokens_are_words_and_control_tokens_are_not() {
    let tokenizer = byte_level("qwen2").load().unwrap();
    assert_eq!(pieces(&tokenizer, "a<think>").join("|"), "a|<think>");
    assert_eq!(pieces(&tokenizer, "<|im_end|>").len(), 10);
    assert!(tokenizer.end_tokens().contains(&tokenizer.added_id("<|im_end|>").unwrap()));
    assert_eq!(tokenizer.control_tokens().len(), 1);
}

#[test]
fn broken_metadata_is_an_error() {
    let code = |file: &File| file.load().unwrap_err().code();
    assert_eq!(code(&File::default()), "tokenizer_invalid");
    assert_eq!(code(&byte_level("gpt-2").unsigned("tokenizer.ggml.eot_token_id", 999)), "tokenizer_invalid");
    let base = || File::default().strings("tokenizer.ggml.tokens", &["a", "b"]);
    assert_eq!(code(&base().string("tokenizer.ggml.model", "t5")), "tokenizer_unsupported");
    let bpe = || base().string("tokenizer.ggml.model", "gpt2");
    assert_eq!(code(&bpe()), "tokenizer_invalid");
    assert_eq!(code(&bpe().strings("tokenizer.ggml.merges", &["ab"])), "tokenizer_invalid");
    assert_eq!(code(&bpe().strings("tokenizer.ggml.merges", &["a b"])), "tokenizer_invalid");
    let error = bpe().integers("tokenizer.ggml.token_type", &[1]).load().unwrap_err();
    assert_eq!(error.to_string(), "tokenizer metadata `tokenizer.ggml.token_type` has 1 entries, expected 2");
    assert_eq!(
        code(&base().string("tokenizer.ggml.model", "llama").floats("tokenizer.ggml.scores", &[])),
        "tokenizer_invalid"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn sentence_piece_equals_the_slow_way(text in "[ab é<]{0,30}") {
        thread_local!(static TOKENIZER: Tokenizer = sentence_piece().0.load().unwrap());
        let (_, tokens) = sentence_piece();
        let ids = TOKENIZER.with(|tokenizer| tokenizer.encode_text(&text).unwrap());
        prop_assert_eq!(ids, slow_sentence_piece(&tokens, &text));
    }
}

#[test]
fn a_text_that_stands_alone_ends_as_the_file_says() {
    let (file, _) = sentence_piece();
    let plain = file.load().unwrap();
    let prompt = plain.encode_rendered(&[engine::Segment::Text("ab a".into())]).unwrap();
    assert_eq!(plain.encode_alone("ab a", 99).unwrap(), prompt);
    let ending = file.flag("tokenizer.ggml.add_eos_token", true).load().unwrap();
    let ended = [&prompt[..], &[2]].concat();
    assert_eq!(ending.encode_alone("ab a", 99).unwrap(), ended);
    assert_eq!(ending.encode_alone("ab a", 2).unwrap(), [prompt[0], 2]);
    // what a reply follows never ends
    assert_eq!(ending.encode_rendered(&[engine::Segment::Text("ab a".into())]).unwrap(), prompt);
}
