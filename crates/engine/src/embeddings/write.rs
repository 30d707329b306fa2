//! Writing an archive as NumPy writes it.

use super::{Embeddings, EmbeddingsError};
use half::f16;
use npyz::WriterBuilder;
use std::io::{BufWriter, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Half-precision numbers barely shrink: this level gets what the slower ones get.
const LEVEL: i64 = 2;

impl Embeddings {
    /// Writes an archive that [`open`](Self::open) and NumPy read; `fill` puts the row of an id into a slice.
    ///
    /// The file appears under its name only when it is complete. The same rows give the same bytes.
    ///
    /// # Errors
    /// When `fill` fails or the file cannot be written.
    pub fn write_npz<E: From<EmbeddingsError>>(
        path: &Path,
        vocab_size: usize,
        dim: usize,
        mut fill: impl FnMut(u32, &mut [f16]) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |source| EmbeddingsError::Write { path: path.to_owned(), source };
        let mut file = temporary_beside(path).map_err(failed)?;
        let mut zip = ZipWriter::new(BufWriter::with_capacity(1 << 20, file.as_file_mut()));
        let large = (vocab_size * dim * 2) as u64 >= u64::from(u32::MAX);
        start(&mut zip, "embeddings", &[vocab_size as u64, dim as u64], "<f2", large).map_err(failed)?;
        let mut row = vec![f16::ZERO; dim];
        let mut bytes = Vec::with_capacity(dim * 2);
        for id in 0..vocab_size {
            fill(id as u32, &mut row)?;
            bytes.clear();
            bytes.extend(row.iter().flat_map(|number| number.to_le_bytes()));
            zip.write_all(&bytes).map_err(failed)?;
        }
        let mut finish = || -> std::io::Result<()> {
            for (name, value) in [("vocab_size", vocab_size), ("embedding_dim", dim)] {
                start(&mut zip, name, &[], "<i8", false)?;
                zip.write_all(&(value as i64).to_le_bytes())?;
            }
            start(&mut zip, "dtype", &[], "<U7", false)?;
            for character in "float16".chars() {
                zip.write_all(&u32::from(character).to_le_bytes())?;
            }
            Ok(())
        };
        finish().map_err(failed)?;
        zip.finish()
            .map_err(std::io::Error::other)
            .and_then(|mut writer| writer.flush())
            .and_then(|()| file.as_file().sync_all())
            .map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// A new file in the folder of `path`, gone with the value unless it is given its name; readable as the user's
/// mask says, since others may run the model too.
pub(crate) fn temporary_beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// A member's beginning: the numbers follow it by hand, a row at a time.
fn start<W: Write + std::io::Seek>(
    zip: &mut ZipWriter<W>,
    name: &str,
    shape: &[u64],
    dtype: &str,
    large: bool,
) -> std::io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .large_file(large);
    zip.start_file(format!("{name}.npy"), options).map_err(std::io::Error::other)?;
    write_header(zip, shape, dtype)
}

/// The header of a `.npy` file.
pub(super) fn write_header(writer: &mut impl Write, shape: &[u64], dtype: &str) -> std::io::Result<()> {
    let dtype = npyz::DType::new_scalar(dtype.parse().expect("a type of NumPy's"));
    npyz::WriteOptions::new_header_only().dtype(dtype).shape(shape).writer(writer).write_header_only()?;
    Ok(())
}
