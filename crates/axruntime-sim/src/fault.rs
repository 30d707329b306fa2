//! Failures on demand, written as a script: `connect=DEVICE_IN_USE;run@5=RUNTIME_ERROR;run@7=hang`.
//!
//! A rule is `CALL[@N]=WHAT[*TIMES]`. `CALL` is one of [`CALLS`]. `@N` is the N-th such call, counted from 1
//! since the script was read; without it every call is meant, with `*TIMES` the first TIMES ones from there on.
//! `WHAT` is an `axrResult` by name without prefix (`PENDING` is short for `PENDING_ERROR`), `hang` (the call
//! never returns) or `crash` (the process aborts). `configure=PENDING*3` is special in that the waiting goes on
//! in `axr_device_ready`: three answers in all are "pending", and without `*3` all of them.

use std::sync::{Mutex, PoisonError};

use axruntime_sys::raw::AxrResult;

use crate::error::{Failure, Outcome};

/// The calls that can fail on demand.
pub(crate) const CALLS: [&str; 11] = [
    "list",       // axr_list_devices
    "configure",  // axr_configure_device
    "ready",      // axr_device_ready
    "read",       // axr_read_device_configuration
    "connect",    // axr_device_connect
    "load",       // axr_load_model
    "info",       // axr_get_model_input and _output: ndims 0
    "properties", // axr_get_model_properties
    "instance",   // axr_load_model_instance
    "run",        // axr_run_model_instance
    "destroy",    // axr_destroy: a code only shows in axr_last_error
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Code(AxrResult),
    Hang,
    Crash,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rule {
    call: usize,
    first: u64,
    times: u64,
    what: What,
}

/// A script and how often each call was made since it was read.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    made: Mutex<[u64; CALLS.len()]>,
}

impl Faults {
    pub fn parse(script: &str) -> Result<Faults, String> {
        let rules = script.split(';').map(str::trim).filter(|rule| !rule.is_empty());
        Ok(Faults { rules: rules.map(rule).collect::<Result<_, _>>()?, made: Mutex::default() })
    }

    /// Counts one call, and fails it when a rule says so; the earlier rule decides.
    pub fn at(&self, call: &str) -> Outcome<()> {
        let Some(index) = CALLS.iter().position(|name| *name == call) else { return Ok(()) };
        let number = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made[index] += 1;
            made[index]
        };
        let hit = |rule: &&Rule| {
            rule.call == index && number >= rule.first && number - rule.first < rule.times && !rule.waits()
        };
        match self.rules.iter().find(hit).map(|rule| rule.what) {
            None => Ok(()),
            Some(What::Code(AxrResult::SUCCESS)) => Ok(()),
            Some(What::Code(code)) => {
                Err(Failure::new(code, format!("simulated failure at {call} {number}")))
            }
            Some(What::Hang) => loop {
                std::thread::park();
            },
            Some(What::Crash) => std::process::abort(),
        }
    }

    /// How many answers to a configuration are "pending"; `u64::MAX` for all of them.
    pub fn pending(&self) -> u64 {
        self.rules.iter().find(|rule| rule.waits()).map_or(0, |rule| rule.times)
    }
}

impl Rule {
    fn waits(&self) -> bool {
        CALLS[self.call] == "configure" && self.what == What::Code(AxrResult::PENDING_ERROR)
    }
}

fn rule(text: &str) -> Result<Rule, String> {
    let odd = |what: &str| format!("{text:?}: {what}");
    let (at, what) = text.split_once('=').ok_or_else(|| odd("expected CALL[@N]=WHAT[*TIMES]"))?;
    let (call, number) = match at.split_once('@') {
        Some((call, number)) => (call, Some(number)),
        None => (at, None),
    };
    let call = CALLS
        .iter()
        .position(|name| *name == call.trim())
        .ok_or_else(|| odd(&format!("expected a call of {}", CALLS.join(", "))))?;
    let count = |text: &str| {
        text.trim().parse().ok().filter(|n| *n > 0).ok_or_else(|| odd("expected a count from 1"))
    };
    let (what, times) = match what.split_once('*') {
        Some((what, times)) => (what, Some(count(times)?)),
        None => (what, None),
    };
    let what = match what.trim() {
        "hang" => What::Hang,
        "crash" => What::Crash,
        "PENDING" => What::Code(AxrResult::PENDING_ERROR),
        name => {
            let code = AxrResult::ALL.iter().find(|(_, known)| *known == name);
            What::Code(code.ok_or_else(|| odd("expected a result by name, hang or crash"))?.0)
        }
    };
    let first = number.map(count).transpose()?;
    // a numbered call is one call, an unnumbered one all of them
    let times = times.unwrap_or(if first.is_some() { 1 } else { u64::MAX });
    Ok(Rule { call, first: first.unwrap_or(1), times, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_hit_the_calls_they_name() {
        let faults = Faults::parse("run@2=VALUE_ERROR; run@4=RUNTIME_ERROR*2;list=DEVICE_IN_USE*1;").unwrap();
        let runs: Vec<_> = (0..6).map(|_| faults.at("run").err().map(|failure| failure.code)).collect();
        let (value, runtime) = (Some(AxrResult::VALUE_ERROR), Some(AxrResult::RUNTIME_ERROR));
        assert_eq!(runs, [None, value, None, runtime, runtime, None]);
        assert!(faults.at("list").is_err() && faults.at("list").is_ok() && faults.at("load").is_ok());
        let always = Faults::parse("load=UNKNOWN_ERROR").unwrap();
        assert!((0..3).all(|_| always.at("load").is_err()));
    }

    #[test]
    fn pending_is_a_count_of_answers() {
        for (script, pending) in [("configure=PENDING*3", 3), ("configure=PENDING_ERROR", u64::MAX), ("", 0)]
        {
            let faults = Faults::parse(script).unwrap();
            assert!(faults.at("configure").is_ok());
            assert_eq!(faults.pending(), pending, "{script}");
        }
    }

    #[test]
    fn a_script_that_is_none_says_what_was_expected() {
        for (script, expected) in [
            ("run", "expected CALL"),
            ("walk=hang", "expected a call of list, "),
            ("run@0=hang", "count from 1"),
            ("run=OOPS", "by name, hang or crash"),
            ("run=hang*x", "count from 1"),
        ] {
            let error = Faults::parse(script).unwrap_err();
            assert!(error.contains(expected) && error.contains(script), "{error}");
        }
    }
}
