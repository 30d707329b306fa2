//! Scores of the whole vocabulary, a float each, and what is asked of all of them at once.

use std::mem;

use transformer::weigh;

use super::{Logits, SamplerOptions, argmax};

/// Scores that are weighed together.
const PART: usize = 1024;
/// Scores of which only the largest counts when a bound is looked for.
const FEW: usize = 64;

/// Buffers live as long as their owner: a step allocates nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Scores {
    values: Vec<f32>,
    largest: f32,
    /// What they were weighed at.
    temperature: f32,
    /// Of each part of the scores, in all.
    sums: Vec<f64>,
    /// Of one part.
    weights: Vec<f32>,
    /// How often each token was seen; zeros between two steps.
    seen: Vec<u32>,
}

impl Scores {
    /// Takes them as they are; what is beyond 32-bit floats counts as the largest of these.
    pub fn read(&mut self, logits: Logits<'_>) {
        self.values.clear();
        match logits {
            Logits::F32(values) => self.values.extend_from_slice(values),
            Logits::I8 { values, scale, zero_point } => {
                let score = |byte: u8| (f64::from(byte.cast_signed()) - f64::from(zero_point)) * scale;
                let scores: [f32; 256] = std::array::from_fn(|byte| within(score(byte as u8)));
                self.values.extend(values.iter().map(|value| scores[usize::from(value.cast_unsigned())]));
            }
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Of one token, where there is such a one.
    pub fn get(&self, token: u32) -> Option<f32> {
        self.values.get(token as usize).copied()
    }

    /// Moves some; ids that there are none of count for nothing.
    pub fn bias(&mut self, biases: &[(u32, f32)]) {
        for &(id, bias) in biases {
            if let Some(score) = self.values.get_mut(id as usize) {
                *score = within(f64::from(*score) + f64::from(bias));
            }
        }
    }

    /// As [`bias`](Self::bias), by what was seen.
    pub fn penalise(&mut self, options: &SamplerOptions, recent: &[u32]) {
        self.seen.resize(self.values.len(), 0);
        for id in recent {
            if let Some(seen) = self.seen.get_mut(*id as usize) {
                *seen += 1;
            }
        }
        let repeat = f64::from(options.repeat_penalty);
        for id in recent {
            let Some(count) = self.seen.get_mut(*id as usize).map(mem::take).filter(|count| *count > 0)
            else {
                continue;
            };
            let value = &mut self.values[*id as usize];
            let score = f64::from(*value);
            let score = if score > 0.0 { score / repeat } else { score * repeat };
            let taken =
                f64::from(options.presence_penalty) + f64::from(count) * f64::from(options.frequency_penalty);
            *value = within(score - taken);
        }
    }

    /// The largest one's place, of equal ones the first; the other questions count on it. `None` for a NaN, positive infinity, or
    /// nothing but negative infinity.
    pub fn best(&mut self) -> Option<u32> {
        let place = argmax::of_f32(&self.values)?;
        self.largest = self.values[place];
        Some(place as u32)
    }

    /// What all weigh at a temperature, the largest one 1.
    pub fn total(&mut self, temperature: f32) -> f64 {
        self.temperature = temperature;
        self.sums.clear();
        for part in 0..self.values.len().div_ceil(PART) {
            let sum = self.weigh(part);
            self.sums.push(sum);
        }
        self.sums.iter().sum()
    }

    fn weigh(&mut self, part: usize) -> f64 {
        let scores = self.values[part * PART..].chunks(PART).next().unwrap_or_default();
        self.weights.resize(scores.len(), 0.0);
        f64::from(weigh(scores, self.largest, self.temperature, &mut self.weights))
    }

    /// The token at `point` of the line on which the weights that [`total`](Self::total) has added lie end to end.
    pub fn draw(&mut self, point: f64) -> u32 {
        let (part, rest) = place_of(point, self.sums.iter().copied());
        self.weigh(part);
        let (place, _) = place_of(rest, self.weights.iter().copied().map(f64::from));
        (part * PART + place) as u32
    }

    /// The score from which on a token is at least `share` times as probable as the best.
    pub fn share(&self, share: f32) -> f32 {
        self.largest + share.ln()
    }

    /// A score that the fewest best tokens which make up `p` of `total` all reach: whatever weighs less than `1 − p` of the mean
    /// makes up less than `1 − p` together.
    pub fn nucleus(&self, p: f32, total: f64) -> f32 {
        // rounded down, for weights are exact to a few units in the last place only
        self.largest + ((1.0 - f64::from(p)) * total / self.len() as f64).ln() as f32 - 1e-3
    }

    /// A score that `k` tokens reach at least, and few more: the k-th largest of the largest of every few scores.
    pub fn kth(&self, k: usize) -> f32 {
        let largest = |few: &[f32]| few.iter().fold(f32::NEG_INFINITY, |m, v| if *v > m { *v } else { m });
        let mut largest: Vec<f32> = self.values.chunks(FEW).map(largest).collect();
        if k == 0 || k > largest.len() {
            return f32::NEG_INFINITY;
        }
        *largest.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
    }

    /// Hands out tokens whose score is no less, and their scores.
    pub fn at_least(&self, least: f32) -> impl Iterator<Item = (u32, f32)> {
        let some = move |few: &[f32]| few.iter().fold(false, |some, score| some | (*score >= least));
        let few = self.values.chunks(FEW).enumerate().filter(move |(_, few)| some(few));
        few.flat_map(|(n, few)| {
            few.iter().enumerate().map(move |(at, score)| ((n * FEW + at) as u32, *score))
        })
        .filter(move |(_, score)| *score >= least)
    }
}

/// Which of some weights that lie end to end on a line `point` falls on, and how far into it; the last that is any, where all end
/// before.
pub(super) fn place_of(point: f64, weights: impl Iterator<Item = f64>) -> (usize, f64) {
    let (mut place, mut rest) = (0, point);
    for (n, weight) in weights.enumerate().filter(|(_, weight)| *weight > 0.0) {
        place = n;
        if rest < weight {
            break;
        }
        rest -= weight;
    }
    (place, rest)
}

/// As a 32-bit float, which is finite where the score is.
fn within(score: f64) -> f32 {
    if score.is_finite() {
        score.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
    } else {
        score as f32
    }
}
