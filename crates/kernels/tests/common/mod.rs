//! What the tests of the kernels share.
#![allow(dead_code)] // each of them uses its part

use kernels::{Activations, Arena, Compute, Format, Isa, Kind, Linear, Packed, Phase, RowCodes};

/// A small generator of our own, so that a failing case can be named by its seed (Steele et al., SplitMix64).
pub struct Noise(pub u64);

impl Noise {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between -1 and 1.
    pub fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.float()).collect()
    }
}

/// One for each instruction set, and for processors of either width where it makes a difference.
pub fn machines(threads: usize) -> Vec<Compute> {
    let cases = Isa::ALL.into_iter().flat_map(|isa| [(isa, false), (isa, true)]);
    let available =
        cases.filter(|(isa, half_width)| isa.is_available() && (*isa == Isa::Avx2 || !half_width));
    available
        .map(|(isa, half_width)| {
            Compute::new(Some(isa), threads)
                .expect("the instruction set is available")
                .as_half_width(half_width)
        })
        .collect()
}

/// Machines, each in both phases where these differ.
pub fn phases(machines: &[Compute]) -> impl Iterator<Item = (&Compute, Phase)> {
    machines.iter().flat_map(|machine| {
        let prefill = machine.has_phases().then_some((machine, Phase::Prefill));
        prefill.into_iter().chain([(machine, Phase::Decode)])
    })
}

pub fn assert_close(got: &[f32], want: &[f32], tolerance: f32, case: &str) {
    let size = want.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance * size, "{case}: value {i} is {got}, expected {want}");
    }
}

/// A matrix of small codes that is the same each time.
pub fn pattern(machine: &Compute, format: Format, (rows, cols): (usize, usize)) -> Packed {
    let Kind::Codes(layout) = Kind::of(format) else { panic!("{format:?} has no codes") };
    let fill = |row: usize, out: &mut RowCodes| {
        out.codes.iter_mut().enumerate().for_each(|(n, code)| *code = ((row + n) % 15) as i8 - 7);
        out.scales.fill(0.25);
    };
    machine.pack_rows(layout, rows, cols, &mut Arena::default(), fill).expect("memory")
}

/// The bits of a product.
pub fn product_bits(machine: &Compute, weights: &Packed, x: &Activations) -> Vec<u32> {
    let mut out = vec![f32::NAN; weights.rows() * x.tokens()];
    machine.linear(&mut [Linear { weights, out: &mut out, add: false }], x);
    out.iter().map(|value| value.to_bits()).collect()
}
