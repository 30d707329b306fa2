//! Every family against Hugging Face transformers: logits as 32-bit floats, and what is chosen.

use std::path::{Path, PathBuf};

use test_support::{argmax, families, family_folder, family_gguf};
use transformer::{Dtype, Input, Isa, LoadOptions, Model, Output, Part, Phase};

fn load(path: &Path, dtype: Dtype) -> Model {
    load_for(Isa::best(), path, dtype)
}

fn load_for(isa: Isa, path: &Path, dtype: Dtype) -> Model {
    let isa = Some(isa);
    let options = LoadOptions { threads: 1, isa, dtype: Some(dtype), ..LoadOptions::default() };
    Model::open(path, &options).unwrap_or_else(|error| panic!("{error}"))
}

/// A family's model in both kinds of file.
fn files(name: &str) -> [PathBuf; 2] {
    [family_folder(name), family_gguf(name)]
}

/// ‖got − want‖ / ‖want‖
fn distance(got: &[f32], want: &[f32]) -> f32 {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
    norm(&mut got.iter().zip(want).map(|(g, w)| g - w)) / norm(&mut want.iter().copied())
}

#[test]
fn logits_match_to_a_thousandth() {
    for (name, family) in families() {
        for path in files(&name) {
            let model = load(&path, Dtype::F32);
            let vocab = model.config().vocab_size;
            let mut logits = vec![0.0; family.prompt.len() * vocab];
            let mut sequence = model.sequence(64);
            model.forward_all(&mut sequence, Input::Tokens(&family.prompt), &mut logits).expect("it fits");
            for (position, want) in family.positions.iter().zip(&family.logits) {
                let error = distance(&logits[position * vocab..][..vocab], want);
                println!("{path:?} position {position}: relative error {error:.1e}");
                assert!(error <= 1e-3, "{path:?} position {position}: relative error {error}");
            }
            if let Some(short) = &family.short {
                // room for no more positions than the short factors are for
                let mut sequence = model.sequence(short.len);
                let mut logits = vec![0.0; vocab];
                let input = Input::Tokens(&family.prompt[..short.len]);
                model.forward(&mut sequence, input, &mut logits).expect("it fits");
                let error = distance(&logits, &short.logits);
                assert!(error <= 1e-3, "{path:?} with the short factors: relative error {error}");
            }
        }
    }
}

#[test]
fn thirty_two_greedy_tokens_are_the_same_on_every_instruction_set() {
    let available = Isa::ALL.into_iter().filter(|isa| isa.is_available());
    for (isa, (name, family)) in available.flat_map(|isa| families().into_iter().map(move |each| (isa, each)))
    {
        for path in files(&name) {
            let model = load_for(isa, &path, Dtype::F32);
            let mut sequence = model.sequence(64);
            let (mut logits, mut ids) = (vec![0.0; model.config().vocab_size], Vec::new());
            model.forward(&mut sequence, Input::Tokens(&family.prompt), &mut logits).expect("it fits");
            while ids.len() < family.greedy.len() {
                let id = argmax(&logits);
                ids.push(id);
                model.decode(&mut sequence, Input::Tokens(&[id]), &mut logits).expect("it fits");
            }
            assert_eq!(ids, family.greedy, "{path:?}, {isa}");
        }
    }
}

#[test]
fn both_files_of_a_family_give_the_same_bits() {
    for (name, family) in families() {
        let [folder, gguf] = files(&name).map(|path| {
            let model = load(&path, Dtype::Bf16);
            let mut logits = vec![0.0; model.config().vocab_size];
            let input = Input::Tokens(&family.prompt);
            model.forward(&mut model.sequence(28), input, &mut logits).expect("it fits");
            logits
        });
        // frequency factors are computed here and read there
        let bound = if name == "llama3" { 1e-4 } else { 0.0 };
        assert!(distance(&folder, &gguf) <= bound, "{name}: {}", distance(&folder, &gguf));
    }
}

#[test]
fn rounding_stays_within_its_bounds() {
    for (name, family) in families() {
        let run = |dtype| {
            let model = load(&family_folder(&name), dtype);
            let mut logits = vec![0.0; model.config().vocab_size];
            let input = Input::Tokens(&family.prompt);
            model.forward(&mut model.sequence(28), input, &mut logits).expect("it fits");
            logits
        };
        let exact = run(Dtype::F32);
        // nets of random weights amplify: trained ones lose far less; tiles round activations to bfloat16, too
        let brief = if Isa::best() == Isa::Amx { 0.02 } else { 1e-6 };
        for (dtype, bound) in [(Dtype::Bf16, brief), (Dtype::Q8, 0.06), (Dtype::Q4, 0.6)] {
            let error = distance(&run(dtype), &exact);
            println!("{name} {dtype}: relative error {error:.1e}");
            assert!(error <= bound, "{name} {dtype}: relative error {error}");
        }
    }
}

/// The states of all positions, in pieces of `cut` tokens beside another sequence's.
fn states(model: &Model, prompt: &[u32], cut: usize) -> Vec<f32> {
    let dim = model.config().embedding_dim;
    let (mut sequence, mut other) = (model.sequence(prompt.len()), model.sequence(prompt.len()));
    let mut all = Vec::new();
    for piece in prompt.chunks(cut) {
        let (mut states, mut logits) = (vec![0.0; piece.len() * dim], vec![0.0; model.config().vocab_size]);
        let mut parts = vec![
            Part {
                sequence: &mut other,
                tokens: &piece[..1],
                phase: Phase::Decode,
                output: Output::Logits(&mut logits),
            },
            Part {
                sequence: &mut sequence,
                tokens: piece,
                phase: Phase::Prefill,
                output: Output::States(&mut states),
            },
        ];
        if cut == prompt.len() {
            parts.remove(0);
        }
        model.step(&mut parts).expect("it fits");
        all.extend(states);
    }
    all
}

#[test]
fn states_match_to_a_thousandth_and_do_not_depend_on_pieces_or_company() {
    for (name, family) in families() {
        for path in files(&name) {
            let model = load(&path, Dtype::F32);
            let (dim, len) = (model.config().embedding_dim, family.prompt.len());
            let whole = states(&model, &family.prompt, len);
            let mean: Vec<f32> =
                (0..dim).map(|at| whole.iter().skip(at).step_by(dim).sum::<f32>() / len as f32).collect();
            let last = &whole[(len - 1) * dim..];
            for (what, got, want) in [
                ("mean", &mean[..], &family.mean_state),
                ("first", &whole[..dim], &family.first_state),
                ("last", last, &family.last_state),
            ] {
                let error = distance(got, want);
                println!("{path:?} {what}: relative error {error:.1e}");
                assert!(error <= 1e-3, "{path:?} {what}: relative error {error}");
            }
            for cut in [1, 5, 16] {
                assert!(
                    states(&model, &family.prompt, cut) == whole,
                    "{path:?}: pieces of {cut} change bits"
                );
            }
        }
    }
}
