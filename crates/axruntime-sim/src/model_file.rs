//! `model.json`, hostile until checked. `axllm compile` writes it:
//!
//! ```json
//! {
//!   "model_version": "5.0",
//!   "name": "smollm2-135m-instruct",
//!   "context_length": 1024,
//!   "vocab_size": 49152,
//!   "embedding_dim": 576,
//!   "logits": { "scale": 0.17, "zero_point": -20 },
//!   "payload": { "format": "axsim-gguf", "file": "weights.gguf" }
//! }
//! ```
//!
//! `payload.file` is the plain name of a GGUF file in the same folder (of the first one, where the model is split), or
//! with the format `axsim-folder` of a folder in Hugging Face layout. Version and payload format are looked at first, so
//! that an archive for another runtime or for a real card is told from a broken one.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Failure, Outcome};

const MOST_BYTES: u64 = 1 << 20;
const OLDEST: u32 = 5;
const FOLDER: &str = "axsim-folder";
const FORMATS: [&str; 2] = ["axsim-gguf", FOLDER];

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelFile {
    pub model_version: String,
    pub name: String,
    pub context_length: usize,
    pub vocab_size: usize,
    pub embedding_dim: usize,
    pub logits: Logits,
    pub payload: Payload,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logits {
    pub scale: f64,
    pub zero_point: i32,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payload {
    pub format: String,
    pub file: String,
}

impl Payload {
    /// What is wrong with what lies at `path`, unless it is of the kind that the format says.
    pub fn fault(&self, path: &Path) -> Option<String> {
        match path.metadata() {
            Err(error) => Some(error.to_string()),
            Ok(found) if self.format == FOLDER => (!found.is_dir()).then(|| "not a folder".into()),
            Ok(found) => (!found.is_file()).then(|| "not a file".into()),
        }
    }
}

/// Reads and checks the file.
pub(crate) fn read(path: &Path) -> Outcome<ModelFile> {
    let odd = |reason: String| Failure::value(format!("{}: {reason}", path.display()));
    let metadata = path.metadata().map_err(|error| odd(error.to_string()))?;
    if !metadata.is_file() {
        return Err(odd("not a file".into()));
    }
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| odd(error.to_string()))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(odd(format!("more than {MOST_BYTES} bytes")));
    }
    parse(&text)
        .map_err(|failure| Failure { text: format!("{}: {}", path.display(), failure.text), ..failure })
}

fn parse(text: &str) -> Outcome<ModelFile> {
    let value: Value = serde_json::from_str(text).map_err(|error| Failure::value(error.to_string()))?;
    let version = value.get("model_version").and_then(Value::as_str).unwrap_or("unknown");
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= OLDEST => {}
        // the vendor's words, which clients look for
        _ => {
            let text = format!("Unsupported model version: {version}, expected at least {OLDEST}.0");
            return Err(Failure::value(text));
        }
    }
    let format = value.pointer("/payload/format").and_then(Value::as_str).unwrap_or("unknown");
    if !FORMATS.contains(&format) {
        let text = format!(
            "the model is compiled for a real Metis (payload format {format:?}, the simulator has {FORMATS:?})"
        );
        return Err(Failure::value(text));
    }
    let file: ModelFile = serde_json::from_value(value).map_err(|error| Failure::value(error.to_string()))?;
    file.check().map_err(Failure::value)?;
    Ok(file)
}

impl ModelFile {
    fn check(&self) -> Result<(), String> {
        let bounds = [
            ("context_length", self.context_length, 1 << 20),
            ("vocab_size", self.vocab_size, 1 << 24),
            ("embedding_dim", self.embedding_dim, 1 << 17),
        ];
        for (name, value, most) in bounds {
            if value == 0 || value > most {
                return Err(format!("{name} is {value}, expected 1 to {most}"));
            }
        }
        let Logits { scale, zero_point } = self.logits;
        if !(scale.is_finite() && scale > 0.0) {
            return Err(format!("logits.scale is {scale}, expected more than 0"));
        }
        if !(-128..=127).contains(&zero_point) {
            return Err(format!("logits.zero_point is {zero_point}, expected -128 to 127"));
        }
        let file = &self.payload.file;
        if file.is_empty() || file.len() > 255 || file.starts_with('.') || file.contains(['/', '\\', '\0']) {
            return Err(format!("payload.file is {file:?}, expected a plain file name"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"model_version":"5.0","name":"m","context_length":1024,"vocab_size":49152,
        "embedding_dim":576,"logits":{"scale":0.17,"zero_point":-20},
        "payload":{"format":"axsim-gguf","file":"weights.gguf"}}"#;

    #[test]
    fn a_good_file_is_read() {
        let file = parse(GOOD).unwrap();
        assert_eq!((file.context_length, file.logits.zero_point), (1024, -20));
        assert!(parse(&GOOD.replace("5.0", "6.1")).is_ok());
        assert!(parse(&GOOD.replace("axsim-gguf", FOLDER)).is_ok());
    }

    #[test]
    fn a_hostile_file_is_refused_with_the_reason() {
        for (from, to, expected) in [
            ("5.0", "4.0", "Unsupported model version: 4.0, expected at least 5.0"),
            ("5.0", "x", "Unsupported model version: x"),
            ("axsim-gguf", "axelera", "compiled for a real Metis"),
            (r#""payload""#, r#""binary""#, "compiled for a real Metis"),
            (r#""name""#, r#""nome""#, "unknown field `nome`"),
            ("1024", "0", "context_length is 0"),
            ("49152", "99999999", "vocab_size is 99999999"),
            ("576", "-1", "invalid value"),
            ("0.17", "0", "logits.scale is 0"),
            ("-20", "128", "zero_point is 128"),
            ("weights.gguf", "../secret", "plain file name"),
            ("weights.gguf", "", "plain file name"),
            ("{", "[", "expected"),
        ] {
            let error = parse(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.text.contains(expected), "{:?} lacks {expected:?}", error.text);
        }
    }
}
