//! The tensor table: shapes, types and places, checked for overflow, overlap and the end of the file.

use std::{collections::HashMap, ops::Range, path::Path};

use kernels::Format;

use super::{GgufError, Mapped, Span, Tensor, cursor::Cursor};

/// Dimensions that GGUF allows.
const MOST_DIMENSIONS: usize = 4;

/// One tensor as the header describes it.
#[derive(Clone, Debug)]
pub(super) struct TensorInfo {
    /// Innermost (contiguous) dimension first, as ggml writes them.
    dims: Vec<usize>,
    type_code: u32,
    /// From the start of the data section until [`place`] turns it into a place in the file.
    offset: u64,
    range: Range<usize>,
    /// Which part of a split file.
    pub(super) part: usize,
}

impl TensorInfo {
    pub(super) fn read(cursor: &mut Cursor<'_>, name: &str, alignment: u64) -> Result<Self, GgufError> {
        let of = |field: &str| format!("{field} of tensor {name:?}");
        let count = cursor.u32(&of("the number of dimensions"))? as usize;
        if !(1..=MOST_DIMENSIONS).contains(&count) {
            let expected = format_args!("1 to {MOST_DIMENSIONS}").to_string();
            return Err(cursor.invalid(&of("the number of dimensions"), count, expected));
        }
        let mut dims = Vec::with_capacity(count);
        for _ in 0..count {
            let dim = cursor.u64(&of("a dimension"))?;
            match usize::try_from(dim) {
                Ok(dim) if dim > 0 && dim <= i64::MAX as usize => dims.push(dim),
                _ => return Err(cursor.invalid(&of("a dimension"), dim, "1 to 2^63 - 1")),
            }
        }
        let type_code = cursor.u32(&of("the type"))?;
        let offset = cursor.u64(&of("the offset"))?;
        if !offset.is_multiple_of(alignment) {
            let expected = format_args!("a multiple of {alignment}").to_string();
            return Err(cursor.invalid(&of("the offset"), offset, expected));
        }
        Ok(Self { dims, type_code, offset, range: 0..0, part: 0 })
    }

    pub(super) fn view<'a>(
        &'a self,
        path: &Path,
        name: &str,
        parts: &'a [Mapped],
    ) -> Result<Tensor<'a>, GgufError> {
        let Some(format) = format(self.type_code) else {
            return Err(GgufError::Invalid {
                path: path.into(),
                what: format!("the type of tensor {name:?}"),
                found: type_name(self.type_code),
                expected: "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K or IQ4_NL".into(),
            });
        };
        let bytes = &parts[self.part][self.range.clone()];
        Ok(Tensor {
            format,
            dims: self.dims.clone(),
            bytes,
            span: Span { part: self.part, range: self.range.clone() },
        })
    }

    /// Bytes of the tensor; `None` for a type that this build cannot read.
    fn size(&self, cursor: &Cursor<'_>, name: &str) -> Result<Option<u64>, GgufError> {
        let Some(format) = format(self.type_code) else { return Ok(None) };
        let elements = self.dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
        let whole_rows = self.dims[0].is_multiple_of(format.block_len());
        match elements.filter(|_| whole_rows).and_then(|n| format.bytes(n)) {
            Some(bytes) => Ok(Some(bytes as u64)),
            None => Err(cursor.invalid(
                &format!("the shape of tensor {name:?}"),
                format!("{:?}", self.dims),
                format!("whole blocks of {} {format:?} weights that fit in memory", format.block_len()),
            )),
        }
    }
}

/// Turns offsets into places in the file and refuses what lies outside it or overlaps.
pub(super) fn place(
    cursor: &Cursor<'_>,
    tensors: &mut HashMap<String, TensorInfo>,
    data_start: u64,
) -> Result<(), GgufError> {
    let file_size = cursor.bytes.len() as u64;
    let mut placed = Vec::with_capacity(tensors.len());
    for (name, info) in tensors.iter_mut() {
        let Some(size) = info.size(cursor, name)? else { continue };
        let start = data_start.checked_add(info.offset);
        let end = start.and_then(|start| start.checked_add(size)).filter(|&end| end <= file_size);
        let (Some(start), Some(end)) = (start, end) else {
            return Err(GgufError::Truncated {
                path: cursor.path.into(),
                what: format!("tensor {name:?}"),
                offset: start.unwrap_or(u64::MAX),
                needed: size,
                size: file_size,
            });
        };
        info.range = start as usize..end as usize; // within the file, which is in memory
        placed.push((info.range.clone(), name.clone()));
    }
    placed.sort_by_key(|(range, _)| range.start);
    match placed.windows(2).find(|pair| pair[0].0.end > pair[1].0.start) {
        None => Ok(()),
        Some(pair) => {
            let found = format!("overlapping {:?}", pair[0].1);
            Err(cursor.invalid(&format!("the place of tensor {:?}", pair[1].1), found, "a place of its own"))
        }
    }
}

/// ggml's type codes (`enum ggml_type`).
fn format(code: u32) -> Option<Format> {
    Some(match code {
        0 => Format::F32,
        1 => Format::F16,
        2 => Format::Q4_0,
        3 => Format::Q4_1,
        6 => Format::Q5_0,
        7 => Format::Q5_1,
        8 => Format::Q8_0,
        10 => Format::Q2K,
        11 => Format::Q3K,
        12 => Format::Q4K,
        13 => Format::Q5K,
        14 => Format::Q6K,
        20 => Format::Iq4Nl,
        30 => Format::Bf16,
        _ => return None,
    })
}

/// Types that files in use may have and this build does not read.
fn type_name(code: u32) -> String {
    let name = match code {
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        29 => "IQ1_M",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => return format!("unknown type {code}"),
    };
    format!("{name}, which this build does not read")
}
