//! The block formats of weight files, as they lie in memory.
//!
//! Layouts are ggml's (`ggml-common.h`): little-endian, 32 weights a block for the quantised ones, the low nibbles
//! of a 4-bit block holding weights 0–15 and the high nibbles 16–31.

use half::{bf16, f16};

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
}

impl Format {
    /// Weights in the smallest unit of storage.
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 => BLOCK,
        }
    }

    /// Bytes of that unit.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
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
                for (w, b) in out.iter_mut().zip(blocks) {
                    *w = half_at(b, 0);
                }
            }
            Self::Bf16 => {
                for (w, b) in out.iter_mut().zip(blocks) {
                    *w = bf16::from_le_bytes([b[0], b[1]]).to_f32();
                }
            }
            Self::Q8_0 => {
                for (w, b) in out.chunks_exact_mut(BLOCK).zip(blocks) {
                    let d = half_at(b, 0);
                    for (w, &q) in w.iter_mut().zip(&b[2..]) {
                        *w = d * f32::from(q.cast_signed());
                    }
                }
            }
            Self::Q4_0 | Self::Q4_1 => {
                for (w, b) in out.chunks_exact_mut(BLOCK).zip(blocks) {
                    let d = half_at(b, 0);
                    let m = if self == Self::Q4_1 { half_at(b, 2) } else { -8.0 * d };
                    let (low, high) = w.split_at_mut(BLOCK / 2);
                    for ((low, high), &q) in low.iter_mut().zip(high).zip(&b[self.codes_at()..]) {
                        *low = d * f32::from(q & 15) + m;
                        *high = d * f32::from(q >> 4) + m;
                    }
                }
            }
        }
    }

    /// Where in a block the codes begin.
    pub(crate) const fn codes_at(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 0,
            Self::Q8_0 | Self::Q4_0 => 2,
            Self::Q4_1 => 4,
        }
    }
}

#[inline(always)]
fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
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
