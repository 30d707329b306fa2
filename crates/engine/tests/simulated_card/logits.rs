//! The card's logits: equal to the CPU's for the same rows, and good enough to choose tokens by.

use axruntime_sys::{Connection, Context, Instance, Library};
use engine::{Embeddings, Isa, LoadOptions};
use half::f16;
use test_support::{argmax, default_model, oracle};
use transformer::{Input, Model, Sequence};
use zerocopy::IntoBytes;

use crate::common::card::{CONTEXT, compiled, machine, runtime};

/// The compiled model on the device, without the engine between.
struct Device {
    embeddings: Embeddings,
    scale: f64,
    zero_point: i32,
    codes: Vec<i8>,
    instance: Instance,
    _connection: Connection,
}

impl Device {
    fn open() -> Device {
        let context = Context::new(Library::open(Some(&runtime())).unwrap());
        let connection = context.connect(None, 4, None).unwrap();
        let model = context.load_model(&compiled().model_json).unwrap();
        let output = &model.outputs()[0];
        Device {
            embeddings: Embeddings::open(&compiled().embeddings).unwrap(),
            scale: output.scale,
            zero_point: output.zero_point,
            codes: vec![0; output.dims.iter().product()],
            instance: connection.load_instance(&model, None).unwrap(),
            _connection: connection,
        }
    }

    fn rows(&self, ids: &[u32]) -> Vec<f16> {
        let mut rows = Vec::new();
        self.embeddings.gather(ids, &mut rows).unwrap();
        rows
    }

    /// One run: several ids start a sequence, one is appended.
    fn run(&mut self, ids: &[u32]) -> &[i8] {
        let rows = self.rows(ids);
        self.instance.run(&[rows.as_bytes()], &mut [self.codes.as_mut_bytes()]).unwrap();
        &self.codes
    }

    fn logits(&self) -> Vec<f32> {
        self.codes.iter().map(|q| (f64::from(i32::from(*q) - self.zero_point) * self.scale) as f32).collect()
    }
}

/// The same on the CPU.
struct Cpu {
    model: Model,
    sequence: Sequence,
}

impl Cpu {
    fn codes(&mut self, device: &Device, ids: &[u32]) -> Vec<i8> {
        if ids.len() > 1 {
            self.sequence.clear();
        }
        let mut logits = vec![0.0; self.model.config().vocab_size];
        self.model.decode(&mut self.sequence, Input::Rows(&device.rows(ids)), &mut logits).unwrap();
        let mut codes = vec![0; logits.len()];
        transformer::quantise_logits(&logits, device.scale, device.zero_point, &mut codes);
        codes
    }
}

/// Conversations that fit with some of the reply.
fn chats() -> Vec<test_support::Chat> {
    let mut chats = oracle().chats;
    chats.retain(|chat| chat.prompt_ids.len() + chat.greedy_ids.len() <= CONTEXT);
    assert!(chats.len() > 10);
    chats
}

/// Ids of a text that start a sequence; those up to [`TEXT`] are appended.
const START: usize = 64;
const TEXT: usize = 100;
/// The scalar kernels are there to be read, not to be fast: prompts up to here, and a fourth of each text.
const SHORT: usize = 60;

fn equals_the_cpu(isa: Isa) {
    let mut device = Device::open();
    let model =
        Model::open(&default_model(), &LoadOptions { isa: Some(isa), ..LoadOptions::default() }).unwrap();
    let mut cpu = Cpu { sequence: model.sequence(CONTEXT), model };
    let mut compared = 0;
    let mut same = |name: &str, ids: &[u32]| {
        let expected = cpu.codes(&device, ids);
        assert!(device.run(ids) == expected, "{name}: {isa}, {} ids from {}", ids.len(), ids[0]);
        let least = expected.iter().min();
        assert!(
            expected.iter().filter(|code| Some(*code) != least).count() > 100,
            "logits that say something"
        );
        compared += 1;
    };
    let (most, share) = if isa == Isa::Scalar { (SHORT, 4) } else { (CONTEXT, 1) };
    for chat in chats().iter().filter(|chat| chat.prompt_ids.len() <= most) {
        same(&chat.name, &chat.prompt_ids);
        chat.greedy_ids.iter().take(8 / share).for_each(|id| same(&chat.name, &[*id]));
    }
    for text in oracle().texts {
        let (start, end) = (START / share, TEXT / share);
        same(&text.name, &text.ids[..start]);
        text.ids[start..end].iter().for_each(|id| same(&text.name, &[*id]));
    }
    println!("{isa}: {compared} runs equal");
}

#[test]
fn equal_the_cpus_scalar() {
    machine(equal_the_cpus_scalar, &[("AXSIM_ISA", "scalar")], || equals_the_cpu(Isa::Scalar));
}

#[test]
fn equal_the_cpus_avx2() {
    if Isa::Avx2.is_available() {
        machine(equal_the_cpus_avx2, &[("AXSIM_ISA", "avx2")], || equals_the_cpu(Isa::Avx2));
    } else {
        println!("this machine lacks AVX2: its paths are not run");
    }
}

#[test]
fn equal_the_cpus_avx512() {
    if Isa::Avx512.is_available() {
        machine(equal_the_cpus_avx512, &[("AXSIM_ISA", "avx512")], || equals_the_cpu(Isa::Avx512));
    } else {
        println!("this machine lacks AVX-512: its paths are not run");
    }
}

/// How far eight bits of logits may be from the reference on average.
const MOST_DIVERGENCE: f64 = 0.01;

#[test]
fn eight_bits_choose_as_the_reference() {
    machine(eight_bits_choose_as_the_reference, &[], || {
        let mut device = Device::open();
        let mut decided = 0;
        for chat in chats() {
            device.run(&chat.prompt_ids);
            if chat.last.margin() > 0.5 {
                decided += 1;
                assert_eq!(argmax(&device.logits()), chat.last.ids[0], "{}", chat.name);
            }
        }
        assert!(decided > 3, "{decided}");
        let (mut positions, mut agreed, mut divergence) = (0_u32, 0_u32, 0.0);
        for text in oracle().texts {
            device.run(&text.ids[..START]);
            for (id, top) in text.ids[START..TEXT].iter().zip(&text.positions[START..]) {
                device.run(&[*id]);
                let logits = device.logits();
                positions += 1;
                agreed += u32::from(argmax(&logits) == top.ids[0]);
                divergence += top.divergence(&logits);
            }
        }
        let (mean, agreed) = (divergence / f64::from(positions), f64::from(agreed) / f64::from(positions));
        println!(
            "scale {:.4}, zero point {}: mean divergence {mean:.5}, top-1 agreement {:.1} % of {positions}",
            device.scale,
            device.zero_point,
            agreed * 100.0
        );
        assert!(mean < MOST_DIVERGENCE, "{mean}");
        assert!(agreed > 0.9, "{agreed}");
    });
}

#[test]
fn a_lone_row_starts_a_fresh_instance() {
    machine(a_lone_row_starts_a_fresh_instance, &[], || {
        let mut device = Device::open();
        let model = Model::open(&default_model(), &LoadOptions::default()).unwrap();
        let mut cpu = Cpu { sequence: model.sequence(CONTEXT), model };
        for id in [1, 4093, 2] {
            let expected = cpu.codes(&device, &[id]);
            assert!(device.run(&[id]) == expected, "{id}");
        }
    });
}
