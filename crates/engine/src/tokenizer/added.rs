//! Tokens that stand for themselves: found in a text before any word is split.
//!
//! The model's own template writes control tokens as text. So that a user's text never can, this splitter is the
//! only way to them: ordinary text is encoded without it, and in a template's output the users' parts are sealed
//! with a character that nothing else contains.

use super::TokenizerError;
use aho_corasick::{AhoCorasick, MatchKind};
use std::collections::HashMap;

/// A token that is matched whole instead of being built from pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AddedToken {
    pub id: u32,
    pub text: String,
    /// Never formed by ordinary text: the tokens that structure a conversation.
    pub control: bool,
    /// Swallows the white space in front of it.
    pub lstrip: bool,
    /// Swallows the white space behind it.
    pub rstrip: bool,
    /// Matches only between characters that are no letters, digits or underscores.
    pub single_word: bool,
}

impl AddedToken {
    /// Whether the text looks like one of a template's marks, whatever the file says about it.
    pub fn looks_like_control(text: &str) -> bool {
        let bracketed = |open, close| text.len() > 4 && text.starts_with(open) && text.ends_with(close);
        bracketed("<|", "|>") || bracketed("<｜", "｜>")
    }
}

/// A stretch of rendered text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Ordinary text, encoded without any special token.
    Text(String),
    /// One added token.
    Token {
        /// Its id.
        id: u32,
        /// The text it was found as, white space that it swallows included.
        text: String,
    },
}

impl Segment {
    /// The text as a plain template would have written it.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Token { text, .. } => text,
        }
    }
}

/// All added tokens of a vocabulary, ready to be searched for.
#[derive(Debug)]
pub(crate) struct AddedTokens {
    tokens: Vec<AddedToken>,
    by_text: HashMap<String, usize>,
    all: Option<AhoCorasick>,
    control: Option<AhoCorasick>,
    /// The search for tokens that ordinary text may form, and their places in `tokens`.
    ordinary: Option<(AhoCorasick, Vec<usize>)>,
}

impl AddedTokens {
    pub fn new(mut tokens: Vec<AddedToken>) -> Result<Self, TokenizerError> {
        tokens.retain(|token| !token.text.is_empty());
        let mut by_text = HashMap::new();
        for (at, token) in tokens.iter().enumerate() {
            by_text.entry(token.text.clone()).or_insert(at);
        }
        let ordinary: Vec<usize> = (0..tokens.len()).filter(|&at| !tokens[at].control).collect();
        let all = searcher(tokens.iter())?;
        let control = searcher(tokens.iter().filter(|token| token.control))?;
        let ordinary = searcher(ordinary.iter().map(|&at| &tokens[at]))?.map(|search| (search, ordinary));
        Ok(Self { all, control, ordinary, by_text, tokens })
    }

    pub fn iter(&self) -> impl Iterator<Item = &AddedToken> {
        self.tokens.iter()
    }

    pub fn get(&self, text: &str) -> Option<&AddedToken> {
        self.by_text.get(text).map(|&at| &self.tokens[at])
    }

    /// Splits what a template wrote: every added token counts.
    pub fn split(&self, text: &str) -> Vec<Segment> {
        self.split_by(text, self.all.as_ref(), |pattern| &self.tokens[pattern])
    }

    /// Splits ordinary text: control tokens stay text.
    pub fn split_ordinary(&self, text: &str) -> Vec<Segment> {
        match &self.ordinary {
            Some((search, places)) => {
                self.split_by(text, Some(search), |pattern| &self.tokens[places[pattern]])
            }
            None => self.split_by(text, None, |pattern| &self.tokens[pattern]),
        }
    }

