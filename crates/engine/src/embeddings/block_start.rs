//! Where a block of a deflate stream begins, found without inflating what precedes it (RFC 1951, section 3.2).

use super::unknown::WINDOW;
use zlib_rs::{Inflate, InflateFlush, Status};

/// Bytes after a boundary in which a block has to begin. zlib's blocks of numbers have 20 KB, those of others ten times
/// as much.
pub(super) const SEARCHED: usize = 512 << 10;
/// Deflated bytes that have to inflate without an error behind a supposed beginning, and what they may give.
pub(super) const TRIED: usize = 64 << 10;
const TRIED_OUTPUT: usize = 4 * TRIED;
/// What is tried at first, which refuses nearly all: more than the longest header of a block.
const GLANCE: usize = 512;
/// Bytes that are tried in all; numbers of a model need a fortieth. It bounds what a stream full of headers takes.
const PATIENCE: usize = 4 << 20;

/// The first bit of `bytes` where a block with codes of its own seems to begin; `None` if none is found in the first
/// [`SEARCHED`] bytes. Such a block has a header that random bits rarely make, so what inflates from there is very
/// likely right; only the checksum of everything proves it.
pub(super) fn find(bytes: &[u8]) -> Option<usize> {
    let mut inflate = Inflate::new(false, 15);
    let mut output = vec![0; TRIED_OUTPUT];
    let mut input = Vec::with_capacity(TRIED + 1);
    let mut tried = 0;
    let mut inflates = |bit: usize, length: usize| {
        tried += length;
        let rest = &bytes[bit / 8..];
        input.clear();
        input.extend_from_slice(&rest[..rest.len().min(length)]);
        align(&mut input, bit % 8);
        inflate.reset(false);
        // distances reach back into what is not known here
        if tried > PATIENCE || inflate.set_dictionary(&[0; WINDOW]).is_err() {
            return false;
        }
        match inflate.decompress(&input, &mut output, InflateFlush::NoFlush) {
            Ok(Status::Ok | Status::BufError) => true,
            // the end of the whole stream, where aligning may have left a byte without bits
            Ok(Status::StreamEnd) => inflate.total_in() as usize + 1 >= input.len(),
            Err(_) => false,
        }
    };
    for (at, word) in bytes.windows(16).take(SEARCHED).enumerate() {
        let word = u128::from_le_bytes(word.try_into().expect("windows of 16 bytes"));
        for bit in 0..8 {
            let start = at * 8 + bit;
            if may_be_header(word >> bit) && inflates(start, GLANCE) && inflates(start, TRIED) {
                return Some(start);
            }
        }
    }
    None
}

/// Whether bits can be the header of a block that is not the last one and has codes of its own: `BFINAL` 0, `BTYPE` 2,
/// counts in range, and a code for the codes' lengths in which no bits are to spare.
fn may_be_header(bits: u128) -> bool {
    let (literals, distances, lengths) = (bits >> 3 & 31, bits >> 8 & 31, 4 + (bits >> 13 & 15));
    if bits & 7 != 0b100 || literals > 29 || distances > 29 {
        return false;
    }
    let length = |at: u128| (bits >> (17 + 3 * at) & 7) as u32;
    (0..lengths).map(length).filter(|&length| length > 0).map(|length| 128 >> length).sum::<u32>() == 128
}

/// Drops the first `bits` (0 to 7) bits: the inflater begins at a whole byte.
pub(super) fn align(bytes: &mut [u8], bits: usize) {
    if bits == 0 {
        return;
    }
    for at in 1..bytes.len() {
        bytes[at - 1] = bytes[at - 1] >> bits | bytes[at] << (8 - bits);
    }
    if let Some(last) = bytes.last_mut() {
        *last >>= bits;
    }
}
