//! Speed of the CPU passes of one file, as `llama-bench` measures it:
//! `speed FILE THREADS PROMPT GENERATE DEPTH RUNS [SEQUENCES]`.
//!
//! A pass over the start of the prompt (or a token) that is not measured comes first: memory has been touched, threads run.
//!
//! Prints one JSON line with tokens a second, medians of the runs. `SEQUENCES` decode together; their tokens are counted
//! together. `AXLLM_CPU` names the instruction set. `*_cpu` are the best of the runs by the calling thread's time on the
//! processor: with one thread they hold while others use the machine.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a measuring program

use std::path::PathBuf;
use std::time::{Duration, Instant};

use transformer::{Input, LoadOptions, Model, Output, Part, Phase};

/// As many tokens at most go before what is measured.
const WARM_UP: usize = 64;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |n: usize| args.get(n).and_then(|arg| arg.parse().ok()).unwrap_or(0usize);
    let (threads, prompt, generate, depth, runs) =
        (number(2), number(3), number(4), number(5), number(6).max(1));
    let sequences = number(7).max(1);
    let isa = std::env::var("AXLLM_CPU").ok().map(|name| name.parse().unwrap());
    let started = Instant::now();
    let model =
        Model::open(&PathBuf::from(&args[1]), &LoadOptions { threads, isa, ..LoadOptions::default() })
            .unwrap();
    let load = started.elapsed().as_secs_f64();
    let vocab = model.config().vocab_size;
    let ids: Vec<u32> = (0..depth + prompt + generate).map(|n| (n * 7919 % vocab) as u32).collect();
    let mut logits = vec![0.0; vocab];
    let first = &ids[..prompt.clamp(1, WARM_UP)];
    let mut sequence = model.sequence(ids.len().max(1));
    model.prefill(&mut sequence, Input::Tokens(first)).unwrap();
    let (mut passes, mut steps) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        sequence.clear();
        if depth > 0 {
            model.prefill(&mut sequence, Input::Tokens(&ids[..depth])).unwrap();
        }
        if prompt > 0 {
            let started = Clocks::now();
            model.forward(&mut sequence, Input::Tokens(&ids[depth..depth + prompt]), &mut logits).unwrap();
            passes.push(started.rates(prompt));
        }
        if generate > 0 {
            let mut all: Vec<_> = (0..sequences).map(|_| (sequence.clone(), logits.clone())).collect();
            let started = Clocks::now();
            for id in &ids[depth + prompt..] {
                let tokens = [*id];
                let parts = all.iter_mut();
                let mut parts: Vec<_> = parts
                    .map(|(sequence, logits)| Part {
                        sequence,
                        tokens: &tokens,
                        phase: Phase::Decode,
                        output: Output::Logits(logits),
                    })
                    .collect();
                model.step(&mut parts).unwrap();
            }
            steps.push(started.rates(sequences * generate));
        }
    }
    let ((prompt, prompt_cpu), (decode, decode_cpu)) = (figures(passes), figures(steps));
    println!(
        "{{\"isa\":\"{}\",\"load_s\":{load:.3},\"prompt\":{prompt:.1},\"decode\":{decode:.1},\"prompt_cpu\":{prompt_cpu:.1},\"decode_cpu\":{decode_cpu:.1}}}",
        model.isa(),
    );
}

/// Median by the clock on the wall and best by the thread's own.
fn figures(mut rates: Vec<(f64, f64)>) -> (f64, f64) {
    rates.sort_by(|a, b| a.0.total_cmp(&b.0));
    let median = rates.get(rates.len() / 2).map_or(0.0, |rate| rate.0);
    (median, rates.iter().fold(0.0, |best, rate| rate.1.max(best)))
}

struct Clocks(Instant, Duration);

impl Clocks {
    fn now() -> Self {
        Self(Instant::now(), on_processor())
    }

    /// A second on the wall, and on the processor.
    fn rates(&self, units: usize) -> (f64, f64) {
        let (wall, processor) = (self.0.elapsed(), on_processor() - self.1);
        (units as f64 / wall.as_secs_f64(), units as f64 / processor.as_secs_f64().max(1e-9))
    }
}

/// The calling thread's time on the processor; 0 where the system does not say.
fn on_processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}
