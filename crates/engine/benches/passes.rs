//! One decoding step and a prompt pass of the default model: the two speeds that a person waits for.
//!
//! Once through the decoder on the CPU, once through the simulated card's library: what the second has on top is
//! rows as halves, logits as int8, and the C interface.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use axruntime_sys::{Context, Instance, Library};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group};
use engine::{Embeddings, LoadOptions};
use half::f16;
use transformer::{Input, Model, Sequence};
use zerocopy::IntoBytes;

use common::card::{CONTEXT, compiled, runtime};

/// Tokens of a prompt pass, as in the figures of the peers.
const PROMPT: usize = 128;
/// Positions before a decoding step; so many steps are taken until the sequence starts anew.
const DEPTH: usize = 64;
const STEPS: u64 = 16;

/// A place that runs tokens: several start a sequence, one is appended.
trait Place {
    fn run(&mut self, ids: &[u32]);
}

struct Cpu {
    model: Model,
    sequence: Sequence,
    logits: Vec<f32>,
}

impl Cpu {
    fn open() -> Self {
        let model = Model::open(&test_support::default_model(), &LoadOptions::default());
        let model = model.expect("the default model");
        Self { sequence: model.sequence(CONTEXT), logits: vec![0.0; model.config().vocab_size], model }
    }
}

impl Place for Cpu {
    fn run(&mut self, ids: &[u32]) {
        let input = Input::Tokens(ids);
        let done = if ids.len() > 1 {
            self.sequence.clear();
            self.model.forward(&mut self.sequence, input, &mut self.logits)
        } else {
            self.model.decode(&mut self.sequence, input, &mut self.logits)
        };
        done.expect("it fits");
    }
}

struct Card {
    embeddings: Embeddings,
    rows: Vec<f16>,
    codes: Vec<i8>,
    instance: Instance,
}

impl Card {
    fn open() -> Self {
        let compiled = compiled();
        let context = Context::new(Library::open(Some(&runtime())).expect("the simulator"));
        let connection = context.connect(None, 4, None).expect("a simulated device that nobody uses");
        let model = context.load_model(&compiled.model_json).expect("the compiled model");
        Self {
            embeddings: Embeddings::open(&compiled.embeddings).expect("its embeddings"),
            rows: Vec::new(),
            codes: vec![0; model.outputs()[0].byte_size()],
            instance: connection.load_instance(&model, None).expect("room on the device"),
        }
    }
}

impl Place for Card {
    fn run(&mut self, ids: &[u32]) {
        self.embeddings.gather(ids, &mut self.rows).expect("ids of the vocabulary");
        let run = self.instance.run(&[self.rows.as_bytes()], &mut [self.codes.as_mut_bytes()]);
        run.expect("a run");
    }
}

fn passes(criterion: &mut Criterion, name: &str, place: &mut dyn Place) {
    // the guide's prose, as in the oracle
    let ids = test_support::oracle().texts.swap_remove(0).ids;
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(20).measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements(1));
    group.bench_function(format!("decode at depth {DEPTH}"), |bencher| {
        bencher.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            for step in 0..iterations {
                if step % STEPS == 0 {
                    place.run(&ids[..DEPTH]);
                }
                let started = Instant::now();
                place.run(&ids[DEPTH..=DEPTH]);
                spent += started.elapsed();
            }
            spent
        });
    });
    group.throughput(Throughput::Elements(PROMPT as u64));
    group.bench_function(format!("prompt of {PROMPT}"), |bencher| {
        bencher.iter(|| place.run(&ids[..PROMPT]));
    });
}

fn on_the_cpu(criterion: &mut Criterion) {
    passes(criterion, "cpu", &mut Cpu::open());
}

fn on_the_simulated_card(criterion: &mut Criterion) {
    passes(criterion, "simulated card", &mut Card::open());
}

criterion_group! {
    name = benches;
    config = crate::short();
    targets = on_the_cpu, on_the_simulated_card
}
