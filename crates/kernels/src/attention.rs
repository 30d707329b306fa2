//! Attention: how the work is cut and joined. The arithmetic on one tile is the instruction set's (`Table::attend`).
//!
//! A tile is up to [`QUERIES`] queries that share a key/value head: the heads of a group, for neighbouring tokens. It
//! meets the cache segment by segment; each segment gives a maximum, a sum and weighted values of its own, and these
//! are joined in order. Few tokens at a long context are spread over the threads segment by segment, many tile by tile:
//! the bits are the same.

mod buffers;
mod tile;

use std::ops::Range;

pub(crate) use buffers::{Buffers, Scratch, StripBuffers};
pub(crate) use tile::{Partial, Stored, Tile, factor, parts};

use crate::{
    Phase,
    activations::STRIP,
    kv::{Head, KvCache, SEGMENT},
};

/// Queries that vectors take together at most.
pub(crate) const QUERIES: usize = 12;
/// Queries in a tile at most: those of a strip of bfloat16.
pub(crate) const MOST: usize = STRIP;
/// Tiles that keys and values are made bfloat16 for together at most.
const TILES: usize = 16;

/// Where a token of a pass belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Which of the pass's sequences.
    pub sequence: usize,
    /// Which position of it.
    pub position: usize,
}

/// Softmax(q·k · scale)·v for all heads of some tokens.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// One a sequence; all have the same shape.
    pub caches: &'a [&'a KvCache],
    /// Whose keys and values.
    pub layer: usize,
    /// One a token: it sees its own position and those before it.
    pub lanes: &'a [Lane],
    /// How many positions a token sees at most, its own included.
    pub window: Option<usize>,
    /// `[tokens][kv_heads][group][head_dim]`, rotated.
    pub queries: &'a [f32],
    /// Factor on q·k, usually 1/√head_dim.
    pub scale: f32,
    /// What the pass is for.
    pub phase: Phase,
}

/// Some queries of neighbouring tokens of one sequence; the same for every key/value head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The first lane of the run of neighbours.
    lane: usize,
    /// Queries of the run are counted token by token: these from `first` on.
    first: usize,
    count: usize,
}

impl Span {
    pub(crate) fn count(self) -> usize {
        self.count
    }

    /// Parts of `len` queries, the last of which may have less.
    pub(crate) fn parts(self, len: usize) -> impl Iterator<Item = Self> {
        let firsts = (0..self.count).step_by(len);
        firsts.map(move |at| Self { first: self.first + at, count: len.min(self.count - at), ..self })
    }
}

/// One head of one segment of the cache, for the queries of a span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) span: Span,
    pub(crate) head: usize,
    pub(crate) segment: usize,
}

