//! `axrProperties`: ordered pairs.

use crate::error::{Failure, Outcome};
use crate::settings::Behaviour;

/// Pairs in the order in which their keys were first set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Properties(Vec<(String, String)>);

impl Properties {
    /// Reads `key=value` lines; `;` separates as well. What is no pair is left out and reported.
    pub fn parse(text: &str) -> (Properties, Outcome<()>) {
        let mut properties = Properties::default();
        let mut outcome = Ok(());
        for line in text.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => properties.set(key.trim(), value.trim()),
                _ => outcome = Err(Failure::argument(format!("{line:?}, expected key=value"))),
            }
        }
        (properties, outcome)
    }

    pub fn from_pairs<const N: usize>(pairs: [(&str, String); N]) -> Properties {
        Properties(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    pub fn set(&mut self, key: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value.to_owned(),
            None => self.0.push((key.to_owned(), value.to_owned())),
        }
    }

    pub fn delete(&mut self, key: &str) {
        self.0.retain(|(known, _)| known != key);
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The keys, `;` between them.
    pub fn keys(&self) -> String {
        self.0.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(";")
    }

    /// A whole number under a key, if the key is there.
    pub fn number(&self, key: &str) -> Outcome<Option<usize>> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let number =
            text.parse().map_err(|_| Failure::value(format!("{key}={text}, expected a whole number")))?;
        Ok(Some(number))
    }

    /// Lets the simulator's own keys change a behaviour.
    pub fn adjust(&self, behaviour: &mut Behaviour) -> Outcome<()> {
        for key in Behaviour::KEYS {
            if let Some(value) = self.get(key) {
                behaviour
                    .set(key, value)
                    .map_err(|r| Failure::configuration(format!("property {key}: {r}")))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators_are_read_and_junk_is_reported() {
        let (properties, outcome) = Properties::parse("a=1\n b = x=y ;a=2\n");
        assert_eq!(properties.pairs().collect::<Vec<_>>(), [("a", "2"), ("b", "x=y")]);
        assert_eq!((properties.keys().as_str(), outcome), ("a;b", Ok(())));
        let (properties, outcome) = Properties::parse("junk;c=3");
        assert_eq!(properties.get("c"), Some("3"));
        assert!(outcome.unwrap_err().text.contains("junk"));
    }
}
