//! What the host adds to a device: whole replies on a library that answers at once, at Llama 3.2's size.
//!
//! The library is the simulated card with `AXSIM_INSTANT=1`, a variable that it reads once in its process: hence a
//! program of its own. A reply's time over its tokens is gather, call, argmax, detokenising and the look for stop texts.
#![allow(missing_docs)] // criterion's macros write undocumented functions

#[path = "../tests/common/mod.rs"]
mod common;

use std::{fs, ops::ControlFlow, process::Command};

use criterion::{Criterion, Throughput, criterion_group};
use engine::{AipuOptions, Cancel, Embeddings, Message, Model, ModelOptions, Request, Source};
use half::f16;

use common::card::{compiled, runtime};

const VOCABULARY: usize = 128_256;
const COLUMNS: usize = 2048;
const CONTEXT: usize = 2048;
const INSTANT: &str = "AXSIM_INSTANT";

/// Tokens of a reply: the time of one must not grow with them.
const REPLIES: [usize; 3] = [100, 400, 1600];

fn host(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let embeddings = folder.path().join("embeddings.npz");
    let mut state = 1_u32;
    Embeddings::write_npz(&embeddings, VOCABULARY, COLUMNS, |_, row| {
        // numbers of a model do not deflate to nothing, and a file whose numbers do is refused
        for value in row {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value = f16::from_bits((state >> 18) as u16); // below 2: finite
        }
        Ok::<_, engine::EmbeddingsError>(())
    })
    .expect("room for half a gigabyte of embeddings");
    let model = folder.path().join("model.json");
    let json = format!(
        r#"{{"model_version":"5.0","name":"instant","context_length":{CONTEXT},"vocab_size":{VOCABULARY},
        "embedding_dim":{COLUMNS},"logits":{{"scale":0.1,"zero_point":0}},
        "payload":{{"format":"axsim-gguf","file":"model.json"}}}}"#
    );
    fs::write(&model, json).expect("a writable folder");
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

criterion_group!(benches, host);

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
