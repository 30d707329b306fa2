//! The block formats of weight files, as they lie in memory.
//!
//! Layouts are ggml's (`ggml-common.h`): little-endian, 32 or 256 weights a block for the quantised ones.

use half::{
    bf16, f16,
    slice::{HalfBitsSliceExt, HalfFloatSliceExt},
};

use crate::{
    blocks::{self, Parts},
    packed::{Kind, Layout, Reals},
};

/// Weights in one quantised block.
pub const BLOCK: usize = 32;

/// How a row of weights is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// IEEE 32-bit.
    F32,
    /// IEEE 16-bit.
    F16,
    /// The upper half of an IEEE 32-bit float.
    Bf16,
    /// 32 × i8 with one f16 scale: `w = d·q`.
    Q8_0,
    /// 32 × 4 bit with one f16 scale: `w = d·(q − 8)`.
    Q4_0,
    /// 32 × 4 bit with f16 scale and minimum: `w = d·q + m`.
    Q4_1,
    /// 32 × 5 bit with one f16 scale: `w = d·(q − 16)`.
    Q5_0,
    /// 32 × 5 bit with f16 scale and minimum: `w = d·q + m`.
    Q5_1,
    /// 256 × 2 bit, 4-bit scales and minima for every 16.
    Q2K,
    /// 256 × 3 bit, 6-bit scales for every 16.
    Q3K,
    /// 256 × 4 bit, 6-bit scales and minima for every 32.
    Q4K,
    /// 256 × 5 bit, 6-bit scales and minima for every 32.
    Q5K,
    /// 256 × 6 bit, 8-bit scales for every 16.
    Q6K,
    /// 32 × one of sixteen values with one f16 scale.
    Iq4Nl,
}

impl Format {
    /// Every format, in no particular order.
    pub const ALL: [Self; 14] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Iq4Nl,
    ];

    /// Weights in the smallest unit of storage.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Iq4Nl => BLOCK,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K => 8 * BLOCK,
        }
    }

    /// Bytes of that unit.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 | Self::Iq4Nl => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q2K => 84,
            Self::Q3K => 110,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Bytes of `len` weights; `None` when `len` is no whole number of blocks or the product overflows.
    pub const fn bytes(self, len: usize) -> Option<usize> {
        if !len.is_multiple_of(self.block_len()) {
            return None;
        }
        (len / self.block_len()).checked_mul(self.block_bytes())
    }

    /// Whether activations are quantised to 8 bits to meet these weights.
    pub const fn is_quantised(self) -> bool {
        self.block_len() > 1
    }

    /// Decodes `bytes` into `out`, one f32 a weight.
    ///
    /// # Panics
    /// When `bytes` is not exactly what [`Format::bytes`] says for `out.len()` weights.
    pub fn dequantise(self, bytes: &[u8], out: &mut [f32]) {
        assert_eq!(Some(bytes.len()), self.bytes(out.len()), "a row of {self:?} has the wrong size");
        let blocks = bytes.chunks_exact(self.block_bytes());
        match self {
            Self::F32 => {
                for (w, b) in out.iter_mut().zip(blocks) {
                    *w = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                }
            }
            Self::F16 => {
                let mut halves = [0; BLOCK];
                for (w, b) in out.chunks_mut(BLOCK).zip(bytes.chunks(2 * BLOCK)) {
                    for (half, b) in halves.iter_mut().zip(b.as_chunks::<2>().0) {
                        *half = u16::from_le_bytes(*b);
                    }
                    halves[..w.len()].reinterpret_cast::<f16>().convert_to_f32_slice(w);
                }
            }
            Self::Bf16 => {
                for (w, b) in out.iter_mut().zip(blocks) {
                    *w = bf16::from_le_bytes([b[0], b[1]]).to_f32();
                }
            }
            quantised => {
                let Kind::Codes(layout) = Kind::of(quantised) else { return };
                let mut codes = [0; 8 * BLOCK];
                let (mut scales, mut minima) = ([0.0; 16], [0.0; 16]);
                let (len, width) = (self.block_len(), layout.width());
                for (w, block) in out.chunks_exact_mut(len).zip(blocks) {
                    let parts = Parts { codes: &mut codes[..len], scales: &mut scales, minima: &mut minima };
                    let [scale, minimum] = blocks::decode(self, block, parts);
                    for (n, (w, code)) in w.iter_mut().zip(&codes).enumerate() {
                        let (scale, minimum) = (scale * scales[n / width], minimum * minima[n / width]);
                        *w = scale * f32::from(*code) + minimum;
                    }
                }
            }
        }
    }

    /// Where the codes begin in a block whose bytes lie as the packed layout wants them: ggml's nibbles (weights 0–15
    /// low, 16–31 high) and bytes do. `None` for the others, which are decoded.
    pub(crate) const fn codes_at(self) -> Option<usize> {
        match self {
            Self::Q8_0 | Self::Q4_0 => Some(2),
            Self::Q4_1 => Some(4),
            _ => None,
        }
    }

    /// The layout that holds this format's blocks without loss; for quantised ones.
    pub(crate) const fn layout(self) -> Layout {
        const fn layout(bits: u8, halves: bool, minima: bool, reals: Reals) -> Layout {
            Layout { bits, halves, minima, reals }
        }
        match self {
            Self::Q4_0 => layout(4, false, false, Reals::F16),
            Self::Q4_1 => layout(4, false, true, Reals::F16),
            Self::Q5_0 => layout(5, false, false, Reals::F16),
            Self::Q5_1 => layout(5, false, true, Reals::F16),
            Self::Q2K => layout(4, true, true, Reals::Bytes),
            Self::Q3K => layout(4, true, false, Reals::Bytes),
            Self::Q4K => layout(4, false, true, Reals::Bytes),
            Self::Q5K => layout(5, false, true, Reals::Bytes),
            Self::Q6K => layout(6, true, false, Reals::Bytes),
            _ => layout(8, false, false, Reals::F16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bit_halves_lie_sixteen_apart() {
        let mut block = [0u8; 20];
        block[..2].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[2..4].copy_from_slice(&f16::from_f32(-1.0).to_le_bytes());
        block[4] = 0xf3;
        let mut out = [0.0; BLOCK];
        Format::Q4_1.dequantise(&block, &mut out);
        assert_eq!((out[0], out[16], out[1]), (0.5, 6.5, -1.0));
        let mut block = [0u8; 18];
        block[..2].copy_from_slice(&f16::from_f32(2.0).to_le_bytes());
        block[2] = 0x0f;
        Format::Q4_0.dequantise(&block, &mut out);
        assert_eq!((out[0], out[16]), (14.0, -16.0));
    }

    #[test]
    fn only_whole_blocks_have_a_size() {
        assert_eq!(Format::Q8_0.bytes(64), Some(68));
        assert_eq!(Format::Q8_0.bytes(33), None);
        assert_eq!(Format::F32.bytes(usize::MAX), None);
    }
}
