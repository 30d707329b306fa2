//! Ids to released text, with and without a stop string to look for.

use crate::prompt::tokenizer;
use criterion::{Criterion, Throughput, criterion_group};
use engine::TextStream;

fn detokenise(criterion: &mut Criterion) {
    let tokenizer = tokenizer();
    let text = test_support::oracle().texts.swap_remove(0).text;
    let ids = tokenizer.encode_text(&text).expect("ordinary text");
    let mut group = criterion.benchmark_group("detokenise");
    group.throughput(Throughput::Elements(ids.len() as u64));
    for (name, stops) in [("plain", vec![]), ("stop string", vec!["\nUser:".to_owned()])] {
        group.bench_function(format!("{} tokens, {name}", ids.len()), |bencher| {
            bencher.iter(|| {
                let mut stream = TextStream::new(&stops);
                let bytes = ids.iter().filter_map(|&id| tokenizer.token_bytes(id));
                bytes.map(|bytes| stream.push(bytes).len()).sum::<usize>()
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = crate::short();
    targets = detokenise
}
