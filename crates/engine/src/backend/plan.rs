//! What of a KV cache a new prompt can keep.

use std::time::Duration;

/// Length of the longest common prefix, less one where it is the whole prompt: the last token is run again, since
/// its logits are wanted.
pub(super) fn common_prefix(held: &[u32], prompt: &[u32]) -> usize {
    let common = held.iter().zip(prompt).take_while(|(a, b)| a == b).count();
    common.min(prompt.len().saturating_sub(1))
}

/// Measured costs of a device that can only append one row or start anew with the whole prompt.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Costs {
    /// Of appending a row.
    append: Option<Duration>,
    /// Of a row in a run of many.
    replay: Option<Duration>,
}

/// Weight of the newest measurement.
const NEWEST: f64 = 0.25;

impl Costs {
    /// Takes a measurement in: `rows` rows took `elapsed`.
    pub(super) fn measured(&mut self, rows: usize, elapsed: Duration) {
        let per_row = elapsed.div_f64(rows.max(1) as f64);
        let known = if rows > 1 { &mut self.replay } else { &mut self.append };
        *known = Some(known.map_or(per_row, |old| old.mul_f64(1.0 - NEWEST) + per_row.mul_f64(NEWEST)));
    }

    /// Whether to append the prompt's tokens from `held` on instead of running all `prompt` tokens again.
    ///
    /// Before both costs are known a row alone is taken to cost as much as eight in a run: decoding reads all
    /// weights for one row, a prompt pass for many.
    pub(super) fn prefer_append(&self, held: usize, prompt: usize) -> bool {
        const GUESS: f64 = 8.0;
        let ratio = match (self.append, self.replay) {
            (Some(append), Some(replay)) if !replay.is_zero() => append.as_secs_f64() / replay.as_secs_f64(),
            _ => GUESS,
        };
        (prompt - held) as f64 * ratio <= prompt as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_token_of_a_prompt_is_always_run() {
        assert_eq!(common_prefix(&[1, 2, 3], &[1, 2, 3]), 2);
        assert_eq!(common_prefix(&[1, 2, 3, 4], &[1, 2, 9]), 2);
        assert_eq!(common_prefix(&[], &[1]), 0);
        assert_eq!(common_prefix(&[1], &[1]), 0);
    }

    #[test]
    fn appending_pays_while_few_tokens_are_new() {
        let mut costs = Costs::default();
        assert!(costs.prefer_append(90, 100));
        assert!(!costs.prefer_append(80, 100));
        // a device whose prompt pass is no faster than decoding: appending always pays
        costs.measured(1, Duration::from_millis(10));
        costs.measured(100, Duration::from_millis(1000));
        assert!(costs.prefer_append(1, 100));
        // and one whose prompt pass costs next to nothing
        let mut costs = Costs::default();
        costs.measured(1, Duration::from_millis(10));
        costs.measured(100, Duration::from_millis(10));
        assert!(!costs.prefer_append(98, 100));
        assert!(costs.prefer_append(99, 100));
    }
}
