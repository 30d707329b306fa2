//! Quantised blocks taken apart: integer codes, scales and minima, without loss.
//!
//! A weight is `scale · code + minimum`. Layouts and the order of the bits are ggml's (`ggml-common.h`,
//! `ggml-quants.c`); block lengths and sizes are in [`Format`](crate::Format).

use half::f16;

use crate::Format;

/// The sixteen values of IQ4_NL.
const NON_LINEAR: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// Where the parts of one block go: as many codes as it has weights, a scale for each 32 (or 16) of them, and as many
/// minima where the format has any.
pub(crate) struct Parts<'a> {
    pub(crate) codes: &'a mut [i8],
    pub(crate) scales: &'a mut [f32],
    pub(crate) minima: &'a mut [f32],
}

/// Takes one block apart; `block` and `out` have the lengths of the format, which is a quantised one. Gives the units that its scales
/// and its minima count in: 16-bit floats where these are whole numbers, 1 elsewhere.
pub(crate) fn decode(format: Format, block: &[u8], out: Parts<'_>) -> [f32; 2] {
    match format {
        Format::F32 | Format::F16 | Format::Bf16 => unreachable!("floats have no codes"),
        Format::Q8_0 => {
            out.scales[0] = half_at(block, 0);
            for (code, byte) in out.codes.iter_mut().zip(&block[2..]) {
                *code = byte.cast_signed();
            }
        }
        Format::Q4_0 => {
            out.scales[0] = half_at(block, 0);
            nibbles(&block[2..], out.codes, |nibble, _| nibble as i8 - 8);
        }
        Format::Q4_1 => {
            (out.scales[0], out.minima[0]) = (half_at(block, 0), half_at(block, 2));
            nibbles(&block[4..], out.codes, |nibble, _| nibble as i8);
        }
        Format::Q5_0 => {
            out.scales[0] = half_at(block, 0);
            let high = u32_at(block, 2);
            nibbles(&block[6..], out.codes, |nibble, at| (nibble | fifth(high, at)) as i8 - 16);
        }
        Format::Q5_1 => {
            (out.scales[0], out.minima[0]) = (half_at(block, 0), half_at(block, 2));
            let high = u32_at(block, 4);
            nibbles(&block[8..], out.codes, |nibble, at| (nibble | fifth(high, at)) as i8);
        }
        Format::Iq4Nl => {
            out.scales[0] = half_at(block, 0);
            nibbles(&block[2..], out.codes, |nibble, _| NON_LINEAR[usize::from(nibble)]);
        }
        Format::Q2K => return q2_k(block, out),
        Format::Q3K => return q3_k(block, out),
        Format::Q4K => return q4_k(block, out),
        Format::Q5K => return q5_k(block, out),
        Format::Q6K => return q6_k(block, out),
    }
    [1.0; 2]
}

/// 16 bytes to 32 codes: the low nibbles are weights 0–15, the high ones 16–31. `code` gets the weight's place too.
fn nibbles(bytes: &[u8], codes: &mut [i8], code: impl Fn(u8, usize) -> i8) {
    for (at, byte) in bytes.iter().enumerate() {
        codes[at] = code(byte & 15, at);
        codes[at + 16] = code(byte >> 4, at + 16);
    }
}

fn fifth(bits: u32, at: usize) -> u8 {
    (bits >> at & 1) as u8 * 16
}

/// Runs of 32 codes: `one(run, codes)` decodes one, and becomes vectors where it reads [lines](line).
fn runs(codes: &mut [i8], one: impl Fn(usize, &mut [i8; 32])) {
    codes.as_chunks_mut().0.iter_mut().enumerate().for_each(|(run, codes)| one(run, codes));
}

/// The `n`-th 32 bytes.
fn line(bytes: &[u8], n: usize) -> &[u8; 32] {
    &bytes.as_chunks().0[n]
}

