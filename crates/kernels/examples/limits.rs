//! What this machine can do at most: 8-bit products a second, and bytes read a second from memory.
//!
//! `limits [THREADS]` prints one JSON line: `int8` in Gop/s (a product and a sum are two), `read` in GB/s over 1 GiB of
//! huge pages and `read_small_pages` over the same without, `round_trip` of a cache line between two cores in ns, best of several
//! rounds.
#![allow(clippy::print_stdout, clippy::unwrap_used)] // a measuring program

#[path = "../benches/probes/mod.rs"]
mod probes;

fn main() {
    let threads = std::env::args().nth(1).map_or(1, |arg| arg.parse().unwrap());
    let (int8, huge, small) =
        (probes::int8(threads), probes::read(threads, true), probes::read(threads, false));
    println!(
        "{{\"threads\":{threads},\"int8\":{:.0},\"read\":{:.1},\"read_small_pages\":{:.1},\"round_trip\":{:.0}}}",
        int8 / 1e9,
        huge / 1e9,
        small / 1e9,
        probes::round_trip()
    );
}
