use super::SamplerError;

/// How tokens are chosen. The default is greedy: the same prompt gives the same reply.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerOptions {
    /// 0 chooses the best token; 1 draws by the model's own probabilities; more is wilder.
    pub temperature: f32,
    /// Only this many of the best tokens; 0 for all.
    pub top_k: usize,
    /// Only the best tokens that together have this probability; 1 for all.
    pub top_p: f32,
    /// Only tokens at least this fraction as probable as the best; 0 for all.
    pub min_p: f32,
    /// Scores of tokens seen before are divided (below zero: multiplied) by this; 1 for no change.
    pub repeat_penalty: f32,
    /// Taken off the score of every token seen before.
    pub presence_penalty: f32,
    /// Taken off the score of a token as many times as it was seen.
    pub frequency_penalty: f32,
    /// Added to the scores of these tokens; each token at most once.
    pub bias: Vec<(u32, f32)>,
    /// The same seed, prompt and options give the same reply; `None` draws one.
    pub seed: Option<u64>,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repeat_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            bias: Vec::new(),
            seed: None,
        }
    }
}

impl SamplerOptions {
    pub(super) fn check(&self) -> Result<(), SamplerError> {
        let fraction = 0.0..=1.0;
        let rules = [
            ("temperature", self.temperature, self.temperature >= 0.0, "a number from 0 up"),
            ("top_p", self.top_p, fraction.contains(&self.top_p), "a number from 0 to 1"),
            ("min_p", self.min_p, fraction.contains(&self.min_p), "a number from 0 to 1"),
            ("repeat_penalty", self.repeat_penalty, self.repeat_penalty > 0.0, "a number above 0"),
            ("presence_penalty", self.presence_penalty, true, "a number"),
            ("frequency_penalty", self.frequency_penalty, true, "a number"),
        ];
        let biases = self.bias.iter().map(|(_, bias)| ("logit_bias", *bias, true, "a number"));
        for (option, got, holds, expected) in rules.into_iter().chain(biases) {
            if !(holds && got.is_finite()) {
                return Err(SamplerError::InvalidOption { option, got, expected });
            }
        }
        Ok(())
    }

    pub(super) fn penalises(&self) -> bool {
        self.repeat_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0
    }

    /// Whether the order of the scores may change before any token is seen.
    pub(super) fn biases(&self) -> bool {
        !self.bias.is_empty()
    }
}
