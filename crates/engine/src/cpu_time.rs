//! How much of the machine this process uses, in percent of all cores.

use std::{
    fs,
    time::{Duration, Instant},
};

/// Clock ticks a second in `/proc`: `USER_HZ`, 100 on every Linux that this runs on (`man 5 proc`).
const TICKS: u64 = 100;

/// Measures from its making on.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    since: Instant,
    used: Option<Duration>,
}

impl CpuMeter {
    pub(crate) fn start() -> Self {
        Self { since: Instant::now(), used: used() }
    }

    /// Percent of all cores since the start; `None` where the system does not say or no time has passed.
    pub(crate) fn percent(&self) -> Option<f64> {
        let spent = used()?.checked_sub(self.used?)?.as_secs_f64();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let available = self.since.elapsed().as_secs_f64() * cores as f64;
        (available > 0.0).then(|| (100.0 * spent / available).min(100.0))
    }
}

/// What the figure of the latest reply counts against those before it: the original's smoothing.
const WEIGHT: f64 = 0.3;

/// One conversation's CPU share, smoothed over its replies.
#[derive(Debug, Default)]
pub(crate) struct CpuShare(Option<f64>);

impl CpuShare {
    /// Takes a reply's figure in and gives the smoothed one; one that could not be read changes nothing.
    pub(crate) fn add(&mut self, percent: Option<f64>) -> Option<f64> {
        let new = percent?;
        let smoothed = self.0.map_or(new, |old| WEIGHT * new + (1.0 - WEIGHT) * old);
        self.0 = Some(smoothed);
        self.0
    }
}

/// Processor time of this process, all threads.
fn used() -> Option<Duration> {
    ticks(&fs::read_to_string("/proc/self/stat").ok()?)
        .map(|ticks| Duration::from_millis(ticks * 1000 / TICKS))
}

/// `utime + stime` of a `/proc/PID/stat` line; the name in brackets may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_no_obstacle() {
        let stat = "7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 120 34 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some(154));
        assert_eq!(ticks("nonsense"), None);
    }

    #[test]
    fn shares_are_smoothed() {
        let mut share = CpuShare::default();
        assert_eq!(share.add(None), None);
        assert_eq!(share.add(Some(10.0)), Some(10.0));
        let second = share.add(Some(20.0)).unwrap();
        assert!((second - 13.0).abs() < 1e-9, "{second}");
        assert_eq!(share.add(None), None);
        assert!((share.add(Some(13.0)).unwrap() - 13.0).abs() < 1e-9);
    }

    #[test]
    fn a_busy_thread_shows() {
        let meter = CpuMeter::start();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(200) {
            std::hint::spin_loop();
        }
        assert!(meter.percent().is_some_and(|percent| percent > 0.0 && percent <= 100.0));
    }
}
