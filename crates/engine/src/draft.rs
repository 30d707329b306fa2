//! Guessing ahead: what followed the last few tokens when they stood in the text before.
//!
//! A guess is run together with the token before it in one pass over the weights, and each of its tokens counts only
//! where the sampler chooses it by the model's own scores: the reply is the same, greedy or drawn. Passes of several tokens
//! take longer, so a guess must first have been right without being run: what it would have brought is credit, and only
//! credit is ever risked. Text that repeats nothing costs nothing that way.

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
/// What each token of a guess is taken to cost before that is known, in steps of one token.
const COST: f64 = 0.25;
/// Credit that a guess must find to be run, and the most that is kept, in steps of one token.
const ENOUGH: f64 = 1.0;
const CAP: f64 = 4.0;

/// The guesses of one reply.
pub(crate) struct Drafter {
    enabled: bool,
    /// Where the text went on after each `CONTEXT` tokens, the last time.
    places: HashMap<[u32; CONTEXT], usize>,
    /// Tokens whose places are known.
    known: usize,
    /// Guessed tokens, and how many of them the model has chosen.
    guess: Vec<u32>,
    chosen: usize,
    /// Whether the cache has read them; else they are only compared with what comes.
    read: bool,
    /// Tokens of the next guess at most.
    length: usize,
    /// What a step of one token takes.
    single: Option<Duration>,
    singles: u32,
    /// What the last step took.
    spent: Duration,
    /// What each token of a guess costs, in steps of one token, as `credit` is.
    cost: f64,
    credit: f64,
}

impl Drafter {
    /// For a reply on a cache that can take back what it has read.
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            places: HashMap::new(),
            known: 0,
            guess: Vec::new(),
            chosen: 0,
            read: false,
            length: 3,
            single: None,
            singles: 0,
            spent: Duration::ZERO,
            cost: COST,
            credit: 0.0,
        }
    }

    /// Makes the logits after `token`, the last of `seen`, the cache's. At most `room` tokens may follow it.
    pub(crate) fn step(&mut self, cache: &mut dyn Cache, seen: &[u32], room: usize) -> Result<(), Error> {
        let Some((&token, before)) = seen.split_last() else { return Ok(()) };
        if self.guess.get(self.chosen) == Some(&token) {
            self.chosen += 1;
            if !self.read {
                return self.run_one(cache, token);
            }
            cache.look_at(self.chosen);
            return Ok(());
        }
        self.settle(cache);
        if !self.enabled {
            return cache.run(&[token], 1);
        }
        self.learn(before);
        self.guess = self.propose(seen, room);
        self.read = !self.guess.is_empty() && self.singles >= TRIALS && self.credit >= ENOUGH;
        if !self.read {
            return self.run_one(cache, token);
        }
        let tokens = [&[token], &self.guess[..]].concat();
        let started = Instant::now();
        cache.run(&tokens, tokens.len())?;
        self.spent = started.elapsed();
        Ok(())
    }

    /// A step without a guess, which tells what one costs.
    fn run_one(&mut self, cache: &mut dyn Cache, token: u32) -> Result<(), Error> {
        let started = Instant::now();
        cache.run(&[token], 1)?;
        let spent = started.elapsed();
        self.singles += 1;
        // the quickest lately: what others on the machine take is not the guess's fault
        let slower = self.single.map(|single| single.mul_f64(1.02));
        self.single = Some(slower.map_or(spent, |slower| slower.min(spent)));
        Ok(())
    }

    /// Takes back what was guessed, run and not chosen, and the account.
    pub(crate) fn settle(&mut self, cache: &mut dyn Cache) {
        if self.read {
            cache.take_back(self.guess.len() - self.chosen);
        }
        self.account();
    }

    /// Books the guess, and forgets it.
    fn account(&mut self) {
        let guessed = self.guess.len();
        if guessed == 0 {
            return;
        }
        let mut cost = self.cost * guessed as f64;
        if let Some(single) = self.single.filter(|_| self.read) {
            cost = self.spent.as_secs_f64() / single.as_secs_f64().max(1e-9) - 1.0;
            self.cost = f64::midpoint(self.cost, (cost / guessed as f64).min(1.0));
        } else {
            // a pass that others held up is forgotten in time
            self.cost += (COST - self.cost) / 10.0;
        }
        self.credit = (self.credit + self.chosen as f64 - cost).clamp(0.0, CAP);
        self.length = if self.chosen == guessed { (guessed * 2).min(MOST) } else { (self.chosen + 1).max(2) };
        self.guess.clear();
        self.chosen = 0;
        self.read = false;
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
        if seen.len() < CONTEXT {
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
        let seen = [1, 2, 3, 4, 5, 6, 9, 1, 2, 3];
        drafter.learn(&seen[..seen.len() - 1]);
        assert_eq!(drafter.propose(&seen, 100), [4, 5, 6]);
        assert_eq!(drafter.propose(&seen, 2), [4, 5]);
        assert_eq!(drafter.propose(&[7, 7, 7, 7], 100), [0; 0]);
    }

    #[test]
    fn a_run_of_one_token_is_proposed_from_its_own_beginning() {
        let mut drafter = Drafter::new(true);
        let seen = [7, 7, 7, 7, 7];
        drafter.learn(&seen[..4]);
        assert_eq!(drafter.propose(&seen, 100), [7, 7]);
    }

    #[test]
    fn credit_is_earned_without_being_run_and_lost_by_being_wrong() {
        let mut drafter = Drafter::new(true);
        let mut book = |read: bool, chosen: usize, milliseconds: u64| {
            drafter.single = Some(Duration::from_millis(10));
            drafter.spent = Duration::from_millis(milliseconds);
            (drafter.guess, drafter.chosen, drafter.read) = (vec![1, 2], chosen, read);
            drafter.account();
            drafter.credit
        };
        // wrong twice, half right: nothing to risk
        assert_eq!([book(false, 0, 0), book(false, 0, 0), book(false, 1, 0)], [0.0, 0.0, 0.5]);
        // right: enough for one guess, and as much again when that is right too
        assert!(book(false, 2, 0) >= ENOUGH);
        assert!(book(true, 2, 15) > 2.0 * ENOUGH);
        // on a machine that takes as long for guesses as for steps they end, and being right earns little
        assert_eq!([book(true, 2, 90), book(true, 0, 30)], [0.0, 0.0]);
        assert!(book(false, 2, 0) < ENOUGH);
        // for a while
        assert!((0..9).map(|_| book(false, 2, 0)).last() > Some(ENOUGH));
    }
}
