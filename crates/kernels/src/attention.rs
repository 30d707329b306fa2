//! What one attention task needs: one token's query heads that share a key/value head.

/// Where a head's keys and values lie: `[positions, head_dim]` half floats, contiguous.
#[derive(Clone, Copy, Debug)]
pub struct KvLayout<'a> {
    /// Keys of the positions to attend to, f16 bits.
    pub keys: &'a [u16],
    /// Values of the same positions.
    pub values: &'a [u16],
}

/// Softmax(q·k / √d)·v for the query heads of one group.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// `[group, head_dim]` queries, rotated.
    pub queries: &'a [f32],
    /// Keys and values of the positions that the token may see.
    pub kv: KvLayout<'a>,
    /// Values of one head.
    pub head_dim: usize,
    /// Factor on q·k, usually 1/√head_dim.
    pub scale: f32,
}

impl Attention<'_> {
    pub(crate) fn positions(&self) -> usize {
        self.kv.keys.len() / self.head_dim
    }

    /// Checks the lengths that the vector code relies on.
    pub(crate) fn check(&self, out: &[f32], scores: &[f32]) {
        let Self { queries, kv, head_dim, .. } = self;
        assert!(*head_dim > 0 && !kv.keys.is_empty(), "attention needs at least one position");
        assert!(kv.keys.len().is_multiple_of(*head_dim) && kv.keys.len() == kv.values.len());
        assert!(queries.len().is_multiple_of(*head_dim) && queries.len() == out.len());
        assert!(scores.len() >= self.positions());
    }
}
