/// What can be wrong with sampling options, or with scores.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// An option outside its range.
    #[error("{option} is {got}, expected {expected}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// Its value.
        got: f32,
        /// What is accepted.
        expected: &'static str,
    },
    /// Scores that no token can be chosen from: a NaN, positive infinity, or nothing but negative infinity.
    #[error("model returned invalid scores")]
    InvalidScores,
    /// No scores at all.
    #[error("model returned no scores")]
    NoScores,
    /// A quantisation scale that cannot be.
    #[error("model returned invalid scores: their scale is {scale}")]
    InvalidScale {
        /// The scale.
        scale: f64,
    },
}

impl SamplerError {
    /// The stable code that programs tell errors apart by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidOption { .. } => "invalid_option",
            Self::InvalidScores | Self::NoScores | Self::InvalidScale { .. } => "invalid_scores",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidOption { option, expected, .. } => Some(format!("set {option} to {expected}")),
            _ => Some("the model's files may be damaged: fetch them again".into()),
        }
    }
}
