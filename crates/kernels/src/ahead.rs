//! What threads ask the memory for while they wait for each other.

use std::{
    ops::Range,
    ptr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Matrices of one loop that are asked for, at most.
const MOST: usize = 3;
/// Bytes that are asked for at a time; then a thread looks whether its waiting has ended.
const STEP: usize = 256;
/// Bytes of a share that are asked for, at most: half of a second-level cache. More would push out what was asked for first.
const HELD: usize = 512 << 10;

/// The weights that the next loop reads. Each thread asks for those of its own share, into its second-level cache.
///
/// It holds addresses, not references, and nothing is read through them: weights that are gone by now, or addresses of one
/// list with lengths of another, cost a little time and nothing else.
#[derive(Default)]
#[repr(align(64))] // one cache line
pub(crate) struct Ahead {
    /// Counts the calls of [`Ahead::set`].
    version: AtomicUsize,
    /// Whether each thread reads a part of every matrix, not of all one after the other.
    each: AtomicBool,
    /// Address and length of each matrix.
    pieces: [(AtomicUsize, AtomicUsize); MOST],
}

/// How far a thread is with its share, in bytes of all pieces one after the other, or of its parts of them.
#[derive(Default)]
pub(crate) struct Progress {
    version: usize,
    at: usize,
    end: usize,
}

impl Ahead {
    /// The next loop reads these, in this order, each thread an equal part of all together or of `each`.
    pub(crate) fn set<'a>(&self, each: bool, mut pieces: impl Iterator<Item = &'a [u8]>) {
        self.each.store(each, Ordering::Relaxed);
        for (address, len) in &self.pieces {
            let piece = pieces.next().unwrap_or_default();
            address.store(piece.as_ptr().addr(), Ordering::Relaxed);
            len.store(piece.len(), Ordering::Relaxed);
        }
        // one thread at a time does this, or a call is missed: nothing waits for the line here
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Release);
    }

    /// Asks for a little of what thread `own` of `threads` reads next; false where it has asked for all.
    pub(crate) fn ask(&self, of: (usize, usize), progress: &mut Progress) -> bool {
        let next = self.next(of, progress);
        #[cfg(target_arch = "x86_64")]
        if let Some(from) = next {
            crate::x86::prefetch_far(from, STEP);
        }
        next.is_some()
    }

    /// The next [`STEP`] bytes of a share.
    fn next(&self, (own, threads): (usize, usize), progress: &mut Progress) -> Option<*const u8> {
        let version = self.version.load(Ordering::Acquire);
        let each = self.each.load(Ordering::Relaxed);
        let own = |len: usize| len * own / threads..len * (own + 1) / threads;
        let lens = self.pieces.iter().map(|(_, len)| len.load(Ordering::Relaxed));
        let parts = lens.map(|len| if each { own(len) } else { 0..len });
        if version != progress.version {
            let all = parts.clone().map(|part| part.len()).sum();
            let Range { start: at, end } = if each { 0..all } else { own(all) };
            *progress = Progress { version, at, end: end.min(at + HELD) };
        }
        let mut offset = progress.at;
        if offset >= progress.end {
            return None;
        }
        progress.at += STEP;
        for ((address, _), part) in self.pieces.iter().zip(parts) {
            if offset < part.len() {
                let address = ptr::without_provenance::<u8>(address.load(Ordering::Relaxed));
                return Some(address.wrapping_add(part.start + offset));
            }
            offset -= part.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_ask_for_their_shares_once_and_for_new_ones_anew() {
        let (ahead, pieces) = (Ahead::default(), [vec![0; 1024], vec![0; 3072]]);
        let asked = |own: usize, progress: &mut Progress| {
            std::iter::from_fn(|| ahead.next((own, 2), progress)).collect::<Vec<_>>()
        };
        let [mut first, mut second] = [Progress::default(), Progress::default()];
        assert!(asked(0, &mut first).is_empty(), "nothing is known yet");
        for _ in 0..2 {
            ahead.set(false, pieces.iter().map(|piece| &piece[..]));
            let steps = |piece: usize, range: std::ops::Range<usize>| {
                range.step_by(STEP).map(move |at| (piece, at)).collect::<Vec<_>>()
            };
            let place = |from: *const u8| {
                let within = |piece: &Vec<u8>| piece.as_ptr_range().contains(&from);
                let piece = pieces.iter().position(within).expect("an address of the pieces");
                (piece, from.addr() - pieces[piece].as_ptr().addr())
            };
            let places = |asked: Vec<*const u8>| asked.into_iter().map(place).collect::<Vec<_>>();
            assert_eq!(places(asked(0, &mut first)), [steps(0, 0..1024), steps(1, 0..1024)].concat());
            assert_eq!(places(asked(1, &mut second)), steps(1, 1024..3072));
            assert!(!ahead.ask((0, 2), &mut first) && !ahead.ask((1, 2), &mut second), "all is asked for");
            ahead.set(true, pieces.iter().map(|piece| &piece[..]));
            assert_eq!(places(asked(0, &mut first)), [steps(0, 0..512), steps(1, 0..1536)].concat());
            assert_eq!(places(asked(1, &mut second)), [steps(0, 512..1024), steps(1, 1536..3072)].concat());
        }
    }

    #[test]
    fn a_thread_asks_for_no_more_than_its_cache_holds() {
        let (ahead, piece) = (Ahead::default(), vec![0; 4 * HELD]);
        ahead.set(false, std::iter::once(&piece[..]));
        let mut progress = Progress::default();
        let asked: Vec<_> = std::iter::from_fn(|| ahead.next((1, 2), &mut progress)).collect();
        assert_eq!((asked.len() * STEP, asked[0]), (HELD, piece[2 * HELD..].as_ptr()));
    }
}
