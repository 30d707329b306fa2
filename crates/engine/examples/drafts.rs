//! What guessing ahead brings: `drafts FILE [RUNS [TEMPERATURE]]` answers tasks of three kinds with and without, turn
//! about, and prints for each kind the medians, and the median of the ratios of neighbours.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a measuring program

use std::{ops::ControlFlow, path::PathBuf, sync::Arc, time::Instant};

use engine::{Cancel, LoadOptions, Message, Model, ModelOptions, Request, SamplerOptions, Source};

const ARTICLE: &str = "The octopus is a soft-bodied mollusc with eight limbs. About three hundred species are known. \
It has two eyes and a beaked mouth at the centre of its limbs, and can change its shape to squeeze through small gaps. \
Octopuses have a complex nervous system and good sight, and are among the most intelligent of all animals without a \
backbone. They live in coral reefs, open waters and the sea bed; some live in the tides, others at great depths. Most \
grow quickly, mature early and live for a short time. To defend themselves they expel ink, change their colour and \
threaten.";
const CODE: &str = "def area(width, height):
    if width < 0 or height < 0:
        raise ValueError('negative size')
    return width * height


def volume(width, height, depth):
    if depth < 0:
        raise ValueError('negative size')
    return area(width, height) * depth


def describe(width, height, depth):
    print('area', area(width, height))
    print('volume', volume(width, height, depth))
";

const CHATS: [&str; 4] = [
    "Tell me a story about a sailor and a lighthouse.",
    "Why is the sky blue, and why are sunsets red?",
    "How do I cook rice that does not stick?",
    "What should I see in Rome in three days?",
];

fn main() {
    let mut args = std::env::args().skip(1);
    let weights = PathBuf::from(args.next().unwrap());
    let runs: usize = args.next().map_or(5, |arg| arg.parse().unwrap());
    let temperature = args.next().map_or(0.0, |arg| arg.parse().unwrap());
    let source = Source::Cpu { weights, context_length: Some(2048), options: LoadOptions::default() };
    let model = Model::open(&ModelOptions { source, tokenizer: None, min_response_space: None }).unwrap();
    let tasks = [
        ("summarising", vec![format!("Summarise this text in a few sentences:\n\n{ARTICLE}")]),
        (
            "code editing",
            vec![format!("Rename the parameter width to w in this code, give me all of it:\n\n{CODE}")],
        ),
        ("free chat", CHATS.map(str::to_owned).to_vec()),
    ];
    for (name, tasks) in tasks {
        let (mut rates, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
        for run in 0..runs {
            let sampler = SamplerOptions { temperature, seed: Some(run as u64), ..SamplerOptions::default() };
            for task in &tasks {
                let [without, with] = [true, false].map(|no_drafts| rate(&model, task, &sampler, no_drafts));
                rates[0].push(without);
                rates[1].push(with);
                ratios.push(with / without);
            }
        }
        let [without, with] = rates.map(median);
        println!("{name}: {without:.1} tok/s without, {with:.1} with, {:.3} ×", median(ratios));
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Tokens a second after the first.
fn rate(model: &Arc<Model>, task: &str, sampler: &SamplerOptions, no_drafts: bool) -> f64 {
    let sampler = sampler.clone();
    let request = Request { no_drafts, sampler, max_tokens: Some(160), ..Request::default() };
    let mut first = None;
    let messages = [Message::user(task)];
    let reply = model.session().reply(&messages, &request, &Cancel::default(), &mut |_| {
        first.get_or_insert_with(Instant::now);
        ControlFlow::Continue(())
    });
    let tokens = reply.unwrap().completion_tokens as f64;
    tokens / first.unwrap().elapsed().as_secs_f64()
}
