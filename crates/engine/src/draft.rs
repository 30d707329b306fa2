//! Guessing ahead: what followed the last few tokens when they stood in the text before.
//!
//! A guess is run together with the token before it in one pass over the weights, and each of its tokens counts only
//! where the model itself chooses it: the reply is the same. Passes of several tokens take longer, so every guess is
//! weighed by the clock: what it brought is credit, what it cost is taken off, and without credit nothing is guessed.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{Error, backend::Cache};

/// Tokens that must have stood before for a guess.
const CONTEXT: usize = 3;
/// Tokens of a guess at most.
const MOST: usize = 8;
/// Steps of one token that tell what one costs, before anything is guessed.
const TRIALS: u32 = 3;
/// Credit in steps of one token: at the start, at most, and what a step without a guess brings.
const START: f64 = 2.0;
const CAP: f64 = 4.0;
const INCOME: f64 = 0.005;

/// The guesses of one reply.
pub(crate) struct Drafter {
    enabled: bool,
    /// Where the text went on after each `CONTEXT` tokens, the last time.
    places: HashMap<[u32; CONTEXT], usize>,
    /// Tokens whose places are known.
    known: usize,
    /// Guessed tokens that the cache has read, and how many of them the model has chosen.
    guess: Vec<u32>,
    chosen: usize,
    /// Tokens of the next guess at most.
    length: usize,
    /// What a step of one token takes.
    single: Option<Duration>,
    singles: u32,
    /// What the last step took.
    spent: Duration,
    credit: f64,
}

impl Drafter {
    /// For a reply that is chosen greedily, on a cache that can take back what it has read.
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            places: HashMap::new(),
            known: 0,
            guess: Vec::new(),
            chosen: 0,
            length: 3,
            single: None,
            singles: 0,
            spent: Duration::ZERO,
            credit: START,
        }
    }

    /// Makes the logits after `token`, the last of `seen`, the cache's. At most `room` tokens may follow it.
    pub(crate) fn step(&mut self, cache: &mut dyn Cache, seen: &[u32], room: usize) -> Result<(), Error> {
        let Some((&token, before)) = seen.split_last() else { return Ok(()) };
        if self.guess.get(self.chosen) == Some(&token) {
            self.chosen += 1;
            cache.look_at(self.chosen);
            return Ok(());
        }
        self.settle(cache);
        if !self.enabled {
            return cache.run(&[token], 1);
        }
        self.learn(before);
        self.guess = self.propose(seen, room);
        let tokens = [&[token], &self.guess[..]].concat();
        let started = Instant::now();
        cache.run(&tokens, tokens.len())?;
        self.spent = started.elapsed();
        if self.guess.is_empty() {
            self.singles += 1;
            self.credit = (self.credit + INCOME).min(CAP);
            // the quickest lately: what others on the machine take is not the guess's fault
            let slower = self.single.map(|single| single.mul_f64(1.02));
            self.single = Some(slower.map_or(self.spent, |slower| slower.min(self.spent)));
        }
        cache.look_at(0);
        Ok(())
    }

    /// Takes back what was guessed and not chosen, and the account.
    pub(crate) fn settle(&mut self, cache: &mut dyn Cache) {
        let guessed = self.guess.len();
        if guessed == 0 {
            return;
        }
        cache.take_back(guessed - self.chosen);
        if let Some(single) = self.single {
            let cost = self.spent.as_secs_f64() / single.as_secs_f64().max(1e-9);
            self.credit = (self.credit + (1 + self.chosen) as f64 - cost).min(CAP);
        }
        self.length = if self.chosen == guessed { (guessed * 2).min(MOST) } else { (self.chosen + 1).max(2) };
        self.guess.clear();
        self.chosen = 0;
    }

    /// Notes what follows each run of tokens but the last.
    fn learn(&mut self, tokens: &[u32]) {
        for end in self.known.max(CONTEXT)..tokens.len() {
            let context: Option<[u32; CONTEXT]> = tokens[end - CONTEXT..end].try_into().ok();
            self.places.extend(context.map(|context| (context, end)));
        }
        self.known = tokens.len();
    }

    fn propose(&self, seen: &[u32], room: usize) -> Vec<u32> {
        if self.singles < TRIALS || self.credit <= 0.0 || seen.len() < CONTEXT {
            return Vec::new();
        }
        let context: Option<[u32; CONTEXT]> = seen[seen.len() - CONTEXT..].try_into().ok();
        let place = context.and_then(|context| self.places.get(&context));
        place.map_or(Vec::new(), |&place| {
            let len = self.length.min(room).min(seen.len() - place);
            seen[place..place + len].to_vec()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_the_same_tokens_is_proposed() {
        let mut drafter = Drafter::new(true);
        drafter.singles = TRIALS;
        let seen = [1, 2, 3, 4, 5, 6, 9, 1, 2, 3];
        drafter.learn(&seen[..seen.len() - 1]);
        assert_eq!(drafter.propose(&seen, 100), [4, 5, 6]);
        assert_eq!(drafter.propose(&seen, 2), [4, 5]);
        assert_eq!(drafter.propose(&[7, 7, 7, 7], 100), [0; 0]);
        drafter.credit = 0.0;
        assert_eq!(drafter.propose(&seen, 100), [0; 0]);
    }

    #[test]
    fn a_run_of_one_token_is_proposed_from_its_own_beginning() {
        let mut drafter = Drafter::new(true);
        drafter.singles = TRIALS;
        let seen = [7, 7, 7, 7, 7];
        drafter.learn(&seen[..4]);
        assert_eq!(drafter.propose(&seen, 100), [7, 7]);
    }
}
