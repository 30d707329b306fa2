//! Which row of a query or key matrix becomes which, so that values that are rotated together are neighbours.

use crate::config::Config;

/// Row of the file for each row of the packed matrix.
///
/// Queries and keys are permuted alike, so their products stay as they are. Values beyond the rotated ones stay where
/// they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    head_dim: usize,
    /// 0 where the file's order is ours.
    rotated: usize,
}

impl Order {
    pub(super) fn of(config: &Config) -> Self {
        Self { head_dim: config.head_dim, rotated: if config.rope_halves { config.rope_dim } else { 0 } }
    }

    pub(super) fn row(self, row: usize) -> usize {
        let within = row % self.head_dim;
        if within >= self.rotated {
            return row;
        }
        row - within + within / 2 + within % 2 * (self.rotated / 2)
    }

    /// A vector in our order.
    pub(super) fn vector(self, values: &[f32]) -> Vec<f32> {
        (0..values.len()).map(|row| values[self.row(row)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_neighbours() {
        let order = Order { head_dim: 6, rotated: 4 };
        let rows: Vec<_> = (0..12).map(|row| order.row(row)).collect();
        assert_eq!(rows, [0, 2, 1, 3, 4, 5, 6, 8, 7, 9, 10, 11]);
        assert_eq!(Order { head_dim: 6, rotated: 0 }.row(3), 3);
    }
}
