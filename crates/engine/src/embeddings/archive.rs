//! The `.npz` container: a zip of `.npy` arrays, nothing of which is believed before it is checked.

use super::EmbeddingsError;
use super::segments::Deflated;
use half::f16;
use npyz::NpyHeader;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use zip::{CompressionMethod, ZipArchive};

/// Members that an archive may have; ours has four.
const MAX_MEMBERS: usize = 64;
/// Bytes of an array's header; NumPy's have 128.
const MAX_HEADER: u64 = 4 << 10;
/// Bytes of a zip's directory of [`MAX_MEMBERS`].
const MAX_DIRECTORY: u64 = 64 << 10;
/// Largest matrix that is read: more than twice the largest published one.
const MAX_BYTES: u64 = 8 << 30;
/// How far a matrix may have shrunk, and what a small one may have beyond that. Numbers of a trained model keep nine
/// tenths of their size; what shrinks more is made to fill memories and disks.
const MAX_SHRINKING: u64 = 4;
const ALLOWANCE: u64 = 1 << 20;
/// The member with the rows.
const ROWS: &str = "embeddings";

pub(super) struct Archive {
    path: PathBuf,
    zip: ZipArchive<BufReader<File>>,
    file_size: u64,
}

/// What an archive says of its rows, all of it checked but the rows themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matrix {
    pub vocab_size: usize,
    pub dim: usize,
    /// CRC-32 of the array with its header, which inflating verifies.
    pub checksum: u32,
}

impl Matrix {
    /// Bytes of the numbers.
    pub fn size(&self) -> usize {
        self.vocab_size * self.dim * size_of::<f16>()
    }

    pub fn shape(&self) -> [u64; 2] {
        [self.vocab_size as u64, self.dim as u64]
    }
}

/// One array: its header is read, its numbers follow.
pub(super) struct Array<'a> {
    path: &'a Path,
    member: &'static str,
    header: NpyHeader,
    /// Bytes after the header by the archive's directory.
    size: u64,
    checksum: u32,
    reader: Box<dyn Read + 'a>,
}

