//! A tensor of any weight file.

use std::{ops::Range, path::Path};

use kernels::{Format, Matrix};

use crate::error::LoadError;

/// A tensor's bytes in a mapped file.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    /// How the weights are stored.
    pub format: Format,
    /// Innermost (contiguous) dimension first: `[columns, rows]` for a matrix.
    pub dims: Vec<usize>,
    /// The weights.
    pub bytes: &'a [u8],
    pub(crate) span: Span,
}

impl Tensor<'_> {
    /// The weights of a vector of `len` as floats; `path` and `name` are for the error.
    pub(crate) fn vector(&self, path: &Path, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        self.expect(path, name, &[len])?;
        let mut values = vec![0.0; len];
        self.format.dequantise(self.bytes, &mut values);
        Ok(values)
    }

    /// An error where the tensor has another shape.
    pub(crate) fn expect(&self, path: &Path, name: &str, dims: &[usize]) -> Result<(), LoadError> {
        if self.dims == dims {
            return Ok(());
        }
        Err(LoadError::Shape {
            path: path.into(),
            name: name.into(),
            found: self.dims.clone(),
            expected: dims.to_vec(),
        })
    }

    /// The weights as a matrix, of which rows can be decoded.
    ///
    /// # Panics
    /// When it has other than two dimensions.
    pub fn matrix(&self) -> Matrix<'_> {
        let [cols, rows] = self.dims[..] else { panic!("a matrix has two dimensions, not {:?}", self.dims) };
        Matrix::new(self.format, rows, cols, self.bytes).expect("shapes are checked when a file is opened")
    }
}

/// A place in the files of a model.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// Which of the files.
    pub(crate) part: usize,
    pub(crate) range: Range<usize>,
}
