//! One team of threads that share a loop.
//!
//! Each thread has a share of the rounds and begins with it, whatever the loop: where rounds are tokens, a thread meets
//! the values again that it wrote itself. Cores may lie so far apart that reading each other's costs more than the
//! work. Who is done takes what others have left.
//!
//! The caller works too. A worker joins a loop only if it comes in time: the caller never waits for a thread that
//! the system has put aside, only for those that hold a piece of work. Between loops the workers spin for some
//! microseconds (a decoder starts its next loop within that), then yield, then sleep. Who waits asks the memory for what
//! it reads next, where the caller has said so.
#![allow(unsafe_code)]

use std::{
    cell::UnsafeCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::ahead::{Ahead, Progress};

/// Rounds of busy waiting, some tens of microseconds, before a worker gives its core up.
const SPINS: u32 = 4_000;
/// Rounds of yielding after that, before it sleeps.
const YIELDS: u32 = 64;

/// Bit of `state` that says a loop is open for joining; the workers inside are counted below it, the loops above.
const OPEN: u64 = 1 << 31;
const LOOP: u64 = 1 << 32;
const INSIDE: u64 = OPEN - 1;

/// A loop body, its lifetime erased while the loop runs.
type Body = *const (dyn Fn(usize) + Sync);

#[repr(C, align(64))] // state and job in one cache line: who sees the one has the other
struct Shared {
    state: AtomicU64,
    /// The body and the number of its rounds; written only while no loop is open and nobody is inside.
    job: UnsafeCell<(Option<Body>, usize)>,
    /// For each thread, how many rounds of its share are taken.
    taken: Box<[Taken]>,
    /// What threads ask for while they wait.
    ahead: Ahead,
    panicked: AtomicBool,
    stop: AtomicBool,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

/// A counter in a cache line of its own.
#[repr(align(64))]
struct Taken(AtomicUsize);

// SAFETY: `job` is written by the one caller that holds `Pool::running`, before it opens the loop with a release
// store and after the last worker has left; workers read it only between joining (acquire) and leaving. The body
// itself is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; the raw pointer in `job` is never used outside an open loop.
unsafe impl Send for Shared {}

/// A pool of `threads` threads, the caller among them.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the caller of a loop, with how far it is in asking ahead.
    running: Mutex<Progress>,
}

impl Pool {
    /// A pool of `threads` (at least one: the caller).
    pub(crate) fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            job: UnsafeCell::new((None, 0)),
            taken: (0..threads.max(1)).map(|_| Taken(AtomicUsize::new(0))).collect(),
            ahead: Ahead::default(),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        });
        let workers = (1..threads)
            .map_while(|n| {
                let shared = Arc::clone(&shared);
                // a system that refuses threads gets a smaller pool, not a failure
                thread::Builder::new().name(format!("axllm-{n}")).spawn(move || shared.work(n)).ok()
            })
            .collect();
        Self { shared, workers, running: Mutex::default() }
    }

    /// How many threads share a loop.
    pub(crate) fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Says what the loop after the next one reads, in the order of its rounds: threads that wait ask the memory for it.
    pub(crate) fn expect<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) {
        self.shared.ahead.set(false, pieces);
    }

    /// The same, where a round reads a part of each of them.
    pub(crate) fn expect_each<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) {
        self.shared.ahead.set(true, pieces);
    }

    /// Calls `body(0)` … `body(rounds - 1)`, each once, on any of the threads; returns when all are done.
    ///
    /// # Panics
    /// When a round panics, after the others have ended.
    pub(crate) fn run(&self, rounds: usize, body: &(dyn Fn(usize) + Sync)) {
        if self.workers.is_empty() || rounds < 2 {
            return (0..rounds).for_each(body);
        }
        let mut progress = lock(&self.running);
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. The pointer is used by threads that are inside the loop, and `close`
        // below returns only when none is.
        let body: Body = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), Body>(body) };
        // SAFETY: no loop is open and nobody is inside, see `Shared`.
        unsafe { *shared.job.get() = (Some(body), rounds) };
        let loops = shared.state.load(Ordering::Relaxed) & !(OPEN | INSIDE);
        shared.state.store(loops.wrapping_add(LOOP) | OPEN, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            let _lock = lock(&shared.lock);
            shared.wake.notify_all();
        }
        // SAFETY: the body outlives this call.
        let own = catch_unwind(AssertUnwindSafe(|| unsafe { shared.take_rounds(0, body, rounds) }));
        shared.close(&mut progress);
        if let Err(panic) = own {
            shared.panicked.store(false, Ordering::Relaxed);
            resume_unwind(panic);
        }
        assert!(!shared.panicked.swap(false, Ordering::Relaxed), "a thread of the pool panicked");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        {
            let _lock = lock(&self.shared.lock);
            self.shared.wake.notify_all();
        }
        for worker in self.workers.drain(..) {
            // a worker catches the panics of the bodies, so it has nothing to report
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// The rounds of thread `own`'s share, then what is left of the others'.
    ///
    /// # Safety
    /// `body` is alive: the caller is inside the loop.
    unsafe fn take_rounds(&self, own: usize, body: Body, rounds: usize) {
        let threads = self.taken.len();
        for of in (own..threads).chain(0..own) {
            let (from, to) = (rounds * of / threads, rounds * (of + 1) / threads);
            loop {
                let round = from + self.taken[of].0.fetch_add(1, Ordering::Relaxed);
                if round >= to {
                    break;
                }
                // SAFETY: handed on from the caller.
                unsafe { (*body)(round) };
            }
        }
    }

    /// Lets nobody in any more and waits for those inside.
    fn close(&self, progress: &mut Progress) {
        let mut patience = 0;
        let mut state = self.state.fetch_and(!OPEN, Ordering::AcqRel);
        while state & INSIDE != 0 {
            self.wait(0, progress, &mut patience);
            state = self.state.load(Ordering::Acquire);
        }
        // for the next loop, but now: these lines lie with the other cores
        self.taken.iter().for_each(|taken| taken.0.store(0, Ordering::Relaxed));
    }

    fn work(&self, own: usize) {
        let mut patience = 0;
        let mut last = 0;
        let mut progress = Progress::default();
        while !self.stop.load(Ordering::Relaxed) {
            let state = self.state.load(Ordering::Acquire);
            if state & OPEN != 0 && state / LOOP != last {
                // beside the line of the state, not after it
                #[cfg(target_arch = "x86_64")]
                crate::x86::prefetch_write(ptr::from_ref(&self.taken[own]).cast(), 1);
                let joined =
                    self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed);
                if joined.is_ok() {
                    last = state / LOOP;
                    patience = 0;
                    self.join(own);
                }
            } else if !self.wait(own, &mut progress, &mut patience) {
                self.sleep(state);
                patience = 0;
            }
        }
    }

    /// Waits a little, or asks for a little of what comes next; false once patience is spent.
    fn wait(&self, own: usize, progress: &mut Progress, patience: &mut u32) -> bool {
        self.ahead.ask((own, self.taken.len()), progress) || pause(patience)
    }

    fn join(&self, own: usize) {
        // SAFETY: this thread is counted inside, so the job stays as it is until it leaves.
        let (body, rounds) = unsafe { *self.job.get() };
        if let Some(body) = body {
            // SAFETY: as above.
            let done = catch_unwind(AssertUnwindSafe(|| unsafe { self.take_rounds(own, body, rounds) }));
            if done.is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
        }
        self.state.fetch_sub(1, Ordering::Release);
    }

    /// Sleeps until another loop than the one of `seen` is opened.
    fn sleep(&self, seen: u64) {
        let mut guard = lock(&self.lock);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while self.state.load(Ordering::SeqCst) / LOOP == seen / LOOP && !self.stop.load(Ordering::SeqCst) {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits a little; false once patience is spent.
fn pause(patience: &mut u32) -> bool {
    *patience = patience.saturating_add(1);
    if *patience <= SPINS {
        std::hint::spin_loop();
    } else {
        thread::yield_now();
    }
    *patience <= SPINS + YIELDS
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_runs_once() {
        let pool = Pool::new(4);
        for rounds in [0, 1, 2, 3, 100, 1000] {
            let counts: Vec<_> = (0..rounds).map(|_| AtomicUsize::new(0)).collect();
            for _ in 0..50 {
                pool.run(rounds, &|n| {
                    counts[n].fetch_add(1, Ordering::Relaxed);
                });
            }
            assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 50));
        }
    }

    #[test]
    fn sleepers_wake_for_the_next_loop() {
        let pool = Pool::new(3);
        for _ in 0..5 {
            thread::sleep(std::time::Duration::from_millis(20));
            let total = AtomicUsize::new(0);
            pool.run(64, &|n| {
                total.fetch_add(n, Ordering::Relaxed);
            });
            assert_eq!(total.into_inner(), 64 * 63 / 2);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            pool.run(8, &|n| assert_ne!(n, 5, "round five"));
        }));
        assert!(failed.is_err());
        let total = AtomicUsize::new(0);
        pool.run(8, &|_| {
            total.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(total.into_inner(), 8);
    }
}
