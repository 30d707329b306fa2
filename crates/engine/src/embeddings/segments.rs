//! One deflate stream inflated on several threads: it is cut into segments that begin with a block, and each thread
//! inflates one after the other. What the beginning of a segment copies is only known from the one before
//! ([`super::unknown`]), so the last 32 KiB are handed from each to the next.
//!
//! Nothing here tells what is wrong with a stream: whatever is not as expected is left to who inflates it in one go.

use super::archive::Matrix;
use super::block_start::{self, SEARCHED, TRIED};
use super::unknown::{Inflater, WINDOW, resolve};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use zlib_rs::crc32::{crc32, crc32_combine};

/// Deflated bytes of a segment: so many that its beginning, which is inflated twice, is a small part of it.
const SEGMENT: u64 = 4 << 20;
/// Threads at most: each holds a segment, deflated and inflated.
const MAX_THREADS: usize = 8;
/// How many times larger a segment may become: as many as a matrix. Numbers of a model become a third larger.
const MAX_GROWTH: u64 = 4;
/// Segments after which the disk is given what is written.
const WRITE_BACK: usize = 8;
/// Bytes written at a time. For larger parts the page cache (Linux 6.18) takes twice as long.
const PART: usize = 1 << 20;

/// Where a deflated array is, by its archive's directory.
pub(super) struct Deflated {
    pub file: File,
    pub at: u64,
    pub length: u64,
    /// Bytes that it inflates to, those of its header among them.
    pub inflated: u64,
}

/// How a stream is shared out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub threads: usize,
    /// Deflated bytes.
    pub segment: u64,
}

impl Plan {
    /// One thread for each processor that this process may use.
    pub fn of_this_machine() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        Self { threads, segment: SEGMENT }
    }
}

/// Writes the numbers to `out`, from `at` on. `false` where the stream is too small for that, not sound, or one that
/// cannot be cut: then `out` may have anything there.
///
/// # Errors
/// When `out` cannot be written.
pub(super) fn inflate(rows: &Deflated, matrix: &Matrix, out: &File, at: u64, plan: Plan) -> io::Result<bool> {
    let count = (rows.length / plan.segment) as usize;
    let Some(header) = rows.inflated.checked_sub(matrix.size() as u64) else { return Ok(false) };
    if plan.threads < 2 || count < 2 {
        return Ok(false);
    }
    let work = Work {
        rows,
        header,
        out,
        at,
        // of one size, so that the threads finish together
        segment: rows.length / count as u64,
        starts: (0..count).map(|_| OnceLock::new()).collect(),
        taken: AtomicUsize::new(0),
        relay: Mutex::new(Relay { next: 0, before: 0, window: [0; WINDOW], checksum: 0, broken: false }),
        moved: Condvar::new(),
    };
    let results: Vec<_> = thread::scope(|scope| {
        let inflating = || work.freeing_others(|| work.inflate());
        // a thread that the system refuses is one less
        let start = |_| thread::Builder::new().spawn_scoped(scope, inflating).ok();
        let threads: Vec<_> = (0..plan.threads.min(count)).filter_map(start).collect();
        if threads.is_empty() {
            return vec![];
        }
        let writing = work.freeing_others(|| work.write_back());
        // a panic over a damaged stream is a stream that is not sound
        let results = threads.into_iter().map(|thread| thread.join().unwrap_or(Err(Stop::Unsound)));
        results.chain([writing]).collect()
    });
    for result in results {
        if let Err(Stop::Write(error)) = result {
            return Err(error);
        }
    }
    let relay = work.relay();
    Ok(!relay.broken && relay.before == rows.inflated && relay.checksum == matrix.checksum)
}

/// Why a thread stops early.
enum Stop {
    /// The stream is not as expected, or another thread stopped.
    Unsound,
    Write(io::Error),
}

struct Work<'a> {
    rows: &'a Deflated,
    /// Bytes of the array before its numbers.
    header: u64,
    out: &'a File,
    at: u64,
    /// Deflated bytes from one boundary to the next; a segment begins with the first block after one.
    segment: u64,
    /// Each segment's first bit in the stream.
    starts: Vec<OnceLock<Option<u64>>>,
    /// Segments that a thread has, or had.
    taken: AtomicUsize,
    relay: Mutex<Relay>,
    moved: Condvar,
}

/// What goes from each segment to the next.
struct Relay {
    /// The segment whose turn it is.
    next: usize,
    /// Bytes of those before it.
    before: u64,
    /// The last of these bytes.
    window: [u8; WINDOW],
    /// Of all that is inflated.
    checksum: u32,
    /// Nobody shall wait any more.
    broken: bool,
}

