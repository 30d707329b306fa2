//! Rotary position embedding (Su et al. 2021): neighbouring values form a pair.
//!
//! Files that pair a value with the one half a rotated width away are re-ordered at load (`weights/order.rs`).

use crate::config::Config;

/// Frequencies of the rotation, one a pair of values.
#[derive(Clone, Debug)]
pub(crate) struct Rope {
    frequencies: Vec<f64>,
    /// Those of sequences with room for more positions than this.
    long: Option<(usize, Vec<f64>)>,
    /// Factor on both sine and cosine.
    magnitude: f64,
}

impl Rope {
    /// Pair `i` of `dim` values turns by `base^(-2i/dim)` a position, divided by its factor where there are some.
    pub(crate) fn new(config: &Config) -> Self {
        let (dim, base, scaling) = (config.rope_dim, config.rope_base, &config.rope_scaling);
        let frequencies = |factors: &[f32]| -> Vec<f64> {
            let factor = |i: usize| factors.get(i).map_or(1.0, |factor| f64::from(*factor));
            (0..dim / 2).map(|i| base.powf(-2.0 * i as f64 / dim as f64) / factor(i)).collect()
        };
        Self {
            frequencies: frequencies(&scaling.factors),
            long: scaling.long.as_ref().map(|long| (long.above, frequencies(&long.factors))),
            magnitude: scaling.magnitude,
        }
    }

    /// `[cos, sin]` of every pair at `position` of a sequence with room for `capacity`, into `out`.
    ///
    /// The capacity decides, not the length so far: keys that are in the cache already cannot be rotated anew.
    pub(crate) fn angles(&self, capacity: usize, position: usize, out: &mut Vec<[f32; 2]>) {
        let frequencies = match &self.long {
            Some((above, long)) if capacity > *above => long,
            _ => &self.frequencies,
        };
        out.clear();
        out.extend(frequencies.iter().map(|frequency| {
            let (sin, cos) = (position as f64 * frequency).sin_cos();
            [(cos * self.magnitude) as f32, (sin * self.magnitude) as f32]
        }));
    }
}

/// Rotates the first values of each head in `heads` (heads of `head_dim` values, one position).
pub(crate) fn rotate(heads: &mut [f32], head_dim: usize, angles: &[[f32; 2]]) {
    for head in heads.chunks_exact_mut(head_dim) {
        for (pair, [cos, sin]) in head.chunks_exact_mut(2).zip(angles) {
            let (a, b) = (pair[0], pair[1]);
            pair[0] = a * cos - b * sin;
            pair[1] = a * sin + b * cos;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_zero_changes_nothing_and_lengths_are_kept() {
        let frequencies = vec![1.0, 0.01];
        let rope = Rope { frequencies, long: Some((8, vec![0.5, 0.5])), magnitude: 1.0 };
        let (mut angles, start) = (Vec::new(), [1.0, 2.0, 3.0, 4.0, 9.0]);
        rope.angles(8, 0, &mut angles);
        let mut head = start;
        rotate(&mut head, 5, &angles);
        assert_eq!(head, start);
        rope.angles(8, 1, &mut angles);
        rotate(&mut head, 5, &angles);
        // the first pair turns by one radian, values beyond the rotated ones stay
        assert!((head[0] - (1f32.cos() - 2.0 * 1f32.sin())).abs() < 1e-6);
        assert!((head[0].powi(2) + head[1].powi(2) - 5.0).abs() < 1e-5);
        assert_eq!(head[4], 9.0);
        rope.angles(9, 1, &mut angles);
        assert!((angles[0][0] - 0.5f32.cos()).abs() < 1e-6);
    }
}
