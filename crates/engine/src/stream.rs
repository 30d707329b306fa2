//! Tokens' bytes in, text out: whole characters at once, stop strings cut.

/// Turns the bytes of generated tokens into text.
///
/// Tokens are not valid UTF-8 by themselves, only their sequence is, and a stop string may begin in one token
/// and end in another. What is released never depends on where tokens are cut: only an incomplete character and
/// the beginning of a possible stop string wait for the next token. Work per token is proportional to its bytes.
#[derive(Debug, Clone)]
pub struct TextStream {
    stops: Vec<Stop>,
    pending: Vec<u8>,
    stopped: bool,
    strip_space: bool,
}

/// One stop string and how much of it the bytes seen so far end with (Knuth, Morris and Pratt's automaton).
#[derive(Debug, Clone)]
struct Stop {
    bytes: Vec<u8>,
    fallback: Vec<usize>,
    matched: usize,
}

impl Stop {
    fn new(text: &str) -> Self {
        let bytes = text.as_bytes().to_vec();
        let mut fallback = vec![0; bytes.len()];
        let mut matched = 0;
        for at in 1..bytes.len() {
            while matched > 0 && bytes[at] != bytes[matched] {
                matched = fallback[matched - 1];
            }
            matched += usize::from(bytes[at] == bytes[matched]);
            fallback[at] = matched;
        }
        Self { bytes, fallback, matched: 0 }
    }

    /// Whether the stop string is complete with this byte.
    fn advance(&mut self, byte: u8) -> bool {
        while self.matched > 0 && self.bytes[self.matched] != byte {
            self.matched = self.fallback[self.matched - 1];
        }
        self.matched += usize::from(self.bytes[self.matched] == byte);
        self.matched == self.bytes.len()
    }
}