impl Work<'_> {
    fn inflate(&self) -> Result<(), Stop> {
        let (mut inflater, mut input) = (Inflater::new(), vec![]);
        let most = (self.segment * MAX_GROWTH) as usize;
        loop {
            let index = self.taken.fetch_add(1, Ordering::Relaxed);
            if index >= self.starts.len() {
                return Ok(());
            }
            let (start, end) = (self.start(index)?, self.start(index + 1)?);
            self.read_bits(start, end, &mut input)?;
            let inflated = inflater.inflate(&input, index == 0, most).ok_or(Stop::Unsound)?;
            let last = index + 1 == self.starts.len();
            if inflated.ends != last || inflated.length < WINDOW {
                return Err(Stop::Unsound);
            }
            let [one, two] = &mut inflater.outputs;
            self.write(index, &mut one[..inflated.length], &two[..inflated.unknown])?;
        }
    }

    /// Hands the end of a segment on, then writes it all.
    fn write(&self, index: usize, bytes: &mut [u8], twin: &[u8]) -> Result<(), Stop> {
        let length = bytes.len() as u64;
        let tail = bytes.len() - WINDOW;
        let early = tail.min(twin.len());
        let mut relay = self.turn_of(index)?;
        let (window, before) = (relay.window, relay.before);
        let after = self.rows.inflated.checked_sub(before + length).ok_or(Stop::Unsound)?;
        resolve(&mut bytes[early..twin.len()], &twin[early..], &window);
        relay.window.copy_from_slice(&bytes[tail..]);
        relay.before += length;
        relay.next += 1;
        drop(relay);
        self.moved.notify_all();

        resolve(&mut bytes[..early], &twin[..early], &window);
        // checksums of parts add up when each is moved past the bytes after it
        let checksum = crc32_combine(crc32(0, bytes), 0, after);
        self.relay().checksum ^= checksum;
        let skipped = self.header.saturating_sub(before).min(length);
        let mut place = self.at + before + skipped - self.header;
        for part in bytes[skipped as usize..].chunks(PART) {
            self.out.write_all_at(part, place).map_err(Stop::Write)?;
            place += part.len() as u64;
        }
        Ok(())
    }

    /// Has the disk begin early, so that little is left to wait for at the end.
    fn write_back(&self) -> Result<(), Stop> {
        let mut done = 0;
        loop {
            let count = self.starts.len();
            let early = |relay: &mut Relay| relay.next < count.min(done + WRITE_BACK) && !relay.broken;
            let relay = self.moved.wait_while(self.relay(), early).unwrap_or_else(PoisonError::into_inner);
            if relay.broken || relay.next == count {
                return Ok(());
            }
            done = relay.next;
            drop(relay);
            // the system tells an error of the disk once: it is not for the last call alone
            self.out.sync_data().map_err(Stop::Write)?;
        }
    }

    /// The bit where a segment begins, and the one before it ends.
    fn start(&self, index: usize) -> Result<u64, Stop> {
        let Some(start) = self.starts.get(index) else { return Ok(self.rows.length * 8) };
        let find = || {
            let boundary = self.segment * index as u64;
            let mut bytes = vec![0; (self.rows.length - boundary).min((SEARCHED + TRIED) as u64) as usize];
            self.read(boundary, &mut bytes).ok()?;
            Some(boundary * 8 + block_start::find(&bytes)? as u64)
        };
        start.get_or_init(|| if index == 0 { Some(0) } else { find() }).ok_or(Stop::Unsound)
    }

    /// Bits of the stream. Those behind `end` in the last byte are the first of a block's header, which gives nothing.
    fn read_bits(&self, start: u64, end: u64, bytes: &mut Vec<u8>) -> Result<(), Stop> {
        let length = end.div_ceil(8).checked_sub(start / 8).ok_or(Stop::Unsound)?;
        bytes.resize(length as usize, 0);
        self.read(start / 8, bytes)?;
        block_start::align(bytes, (start % 8) as usize);
        Ok(())
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), Stop> {
        self.rows.file.read_exact_at(bytes, self.rows.at + at).map_err(|_| Stop::Unsound)
    }

    /// Waits for the segment before.
    fn turn_of(&self, index: usize) -> Result<MutexGuard<'_, Relay>, Stop> {
        let early = |relay: &mut Relay| relay.next != index && !relay.broken;
        let relay = self.moved.wait_while(self.relay(), early).unwrap_or_else(PoisonError::into_inner);
        if relay.broken { Err(Stop::Unsound) } else { Ok(relay) }
    }

    fn relay(&self) -> MutexGuard<'_, Relay> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a thread's part. When it stops early, by a panic too, the others do not wait for it.
    fn freeing_others(&self, part: impl FnOnce() -> Result<(), Stop>) -> Result<(), Stop> {
        let mut ending = Ending { work: self, sound: false };
        let result = part();
        ending.sound = result.is_ok();
        result
    }
}

struct Ending<'a> {
    work: &'a Work<'a>,
    sound: bool,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if !self.sound {
            self.work.relay().broken = true;
            self.work.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests;
