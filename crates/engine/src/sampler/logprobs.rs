//! How likely the model itself takes its tokens to be.

use super::{Logits, candidates::Candidates, scores::Scores};

/// Natural logarithms of probabilities at one position, by the scores as the model gives them, in which there is a best.
pub(crate) struct Likelihood {
    scores: Scores,
    /// log Σ exp over the whole vocabulary.
    total: f64,
}

impl Likelihood {
    /// Reads all scores.
    pub(crate) fn of(logits: Logits<'_>) -> Self {
        let mut scores = Scores::default();
        scores.read(logits);
        let best = scores.best().and_then(|best| scores.get(best)).map_or(f64::NAN, f64::from);
        // in 64 bits: a draw may be off by a few units in the last place, what is told as a probability may not
        let all = scores.at_least(f32::NEG_INFINITY);
        let total = best + all.map(|(_, score)| (f64::from(score) - best).exp()).sum::<f64>().ln();
        Self { scores, total }
    }

    /// Of one token; of none that there is, -inf.
    pub(crate) fn logprob(&self, token: u32) -> f64 {
        self.scores.get(token).map_or(f64::NEG_INFINITY, |score| f64::from(score) - self.total)
    }

    /// The `count` likeliest tokens, the best first; of equal ones the lowest id.
    pub(crate) fn top(&self, count: usize) -> Vec<u32> {
        if count == 0 {
            return Vec::new();
        }
        let mut candidates = Candidates::default();
        candidates.fill(self.scores.at_least(self.scores.kth(count)));
        candidates.keep_top_k(count);
        candidates.ranked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_to_one_and_the_best_come_first() {
        let scores = [1.0_f32, 3.0, 3.0, -2.0, 500.0f32.ln()];
        let likelihood = Likelihood::of(Logits::F32(&scores));
        let sum: f64 = (0..5).map(|id| likelihood.logprob(id).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        assert_eq!(likelihood.top(3), [4, 1, 2]);
        assert!(likelihood.top(0).is_empty());
        assert_eq!(likelihood.top(99), [4, 1, 2, 0, 3]);
        assert_eq!(likelihood.logprob(99), f64::NEG_INFINITY);
    }

    #[test]
    fn quantised_scores_are_read_by_their_scale() {
        let likelihood = Likelihood::of(Logits::I8 { values: &[-128, 127, 0], scale: 0.1, zero_point: -3 });
        let by_hand = Likelihood::of(Logits::F32(&[-12.5, 13.0, 0.3]));
        for id in 0..3 {
            assert!((likelihood.logprob(id) - by_hand.logprob(id)).abs() < 1e-6);
        }
    }
}
