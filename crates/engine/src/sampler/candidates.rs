//! The tokens that may come next, cut down step by step.

use std::cmp::Ordering;

use super::scores::place_of;

#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: u32,
    score: f32,
}

/// Best first; of equal scores the lowest id. Scores are checked before anything is ordered.
fn by_rank(left: &Candidate, right: &Candidate) -> Ordering {
    right.score.total_cmp(&left.score).then(left.id.cmp(&right.id))
}

/// So few are put in order.
const FEW: usize = 64;

/// Buffers live as long as the sampler: a step allocates nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidates {
    list: Vec<Candidate>,
    weights: Vec<f32>,
}

impl Candidates {
    /// Begins with these, the best of all among them.
    pub fn fill(&mut self, tokens: impl Iterator<Item = (u32, f32)>) {
        self.list.clear();
        self.list.extend(tokens.map(|(id, score)| Candidate { id, score }));
    }

    /// Their ids, best first.
    pub fn ranked(mut self) -> Vec<u32> {
        self.list.sort_unstable_by(by_rank);
        self.list.into_iter().map(|candidate| candidate.id).collect()
    }

    /// Keeps the `k` best.
    pub fn keep_top_k(&mut self, k: usize) {
        if (1..self.list.len()).contains(&k) {
            self.list.select_nth_unstable_by(k - 1, by_rank);
        }
        self.list.truncate(k);
    }

    /// Keeps the fewest best tokens that together have probability `p`, at least one. All tokens weigh `total`, some of which may
    /// be no candidates any more; `None`: there are no others.
    pub fn keep_top_p(&mut self, p: f32, total: Option<f64>) {
        if p >= 1.0 {
            return;
        }
        let mut wanted = total.unwrap_or_else(|| self.weigh(1.0)) * f64::from(p);
        let largest = self.largest();
        let weight = |candidate: &Candidate| f64::from((candidate.score - largest).exp());
        // `kept` of the best are not enough, `end` are, or are all: halve what lies between, until it is few
        let (mut kept, mut end) = (0, self.list.len());
        while end - kept > FEW {
            let half = (end - kept) / 2;
            self.list[kept..end].select_nth_unstable_by(half - 1, by_rank);
            let sum: f64 = self.list[kept..kept + half].iter().map(weight).sum();
            if sum >= wanted {
                end = kept + half;
            } else {
                (kept, wanted) = (kept + half, wanted - sum);
            }
        }
        self.list[kept..end].sort_unstable_by(by_rank);
        let enough = self.list[kept..end].iter().position(|candidate| {
            wanted -= weight(candidate);
            wanted <= 0.0
        });
        self.list.truncate(enough.map_or(end, |at| kept + at + 1));
    }

    /// Keeps tokens whose score is no less.
    pub fn keep_at_least(&mut self, least: f32) {
        self.list.retain(|candidate| candidate.score >= least);
    }

    /// Fills `weights` with what each token weighs at a temperature, the best one 1, and gives their sum.
    pub fn weigh(&mut self, temperature: f32) -> f64 {
        let scores = self.list.iter().map(|candidate| candidate.score);
        let largest = self.largest();
        self.weights.clear();
        // The difference first: a tiny temperature then gives 0 or negative infinity, never their difference.
        self.weights.extend(scores.map(|score| ((score - largest) / temperature).exp()));
        self.weights.iter().copied().map(f64::from).sum()
    }

    fn largest(&self) -> f32 {
        self.list.iter().fold(f32::NEG_INFINITY, |best, candidate| best.max(candidate.score))
    }

    /// The token at `point` of the line on which the weights lie end to end.
    pub fn draw(&self, point: f64) -> u32 {
        let (place, _) = place_of(point, self.weights.iter().copied().map(f64::from));
        self.list[place].id
    }
}
