//! How models stretch the rotation beyond the context that they were first trained for.

/// Factors on the rotation.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeScaling {
    /// Divisors of the frequencies, one a pair of values; empty where there are none.
    pub factors: Vec<f32>,
    /// Others for long contexts (Phi-3's long-rope).
    pub long: Option<LongRope>,
    /// Factor on the sines and cosines.
    pub magnitude: f64,
}

/// Divisors for sequences that have room for more positions than `above`.
#[derive(Clone, Debug, PartialEq)]
pub struct LongRope {
    /// Positions up to which the ordinary factors hold.
    pub above: usize,
    /// As [`RopeScaling::factors`].
    pub factors: Vec<f32>,
}

impl Default for RopeScaling {
    fn default() -> Self {
        Self { factors: Vec::new(), long: None, magnitude: 1.0 }
    }
}

/// Parameters of Llama 3's scaling.
pub(super) struct Llama3 {
    pub(super) factor: f64,
    pub(super) low_freq_factor: f64,
    pub(super) high_freq_factor: f64,
    /// Positions of the first training.
    pub(super) original: f64,
}

impl Llama3 {
    /// Divisors for `dim` rotated values with `base`: short waves stay, long ones are stretched by `factor`, those
    /// between go over smoothly (`_compute_llama3_parameters` of transformers).
    pub(super) fn factors(&self, dim: usize, base: f64) -> Vec<f32> {
        let (longest, shortest) =
            (self.original / self.low_freq_factor, self.original / self.high_freq_factor);
        let factor = |i: usize| {
            let wave = std::f64::consts::TAU * base.powf(2.0 * i as f64 / dim as f64);
            if wave < shortest {
                1.0
            } else if wave > longest {
                self.factor
            } else {
                let smooth = (self.original / wave - self.low_freq_factor)
                    / (self.high_freq_factor - self.low_freq_factor);
                1.0 / ((1.0 - smooth) / self.factor + smooth)
            }
        };
        (0..dim / 2).map(|i| factor(i) as f32).collect()
    }
}

/// The magnitude that long-rope uses where the files name none: √(1 + ln(factor) / ln(original)).
pub(super) fn long_magnitude(context: usize, original: usize) -> f64 {
    let factor = context as f64 / original as f64;
    if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original as f64).ln()).sqrt() }
}
