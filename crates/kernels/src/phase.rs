//! The two things that a pass may be for.

/// What a pass over the weights is for: a prompt, or the next tokens of replies.
///
/// Prompts are bound by arithmetic, replies by memory. Where there are tiles of bfloat16 (AMX), prompts meet them, with weights
/// unpacked on the way and activations rounded to bfloat16, and replies meet 8-bit codes: the two differ within the bounds of
/// either. Elsewhere both give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Tokens of a prompt.
    Prefill,
    /// Tokens that a model has chosen, or may choose.
    Decode,
}
