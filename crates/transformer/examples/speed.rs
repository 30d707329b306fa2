//! Speed of the CPU passes of one file, as `llama-bench` measures it:
//! `speed FILE THREADS PROMPT GENERATE DEPTH RUNS [SEQUENCES]`.
//!
//! Prints one JSON line with tokens a second, medians of the runs. `SEQUENCES` decode together; their tokens are counted
//! together. `AXLLM_CPU` names the instruction set.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a measuring program

use std::{path::PathBuf, time::Instant};

use transformer::{Input, LoadOptions, Model, Part};

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
    let (mut passes, mut steps) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let mut sequence = model.sequence(ids.len().max(1));
        if depth > 0 {
            model.prefill(&mut sequence, Input::Tokens(&ids[..depth])).unwrap();
        }
        if prompt > 0 {
            let started = Instant::now();
            model.forward(&mut sequence, Input::Tokens(&ids[depth..depth + prompt]), &mut logits).unwrap();
            passes.push(prompt as f64 / started.elapsed().as_secs_f64());
        }
        if generate > 0 {
            let mut all: Vec<_> = (0..sequences).map(|_| (sequence.clone(), logits.clone())).collect();
            let started = Instant::now();
            for id in &ids[depth + prompt..] {
                let tokens = [*id];
                let parts = all.iter_mut();
                let mut parts: Vec<_> = parts
                    .map(|(sequence, logits)| Part { sequence, tokens: &tokens, logits: Some(logits) })
                    .collect();
                model.step(&mut parts).unwrap();
            }
            steps.push((sequences * generate) as f64 / started.elapsed().as_secs_f64());
        }
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    println!(
        "{{\"isa\":\"{}\",\"load_s\":{load:.3},\"prompt\":{:.1},\"decode\":{:.1}}}",
        model.isa(),
        median(passes),
        median(steps)
    );
}
