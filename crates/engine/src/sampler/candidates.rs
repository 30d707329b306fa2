//! The tokens that may come next, cut down step by step.

use super::{Logits, SamplerError, SamplerOptions};
use std::cmp::Ordering;
use std::collections::HashMap;

#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: u32,
    score: f64,
}

/// Best first; of equal scores the lowest id. Scores are checked before anything is ordered.
fn by_rank(left: &Candidate, right: &Candidate) -> Ordering {
    right.score.total_cmp(&left.score).then(left.id.cmp(&right.id))
}

/// Buffers live as long as the sampler: a step allocates nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidates {
    list: Vec<Candidate>,
    weights: Vec<f64>,
    /// How many at the front of `list` are in order of rank.
    ranked: usize,
}

impl Candidates {
    pub fn fill(&mut self, logits: Logits<'_>) {
        self.list.clear();
        self.ranked = 0;
        let candidate = |(id, score): (usize, f64)| Candidate { id: id as u32, score };
        match logits {
            Logits::F32(values) => {
                self.list.extend(values.iter().map(|&value| f64::from(value)).enumerate().map(candidate));
            }
            Logits::I8 { values, scale, zero_point } => {
                let scores = values.iter().map(|&value| (f64::from(value) - f64::from(zero_point)) * scale);
                self.list.extend(scores.enumerate().map(candidate));
            }
        }
    }

    /// Only right after [`fill`](Self::fill), while each token stands at its id; ids that there are none of count
    /// for nothing.
    pub fn bias(&mut self, biases: &[(u32, f32)]) {
        for &(id, bias) in biases {
            if let Some(candidate) = self.list.get_mut(id as usize) {
                candidate.score += f64::from(bias);
            }
        }
    }

    /// As [`bias`](Self::bias), before anything is ordered.
    pub fn penalise(&mut self, options: &SamplerOptions, recent: &[u32]) {
        let mut counts: HashMap<u32, u32> = HashMap::new();
        for &id in recent {
            *counts.entry(id).or_default() += 1;
        }
        let repeat = f64::from(options.repeat_penalty);
        for (id, count) in counts {
            let Some(candidate) = self.list.get_mut(id as usize) else { continue };
            let score = &mut candidate.score;
            *score = if *score > 0.0 { *score / repeat } else { *score * repeat };
            *score -=
                f64::from(options.presence_penalty) + f64::from(count) * f64::from(options.frequency_penalty);
        }
    }

    pub fn check(&self) -> Result<f64, SamplerError> {
        let mut largest = f64::NEG_INFINITY;
        let mut ordered = true;
        for candidate in &self.list {
            ordered &= !candidate.score.is_nan();
            largest = if candidate.score > largest { candidate.score } else { largest };
        }
        if ordered && largest.is_finite() { Ok(largest) } else { Err(SamplerError::InvalidScores) }
    }

    pub fn best(&self) -> Result<u32, SamplerError> {
        let largest = self.check()?;
        let best = self.list.iter().find(|candidate| candidate.score == largest);
        best.map(|best| best.id).ok_or(SamplerError::NoScores)
    }

    pub fn keep_top_k(&mut self, k: usize) {
        if k > 0 && k < self.list.len() {
            self.list.select_nth_unstable_by(k - 1, by_rank);
            self.list.truncate(k);
            self.rank(k);
        }
    }

    /// Keeps the fewest best tokens that together have probability `p`, at least one.
    pub fn keep_top_p(&mut self, p: f32) {
        if p >= 1.0 {
            return;
        }
        let wanted = self.weigh(1.0) * f64::from(p);
        let mut largest = f64::NEG_INFINITY;
        for candidate in &self.list {
            largest = largest.max(candidate.score);
        }
        // Usually a few tokens hold nearly everything: order a growing front instead of the whole vocabulary.
        let mut front = 64;
        loop {
            self.rank(front);
            let mut sum = 0.0;
            for (at, candidate) in self.list[..self.ranked].iter().enumerate() {
                sum += (candidate.score - largest).exp();
                if sum >= wanted {
                    self.list.truncate(at + 1);
                    self.ranked = at + 1;
                    return;
                }
            }
            if self.ranked == self.list.len() {
                return;
            }
            front = self.ranked * 8;
        }
    }

    /// Keeps tokens at least `p` times as probable as the best.
    pub fn keep_min_p(&mut self, p: f32) {
        if p > 0.0 {
            let largest =
                self.list.iter().fold(f64::NEG_INFINITY, |best, candidate| best.max(candidate.score));
            let least = largest + f64::from(p).ln();
            self.list.retain(|candidate| candidate.score >= least);
            self.ranked = self.ranked.min(self.list.len());
        }
    }

    /// Fills `weights` with what each token weighs at a temperature, the best one 1, and gives their sum.
    pub fn weigh(&mut self, temperature: f32) -> f64 {
        let largest = self.list.iter().fold(f64::NEG_INFINITY, |best, candidate| best.max(candidate.score));
        let temperature = f64::from(temperature);
        self.weights.clear();
        // The difference first: a tiny temperature then gives 0 or negative infinity, never their difference.
        self.weights
            .extend(self.list.iter().map(|candidate| ((candidate.score - largest) / temperature).exp()));
        self.weights.iter().sum()
    }

    /// The token at `point` of the line on which the weights lie end to end.
    pub fn draw(&self, point: f64) -> u32 {
        let mut sum = 0.0;
        let mut last = 0;
        for (candidate, &weight) in self.list.iter().zip(&self.weights) {
            if weight > 0.0 {
                sum += weight;
                last = candidate.id;
                if point < sum {
                    break;
                }
            }
        }
        last
    }

    /// Puts the best `count` tokens in order at the front.
    fn rank(&mut self, count: usize) {
        let count = count.min(self.list.len());
        if count <= self.ranked {
            return;
        }
        let rest = &mut self.list[self.ranked..];
        let wanted = count - self.ranked;
        if wanted < rest.len() {
            rest.select_nth_unstable_by(wanted - 1, by_rank);
        }
        rest[..wanted].sort_unstable_by(by_rank);
        self.ranked = count;
    }
}
