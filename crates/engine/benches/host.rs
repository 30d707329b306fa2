//! What the host adds to a device: whole replies on a library that answers at once, at Llama 3.2's size.
//!
//! The library is the simulated card with `AXSIM_INSTANT=1`, a variable that it reads once in its process: hence a
//! program of its own. A reply's time over its tokens is gather, call, argmax, detokenising and the look for stop texts.
#![allow(missing_docs)] // criterion's macros write undocumented functions

#[path = "../tests/common/mod.rs"]
mod common;
mod instant;

use std::{ops::ControlFlow, process::Command, time::Duration};

use criterion::{Criterion, Throughput, criterion_group};
use engine::{AipuOptions, Cancel, Message, Model, ModelOptions, Request, Source};

use common::card::{compiled, runtime};

const CONTEXT: usize = 2048;
const INSTANT: &str = "AXSIM_INSTANT";

/// Tokens of a reply: the time of one must not grow with them.
const REPLIES: [usize; 3] = [100, 400, 1600];

fn host(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, embeddings) = instant::write(folder.path(), CONTEXT);
    let aipu = AipuOptions { model, embeddings, runtime: Some(runtime()), ..AipuOptions::default() };
    let tokenizer = Some(compiled().tokenizer_dir.clone());
    let options = ModelOptions { source: Source::Aipu(aipu), tokenizer, min_response_space: None };
    let model = Model::open(&options).expect("the model just written");

    let messages = [Message::user("Why is the sky blue?")];
    let mut group = criterion.benchmark_group("host");
    for tokens in REPLIES {
        for (name, stop) in [("plain", vec![]), ("a stop text", vec!["\nUser:".to_owned()])] {
            let request = Request { max_tokens: Some(tokens), stop, ..Request::default() };
            group.throughput(Throughput::Elements(tokens as u64));
            group.bench_function(format!("{tokens} tokens, {name}"), |bencher| {
                bencher.iter(|| {
                    let mut text = 0;
                    let reply =
                        model.session().reply(&messages, &request, &Cancel::default(), &mut |chunk| {
                            text += chunk.text.len();
                            ControlFlow::Continue(())
                        });
                    let reply = reply.expect("a reply");
                    assert_eq!(reply.completion_tokens, tokens);
                    text
                });
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = host
}

fn main() {
    if std::env::var_os(INSTANT).is_none() {
        let program = std::env::current_exe().expect("this program");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = Command::new(program);
        child.args(std::env::args_os().skip(1)).env(INSTANT, "1").env("XDG_RUNTIME_DIR", folder.path());
        let status = child.status().expect("the same program again");
        drop(folder);
        std::process::exit(status.code().unwrap_or(1));
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
