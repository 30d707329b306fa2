//! The bytes that each token stands for.

/// Bytes of all tokens in one allocation: a look-up is two loads.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    bytes: Vec<u8>,
    /// Ends, one a token; a token starts where the one before it ends.
    ends: Vec<u32>,
}

/// How a vocabulary writes bytes as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// GPT-2's: each byte is one printable character.
    ByteLevel,
    /// SentencePiece's: `▁` is a space, and `<0x0A>` the byte it names.
    SentencePiece,
}

impl Pieces {
    /// Adds the next token. `None` for too many bytes in all.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> Option<()> {
        self.ends.push(u32::try_from(self.bytes.len() + bytes.len()).ok()?);
        self.bytes.extend_from_slice(bytes);
        Some(())
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn get(&self, id: u32) -> Option<&[u8]> {
        let id = id as usize;
        let end = *self.ends.get(id)? as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] as usize };
        Some(&self.bytes[start..end])
    }

    pub fn longest(&self) -> usize {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| (end - start) as usize).max().unwrap_or(0)
    }
}

impl Alphabet {
    /// The bytes of a token of the ordinary vocabulary.
    pub fn decode(self, token: &str) -> Vec<u8> {
        match self {
            // Characters outside the alphabet stand for themselves: some files list such tokens.
            Self::ByteLevel => {
                token.chars().map(byte_of).collect::<Option<_>>().unwrap_or_else(|| token.as_bytes().to_vec())
            }
            Self::SentencePiece => match named_byte(token) {
                Some(byte) => vec![byte],
                None => token.replace('▁', " ").into_bytes(),
            },
        }
    }
}

/// The byte that a character of GPT-2's alphabet stands for: printable Latin-1 for itself, the other 68 bytes in
/// order from U+0100 on.
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    let byte = match code {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => code,
        0x100..=0x120 => code - 0x100,
        0x121..=0x142 => code - 0x121 + 0x7F,
        0x143 => 0xAD,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

/// The byte of `<0x0A>`.
pub(crate) fn named_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2 && !digits.starts_with('+')).then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    #[test]
    fn gpt2s_alphabet_covers_every_byte_once() {
        let mut bytes: Vec<u8> = ByteLevel::alphabet().into_iter().filter_map(byte_of).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(Alphabet::ByteLevel.decode("ĠtheĊ"), b" the\n");
        assert_eq!(Alphabet::ByteLevel.decode("日本"), "日本".as_bytes());
    }

    #[test]
    fn sentencepieces_bytes_and_spaces() {
        assert_eq!(Alphabet::SentencePiece.decode("▁a▁"), b" a ");
        assert_eq!(Alphabet::SentencePiece.decode("<0x0A>"), b"\n");
        assert_eq!(Alphabet::SentencePiece.decode("<0xZZ>"), b"<0xZZ>");
        assert_eq!(named_byte("<0x+A>"), None);
    }

    #[test]
    fn pieces_are_found_by_id() {
        let mut pieces = Pieces::default();
        for bytes in [&b"ab"[..], b"", b"c"] {
            pieces.push(bytes).unwrap();
        }
        assert_eq!(
            (pieces.get(0), pieces.get(1), pieces.get(2)),
            (Some(&b"ab"[..]), Some(&b""[..]), Some(&b"c"[..]))
        );
        assert_eq!((pieces.get(3), pieces.len(), pieces.longest()), (None, 3, 2));
    }
}
