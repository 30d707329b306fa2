//! A tokenizer as the files that Hugging Face's tools read.

use serde_json::{Value, json};
use transformer::Gguf;

use super::{Tokenizer, TokenizerError};

impl Tokenizer {
    /// Name and content of `tokenizer.json`, `tokenizer_config.json` and `generation_config.json`: what
    /// [`Tokenizer::from_dir`] makes the same tokenizer from as [`Tokenizer::from_gguf`] from the weight file.
    ///
    /// # Errors
    /// When the file has no tokenizer, or a part cannot be written as JSON.
    pub fn files_of(gguf: &Gguf) -> Result<[(&'static str, String); 3], TokenizerError> {
        // a vocabulary without holes: added tokens keep their ids only where it has them too
        Self::read_gguf(gguf, true)?.to_files()
    }

    fn to_files(&self) -> Result<[(&'static str, String); 3], TokenizerError> {
        let part = |value: Result<Value, serde_json::Error>| {
            value.map_err(|error| TokenizerError::Invalid { reason: error.to_string() })
        };
        let normalizer = part(serde_json::to_value(&self.pipeline.normalizer))?;
        let words = part(serde_json::to_value(self.pipeline.words()))?;
        let model = part(serde_json::to_value(&self.pipeline.model))?;
        let added: Vec<_> = self
            .added
            .iter()
            .map(|token| {
                json!({
                    "id": token.id, "content": token.text, "single_word": token.single_word,
                    "lstrip": token.lstrip, "rstrip": token.rstrip, "normalized": false,
                    "special": token.control,
                })
            })
            .collect();
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": normalizer, "pre_tokenizer": words, "post_processor": null,
            "decoder": self.decoder(), "model": model,
        });
        let config = json!({
            "add_bos_token": self.add_bos, "add_eos_token": self.add_eos,
            "bos_token": self.bos(), "eos_token": self.eos(), "chat_template": self.chat_template(),
        });
        let generation = json!({ "eos_token_id": self.end_tokens() });
        Ok([
            ("tokenizer.json", tokenizer.to_string()),
            ("tokenizer_config.json", format!("{config:#}\n")),
            ("generation_config.json", format!("{generation:#}\n")),
        ])
    }

    /// How pieces become text again: byte-level BPE splits into words, SentencePiece replaces spaces beforehand.
    fn decoder(&self) -> Value {
        if self.pipeline.words().is_some() {
            return json!({
                "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false,
            });
        }
        let mut steps = vec![
            json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
            json!({ "type": "ByteFallback" }),
            json!({ "type": "Fuse" }),
        ];
        if self.strips_leading_space {
            steps.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        }
        json!({ "type": "Sequence", "decoders": steps })
    }
}
