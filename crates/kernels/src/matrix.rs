//! A matrix of weights as a view of its bytes.

use std::fmt;

use crate::Format;

/// Weights `[rows, cols]`, row-major, in a block format; the bytes are as many as the shape says.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    format: Format,
    rows: usize,
    cols: usize,
    row_bytes: usize,
    bytes: &'a [u8],
}

/// The bytes of a matrix do not fit its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// Rows asked for.
    pub rows: usize,
    /// Columns asked for.
    pub cols: usize,
    /// How the weights are stored.
    pub format: Format,
    /// How many bytes there are.
    pub bytes: usize,
}

impl fmt::Display for ShapeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, cols, format, bytes } = self;
        write!(f, "{bytes} bytes are no {rows} × {cols} matrix of {format:?}")
    }
}

impl std::error::Error for ShapeMismatch {}

impl<'a> Matrix<'a> {
    /// A view of `bytes` as `rows` × `cols` weights.
    ///
    /// # Errors
    /// When the number of bytes is not exactly that of the shape.
    pub fn new(format: Format, rows: usize, cols: usize, bytes: &'a [u8]) -> Result<Self, ShapeMismatch> {
        let row_bytes = format.bytes(cols).unwrap_or(0);
        match row_bytes.checked_mul(rows) {
            Some(size) if size == bytes.len() && size > 0 => {
                Ok(Self { format, rows, cols, row_bytes, bytes })
            }
            _ => Err(ShapeMismatch { rows, cols, format, bytes: bytes.len() }),
        }
    }

    /// How the weights are stored.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Outputs of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs of the matrix.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The bytes of row `row`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> &'a [u8] {
        &self.bytes[row * self.row_bytes..][..self.row_bytes]
    }

    /// The rows of `range` alone, as a file stores several matrices in one.
    ///
    /// # Panics
    /// When there are no such rows.
    pub fn part(&self, range: std::ops::Range<usize>) -> Matrix<'a> {
        let bytes = &self.bytes[range.start * self.row_bytes..range.end * self.row_bytes];
        Matrix { rows: range.len(), bytes, ..*self }
    }

    /// Decodes row `row` into `out` (as many values as there are columns).
    ///
    /// # Panics
    /// When there is no such row or `out` has another length.
    pub fn dequantise_row(&self, row: usize, out: &mut [f32]) {
        self.format.dequantise(self.row(row), out);
    }
}
