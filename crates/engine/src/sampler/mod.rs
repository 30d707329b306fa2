//! Scores to the next token.

mod argmax;
mod candidates;
mod error;
mod logprobs;
mod options;
mod scores;

pub use error::SamplerError;
pub use options::SamplerOptions;

pub(crate) use logprobs::Likelihood;

use candidates::Candidates;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scores::Scores;

/// Scores of the whole vocabulary, as a backend answers them.
#[derive(Debug, Clone, Copy)]
pub enum Logits<'a> {
    /// Plain scores.
    F32(&'a [f32]),
    /// Quantised scores: `(value − zero_point) · scale`.
    I8 {
        /// One a token.
        values: &'a [i8],
        /// Positive.
        scale: f64,
        /// The value that stands for a score of 0.
        zero_point: i32,
    },
}

impl Logits<'_> {
    /// Scores in all, the size of the vocabulary.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::I8 { values, .. } => values.len(),
        }
    }

    /// Whether there is no score at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn check(&self) -> Result<(), SamplerError> {
        match self {
            _ if self.is_empty() => Err(SamplerError::NoScores),
            Self::I8 { scale, .. } if !(scale.is_normal() && *scale > 0.0) => {
                Err(SamplerError::InvalidScale { scale: *scale })
            }
            _ => Ok(()),
        }
    }
}

/// Chooses tokens; owns the random state of one reply, so the same seed gives the same reply.
///
/// The steps are llama.cpp's, in its default order: bias, penalties, top-k, top-p, min-p, temperature. The cuts thus look
/// at the model's own probabilities, before temperature reshapes them.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplerOptions,
    seed: u64,
    random: ChaCha8Rng,
    scores: Scores,
    candidates: Candidates,
}

impl Sampler {
    /// Checks the options. Without a seed one is drawn from the system.
    pub fn new(options: SamplerOptions) -> Result<Self, SamplerError> {
        options.check()?;
        let seed = options.seed.unwrap_or_else(rand::random);
        let random = ChaCha8Rng::seed_from_u64(seed);
        Ok(Self { options, seed, random, scores: Scores::default(), candidates: Candidates::default() })
    }

    /// The seed in use, given or drawn.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next token. `recent` are the tokens that the penalties count.
    ///
    /// At temperature 0 the largest score wins, of equal ones the lowest id, and nothing is drawn.
    pub fn sample(&mut self, logits: Logits<'_>, recent: &[u32]) -> Result<u32, SamplerError> {
        logits.check()?;
        let penalised = self.options.penalises() && !recent.is_empty();
        if self.options.temperature == 0.0 && !penalised && !self.options.biases() {
            // The scale is positive: the order of the quantised values is the order of the scores.
            let place = match logits {
                Logits::F32(values) => argmax::of_f32(values),
                Logits::I8 { values, .. } => argmax::of_i8(values),
            };
            return place.map(|place| place as u32).ok_or(SamplerError::InvalidScores);
        }
        let Self { options, scores, candidates, .. } = self;
        scores.read(logits);
        scores.bias(&options.bias);
        if penalised {
            scores.penalise(options, recent);
        }
        let best = scores.best().ok_or(SamplerError::InvalidScores)?;
        if options.temperature == 0.0 {
            return Ok(best);
        }
        let chance = self.random.random::<f64>();
        let cuts_at_k = (1..scores.len()).contains(&options.top_k);
        let mut total = None;
        // only what can be left by the first cut is looked at one by one
        let least = if cuts_at_k {
            scores.kth(options.top_k)
        } else if options.top_p < 1.0 {
            let all = scores.total(1.0);
            total = Some(all);
            scores.nucleus(options.top_p, all)
        } else if options.min_p > 0.0 {
            scores.share(options.min_p)
        } else {
            let total = scores.total(options.temperature);
            return Ok(scores.draw(chance * total));
        };
        candidates.fill(scores.at_least(least));
        if cuts_at_k {
            candidates.keep_top_k(options.top_k);
        }
        candidates.keep_top_p(options.top_p, total);
        candidates.keep_at_least(scores.share(options.min_p));
        let total = candidates.weigh(options.temperature);
        Ok(candidates.draw(chance * total))
    }
}

#[cfg(test)]
mod tests;