/// Two bits a weight: a line holds four runs, the first lowest.
fn two_bits(bytes: &[u8], run: usize) -> (&[u8; 32], usize) {
    (line(bytes, run / 4), 2 * (run % 4))
}

/// Four bits a weight: a line holds a run low and the next one high.
fn long_nibbles(bytes: &[u8], run: usize) -> (&[u8; 32], usize) {
    (line(bytes, run / 2), 4 * (run % 2))
}

fn q2_k(block: &[u8], out: Parts<'_>) -> [f32; 2] {
    let (scales, rest) = block.split_at(16);
    for (n, packed) in scales.iter().enumerate() {
        (out.scales[n], out.minima[n]) = (f32::from(packed & 15), f32::from(packed >> 4));
    }
    runs(out.codes, |run, codes| {
        let (low, by) = two_bits(rest, run);
        (0..32).for_each(|n| codes[n] = (low[n] >> by & 3) as i8);
    });
    [half_at(rest, 64), -half_at(rest, 66)]
}

fn q3_k(block: &[u8], out: Parts<'_>) -> [f32; 2] {
    let (high, low, scales) = (&block[..32], &block[32..96], &block[96..108]);
    for n in 0..16 {
        let four = if n < 8 { scales[n] & 15 } else { scales[n - 8] >> 4 };
        let two = scales[8 + n % 4] >> (2 * (n / 4)) & 3;
        out.scales[n] = f32::from((four | two << 4) as i8 - 32);
    }
    runs(out.codes, |run, codes| {
        let ((low, by), third) = (two_bits(low, run), line(high, 0));
        (0..32).for_each(|n| codes[n] = (low[n] >> by & 3 | (third[n] >> run & 1) << 2) as i8 - 4);
    });
    [half_at(block, 108), 1.0]
}

/// Scales and minima of Q4_K and Q5_K: eight of six bits each in twelve bytes; gives their units.
fn six_bits(block: &[u8], out: &mut Parts<'_>) -> [f32; 2] {
    let packed = &block[4..16];
    for n in 0..8 {
        let (scale, least) = if n < 4 {
            (packed[n] & 63, packed[n + 4] & 63)
        } else {
            (
                packed[n + 4] & 15 | packed[n - 4] >> 6 << 4, //
                packed[n + 4] >> 4 | packed[n] >> 6 << 4,
            )
        };
        (out.scales[n], out.minima[n]) = (f32::from(scale), f32::from(least));
    }
    [half_at(block, 0), -half_at(block, 2)]
}

fn q4_k(block: &[u8], mut out: Parts<'_>) -> [f32; 2] {
    let units = six_bits(block, &mut out);
    runs(out.codes, |run, codes| {
        let (low, by) = long_nibbles(&block[16..], run);
        (0..32).for_each(|n| codes[n] = (low[n] >> by & 15) as i8);
    });
    units
}

fn q5_k(block: &[u8], mut out: Parts<'_>) -> [f32; 2] {
    let units = six_bits(block, &mut out);
    let (high, low) = (&block[16..48], &block[48..]);
    runs(out.codes, |run, codes| {
        let ((low, by), fifth) = (long_nibbles(low, run), line(high, 0));
        (0..32).for_each(|n| codes[n] = (low[n] >> by & 15 | (fifth[n] >> run & 1) << 4) as i8);
    });
    units
}

fn q6_k(block: &[u8], out: Parts<'_>) -> [f32; 2] {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    for (scale, packed) in out.scales.iter_mut().zip(scales) {
        *scale = f32::from(packed.cast_signed());
    }
    runs(out.codes, |run, codes| {
        // two lines hold four runs: the first two low, the others high
        let (low, of_low) = (line(low, run / 4 * 2 + run % 2), run % 4 / 2 * 4);
        let (high, of_high) = two_bits(high, run);
        (0..32).for_each(|n| codes[n] = (low[n] >> of_low & 15 | (high[n] >> of_high & 3) << 4) as i8 - 32);
    });
    [half_at(block, 208), 1.0]
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn u32_at(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}
