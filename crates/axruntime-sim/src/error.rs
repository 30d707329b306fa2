//! What a call inside the simulator answers.

use axruntime_sys::raw::AxrResult;

/// A code and the text for `axr_last_error_string`.
#[derive(Debug, PartialEq)]
pub(crate) struct Failure {
    pub code: AxrResult,
    pub text: String,
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub fn new(code: AxrResult, text: impl Into<String>) -> Failure {
        Failure { code, text: text.into() }
    }

    pub fn argument(text: impl Into<String>) -> Failure {
        Failure::new(AxrResult::INVALID_ARGUMENT, text)
    }

    pub fn value(text: impl Into<String>) -> Failure {
        Failure::new(AxrResult::VALUE_ERROR, text)
    }

    pub fn runtime(text: impl Into<String>) -> Failure {
        Failure::new(AxrResult::RUNTIME_ERROR, text)
    }

    pub fn configuration(text: impl Into<String>) -> Failure {
        Failure::new(AxrResult::INVALID_CONFIGURATION, text)
    }
}
