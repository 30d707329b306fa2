//! What a compiled model takes and gives.

use crate::assumed;
use crate::raw::{AxrTensorInfo, MAX_TENSOR_DIMS};
use crate::text;

/// What the bits of an element mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorKind {
    /// An unsigned integer.
    Unsigned,
    /// A signed integer.
    Signed,
    /// A floating-point number.
    Float,
}

/// One input or output, checked: from 1 to 8 dimensions, whole bytes, a size that fits in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// The dimensions, padding included.
    pub dims: Vec<usize>,
    /// Bits of one element, a multiple of 8.
    pub bits: usize,
    /// What they mean.
    pub kind: TensorKind,
    /// Its name; may be empty.
    pub name: String,
    /// Padding (before, after) of each dimension.
    pub padding: Vec<(usize, usize)>,
    /// `(q - zero_point) * scale` is the value of quantum `q`.
    pub scale: f64,
    /// The quantum that means 0.
    pub zero_point: i32,
    byte_size: usize,
}

impl TensorInfo {
    /// Bytes of the whole tensor.
    pub fn byte_size(&self) -> usize {
        self.byte_size
    }

    pub(crate) fn from_raw(raw: &AxrTensorInfo) -> Result<TensorInfo, String> {
        if raw.ndims == 0 || raw.ndims > MAX_TENSOR_DIMS {
            return Err(format!("{} dimensions, expected 1 to {MAX_TENSOR_DIMS}", raw.ndims));
        }
        let dims = raw.dims[..raw.ndims].to_vec();
        let kind = match raw.kind {
            assumed::TENSOR_UNSIGNED => TensorKind::Unsigned,
            assumed::TENSOR_SIGNED => TensorKind::Signed,
            assumed::TENSOR_FLOAT => TensorKind::Float,
            other => return Err(format!("element type {other}, expected 0 to 2")),
        };
        if !matches!(raw.bits, 8 | 16 | 32 | 64) {
            return Err(format!("elements of {} bits, expected 8, 16, 32 or 64", raw.bits));
        }
        let byte_size = dims
            .iter()
            .try_fold(raw.bits / 8, |size, dim| size.checked_mul(*dim))
            .filter(|size| (1..=isize::MAX as usize).contains(size))
            .ok_or_else(|| format!("dimensions {dims:?} of {} bits have no usable size", raw.bits))?;
        if !raw.scale.is_finite() {
            return Err(format!("scale {}, expected a finite number", raw.scale));
        }
        Ok(TensorInfo {
            dims,
            bits: raw.bits,
            kind,
            name: text::field(&raw.name).ok_or("its name has no end")?,
            padding: raw.padding[..raw.ndims].iter().map(|[before, after]| (*before, *after)).collect(),
            scale: raw.scale,
            zero_point: raw.zero_point,
            byte_size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> AxrTensorInfo {
        let mut dims = [0; 8];
        dims[..2].copy_from_slice(&[3, 5]);
        AxrTensorInfo {
            dims,
            ndims: 2,
            bits: 16,
            kind: 2,
            name: [0; 256],
            padding: [[0; 2]; 8],
            scale: 0.5,
            zero_point: -3,
        }
    }

    #[test]
    fn a_tensor_that_cannot_be_is_refused() {
        assert_eq!(TensorInfo::from_raw(&raw()).unwrap().byte_size(), 30);
        type Spoil = fn(&mut AxrTensorInfo);
        let spoilt: [(Spoil, &str); 7] = [
            (|t| t.ndims = 0, "0 dimensions"),
            (|t| t.ndims = 9, "9 dimensions"),
            (|t| t.kind = 7, "element type 7"),
            (|t| t.bits = 12, "12 bits"),
            (|t| t.dims = [usize::MAX; 8], "no usable size"),
            (|t| t.scale = f64::NAN, "finite"),
            (|t| t.name = [65; 256], "no end"),
        ];
        for (spoil, expected) in spoilt {
            let mut raw = raw();
            spoil(&mut raw);
            let error = TensorInfo::from_raw(&raw).unwrap_err();
            assert!(error.contains(expected), "{error:?} lacks {expected:?}");
        }
    }
}