impl TextStream {
    /// Empty stop strings are ignored. The first stop string to be complete ends the text; of two that end at
    /// the same byte the longer one counts.
    pub fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).map(|stop| Stop::new(stop)).collect();
        Self { stops, pending: Vec::new(), stopped: false, strip_space: false }
    }

    /// Drops one space at the very beginning, for vocabularies that mark the start of every word with a space
    /// (see [`Tokenizer::strips_leading_space`](crate::Tokenizer::strips_leading_space)).
    #[must_use]
    pub fn strip_leading_space(mut self, strip: bool) -> Self {
        self.strip_space = strip;
        self
    }

    /// Takes the bytes of one token and gives the text that is certain now, often empty.
    /// After a stop string everything is ignored.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let mut text = String::new();
        for (at, &byte) in bytes.iter().enumerate() {
            if self.stopped {
                break;
            }
            let complete =
                self.stops.iter_mut().filter_map(|stop| stop.advance(byte).then_some(stop.bytes.len()));
            // Every automaton has to advance: `max` looks at all of them.
            if let Some(length) = complete.max() {
                self.pending.extend_from_slice(&bytes[..=at]);
                self.pending.truncate(self.pending.len() - length);
                self.release(self.pending.len(), true, &mut text);
                self.pending.clear();
                self.stopped = true;
            }
        }
        if !self.stopped {
            self.pending.extend_from_slice(bytes);
            let held = self.stops.iter().map(|stop| stop.matched).max().unwrap_or(0);
            self.release(self.pending.len() - held, false, &mut text);
        }
        text
    }

    /// Whether a stop string has ended the text.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Gives what was held back; bytes that never became a character turn into U+FFFD.
    pub fn finish(&mut self) -> String {
        let mut text = String::new();
        self.release(self.pending.len(), true, &mut text);
        text
    }

    /// Moves the first `end` pending bytes to `text`, except an incomplete character at their end, unless `all`.
    fn release(&mut self, end: usize, all: bool, text: &mut String) {
        let mut done = 0;
        while done < end {
            let (valid, skip) = match std::str::from_utf8(&self.pending[done..end]) {
                Ok(valid) => (valid, None),
                Err(error) => {
                    let valid = &self.pending[done..done + error.valid_up_to()];
                    let rest = end - done - valid.len();
                    (
                        std::str::from_utf8(valid).expect("valid up to here"),
                        Some(error.error_len().ok_or(rest)),
                    )
                }
            };
            done += valid.len();
            let unspaced = if self.strip_space { valid.strip_prefix(' ').unwrap_or(valid) } else { valid };
            self.strip_space &= valid.is_empty();
            text.push_str(unspaced);
            match skip {
                None => break,
                Some(Err(_)) if !all => break,
                Some(Ok(invalid) | Err(invalid)) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.strip_space = false;
                    done += invalid;
                }
            }
        }
        self.pending.drain(..done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run<'a>(stops: &[&str], chunks: impl IntoIterator<Item = &'a [u8]>) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let mut stream = TextStream::new(&stops);
        let mut text: String = chunks.into_iter().map(|chunk| stream.push(chunk)).collect();
        text += &stream.finish();
        (text, stream.stopped())
    }

    /// The definition: the earliest end of a stop string, the longest of those that end there.
    fn expected(stops: &[&str], bytes: &[u8]) -> (String, bool) {
        for end in 0..=bytes.len() {
            let ending =
                stops.iter().filter(|stop| !stop.is_empty() && bytes[..end].ends_with(stop.as_bytes()));
            if let Some(length) = ending.map(|stop| stop.len()).max() {
                return (String::from_utf8_lossy(&bytes[..end - length]).into_owned(), true);
            }
        }
        (String::from_utf8_lossy(bytes).into_owned(), false)
    }

    #[test]
    fn releases_a_character_with_its_last_byte() {
        let mut stream = TextStream::new(&[]);
        let released: Vec<String> = "é€😀!".bytes().map(|byte| stream.push(&[byte])).collect();
        assert_eq!(released, ["", "é", "", "", "€", "", "", "", "😀", "!"]);
    }

    #[test]
    fn holds_back_only_what_may_become_a_stop_string() {
        let mut stream = TextStream::new(&["\nUser:".into()]);
        assert_eq!(stream.push(b"one\n"), "one");
        assert_eq!(stream.push(b"Use"), "");
        assert_eq!(stream.push(b"d"), "\nUsed");
        assert_eq!(stream.push(b".\nUs"), ".");
        assert_eq!(stream.push(b"er: two"), "");
        assert!(stream.stopped());
        assert_eq!(stream.push(b"three"), "");
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn flushes_a_stop_string_that_never_came() {
        assert_eq!(run(&["END"], [&b"the EN"[..]]), ("the EN".into(), false));
    }

    #[test]
    fn one_leading_space_is_dropped_when_asked() {
        let mut stream = TextStream::new(&[]).strip_leading_space(true);
        assert_eq!(stream.push(b""), "");
        assert_eq!(stream.push(b"  Hello"), " Hello");
        assert_eq!(stream.push(b" you"), " you");
    }

    #[test]
    fn every_split_gives_the_same_text() {
        let cases: &[(&[&str], &[u8])] = &[
            (&["aab"], b"aaaabc"),
            (&["abab", "bac"], b"ababacabab"),
            (&["cd", "abcde"], b"abcdef"),
            (&["b", "ab"], b"aab"),
            (&["€", "é€"], "aé€b".as_bytes()),
            (&["x"], b"\xe2\x82x"),
            (&["stop"], b"\xff\xe2\x82\xf0\x9f\x98 st\xc3op"),
            (&[], b"\xf0\x9f\x98\x80\xf0\x9f\x98"),
        ];
        for (stops, bytes) in cases {
            let want = expected(stops, bytes);
            for cuts in 0..1_u32 << (bytes.len() - 1) {
                let mut chunks = vec![];
                let mut start = 0;
                for at in 1..bytes.len() {
                    if cuts >> (at - 1) & 1 == 1 {
                        chunks.push(&bytes[start..at]);
                        start = at;
                    }
                }
                chunks.push(&bytes[start..]);
                assert_eq!(run(stops, chunks.iter().copied()), want, "{stops:?} {chunks:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn output_does_not_depend_on_the_cuts(
            chunks in prop::collection::vec(prop::collection::vec(prop_oneof![
                Just(b'a'), Just(b'b'), Just(0xC3), Just(0xA9), Just(0xE2), Just(0x82), any::<u8>()
            ], 0..5), 0..12),
            stops in prop::collection::vec("[abé]{0,4}", 0..4),
        ) {
            let bytes = chunks.concat();
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            prop_assert_eq!(run(&stops, chunks.iter().map(Vec::as_slice)), expected(&stops, &bytes));
        }
    }
}
