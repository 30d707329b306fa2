//! `open_embeddings FILE`: how long an embeddings file takes to open, and what memory it holds afterwards, as JSON.
//! `benchmarks/embeddings.py` runs it beside NumPy.
#![allow(clippy::print_stdout)]

use std::{env, error::Error, fs, path::Path, time::Instant};

use engine::Embeddings;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("usage: open_embeddings FILE")?;
    let before = resident("VmRSS:");
    let start = Instant::now();
    let embeddings = Embeddings::open(Path::new(&path))?;
    let seconds = start.elapsed().as_secs_f64();
    let held = resident("VmRSS:").saturating_sub(before);
    let mut rows = Vec::new();
    let ids: Vec<u32> = (0..64).map(|at| at * 7919 % embeddings.vocab_size() as u32).collect();
    let start = Instant::now();
    embeddings.gather(&ids, &mut rows)?;
    let gather = start.elapsed().as_secs_f64();
    let (peak, mapped) = (resident("VmHWM:"), embeddings.why_resident().is_none());
    println!(
        "{{\"seconds\": {seconds}, \"held_kib\": {held}, \"peak_kib\": {peak}, \"gather_64_seconds\": {gather}, \
         \"mapped\": {mapped}}}"
    );
    Ok(())
}

/// A figure of this process in KiB; 0 where the system does not tell.
fn resident(figure: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(figure));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
