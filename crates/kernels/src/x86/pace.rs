//! What vectors do piece by piece while tiles multiply step by step.

use std::ops::Range;

/// Hands out pieces of work evenly over some steps.
pub(super) struct Pace {
    /// How many pieces are handed out, of how many.
    done: usize,
    pieces: usize,
    /// In how many steps, and what counts up to them: one more piece is due then.
    steps: usize,
    due: usize,
}

impl Pace {
    pub(super) const fn new(pieces: usize, steps: usize) -> Self {
        Self { done: 0, pieces, steps, due: 0 }
    }

    /// The pieces that are due in the next step.
    #[inline(always)]
    pub(super) fn step(&mut self) -> Range<usize> {
        let first = self.done;
        self.due += self.pieces;
        while self.due >= self.steps && self.done < self.pieces {
            self.due -= self.steps;
            self.done += 1;
        }
        first..self.done
    }

    /// Those that are left.
    #[inline(always)]
    pub(super) fn rest(&mut self) -> Range<usize> {
        std::mem::replace(&mut self.done, self.pieces)..self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_handed_out_once_and_in_order_in_any_number_of_steps() {
        for (pieces, steps, taken) in (0..40).flat_map(|pieces| {
            (1..50).flat_map(move |steps| [steps / 2, steps, steps + 3].map(|taken| (pieces, steps, taken)))
        }) {
            let mut pace = Pace::new(pieces, steps);
            let mut got: Vec<usize> = Vec::new();
            for step in 1..=taken {
                got.extend(pace.step());
                assert_eq!(
                    got.len(),
                    (pieces * step / steps).min(pieces),
                    "{pieces} in {steps}, step {step}"
                );
            }
            got.extend(pace.rest());
            assert_eq!(got, (0..pieces).collect::<Vec<_>>());
            assert!(pace.step().is_empty() && pace.rest().is_empty());
        }
    }
}