impl Attention<'_> {
    /// Heads, values of a head, and those padded to whole vectors.
    pub(crate) fn shape(&self) -> (usize, usize, usize) {
        self.caches.first().map_or((1, 1, 1), |cache| (cache.shape().1, cache.shape().2, cache.width()))
    }

    /// Queries that share a key/value head.
    pub(crate) fn group(&self) -> usize {
        let (heads, dim, _) = self.shape();
        self.queries.len() / self.lanes.len() / heads / dim
    }

    /// Checks the lengths that the rest relies on; there is room for so many values.
    pub(crate) fn check(&self, room: usize) {
        let (heads, dim, _) = self.shape();
        let row = self.queries.len() / self.lanes.len();
        assert!(self.queries.len() == row * self.lanes.len() && room == self.queries.len());
        assert!(row > 0 && row.is_multiple_of(heads * dim), "queries are whole groups");
        assert!(self.caches.iter().all(|cache| cache.shape() == self.caches[0].shape()));
        assert!(self.lanes.iter().all(|lane| lane.sequence < self.caches.len()));
    }

    /// Positions that a lane sees.
    fn seen(&self, lane: Lane) -> Range<usize> {
        let end = lane.position + 1;
        self.window.map_or(0, |window| end.saturating_sub(window.max(1)))..end
    }

    /// How many queries keys and values are made ready for together, so that there are `pieces` of all heads: tiles of `len`.
    pub(crate) fn together(&self, len: usize, pieces: usize) -> usize {
        let (heads, ..) = self.shape();
        let each = self.queries_a_head().div_ceil(pieces.div_ceil(heads));
        each.next_multiple_of(len).min(TILES * len)
    }

    /// Queries that each key/value head has, of all lanes.
    pub(crate) fn queries_a_head(&self) -> usize {
        self.lanes.len() * self.group()
    }

    /// Cuts the lanes into runs of neighbours and those into spans of `len` queries.
    pub(crate) fn spans(&self, len: usize) -> Vec<Span> {
        let group = self.group();
        let mut spans = Vec::new();
        let mut lane = 0;
        let follows = |a: &Lane, b: &Lane| a.sequence == b.sequence && a.position + 1 == b.position;
        for run in self.lanes.chunk_by(follows) {
            spans.extend(Span { lane, first: 0, count: run.len() * group }.parts(len));
            lane += run.len();
        }
        spans
    }

    /// Multiplications of all tokens, roughly.
    pub(crate) fn work(&self) -> usize {
        let row = self.queries.len() / self.lanes.len();
        self.lanes.iter().map(|lane| self.seen(*lane).len() * row * 2).sum()
    }

    /// Segments that a span's queries see.
    pub(crate) fn segments(&self, span: Span) -> Range<usize> {
        let seen = self.seen_by(span);
        seen.start / SEGMENT..seen.end.div_ceil(SEGMENT)
    }

    /// Those parts of a span, of `len` queries each and numbered, that see a segment.
    pub(crate) fn seeing(
        &self,
        span: Span,
        len: usize,
        segment: usize,
    ) -> impl Iterator<Item = (usize, Span)> + '_ {
        span.parts(len).enumerate().filter(move |(_, part)| self.segments(*part).contains(&segment))
    }

    /// Positions that a span's queries see.
    fn seen_by(&self, span: Span) -> Range<usize> {
        let group = self.group();
        let first = self.seen(self.lanes[self.first(span)]);
        let last = self.seen(self.lanes[span.lane + (span.first + span.count - 1) / group]);
        first.start..last.end
    }

    /// The token that a span begins with.
    pub(crate) fn first(&self, span: Span) -> usize {
        span.lane + span.first / self.group()
    }

    /// The lane of each query of a span, and where its values begin, in `queries` as in the output.
    pub(crate) fn places(&self, span: Span, head: usize) -> impl Iterator<Item = (Lane, usize)> + '_ {
        let ((heads, dim, _), group) = (self.shape(), self.group());
        let (mut lane, mut member) = (self.first(span), span.first % group);
        (0..span.count).map(move |_| {
            let place = (self.lanes[lane], ((lane * heads + head) * group + member) * dim);
            (lane, member) = if member + 1 == group { (lane + 1, 0) } else { (lane, member + 1) };
            place
        })
    }

    /// Keys and values of a piece, as the cache has them.
    pub(crate) fn cached(&self, Piece { span, head, segment }: Piece) -> Head<'_> {
        self.caches[self.lanes[span.lane].sequence].head(segment, self.layer, head)
    }

    /// Keys and values of a piece, as far as its queries see them.
    pub(crate) fn stored(&self, piece: Piece) -> Stored<'_> {
        let (kept, segment) = (self.cached(piece), piece.segment);
        let (dim, seen) = (self.shape().1, self.seen_by(piece.span));
        Stored { kept, dim, range: local(seen.start, segment)..local(seen.end, segment) }
    }

    /// What the kernels get of a piece, and of what they read after it.
    pub(crate) fn tile(&self, piece: Piece, next: Option<Piece>) -> Tile<'_> {
        let Piece { span, head, segment } = piece;
        let kept = self.cached(piece);
        let next = next.map_or(kept, |next| self.cached(next)).keys.as_ptr();
        let (mut at, mut seen) = ([0; MOST], [(0, 0); MOST]);
        for (n, (lane, place)) in self.places(span, head).enumerate() {
            let range = self.seen(lane);
            (at[n], seen[n]) = (place, (local(range.start, segment), local(range.end, segment)));
        }
        let (queries, scale, dim) = (self.queries, self.scale, self.shape().1);
        Tile { queries, at, scale, kept, next, dim, count: span.count, seen }
    }
}

/// Where a position lies in a segment; what lies before it is its start, what lies behind it its end.
fn local(position: usize, segment: usize) -> usize {
    position.saturating_sub(segment * SEGMENT).min(SEGMENT)
}
