//! The decoder against Hugging Face transformers' outputs for the same file, through every instruction set.
#![allow(clippy::print_stdout)] // the measured figures, for `--no-capture`

use test_support::{argmax, default_model, oracle};
use transformer::{Input, Isa, LoadOptions, Model};

fn model(isa: Isa) -> Model {
    Model::open(&default_model(), &LoadOptions { threads: 0, isa: Some(isa) })
        .expect("the default model loads")
}

fn available(isa: Isa) -> bool {
    if !isa.is_available() {
        println!("this machine lacks {isa}: its paths are not run");
    }
    isa.is_available()
}

/// Mean divergence and top-1 agreement over the texts' positions.
fn teacher_forced(isa: Isa) {
    if !available(isa) {
        return;
    }
    let model = model(isa);
    let vocab = model.config().vocab_size;
    let (mut positions, mut agreed, mut divergence) = (0, 0, 0.0);
    for text in oracle().texts {
        let mut sequence = model.sequence(text.ids.len());
        let mut logits = vec![0.0; text.ids.len() * vocab];
        model.forward_all(&mut sequence, Input::Tokens(&text.ids), &mut logits).expect("the text fits");
        for (logits, top) in logits.chunks_exact(vocab).zip(&text.positions) {
            positions += 1;
            agreed += usize::from(argmax(logits) == top.ids[0]);
            divergence += top.divergence(logits);
        }
    }
    let (mean, agreement) = (divergence / f64::from(positions), agreed as f64 / f64::from(positions));
    println!("{isa}: mean divergence {mean:.5}, top-1 agreement {:.2} % of {positions}", agreement * 100.0);
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
            model.forward(&mut sequence, Input::Tokens(&[got]), &mut logits).expect("the reply fits");
        }
    }
}

#[test]
fn texts_scalar() {
    teacher_forced(Isa::Scalar);
}

#[test]
fn texts_avx2() {
    teacher_forced(Isa::Avx2);
}

#[test]
fn texts_avx512() {
    teacher_forced(Isa::Avx512);
}

#[test]
fn chats_scalar() {
    chats(Isa::Scalar, usize::MAX);
}

#[test]
fn chats_avx2() {
    chats(Isa::Avx2, usize::MAX);
}

#[test]
fn chats_avx512() {
    chats(Isa::Avx512, usize::MAX);
}

#[test]
fn logits_do_not_depend_on_how_the_prompt_is_cut() {
    let model = model(Isa::best());
    let chat = &oracle().chats[0];
    let run = |cuts: &[usize]| {
        let mut sequence = model.sequence(64);
        let mut logits = vec![0.0; model.config().vocab_size];
        let mut rest = &chat.prompt_ids[..];
        for cut in cuts {
            let (head, tail) = rest.split_at(*cut);
            model.prefill(&mut sequence, Input::Tokens(head)).expect("fits");
            rest = tail;
        }
        model.forward(&mut sequence, Input::Tokens(rest), &mut logits).expect("fits");
        logits
    };
    let whole = run(&[]);
    assert_eq!(run(&[1, 2, 3, 5, 8]), whole);
    assert_eq!(run(&[36]), whole);
    assert_eq!(run(&vec![1; 36]), whole);
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
