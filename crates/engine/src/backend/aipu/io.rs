//! What a compiled language model takes and gives, checked before anything is run.

use axruntime_sys::{Model, TensorInfo, TensorKind};

use crate::Error;

/// What a compiled language model takes and gives.
pub(super) struct Io {
    pub(super) embedding_dim: usize,
    pub(super) vocab_size: usize,
    pub(super) context_length: usize,
    pub(super) scale: f64,
    pub(super) zero_point: i32,
}

impl Io {
    /// One input of f16 rows, one output of int8 logits.
    pub(super) fn of(model: &Model, context_length: Option<usize>) -> Result<Self, Error> {
        let one = |what, tensors: &[TensorInfo]| match tensors {
            [tensor] => Ok(tensor.clone()),
            _ => Err(Error::Mismatch { what, got: tensors.len().to_string(), expected: "1".into() }),
        };
        let kind = |what, tensor: &TensorInfo, kind: TensorKind, bits: usize| {
            if tensor.kind == kind && tensor.bits == bits && !tensor.dims.is_empty() {
                return Ok(());
            }
            let got = format!("{:?} of {} bits, dims {:?}", tensor.kind, tensor.bits, tensor.dims);
            Err(Error::Mismatch { what, got, expected: format!("{kind:?} of {bits} bits") })
        };
        let input = one("the number of inputs", model.inputs())?;
        let output = one("the number of outputs", model.outputs())?;
        kind("the input", &input, TensorKind::Float, 16)?;
        kind("the output", &output, TensorKind::Signed, 8)?;
        if !(output.scale.is_finite() && output.scale > 0.0) {
            let got = output.scale.to_string();
            return Err(Error::Mismatch { what: "the output's scale", got, expected: "above 0".into() });
        }
        let embedding_dim = input.dims[input.dims.len() - 1];
        let rows: usize = input.dims[..input.dims.len() - 1].iter().product();
        let context_length = context_length.map_or(rows, |asked| asked.min(rows)).max(1);
        Ok(Self {
            embedding_dim,
            vocab_size: output.dims.iter().product(),
            context_length,
            scale: output.scale,
            zero_point: output.zero_point,
        })
    }
}
