//! The decoder against Hugging Face transformers' outputs for the same file, through every instruction set.
#![allow(clippy::print_stdout)] // the measured figures, for `--no-capture`

use test_support::{argmax, default_model, oracle};
use transformer::{Dtype, Input, Isa, LoadOptions, Model, Output, Part, Phase, Sequence};

fn model(isa: Isa) -> Model {
    model_as(isa, None, 0)
}

fn model_as(isa: Isa, dtype: Option<Dtype>, threads: usize) -> Model {
    let options = LoadOptions { isa: Some(isa), dtype, threads, ..LoadOptions::default() };
    Model::open(&default_model(), &options).expect("the default model loads")
}

fn available(isa: Isa) -> bool {
    if !isa.is_available() {
        println!("this machine lacks {isa}: its paths are not run");
    }
    isa.is_available()
}

/// Mean divergence and top-1 agreement over the texts' positions.
fn teacher_forced(isa: Isa, dtype: Option<Dtype>, phase: Phase) {
    if !available(isa) {
        return;
    }
    let model = model_as(isa, dtype, 0);
    let vocab = model.config().vocab_size;
    let (mut positions, mut agreed, mut divergence) = (0, 0, 0.0);
    for text in oracle().texts {
        let mut sequence = model.sequence(text.ids.len());
        let mut logits = vec![0.0; text.ids.len() * vocab];
        run(&model, &mut sequence, phase, &text.ids, &mut logits);
        for (logits, top) in logits.chunks_exact(vocab).zip(&text.positions) {
            positions += 1;
            agreed += usize::from(argmax(logits) == top.ids[0]);
            divergence += top.divergence(logits);
        }
    }
    let (mean, agreement) = (divergence / f64::from(positions), agreed as f64 / f64::from(positions));
    println!(
        "{isa}, {phase:?}: mean divergence {mean:.5}, top-1 agreement {:.2} % of {positions}",
        agreement * 100.0
    );
    assert_eq!(positions, 831);
    assert!(mean <= 0.0020, "mean divergence {mean:.5}");
    assert!(agreement >= 0.972, "agreement {agreement:.4}");
}

/// Top-1 at each chat's last position and greedy ids, where the reference is decided.
fn chats(isa: Isa, most_prompt_tokens: usize) {
    if !available(isa) {
        return;
    }
    let model = model(isa);
    for chat in oracle().chats.iter().filter(|chat| chat.prompt_ids.len() <= most_prompt_tokens) {
        let mut sequence = model.sequence(chat.prompt_ids.len() + chat.greedy_ids.len());
        let mut logits = vec![0.0; model.config().vocab_size];
        model.forward(&mut sequence, Input::Tokens(&chat.prompt_ids), &mut logits).expect("the prompt fits");
        if chat.last.margin() > 0.3 {
            assert_eq!(argmax(&logits), chat.last.ids[0], "{}: last position", chat.name);
        }
        for (step, (want, margin)) in chat.greedy_ids.iter().zip(&chat.greedy_margins).enumerate() {
            let got = argmax(&logits);
            if *margin < 0.5 && got != *want {
                break;
            }
            assert_eq!(got, *want, "{}: step {step}, margin {margin}", chat.name);
            if *margin < 0.5 {
                break;
            }
            model.decode(&mut sequence, Input::Tokens(&[got]), &mut logits).expect("the reply fits");
        }
    }
}

macro_rules! for_each_isa {
    ($($isa:ident $texts:ident $chats:ident;)*) => {$(
        #[test]
        fn $texts() {
            teacher_forced(Isa::$isa, None, Phase::Decode);
        }

        #[test]
        fn $chats() {
            chats(Isa::$isa, usize::MAX);
        }
    )*};
}

for_each_isa! {
    Scalar texts_scalar chats_scalar;
    Avx2 texts_avx2 chats_avx2;
    AvxVnni texts_avxvnni chats_avxvnni;
    Avx512 texts_avx512 chats_avx512;
    Avx512Vnni texts_avx512vnni chats_avx512vnni;
    Amx texts_amx chats_amx;
}

/// As a prompt is read where that is another arithmetic.
#[test]
fn texts_amx_prompts() {
    teacher_forced(Isa::Amx, None, Phase::Prefill);
}

/// The products of 16-bit floats, which AMX has tiles for.
#[test]
fn texts_bf16() {
    teacher_forced(Isa::best(), Some(Dtype::Bf16), Phase::Decode);
}

/// Adds tokens, with the logits of as many of the last as there is room for.
fn run(model: &Model, sequence: &mut Sequence, phase: Phase, tokens: &[u32], logits: &mut [f32]) {
    let output = Output::Logits(logits);
    model.step(&mut [Part { sequence, tokens, phase, output }]).expect("it fits");
}

/// Machines' phases that differ: a prompt's and a reply's, or one for both.
fn phases(model: &Model) -> &'static [Phase] {
    if model.has_phases() { &[Phase::Prefill, Phase::Decode] } else { &[Phase::Decode] }
}

/// Logits of a text that goes in by pieces of `cut` tokens.
fn cut_logits(model: &Model, phase: Phase, text: &[u32], cut: usize) -> Vec<f32> {
    let mut sequence = model.sequence(text.len());
    let mut logits = vec![0.0; model.config().vocab_size];
    let mut pieces = text.chunks(cut).peekable();
    while let Some(piece) = pieces.next() {
        let wanted = if pieces.peek().is_some() { 0 } else { logits.len() };
        run(model, &mut sequence, phase, piece, &mut logits[..wanted]);
    }
    logits
}

