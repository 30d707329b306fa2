//! What goes into a pass together, and what comes out for each.

use std::ops::Range;

use kernels::Phase;

use crate::{
    config::Config,
    decoder::{Decoder, Scratch},
    model::Input,
    sequence::Sequence,
};

/// What [`Model::step`](crate::Model::step) adds to one sequence.
#[derive(Debug)]
pub struct Part<'a> {
    /// Where to.
    pub sequence: &'a mut Sequence,
    /// At least one token.
    pub tokens: &'a [u32],
    /// Of a prompt, or of a reply.
    pub phase: Phase,
    /// What is asked of the last of them, of as many as there is room for.
    pub output: Output<'a>,
}

/// What positions are asked for.
#[derive(Debug)]
pub enum Output<'a> {
    /// `[wanted, vocab_size]`
    Logits(&'a mut [f32]),
    /// `[wanted, embedding_dim]`: what the head would read, the residual stream after the last norm.
    States(&'a mut [f32]),
}

impl Output<'_> {
    /// Values, and values of a row.
    pub(crate) fn shape(&self, config: &Config) -> (usize, usize) {
        match self {
            Self::Logits(values) => (values.len(), config.vocab_size),
            Self::States(values) => (values.len(), config.embedding_dim),
        }
    }

    pub(crate) fn rows(&self, config: &Config) -> usize {
        let (len, width) = self.shape(config);
        len / width
    }
}

/// A piece of input on its way through the blocks.
pub(crate) struct Slice<'a> {
    pub(crate) sequence: &'a mut Sequence,
    pub(crate) input: Input<'a>,
    pub(crate) range: Range<usize>,
    /// Of its last positions, as many as there is room for.
    pub(crate) output: Output<'a>,
}

/// Hands out what each slice asks of the rows that its pass has left, in their order.
pub(crate) fn hand_out(decoder: &Decoder<'_>, slices: &mut [Slice<'_>], scratch: &mut Scratch) {
    let Config { embedding_dim: dim, vocab_size, .. } = *decoder.config;
    // rows for the head move together, over those that are done with
    let (mut from, mut for_head) = (0, 0);
    for slice in slices.iter_mut() {
        let rows = slice.output.rows(decoder.config);
        let at = from * dim..(from + rows) * dim;
        match &mut slice.output {
            Output::States(states) => decoder.states(&scratch.x[at], states),
            Output::Logits(_) => {
                scratch.x.copy_within(at, for_head * dim);
                for_head += rows;
            }
        }
        from += rows;
    }
    if for_head == 0 {
        return;
    }
    scratch.x.truncate(for_head * dim);
    if let [Slice { output: Output::Logits(logits), .. }] = slices {
        return decoder.head(scratch, logits);
    }
    let mut all = std::mem::take(&mut scratch.logits);
    all.resize(for_head * vocab_size, 0.0);
    decoder.head(scratch, &mut all);
    let mut rest = &all[..];
    let mut copies = Vec::with_capacity(slices.len());
    for slice in slices {
        if let Output::Logits(logits) = &mut slice.output {
            let (own, others) = rest.split_at(logits.len());
            copies.push((own, logits));
            rest = others;
        }
    }
    decoder.compute.chunks(&mut copies, 1, |_, copies| {
        copies.iter_mut().for_each(|(own, logits)| logits.copy_from_slice(own));
    });
    scratch.logits = all;
}
