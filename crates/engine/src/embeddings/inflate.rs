//! The rows out of their archive: into a file beside it, or into memory. Few buffers are held at once.

use super::archive::{Archive, Array, Matrix};
use super::segments::{self, Plan};
use super::{EmbeddingsError, raw, write};
use half::f16;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that go from the inflating to the writing thread at a time.
const PART: usize = 1 << 20;
/// Parts on their way.
const PARTS: usize = 4;
/// How long another process is given to make the copy: many times what the largest takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// The right to write the copy of `archive`, held until the file is dropped. `None` where the file system has no
/// locks or the other process takes too long: then two write the same copy, which costs only time.
pub(super) fn wait_for_turn(archive: &Path) -> Option<File> {
    let file = File::open(archive).ok()?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(std::fs::TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(_) => return None,
        }
    }
}

/// Writes the rows as `copy`, which appears when they are complete, verified and on the disk.
pub(super) fn to_file(
    archive: &mut Archive,
    matrix: &Matrix,
    copy: &Path,
    turn: Option<&File>,
    plan: Plan,
) -> Result<(), EmbeddingsError> {
    let failed = |source| EmbeddingsError::Write { path: copy.to_owned(), source };
    if turn.is_some() {
        raw::remove_outdated(copy);
    }
    let mut file = write::temporary_beside(copy).map_err(failed)?;
    let out = file.as_file_mut();
    write::write_header(out, &matrix.shape(), "<f2").map_err(failed)?;
    if !in_segments(archive, matrix, out, plan).map_err(failed)? {
        in_one_go(archive, matrix, out, failed)?;
    }
    out.sync_all().map_err(failed)?;
    file.persist(copy).map_err(|error| failed(error.error))?;
    Ok(())
}

/// On several threads, behind the header. `false` where that cannot be done; the file has its header alone then.
fn in_segments(archive: &mut Archive, matrix: &Matrix, out: &mut File, plan: Plan) -> std::io::Result<bool> {
    let Some(rows) = archive.deflated_rows() else { return Ok(false) };
    let at = out.stream_position()?; // stays: the threads write by places
    let done = segments::inflate(&rows, matrix, out, at, plan)?;
    if !done {
        out.set_len(at)?;
    }
    Ok(done)
}

/// With one thread that inflates and one that writes, behind the header.
fn in_one_go(
    archive: &mut Archive,
    matrix: &Matrix,
    out: &mut File,
    failed: impl Fn(std::io::Error) -> EmbeddingsError,
) -> Result<(), EmbeddingsError> {
    let mut rows = archive.rows()?;
    thread::scope(|scope| {
        let (full, to_write) = sync_channel::<Vec<u8>>(PARTS);
        let (written, empty) = sync_channel::<Vec<u8>>(PARTS);
        let writer = scope.spawn(move || -> std::io::Result<()> {
            for part in to_write {
                out.write_all(&part)?;
                let _ = written.send(part); // the last ones are not taken back
            }
            Ok(())
        });
        let read = read_parts(&mut rows, matrix.size(), &full, &empty);
        drop(full);
        // the writer's error explains the reader's end, if both have one
        writer.join().expect("the writer does not panic").map_err(failed)?;
        read
    })
}

/// Fills buffers and sends them off. Ends early, without an error, when nobody takes them any more.
fn read_parts(
    rows: &mut Array<'_>,
    size: usize,
    full: &SyncSender<Vec<u8>>,
    empty: &Receiver<Vec<u8>>,
) -> Result<(), EmbeddingsError> {
    let mut left = size;
    let mut made = 0;
    while left > 0 {
        let length = left.min(PART);
        let mut part = if made < PARTS {
            made += 1;
            vec![0; length]
        } else {
            let Ok(part) = empty.recv() else { return Ok(()) };
            part
        };
        part.truncate(length);
        rows.read_exact(&mut part)?;
        left -= length;
        if full.send(part).is_err() {
            return Ok(());
        }
    }
    rows.expect_end()
}

/// Reads the rows in bulk: number by number a large matrix takes seconds.
pub(super) fn to_memory(archive: &mut Archive, matrix: &Matrix) -> Result<Vec<f16>, EmbeddingsError> {
    let mut rows = archive.rows()?;
    let mut numbers = vec![f16::ZERO; matrix.vocab_size * matrix.dim];
    let mut buffer = vec![0; matrix.size().min(1 << 16)];
    for part in numbers.chunks_mut(1 << 15) {
        let bytes = &mut buffer[..size_of_val(part)];
        rows.read_exact(bytes)?;
        for (number, bytes) in part.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *number = f16::from_le_bytes(*bytes);
        }
    }
    rows.expect_end()?;
    Ok(numbers)
}