impl Archive {
    pub fn open(path: &Path) -> Result<Self, EmbeddingsError> {
        let io = |source| EmbeddingsError::Io { path: path.to_owned(), source };
        let invalid = |reason: String| EmbeddingsError::Archive { path: path.to_owned(), reason };
        let metadata = path.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(io(std::io::Error::other("not a regular file")));
        }
        let buffer = metadata.len().min(1 << 18) as usize;
        let mut file = BufReader::with_capacity(buffer, File::open(path).map_err(io)?);
        let zip = ZipArchive::new(&mut file).map_err(|error| invalid(error.to_string()))?;
        let (members, directory) = (zip.len(), zip.central_directory_start());
        drop(zip);
        if members > MAX_MEMBERS {
            return Err(invalid(format!("{members} members, more than the {MAX_MEMBERS} allowed")));
        }
        // The reader keeps one of two members of the same name; NumPy may read the other.
        let listed = count_entries(&mut file, directory).map_err(io)?;
        if listed != members {
            return Err(invalid(format!("{listed} members under {members} names")));
        }
        let zip = ZipArchive::new(file).map_err(|error| invalid(error.to_string()))?;
        Ok(Self { path: path.to_owned(), zip, file_size: metadata.len() })
    }

    /// Checks the scalars and the header of the rows against each other, and all sizes against the file's.
    pub fn matrix(&mut self) -> Result<Matrix, EmbeddingsError> {
        let vocab_size = self.integer("vocab_size")?;
        let dim = self.integer("embedding_dim")?;
        let dtype = self.text("dtype")?;
        if dtype != "float16" {
            return Err(self.invalid("dtype", format!("`{dtype}`"), "`float16`".into()));
        }
        let most = (self.file_size.saturating_mul(MAX_SHRINKING) + ALLOWANCE).min(MAX_BYTES);
        let rows = self.array(ROWS)?;
        let size = vocab_size.checked_mul(dim).and_then(|count| count.checked_mul(2));
        let Some(size) = size.filter(|&size| (1..=MAX_BYTES).contains(&size)) else {
            let got = format!("{vocab_size} rows of {dim} numbers");
            return Err(rows.invalid(got, format!("1 to {MAX_BYTES} bytes")));
        };
        if size > most {
            let expected = format!("at most {most}: numbers of a model do not shrink so far");
            return Err(rows.invalid(format!("{size} bytes in so small a file"), expected));
        }
        let shape = [vocab_size, dim];
        rows.expect_layout(shape)?;
        rows.expect_size(size)?;
        let checksum = rows.checksum;
        Ok(Matrix { vocab_size: vocab_size as usize, dim: dim as usize, checksum })
    }

    /// The rows, for reading.
    pub fn rows(&mut self) -> Result<Array<'_>, EmbeddingsError> {
        self.array(ROWS)
    }

    /// The rows for who inflates them by itself. `None` where they are not deflated or not all there.
    pub fn deflated_rows(&mut self) -> Option<Deflated> {
        let file = File::open(&self.path).ok()?;
        let member = self.zip.by_name(&format!("{ROWS}.npy")).ok()?;
        let (at, length, inflated) = (member.data_start()?, member.compressed_size(), member.size());
        let there =
            member.compression() == CompressionMethod::Deflated && at.checked_add(length)? <= self.file_size;
        there.then_some(Deflated { file, at, length, inflated })
    }

    fn array(&mut self, member: &'static str) -> Result<Array<'_>, EmbeddingsError> {
        let name = format!("{member}.npy");
        if self.zip.index_for_name(&name).is_none() {
            return Err(EmbeddingsError::MissingMember { path: self.path.clone(), member });
        }
        let path = self.path.as_path();
        let invalid = |reason| EmbeddingsError::Archive { path: path.to_owned(), reason };
        let file = self.zip.by_name(&name).map_err(|error| invalid(format!("`{name}`: {error}")))?;
        let (total, checksum) = (file.size(), file.crc32());
        let mut reader = Counted { inner: file, read: 0 };
        let header = read_header(&mut reader).map_err(|error| invalid(format!("`{name}`: {error}")))?;
        if header.uses_pickled_array() {
            return Err(EmbeddingsError::Pickle { path: path.to_owned(), member });
        }
        let size = total.saturating_sub(reader.read);
        Ok(Array { path, member, header, size, checksum, reader: Box::new(reader) })
    }

    /// A scalar of any whole-number type, as NumPy's platforms differ.
    fn integer(&mut self, member: &'static str) -> Result<u64, EmbeddingsError> {
        let mut array = self.array(member)?;
        let dtype = array.dtype();
        let (signed, bytes) = match dtype.as_str() {
            "<i8" => (true, 8),
            "<u8" => (false, 8),
            "<i4" => (true, 4),
            "<u4" => (false, 4),
            "<i2" => (true, 2),
            "<u2" => (false, 2),
            _ => return Err(array.invalid(format!("type {dtype}"), "a little-endian whole number".into())),
        };
        let mut wide = [0; 8];
        array.scalar(&mut wide[..bytes])?;
        let value = u64::from_le_bytes(wide);
        // Negative sizes become enormous ones, which are refused as such.
        let negative = signed && value >> (bytes * 8 - 1) & 1 == 1;
        Ok(if negative { u64::MAX } else { value })
    }

    /// A scalar of text: NumPy writes four bytes a character (`U`) or one (`S`).
    fn text(&mut self, member: &'static str) -> Result<String, EmbeddingsError> {
        let mut array = self.array(member)?;
        let dtype = array.dtype();
        let wide = dtype.starts_with("<U");
        let length =
            dtype.get(2..).and_then(|digits| digits.parse::<usize>().ok()).filter(|&length| length <= 64);
        let Some(length) = length.filter(|_| wide || dtype.starts_with("|S")) else {
            return Err(array.invalid(format!("type {dtype}"), "a short text".into()));
        };
        let mut bytes = vec![0; if wide { length * 4 } else { length }];
        array.scalar(&mut bytes)?;
        let code = |bytes: &[u8; 4]| {
            char::from_u32(u32::from_le_bytes(*bytes)).unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        let text: String = match wide {
            true => bytes.as_chunks::<4>().0.iter().map(code).collect(),
            false => bytes.iter().map(|&byte| char::from(byte)).collect(),
        };
        Ok(text.trim_end_matches('\0').to_owned())
    }

    fn invalid(&self, member: &'static str, got: String, expected: String) -> EmbeddingsError {
        EmbeddingsError::InvalidArray { path: self.path.clone(), member, got, expected }
    }
}

impl Array<'_> {
    fn dtype(&self) -> String {
        dtype(&self.header)
    }

    /// Rows first, of half-precision numbers, the least significant byte first.
    fn expect_layout(&self, shape: [u64; 2]) -> Result<(), EmbeddingsError> {
        if self.header.shape() != shape {
            return Err(self.invalid(format!("shape {:?}", self.header.shape()), format!("{shape:?}")));
        }
        let dtype = self.dtype();
        if dtype != "<f2" {
            return Err(self.invalid(format!("type {dtype}"), "type <f2".into()));
        }
        if self.header.order() == npyz::Order::Fortran {
            return Err(self.invalid("columns first".into(), "rows first".into()));
        }
        Ok(())
    }

    /// Checks the bytes that the archive's directory announces, before any is inflated.
    fn expect_size(&self, expected: u64) -> Result<(), EmbeddingsError> {
        if self.size == expected {
            return Ok(());
        }
        Err(self.invalid(format!("{} bytes", self.size), format!("{expected} bytes")))
    }

    pub fn read_exact(&mut self, bytes: &mut [u8]) -> Result<(), EmbeddingsError> {
        let path = self.path;
        self.reader.read_exact(bytes).map_err(|source| EmbeddingsError::Io { path: path.to_owned(), source })
    }

    /// Reads the end, where the archive's checksum is verified.
    pub fn expect_end(&mut self) -> Result<(), EmbeddingsError> {
        let path = self.path;
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.invalid("more bytes than announced".into(), "as many".into())),
            Err(source) => Err(EmbeddingsError::Io { path: path.to_owned(), source }),
        }
    }

    fn scalar(&mut self, bytes: &mut [u8]) -> Result<(), EmbeddingsError> {
        if !self.header.shape().is_empty() {
            return Err(self.invalid(format!("shape {:?}", self.header.shape()), "a single value".into()));
        }
        self.expect_size(bytes.len() as u64)?;
        self.read_exact(bytes)?;
        self.expect_end()
    }

    fn invalid(&self, got: String, expected: String) -> EmbeddingsError {
        EmbeddingsError::InvalidArray { path: self.path.to_owned(), member: self.member, got, expected }
    }
}

