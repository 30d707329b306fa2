//! Inflating from the middle of a stream, where the bytes before are not known yet.
//!
//! A block may copy from the 32 KiB before it, the window. What lies there is known when the segment before is inflated,
//! which happens at the same time. So the beginning of a segment is inflated twice, with two invented windows:
//!
//! - in the first, byte `i` is `i mod 256`;
//! - in the second, it is that and `1 + i / 256` more, again modulo 256.
//!
//! The two differ in every byte, by 1 to 128, and the two values of a byte tell its `i`. Both runs decode the same
//! symbols, as a copy is one whatever it copies. Where their outputs are the same, the byte came out of the stream itself;
//! where they differ, it is a copy, perhaps of a copy, of the window's byte `i`, which [`resolve`] puts in once the window
//! is known. Once the last 32 KiB of both are the same, nothing unknown can be copied any more, and one run goes on alone.

use zlib_rs::{Inflate, InflateFlush, Status};

/// How far a copy reaches back.
pub(super) const WINDOW: usize = 32 << 10;
/// Bytes that the two runs give before they are compared.
const STEP: usize = 2 * WINDOW;

/// Inflates one segment after the other.
pub(super) struct Inflater {
    runs: [Inflate; 2],
    windows: [Box<[u8]>; 2],
    /// Of either run; as long as was ever needed.
    pub outputs: [Vec<u8>; 2],
}

/// How much of the two outputs counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inflated {
    /// Bytes of the segment, in the first output.
    pub length: usize,
    /// Bytes at the beginning that need both outputs.
    pub unknown: usize,
    /// Whether the stream ends here.
    pub ends: bool,
}

impl Inflater {
    pub fn new() -> Self {
        let window = |step: usize| (0..WINDOW).map(|at| (at + step * (1 + (at >> 8))) as u8).collect();
        Self {
            runs: [0, 1].map(|_| Inflate::new(false, 15)),
            windows: [window(0), window(1)],
            outputs: [vec![], vec![]],
        }
    }

    /// Inflates `input`, which begins with a block; `first` says that nothing precedes it. `None` if it is not sound or
    /// gives `most` bytes or more; that is at least a window.
    pub fn inflate(&mut self, input: &[u8], first: bool, most: usize) -> Option<Inflated> {
        let mut inflated = Inflated { length: 0, unknown: 0, ends: false };
        for (run, window) in self.runs.iter_mut().zip(&self.windows) {
            run.reset(false);
            if !first {
                run.set_dictionary(window).ok()?;
            }
        }
        let mut known = first;
        while !known {
            let room = inflated.length..most.min(inflated.length + STEP);
            if room.is_empty() {
                return None;
            }
            let mut ends = [false; 2];
            for ((run, output), ends) in self.runs.iter_mut().zip(&mut self.outputs).zip(&mut ends) {
                output.resize(output.len().max(room.end), 0);
                *ends = step(run, input, &mut output[room.clone()])?;
            }
            let [length, other] = self.runs.each_ref().map(|run| run.total_out() as usize);
            if length != other || ends[0] != ends[1] {
                return None;
            }
            inflated = Inflated { length, unknown: length, ends: ends[0] };
            if length < room.end {
                return Some(inflated);
            }
            let [one, two] = self.outputs.each_ref().map(|output| &output[length - WINDOW..length]);
            known = one == two;
        }
        let ([run, _], [output, _]) = (&mut self.runs, &mut self.outputs);
        // numbers of a model come out a third longer than they went in
        let likely = (input.len() * 3 / 2).max(inflated.length + STEP).min(most);
        output.resize(output.len().max(likely), 0);
        loop {
            inflated.ends = step(run, input, &mut output[inflated.length..])?;
            inflated.length = run.total_out() as usize;
            if inflated.length < output.len() {
                return Some(inflated);
            }
            if output.len() >= most {
                return None;
            }
            output.resize(most.min(output.len() * 2), 0);
        }
    }
}

/// Goes on until `output` is full or the input used up; whether the stream ends there.
fn step(run: &mut Inflate, input: &[u8], output: &mut [u8]) -> Option<bool> {
    let rest = &input[run.total_in() as usize..];
    Some(run.decompress(rest, output, InflateFlush::NoFlush).ok()? == Status::StreamEnd)
}

/// Puts the bytes of the window into `one`, where it is not what `two` is.
pub(super) fn resolve(one: &mut [u8], two: &[u8], window: &[u8; WINDOW]) {
    for (byte, &other) in one.iter_mut().zip(two) {
        if *byte != other {
            let page = usize::from(other.wrapping_sub(*byte).wrapping_sub(1));
            *byte = window[(page << 8 | usize::from(*byte)) % WINDOW];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_values_of_a_byte_tell_which_of_the_window_it_is() {
        let window: [u8; WINDOW] = std::array::from_fn(|at| ((at * at) >> 7) as u8);
        let mut bytes = Inflater::new().windows;
        let [one, two] = &mut bytes;
        assert!(one.iter().zip(two.iter()).all(|(one, two)| one != two));
        resolve(one, two, &window);
        assert!(**one == window);
        // what is the same in both is not of the window
        resolve(one, &window, &[7; WINDOW]);
        assert!(**one == window);
    }
}
