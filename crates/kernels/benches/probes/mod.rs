//! Probes of what the machine can do at most, shared by `examples/limits.rs` and the benches.
#![allow(unsafe_code, dead_code, clippy::unwrap_used)] // measuring programs; each uses its part

use std::{
    hint::{black_box, spin_loop},
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Instant,
};

use memmap2::{Advice, MmapMut};

const ROUNDS: usize = 5;
const BYTES: usize = 1 << 30;

/// 8-bit products and sums on `threads` threads, in operations a second.
pub fn int8(threads: usize) -> f64 {
    multiplying(threads, products)
}

/// The same of 32-bit floats, without tiles.
pub fn floats(threads: usize) -> f64 {
    multiplying(threads, float_products)
}

/// Bytes a second that `threads` threads read from memory, in huge pages or small ones.
pub fn read(threads: usize, huge: bool) -> f64 {
    let mut memory = MmapMut::map_anon(BYTES).unwrap();
    #[cfg(target_os = "linux")]
    let _ = memory.advise(if huge { Advice::HugePage } else { Advice::NoHugePage });
    memory.fill(1);
    let part = BYTES / threads / 4096 * 4096;
    best(|| rate(threads, |n| sum(&memory[n * part..][..part]) as f64))
}

/// Nanoseconds that a cache line takes to another thread's core and back: several times as many where virtual cores lie on two chips
/// of a processor, which then read memory by two ways.
pub fn round_trip() -> f64 {
    const TIMES: u32 = 20_000;
    let line = AtomicU32::new(0);
    // thread 0 answers even numbers, thread 1 odd ones
    let answer = |first: u32| {
        for n in (first..2 * TIMES).step_by(2) {
            while line.load(Ordering::Acquire) != n {
                spin_loop();
            }
            line.store(n + 1, Ordering::Release);
        }
    };
    let round = || {
        line.store(0, Ordering::Release);
        let started = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| answer(1));
            answer(0);
        });
        f64::from(TIMES) / started.elapsed().as_secs_f64()
    };
    1e9 / best(round)
}

/// Operations a second, of which each call does as many as it returns.
fn multiplying(threads: usize, some: fn() -> u64) -> f64 {
    best(|| rate(threads, |_| (0..200).map(|_| some()).sum::<u64>() as f64))
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

/// Reads all of it with the widest loads there are; returns how many bytes that was.
fn sum(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f")]
        fn wide(bytes: &[u8]) {
            use std::arch::x86_64::*;
            let mut sums = [_mm512_setzero_si512(); 4];
            for line in bytes.as_chunks::<256>().0 {
                for (sum, bytes) in sums.iter_mut().zip(line.as_chunks::<64>().0) {
                    // SAFETY: 64 bytes are there.
                    *sum = _mm512_xor_si512(*sum, unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) });
                }
            }
            black_box(sums);
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: just detected.
            unsafe { wide(bytes) };
            return bytes.len() as u64;
        }
    }
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
                // a compiler would take the product, which is always the same, out of the loop
                // SAFETY: takes registers only.
                let product = unsafe {
                    let product;
                    std::arch::asm!("vpmaddubsw {}, {}, {}", out(ymm_reg) product, in(ymm_reg) a, in(ymm_reg) b);
                    product
                };
                *sum = _mm256_add_epi16(*sum, product);
            }
        }
        black_box(sums);
        STEPS * 8 * 64
    }
    /// Whole tiles: sixteen lines of 64 bytes with sixteen times sixteen sums.
    fn tiles() -> u64 {
        #[repr(align(64))]
        struct Config([u8; 64]);
        let mut config = Config([0; 64]);
        config.0[0] = 1;
        for tile in 0..8 {
            (config.0[16 + 2 * tile], config.0[48 + tile]) = (64, 16);
        }
        // SAFETY: the caller found AMX; a product takes registers only.
        unsafe {
            std::arch::asm!("ldtilecfg [{}]", in(reg) &raw const config);
            for _ in 0..STEPS {
                std::arch::asm!(
                    "tdpbssd tmm0, tmm4, tmm5",
                    "tdpbssd tmm1, tmm4, tmm5",
                    "tdpbssd tmm2, tmm4, tmm5",
                    "tdpbssd tmm3, tmm4, tmm5"
                );
            }
            std::arch::asm!("tilerelease");
        }
        STEPS * 4 * 2 * 16 * 16 * 64
    }
    if kernels::Isa::Amx.is_available() {
        tiles()
    } else if is_x86_feature_detected!("avx512vnni") {
        // SAFETY: just detected.
        unsafe { vnni() }
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: just detected.
        unsafe { pairs() }
    } else {
        plain()
    }
}

/// Products and sums of 32-bit floats in registers; returns the operations done.
#[cfg(target_arch = "x86_64")]
fn float_products() -> u64 {
    use std::arch::x86_64::*;
    const STEPS: u64 = 20_000;
    #[target_feature(enable = "avx512f")]
    fn wide() -> u64 {
        let mut sums = [_mm512_setzero_ps(); 16];
        let (a, b) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(1.0)));
        for _ in 0..STEPS {
            sums.iter_mut().for_each(|sum| *sum = _mm512_fmadd_ps(*sum, a, b));
        }
        black_box(sums);
        STEPS * 16 * 32
    }
    #[target_feature(enable = "avx2,fma")]
    fn narrow() -> u64 {
        let mut sums = [_mm256_setzero_ps(); 12];
        let (a, b) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(1.0)));
        for _ in 0..STEPS {
            sums.iter_mut().for_each(|sum| *sum = _mm256_fmadd_ps(*sum, a, b));
        }
        black_box(sums);
        STEPS * 12 * 16
    }
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: just detected.
        unsafe { wide() }
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: just detected.
        unsafe { narrow() }
    } else {
        plain_floats()
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn products() -> u64 {
    plain()
}

#[cfg(not(target_arch = "x86_64"))]
fn float_products() -> u64 {
    plain_floats()
}

/// As a compiler makes it.
fn plain() -> u64 {
    let (a, b) = (black_box([3i8; 4096]), black_box([1i8; 4096]));
    let sum: i32 = a.iter().zip(&b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
    black_box(sum);
    8192
}

fn plain_floats() -> u64 {
    let (a, b) = (black_box([0.5f32; 4096]), black_box([1.0f32; 4096]));
    let mut sums = [0.0f32; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    black_box(sums);
    8192
}
