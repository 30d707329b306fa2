//! What this machine can do at most: 8-bit products a second, and bytes read a second from memory.
//!
//! `limits [THREADS]` prints one JSON line: `int8` in Gop/s (a product and a sum are two), `read` in GB/s over 1 GiB of
//! huge pages and `read_small_pages` over the same without, best of several rounds.
#![allow(unsafe_code, clippy::print_stdout, clippy::unwrap_used)] // a measuring program

use std::{hint::black_box, sync::Barrier, thread, time::Instant};

use memmap2::{Advice, MmapMut};

const ROUNDS: usize = 5;
const BYTES: usize = 1 << 30;

fn main() {
    let threads = std::env::args().nth(1).map_or(1, |arg| arg.parse().unwrap());
    let int8 = best(|| rate(threads, |_| (0..200).map(|_| products()).sum::<u64>() as f64)) / 1e9;
    let read = |huge: bool| {
        let mut memory = MmapMut::map_anon(BYTES).unwrap();
        #[cfg(target_os = "linux")]
        let _ = memory.advise(if huge { Advice::HugePage } else { Advice::NoHugePage });
        memory.fill(1);
        let part = BYTES / threads / 4096 * 4096;
        best(|| rate(threads, |n| sum(&memory[n * part..][..part]) as f64)) / 1e9
    };
    let (huge, small) = (read(true), read(false));
    println!(
        "{{\"threads\":{threads},\"int8\":{int8:.0},\"read\":{huge:.1},\"read_small_pages\":{small:.1}}}"
    );
}

fn best(measure: impl Fn() -> f64) -> f64 {
    (0..ROUNDS).map(|_| measure()).fold(0.0, f64::max)
}

/// Units of work a second when every thread does `work(n)`, which returns how much it was.
fn rate(threads: usize, work: impl Fn(usize) -> f64 + Sync) -> f64 {
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        let run = |n| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                let started = Instant::now();
                work(n) / started.elapsed().as_secs_f64()
            })
        };
        let handles: Vec<_> = (0..threads).map(run).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).sum()
    })
}

/// Reads all of it; returns how many bytes that was.
fn sum(bytes: &[u8]) -> u64 {
    let mut sums = [0u64; 8];
    for chunk in bytes.as_chunks::<64>().0 {
        for (sum, word) in sums.iter_mut().zip(chunk.as_chunks::<8>().0) {
            *sum ^= u64::from_ne_bytes(*word);
        }
    }
    black_box(sums);
    bytes.len() as u64
}

/// 8-bit dot products in registers with the widest instruction there is; returns the operations done.
#[cfg(target_arch = "x86_64")]
fn products() -> u64 {
    const STEPS: u64 = 20_000;
    #[target_feature(enable = "avx512f,avx512vnni")]
    fn vnni() -> u64 {
        use std::arch::x86_64::*;
        let mut sums = [_mm512_setzero_si512(); 16];
        let (a, b) = (_mm512_set1_epi8(black_box(3)), _mm512_set1_epi8(black_box(1)));
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, a, b);
            }
        }
        black_box(sums);
        STEPS * 16 * 128
    }
    #[target_feature(enable = "avx2")]
    fn pairs() -> u64 {
        use std::arch::x86_64::*;
        let mut sums = [_mm256_setzero_si256(); 8];
        let (a, b) = (_mm256_set1_epi8(black_box(3)), _mm256_set1_epi8(black_box(1)));
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm256_add_epi16(*sum, _mm256_maddubs_epi16(a, black_box(b)));
            }
        }
        black_box(sums);
        STEPS * 8 * 64
    }
    if is_x86_feature_detected!("avx512vnni") {
        // SAFETY: just detected.
        unsafe { vnni() }
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: just detected.
        unsafe { pairs() }
    } else {
        plain()
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn products() -> u64 {
    plain()
}

fn plain() -> u64 {
    let (a, b) = (black_box([3i8; 4096]), black_box([1i8; 4096]));
    let sum: i32 = a.iter().zip(&b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
    black_box(sum);
    8192
}
