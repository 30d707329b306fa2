//! The embedding matrix of a model for an accelerator that takes rows, not token ids.
//!
//! The archive is deflated, so it cannot be mapped into memory. The first open inflates it into a `.npy` file beside
//! it, named after the array's checksum; later ones map that file: nothing is read but the rows that are asked for.

mod archive;
mod block_start;
mod error;
mod inflate;
mod raw;
mod segments;
mod unknown;
mod write;

pub use error::EmbeddingsError;
pub(crate) use write::temporary_beside;

use archive::{Archive, Matrix};
use half::f16;
use ndarray::{Array2, ArrayView1};
use raw::RawRows;
use segments::Plan;
use std::path::Path;

/// One row of half-precision numbers for each token, from a NumPy archive (`.npz`).
#[derive(Debug)]
pub struct Embeddings {
    rows: Rows,
    matrix: Matrix,
}

#[derive(Debug)]
enum Rows {
    Mapped(RawRows),
    /// (vocab_size, dim), where no copy can be kept: why.
    Resident(Array2<f16>, String),
}

impl Embeddings {
    /// Reads the array `embeddings` and checks it against the archive's `vocab_size`, `embedding_dim` and `dtype`.
    ///
    /// Sizes are checked before anything is inflated; an array of Python objects is refused, as reading one would
    /// run code. Where the folder cannot be written, the matrix is inflated into memory.
    ///
    /// # Errors
    /// When the file cannot be read, is no sound archive, or holds other arrays than these.
    pub fn open(path: &Path) -> Result<Self, EmbeddingsError> {
        let mut archive = Archive::open(path)?;
        let matrix = archive.matrix()?;
        let copy = raw::path_of(path, &matrix);
        if let Some(rows) = RawRows::map(&copy, &matrix) {
            return Ok(Self { rows: Rows::Mapped(rows), matrix });
        }
        let turn = inflate::wait_for_turn(path);
        if let Some(rows) = RawRows::map(&copy, &matrix) {
            return Ok(Self { rows: Rows::Mapped(rows), matrix });
        }
        let plan = Plan::of_this_machine();
        let rows = match inflate::to_file(&mut archive, &matrix, &copy, turn.as_ref(), plan) {
            Ok(()) => RawRows::map(&copy, &matrix).map(Rows::Mapped),
            Err(EmbeddingsError::Write { source, .. }) => Some(resident(&mut archive, &matrix, &source)?),
            Err(error) => return Err(error),
        };
        // another program may have taken the file away just now
        let rows = match rows {
            Some(rows) => rows,
            None => resident(&mut archive, &matrix, &"the copy vanished")?,
        };
        Ok(Self { rows, matrix })
    }

    /// Why the whole matrix is in memory, where it is: a folder that cannot be written, a full disk.
    pub fn why_resident(&self) -> Option<&str> {
        match &self.rows {
            Rows::Mapped(_) => None,
            Rows::Resident(_, why) => Some(why),
        }
    }

    /// Rows: the size of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.matrix.vocab_size
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.matrix.dim
    }

    /// One token's row.
    pub fn row(&self, id: u32) -> Option<ArrayView1<'_, f16>> {
        let start = id as usize * self.dim();
        self.numbers().get(start..start + self.dim()).map(ArrayView1::from)
    }

    /// Replaces `out` by the rows of some tokens, one after the other. On an error `out` is empty.
    pub fn gather(&self, ids: &[u32], out: &mut Vec<f16>) -> Result<(), EmbeddingsError> {
        out.clear();
        let dim = self.dim();
        let numbers = self.numbers();
        out.reserve(ids.len() * dim);
        for &id in ids {
            let start = id as usize * dim;
            let Some(row) = numbers.get(start..start + dim) else {
                out.clear();
                return Err(EmbeddingsError::IdOutOfRange { id, vocab_size: self.vocab_size() });
            };
            out.extend_from_slice(row);
        }
        Ok(())
    }
    fn numbers(&self) -> &[f16] {
        match &self.rows {
            Rows::Mapped(rows) => rows.numbers(),
            Rows::Resident(rows, _) => rows.as_slice().expect("the matrix is built rows first"),
        }
    }
}

fn resident(
    archive: &mut Archive,
    matrix: &Matrix,
    why: &dyn std::fmt::Display,
) -> Result<Rows, EmbeddingsError> {
    let numbers = inflate::to_memory(archive, matrix)?;
    let rows = Array2::from_shape_vec((matrix.vocab_size, matrix.dim), numbers);
    Ok(Rows::Resident(rows.expect("the count was computed from the shape"), why.to_string()))
}

#[cfg(test)]
mod tests;
