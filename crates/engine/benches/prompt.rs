//! Loading the default model's tokenizer, and building prompts: rendering the template, splitting, encoding.

use criterion::{Criterion, Throughput, criterion_group};
use engine::{Message, Overflow, PromptBuilder, PromptOptions, Tokenizer};
use std::sync::Arc;
use transformer::Gguf;

pub fn tokenizer() -> Arc<Tokenizer> {
    let gguf = Gguf::open(&test_support::default_model()).expect("the default model");
    Arc::new(Tokenizer::from_gguf(&gguf).expect("its tokenizer"))
}

fn prompt(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("prompt");
    let gguf = Gguf::open(&test_support::default_model()).expect("the default model");
    group.sample_size(20);
    group.bench_function("load tokenizer", |bencher| bencher.iter(|| Tokenizer::from_gguf(&gguf)));

    let builder = PromptBuilder::new(tokenizer(), "smollm2-135m-instruct").expect("its template");
    let options = PromptOptions { max_tokens: 8192, min_response_space: None, overflow: Overflow::Drop };
    let one = vec![Message::user("Why is the sky blue?")];
    let mut chat = vec![];
    for turn in 0..20 {
        chat.push(Message::user(format!("And what about question number {turn}, the one about the sea?")));
        chat.push(Message::assistant(
            "Water takes up red light more than blue, so what comes back is blue. ".repeat(3),
        ));
    }
    chat.extend(one.clone());
    for (name, messages) in [("one message", one), ("20 turns", chat)] {
        let tokens = builder.build(&messages, options).expect("it fits").ids.len();
        group.throughput(Throughput::Elements(tokens as u64));
        group.bench_function(format!("{name}, {tokens} tokens"), |bencher| {
            bencher.iter(|| builder.build(&messages, options).expect("it fits"));
        });
    }
}

criterion_group! {
    name = benches;
    config = crate::short();
    targets = prompt
}
