//! The clocks of a reply: each part has its own, none is read off another's counter.

use std::time::Duration;

/// How long the parts of a reply took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Building and encoding the prompt, embedding rows gathered.
    pub tokenize: Duration,
    /// Set-up between that and the first run: the reference's `Prefill`.
    pub setup: Duration,
    /// From the start of generation to the first token: the reference's `TTFT`.
    pub first_token: Duration,
    /// The prompt pass.
    pub prompt: Duration,
    /// All steps after the first token.
    pub decode: Duration,
    /// From the start of generation to its end: the reference's `Gen`.
    pub generation: Duration,
}

impl Timings {
    /// The reference's `Tokens/sec`: `tokens` over the whole generation; 0 where nothing was generated.
    pub fn tokens_per_second(&self, tokens: usize) -> f64 {
        match self.generation.as_secs_f64() {
            seconds if seconds > 0.0 => tokens as f64 / seconds,
            _ => 0.0,
        }
    }
}

/// Fills [`Timings`] from moments as they pass. `now` is time since any fixed moment.
pub(crate) struct Stopwatch<N> {
    now: N,
    timings: Timings,
    /// When the part at hand began.
    mark: Duration,
    /// When generation began.
    generation: Duration,
}

impl<N: Fn() -> Duration> Stopwatch<N> {
    /// Starts with the tokenisation.
    pub(crate) fn start(now: N) -> Self {
        let mark = now();
        Self { now, timings: Timings::default(), mark, generation: mark }
    }

    /// Forgets the time since the last part ended: waiting for others is nobody's work.
    pub(crate) fn resume(&mut self) {
        self.mark = (self.now)();
    }

    fn lap(&mut self) -> Duration {
        let now = (self.now)();
        now.saturating_sub(std::mem::replace(&mut self.mark, now))
    }

    /// A part of the tokenisation is done.
    pub(crate) fn tokenized(&mut self) {
        let lap = self.lap();
        self.timings.tokenize += lap;
    }

    /// Set-up is done: generation begins.
    pub(crate) fn ready(&mut self) {
        self.timings.setup = self.lap();
        self.generation = self.mark;
    }

    /// The whole prompt has been run.
    pub(crate) fn prompted(&mut self) {
        self.timings.prompt = self.lap();
    }

    /// The first token has been chosen.
    pub(crate) fn first_token(&mut self) {
        self.timings.first_token = (self.now)().saturating_sub(self.generation);
    }

    /// The reply is complete.
    pub(crate) fn end(mut self) -> Timings {
        if self.timings.first_token > Duration::ZERO {
            let now = (self.now)();
            self.timings.decode = now.saturating_sub(self.generation + self.timings.first_token);
        }
        self.timings.generation = (self.now)().saturating_sub(self.generation);
        self.timings
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn each_part_has_its_own_clock() {
        let time = Cell::new(0u64);
        let pass = |ms| time.set(time.get() + ms);
        let mut watch = Stopwatch::start(|| Duration::from_millis(time.get()));
        pass(3); // building the prompt
        watch.tokenized();
        pass(1000); // waiting for the device
        watch.resume();
        pass(2); // gathering rows
        watch.tokenized();
        pass(1);
        watch.ready();
        pass(50); // the prompt pass
        watch.prompted();
        pass(4); // sampling
        watch.first_token();
        pass(36);
        let timings = watch.end();
        let ms = Duration::from_millis;
        assert_eq!(
            timings,
            Timings {
                tokenize: ms(5),
                setup: ms(1),
                first_token: ms(54),
                prompt: ms(50),
                decode: ms(36),
                generation: ms(90),
            }
        );
        assert!((timings.tokens_per_second(9) - 100.0).abs() < 1e-9);
    }
}
