//! What guessing ahead brings: `drafts FILE [RUNS]` answers three tasks with and without, alternately, and prints medians.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a measuring program

use std::{ops::ControlFlow, path::PathBuf, time::Instant};

use engine::{Cancel, LoadOptions, Message, Model, ModelOptions, Request, Source};

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

fn main() {
    let mut args = std::env::args().skip(1);
    let weights = PathBuf::from(args.next().unwrap());
    let runs: usize = args.next().map_or(5, |arg| arg.parse().unwrap());
    let source = Source::Cpu { weights, context_length: Some(2048), options: LoadOptions::default() };
    let model = Model::open(&ModelOptions { source, tokenizer: None, min_response_space: None }).unwrap();
    let tasks = [
        ("summarising", format!("Summarise this text in a few sentences:\n\n{ARTICLE}")),
        (
            "code editing",
            format!("Rename the parameter width to w in this code, give me all of it:\n\n{CODE}"),
        ),
        ("free chat", "Tell me a story about a sailor and a lighthouse.".to_owned()),
    ];
    for (name, task) in tasks {
        let messages = [Message::user(task)];
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..runs {
            for (no_drafts, rates) in [true, false].into_iter().zip(&mut rates) {
                let request = Request { no_drafts, max_tokens: Some(160), ..Request::default() };
                let mut first = None;
                let reply = model.session().reply(&messages, &request, &Cancel::default(), &mut |_| {
                    first.get_or_insert_with(Instant::now);
                    ControlFlow::Continue(())
                });
                let tokens = reply.unwrap().completion_tokens as f64;
                rates.push(tokens / first.unwrap().elapsed().as_secs_f64());
            }
        }
        let [without, with] = rates.map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        });
        println!("{name}: {without:.1} tok/s without, {with:.1} with, {:.2} ×", with / without);
    }
}