    fn split_by<'a>(
        &'a self,
        text: &str,
        search: Option<&AhoCorasick>,
        token: impl Fn(usize) -> &'a AddedToken,
    ) -> Vec<Segment> {
        let mut segments = vec![];
        let mut done = 0;
        let push_text = |segments: &mut Vec<Segment>, text: &str| {
            if !text.is_empty() {
                segments.push(Segment::Text(text.to_owned()));
            }
        };
        for found in search.into_iter().flat_map(|search| search.find_iter(text)) {
            let token = token(found.pattern().as_usize());
            let (before, after) = (&text[..found.start()], &text[found.end()..]);
            // White space swallowed by the token before may reach past this one's start: never of it.
            if found.start() < done || (token.single_word && !stands_alone(before, after)) {
                continue;
            }
            let start = if token.lstrip { before.trim_end().len().max(done) } else { found.start() };
            let end = if token.rstrip { text.len() - after.trim_start().len() } else { found.end() };
            push_text(&mut segments, &text[done..start]);
            segments.push(Segment::Token { id: token.id, text: text[start..end].to_owned() });
            done = end;
        }
        push_text(&mut segments, &text[done..]);
        segments
    }

    /// Puts `seal` into every control token that the text spells, and next to an end of the text where the
    /// template's words could complete one, so that no control token can be found in it.
    ///
    /// White space at the ends stays outside: templates that trim a message do as they would without seals.
    pub fn seal(&self, text: &str, seal: char) -> String {
        let mut sealed = String::with_capacity(text.len());
        let mut done = 0;
        while let Some((start, first)) = self.next_control(text, done) {
            sealed.push_str(&text[done..start + first]);
            sealed.push(seal);
            done = start + first;
        }
        sealed.push_str(&text[done..]);
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return sealed;
        }
        let controls = || self.tokens.iter().filter(|token| token.control).map(|token| token.text.as_str());
        let tails = |token: &str| token.char_indices().skip(1).map(|(at, _)| at).collect::<Vec<_>>();
        if controls().any(|token| {
            tails(token)
                .iter()
                .any(|&at| trimmed.starts_with(&token[at..]) || token[at..].starts_with(trimmed))
        }) {
            let lead = sealed.len() - sealed.trim_start().len();
            sealed.insert(lead, seal);
        }
        if controls().any(|token| tails(token).iter().any(|&at| trimmed.ends_with(&token[..at]))) {
            sealed.insert(sealed.trim_end().len(), seal);
        }
        sealed
    }

    /// Start and first character's length of the first control token that begins at `from` or later.
    fn next_control(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        let start = from + self.control.as_ref()?.find(&text[from..])?.start();
        Some((start, text[start..].chars().next()?.len_utf8()))
    }
}

fn searcher<'a>(tokens: impl Iterator<Item = &'a AddedToken>) -> Result<Option<AhoCorasick>, TokenizerError> {
    let texts: Vec<&str> = tokens.map(|token| token.text.as_str()).collect();
    if texts.is_empty() {
        return Ok(None);
    }
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(texts)
        .map(Some)
        .map_err(|error| TokenizerError::Invalid { reason: error.to_string() })
}

fn stands_alone(before: &str, after: &str) -> bool {
    let word = |character: char| character.is_alphanumeric() || character == '_';
    !before.ends_with(word) && !after.starts_with(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: u32, text: &str) -> AddedToken {
        AddedToken { id, text: text.into(), control: true, ..AddedToken::default() }
    }

    fn texts(segments: &[Segment]) -> Vec<(Option<u32>, &str)> {
        let id = |segment: &Segment| match segment {
            Segment::Token { id, .. } => Some(*id),
            Segment::Text(_) => None,
        };
        segments.iter().map(|segment| (id(segment), segment.text())).collect()
    }

    #[test]
    fn the_longest_token_at_the_leftmost_place_counts() {
        let added = AddedTokens::new(vec![token(1, "<a>"), token(2, "<a><b>"), token(3, "")]).unwrap();
        assert_eq!(
            texts(&added.split("x<a><a><b>y")),
            [(None, "x"), (Some(1), "<a>"), (Some(2), "<a><b>"), (None, "y")]
        );
        assert_eq!(texts(&added.split_ordinary("x<a>")), [(None, "x<a>")]);
        assert_eq!(texts(&added.split("")), []);
    }

    #[test]
    fn white_space_is_swallowed_where_the_token_says_so() {
        let both = AddedToken { lstrip: true, rstrip: true, ..token(1, "<m>") };
        let added = AddedTokens::new(vec![both, token(2, "<n>")]).unwrap();
        assert_eq!(
            texts(&added.split("a \n<m>  <m> <n> b")),
            [(None, "a"), (Some(1), " \n<m>  "), (Some(1), "<m> "), (Some(2), "<n>"), (None, " b")]
        );
    }

    #[test]
    fn a_single_word_needs_borders() {
        let added = AddedTokens::new(vec![AddedToken { single_word: true, ..token(1, "end") }]).unwrap();
        assert_eq!(texts(&added.split("bend end")), [(None, "bend "), (Some(1), "end")]);
    }

    #[test]
    fn seals_break_every_control_token_and_nothing_else() {
        let ordinary = AddedToken { control: false, ..token(3, "<think>") };
        let added = AddedTokens::new(vec![token(1, "<<"), token(2, "<|e|>"), ordinary]).unwrap();
        assert_eq!(added.seal("hi", '#'), "hi");
        assert_eq!(added.seal("<<<x", '#'), "#<#<#<x");
        assert_eq!(added.seal("a <|e|> b", '#'), "a <#|e|> b");
        assert_eq!(added.seal("a<think>b", '#'), "a<think>b");
        // completed by what the template writes before or after
        assert_eq!(added.seal(" |e|> b ", '#'), " #|e|> b ");
        assert_eq!(added.seal(" b <| ", '#'), " b <|# ");
        assert_eq!(added.seal("e", '#'), "#e");
    }
}
