//! The embedding matrix of a model for an accelerator that takes rows, not token ids.

mod archive;
mod error;

pub use error::EmbeddingsError;

use archive::{Archive, Array};
use half::f16;
use ndarray::{Array2, ArrayView1};
use npyz::WriterBuilder;
use std::io::{BufWriter, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Largest matrix that is read: more than twice the largest published one.
const MAX_BYTES: u64 = 8 << 30;

/// One row of half-precision numbers for each token, from a NumPy archive (`.npz`).
#[derive(Debug)]
pub struct Embeddings {
    /// (vocab_size, dim)
    rows: Array2<f16>,
}

impl Embeddings {
    /// Reads the array `embeddings` and checks it against the archive's `vocab_size`, `embedding_dim` and `dtype`.
    ///
    /// Sizes are checked before anything is inflated; an array of Python objects is refused, as reading one would
    /// run code.
    pub fn open(path: &Path) -> Result<Self, EmbeddingsError> {
        let mut archive = Archive::open(path)?;
        let vocab_size = archive.integer("vocab_size")?;
        let dim = archive.integer("embedding_dim")?;
        let dtype = archive.text("dtype")?;
        if dtype != "float16" {
            return Err(archive.invalid("dtype", format!("`{dtype}`"), "`float16`".into()));
        }
        let mut rows = archive.array("embeddings")?;
        let size = vocab_size
            .checked_mul(dim)
            .and_then(|count| count.checked_mul(2))
            .filter(|&size| size <= MAX_BYTES);
        let Some(size) = size.filter(|&size| size > 0) else {
            let got = format!("{vocab_size} rows of {dim} numbers");
            return Err(rows.invalid(got, format!("1 to {MAX_BYTES} bytes")));
        };
        if rows.header.shape() != [vocab_size, dim] {
            return Err(
                rows.invalid(format!("shape {:?}", rows.header.shape()), format!("[{vocab_size}, {dim}]"))
            );
        }
        rows.expect_dtype("<f2")?;
        if rows.header.order() == npyz::Order::Fortran {
            return Err(rows.invalid("columns first".into(), "rows first".into()));
        }
        rows.expect_size(size)?;
        let numbers = read_f16(&mut rows, size as usize / 2)?;
        let rows = Array2::from_shape_vec((vocab_size as usize, dim as usize), numbers);
        Ok(Self { rows: rows.expect("the count was computed from the shape") })
    }

    /// Rows: the size of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.rows.nrows()
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.rows.ncols()
    }

    /// One token's row.
    pub fn row(&self, id: u32) -> Option<ArrayView1<'_, f16>> {
        ((id as usize) < self.vocab_size()).then(|| self.rows.row(id as usize))
    }

    /// Replaces `out` by the rows of some tokens, one after the other. On an error `out` is empty.
    pub fn gather(&self, ids: &[u32], out: &mut Vec<f16>) -> Result<(), EmbeddingsError> {
        out.clear();
        let dim = self.dim();
        let numbers = self.rows.as_slice().expect("the matrix is built rows first");
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

    /// Writes an archive that [`open`](Self::open) and NumPy read; `fill` puts the row of an id into a slice.
    ///
    /// The file appears under its name only when it is complete.
    pub fn write_npz(
        path: &Path,
        vocab_size: usize,
        dim: usize,
        mut fill: impl FnMut(u32, &mut [f16]),
    ) -> Result<(), EmbeddingsError> {
        let failed = |source| EmbeddingsError::Write { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let mut write = || -> std::io::Result<()> {
            let mut zip = ZipWriter::new(BufWriter::new(file.as_file_mut()));
            let large = (vocab_size * dim * 2) as u64 >= u64::from(u32::MAX);
            // The fastest level: rows of numbers hardly shrink, and this one keeps `axllm compile` quick.
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .compression_level(Some(1));
            let start = |zip: &mut ZipWriter<_>, name: &str, large| {
                zip.start_file(format!("{name}.npy"), options.large_file(large))
                    .map_err(std::io::Error::other)
            };
            start(&mut zip, "embeddings", large)?;
            header(&mut zip, &[vocab_size as u64, dim as u64], "<f2")?;
            let mut row = vec![f16::ZERO; dim];
            let mut bytes = Vec::with_capacity(dim * 2);
            for id in 0..vocab_size {
                fill(id as u32, &mut row);
                bytes.clear();
                bytes.extend(row.iter().flat_map(|number| number.to_le_bytes()));
                zip.write_all(&bytes)?;
            }
            for (name, value) in [("vocab_size", vocab_size), ("embedding_dim", dim)] {
                start(&mut zip, name, false)?;
                header(&mut zip, &[], "<i8")?;
                zip.write_all(&(value as i64).to_le_bytes())?;
            }
            start(&mut zip, "dtype", false)?;
            header(&mut zip, &[], "<U7")?;
            for character in "float16".chars() {
                zip.write_all(&u32::from(character).to_le_bytes())?;
            }
            zip.finish().map_err(std::io::Error::other)?.flush()
        };
        write().and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// Reads little-endian numbers in bulk: item by item a large matrix takes seconds.
fn read_f16(array: &mut Array<'_>, count: usize) -> Result<Vec<f16>, EmbeddingsError> {
    let mut numbers = vec![f16::ZERO; count];
    let mut buffer = vec![0; 1 << 16];
    for part in numbers.chunks_mut(buffer.len() / 2) {
        let bytes = &mut buffer[..part.len() * 2];
        array.read_exact(bytes)?;
        for (number, bytes) in part.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *number = f16::from_le_bytes(*bytes);
        }
    }
    array.expect_end()?;
    Ok(numbers)
}

/// The header of a `.npy` file. The numbers follow it by hand: a row at a time.
fn header(writer: &mut impl Write, shape: &[u64], dtype: &str) -> std::io::Result<()> {
    let dtype = npyz::DType::new_scalar(dtype.parse().expect("a type of NumPy's"));
    npyz::WriteOptions::new_header_only().dtype(dtype).shape(shape).writer(writer).write_header_only()?;
    Ok(())
}

#[cfg(test)]
mod tests;