#[test]
fn logits_do_not_depend_on_how_the_prompt_is_cut_nor_on_the_threads() {
    // longer than a segment of the KV cache and than a batch; the scalar one runs a dozen tokens a second
    let ids = &oracle().texts[0].ids;
    let mut vectors: Vec<Vec<f32>> = Vec::new();
    for isa in Isa::ALL.into_iter().filter(|isa| available(*isa)) {
        let prompt = if isa == Isa::Scalar { &ids[..40] } else { &ids[..300] };
        let mut whole = [const { None::<Vec<f32>> }; 2];
        for threads in [1, 2, 3] {
            let model = model_as(isa, None, threads);
            let cuts: &[usize] = if threads == 2 { &[1, 7, 32, 512] } else { &[512] };
            for (&phase, &cut) in
                phases(&model).iter().flat_map(|phase| cuts.iter().map(move |cut| (phase, cut)))
            {
                let logits = cut_logits(&model, phase, prompt, cut);
                let whole = whole[phase as usize].get_or_insert_with(|| logits.clone());
                assert!(*whole == logits, "{isa}, {phase:?}, {threads} threads, pieces of {cut}");
            }
        }
        if isa != Isa::Scalar {
            vectors.extend(whole[Phase::Decode as usize].take());
        }
    }
    assert!(vectors.windows(2).all(|pair| pair[0] == pair[1]), "the vector instruction sets differ");
}

#[test]
fn logits_of_16_bit_weights_do_not_depend_on_the_cut_either() {
    let prompt = &oracle().texts[0].ids[..100];
    let mut whole: Option<Vec<f32>> = None;
    for threads in [1, 2, 3] {
        let model = model_as(Isa::best(), Some(Dtype::Bf16), threads);
        for cut in [1, 7, 32, 512] {
            let logits = cut_logits(&model, Phase::Decode, prompt, cut);
            assert!(
                *whole.get_or_insert_with(|| logits.clone()) == logits,
                "{threads} threads, pieces of {cut}"
            );
        }
    }
}

#[test]
fn sequences_in_one_batch_get_the_bits_that_they_get_alone() {
    for isa in Isa::ALL.into_iter().filter(|isa| available(*isa)) {
        for threads in [1, 3] {
            // the scalar one runs a dozen tokens a second
            let most = if isa == Isa::Scalar { 9 } else { 300 };
            if isa != Isa::Scalar || threads == 3 {
                batch(isa, threads, most);
            }
        }
    }
}

/// Three sequences, the first as long as `most` says, which meet in all kinds of passes.
fn batch(isa: Isa, threads: usize, most: usize) {
    let model = model_as(isa, None, threads);
    let vocab = model.config().vocab_size;
    let (chats, texts) = (oracle().chats, oracle().texts);
    let prompts: [&[u32]; 3] =
        [&texts[0].ids, &chats[0].prompt_ids, &chats[1].prompt_ids].map(|ids| &ids[..most.min(ids.len())]);
    let next = [7, 11, 13];
    let mut alone = Vec::new();
    for (prompt, next) in prompts.iter().zip(next) {
        let (mut sequence, mut logits) = (model.sequence(prompt.len() + 1), vec![0.0; vocab]);
        model.prefill(&mut sequence, Input::Tokens(prompt)).expect("fits");
        model.decode(&mut sequence, Input::Tokens(&[next]), &mut logits).expect("fits");
        alone.push(logits);
    }
    // two prompts together, then the third in pieces beside the others' next tokens
    let mut sequences: Vec<_> = prompts.iter().map(|prompt| model.sequence(prompt.len() + 1)).collect();
    let mut logits = vec![vec![0.0; vocab]; 3];
    let (head, tail) = prompts[2].split_at(5);
    let feeds: [[Option<&[u32]>; 3]; 4] = [
        [Some(prompts[0]), Some(prompts[1]), None],
        [Some(&next[..1]), None, Some(head)],
        [None, Some(&next[1..2]), Some(tail)],
        [None, None, Some(&next[2..])],
    ];
    for feed in feeds {
        let parts = sequences.iter_mut().zip(&mut logits).zip(feed);
        let mut parts: Vec<_> = parts
            .filter_map(|((sequence, logits), tokens)| {
                let tokens = tokens?;
                let phase = if tokens.len() == 1 { Phase::Decode } else { Phase::Prefill };
                Some(Part { sequence, tokens, phase, output: Output::Logits(logits) })
            })
            .collect();
        model.step(&mut parts).expect("fits");
    }
    assert!(logits == alone, "{isa}, {threads} threads: a batch changes bits");
}

#[test]
fn a_truncated_sequence_is_as_if_the_rest_had_never_been() {
    let model = model(Isa::best());
    let ids = &oracle().chats[0].prompt_ids;
    let (mut sequence, mut fresh) = (model.sequence(64), model.sequence(64));
    let (mut again, mut once) = (vec![0.0; model.config().vocab_size], vec![0.0; model.config().vocab_size]);
    model.prefill(&mut sequence, Input::Tokens(ids)).expect("fits");
    sequence.truncate(5);
    model.forward(&mut sequence, Input::Tokens(&[7, 8]), &mut again).expect("fits");
    model.prefill(&mut fresh, Input::Tokens(&ids[..5])).expect("fits");
    model.forward(&mut fresh, Input::Tokens(&[7, 8]), &mut once).expect("fits");
    assert_eq!(again, once);
}