/// Reads a header of at most [`MAX_HEADER`] bytes: npyz makes room for as many as the file says.
pub(super) fn read_header(reader: &mut impl Read) -> std::io::Result<NpyHeader> {
    let mut start = [0; 12];
    reader.read_exact(&mut start[..10])?;
    let (fixed, length) = if start[6] == 1 {
        (10, u32::from(u16::from_le_bytes([start[8], start[9]])))
    } else {
        reader.read_exact(&mut start[10..])?;
        (12, u32::from_le_bytes([start[8], start[9], start[10], start[11]]))
    };
    if u64::from(length) > MAX_HEADER {
        let reason = format!("a header of {length} bytes, more than the {MAX_HEADER} allowed");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason));
    }
    NpyHeader::from_reader(start[..fixed].chain(reader.take(length.into())))
}

/// As NumPy writes it: `<f2`.
pub(super) fn dtype(header: &NpyHeader) -> String {
    match header.dtype() {
        npyz::DType::Plain(plain) => plain.to_string(),
        other => other.descr().chars().take(64).collect(),
    }
}

struct Counted<R> {
    inner: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.read += read as u64;
        Ok(read)
    }
}

/// Entries of a zip's directory, each 46 bytes and three texts long.
fn count_entries(file: &mut (impl Read + Seek), start: u64) -> std::io::Result<usize> {
    file.seek(SeekFrom::Start(start))?;
    let mut directory = vec![];
    file.take(MAX_DIRECTORY).read_to_end(&mut directory)?;
    file.rewind()?;
    let mut rest = directory.as_slice();
    let mut count = 0;
    while let Some(fixed) = rest.get(..46).filter(|fixed| fixed.starts_with(b"PK\x01\x02")) {
        let length = |at: usize| usize::from(u16::from_le_bytes([fixed[at], fixed[at + 1]]));
        rest = rest.get(46 + length(28) + length(30) + length(32)..).unwrap_or_default();
        count += 1;
    }
    Ok(count)
}
