//! Rotary position embedding (Su et al. 2021) in GGUF's order for Llama: neighbouring values form a pair.

/// Frequencies of the rotation, one a pair of values.
#[derive(Clone, Debug)]
pub(crate) struct Rope {
    frequencies: Vec<f64>,
}

impl Rope {
    /// Pair `i` of `dim` values turns by `base^(-2i/dim)` a position, divided by its factor where there are some.
    pub(crate) fn new(dim: usize, base: f64, factors: Option<&[f32]>) -> Self {
        let frequency = |i: usize| {
            let factor = factors.map_or(1.0, |factors| f64::from(factors[i]));
            base.powf(-2.0 * i as f64 / dim as f64) / factor
        };
        Self { frequencies: (0..dim / 2).map(frequency).collect() }
    }

    /// `[cos, sin]` of every pair at `position`, into `out`.
    pub(crate) fn angles(&self, position: usize, out: &mut Vec<[f32; 2]>) {
        out.clear();
        out.extend(self.frequencies.iter().map(|frequency| {
            let (sin, cos) = (position as f64 * frequency).sin_cos();
            [cos as f32, sin as f32]
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
        let rope = Rope::new(4, 10_000.0, None);
        let (mut angles, start) = (Vec::new(), [1.0, 2.0, 3.0, 4.0, 9.0]);
        rope.angles(0, &mut angles);
        let mut head = start;
        rotate(&mut head, 5, &angles);
        assert_eq!(head, start);
        rope.angles(1, &mut angles);
        rotate(&mut head, 5, &angles);
        // the first pair turns by one radian, values beyond the rotated ones stay
        assert!((head[0] - (1f32.cos() - 2.0 * 1f32.sin())).abs() < 1e-6);
        assert!((head[0].powi(2) + head[1].powi(2) - 5.0).abs() < 1e-5);
        assert_eq!(head[4], 9.0);
    }
}
