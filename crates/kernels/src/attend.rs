//! Attention, shared among threads: which of them takes what.
#![allow(unsafe_code)]

use std::cell::RefCell;

use crate::{
    Activations, Aligned, Attention, BLOCK, Compute, Kind,
    attention::{Buffers, MOST, Partial, Piece, QUERIES, Scratch, Span, StripBuffers},
    compute::{Base, PIECES, WORTH_SHARING, head_of},
    places::Blocks,
    table::Bf16Table,
};

/// Multiplications that are worth waking another thread for: attention waits for keys and values from afar.
const WORTH_SHARING_MEMORY: usize = WORTH_SHARING / 16;

thread_local! {
    /// What attention works in.
    static BUFFERS: RefCell<Buffers> = RefCell::default();
    static STRIP_BUFFERS: RefCell<StripBuffers> = RefCell::default();
    /// `[query][head_dim]`: what it gives.
    static RESULT: RefCell<Aligned<f32>> = RefCell::default();
}

impl Compute {
    /// Attention of all lanes into `out`, shaped like the queries.
    ///
    /// # Panics
    /// When the lengths do not fit each other, or a cache does not hold a lane's position.
    pub fn attend(&self, job: &Attention<'_>, out: &mut [f32]) {
        if job.lanes.is_empty() {
            return;
        }
        job.check(out.len());
        let base = Base(out.as_mut_ptr());
        if let Some(bf16) = self.bf16_in(job.phase) {
            self.attend_strips(bf16, job, |of, sum| Self::finish(job, of, sum, &base));
        } else {
            self.attend_vectors(job, QUERIES, |of, sum| Self::finish(job, of, sum, &base));
        }
    }

    /// Makes attention of all lanes the input of products with weights of `kinds`. What it gives as floats goes to the buffer,
    /// where it is kept at all.
    ///
    /// # Panics
    /// As for [`Compute::attend`].
    pub fn attended(
        &self,
        out: &mut Activations,
        kinds: &[Kind],
        job: &Attention<'_>,
        buffer: &mut Aligned<f32>,
    ) {
        let (tokens, phase) = (job.lanes.len(), job.phase);
        let Some(row) = job.queries.len().checked_div(tokens) else { return };
        let (needs, bf16) = (self.needs(kinds, phase), self.bf16_in(phase));
        if let Some(bf16) = bf16
            && needs.is_only_bf16()
        {
            job.check(job.queries.len());
            let to = self.input(out, (tokens, row), needs);
            self.attend_strips(bf16, job, |(span, head), sum| {
                for (n, (_, place)) in job.places(span, head).enumerate() {
                    // SAFETY: `table_for` checked the instruction set, `check` the shapes; each query belongs to one span and head.
                    unsafe { (bf16.finish)(sum, n, job.shape().1, (to.places(), place / row, place % row)) };
                }
            });
            return;
        }
        let ((_, dim, _), group) = (job.shape(), job.group());
        if bf16.is_none() && (group * dim).is_multiple_of(BLOCK) && group <= QUERIES {
            job.check(job.queries.len());
            let to = self.input(out, (tokens, row), needs);
            self.attend_vectors(job, QUERIES / group * group, |(span, head), sum| {
                RESULT.with_borrow_mut(|result| {
                    let result = result.room(span.count() * dim);
                    for (n, values) in result.chunks_exact_mut(dim).enumerate() {
                        Self::weighted(sum, n, values);
                    }
                    let each = group * dim / BLOCK;
                    let blocks = Blocks { token: job.first(span), first: head * each, each };
                    // SAFETY: spans are whole tokens here, and each query belongs to one span and head.
                    unsafe { to.write(blocks, result) };
                });
            });
            return;
        }
        buffer.resize(tokens * row, 0.0);
        self.attend(job, buffer);
        self.activate(out, (tokens, row), (kinds, phase), |token, columns, to| {
            to.copy_from_slice(&buffer[token * row..][columns]);
        });
    }

    /// What is left to do for one span and head: weighted values by the sum of the weights.
    fn finish(job: &Attention<'_>, (span, head): (Span, usize), sum: &Partial, out: &Base<f32>) {
        for (n, (_, place)) in job.places(span, head).enumerate() {
            // SAFETY: the place lies within `out` (`check`), and each query belongs to one span and head.
            Self::weighted(sum, n, unsafe { std::slice::from_raw_parts_mut(out.at(place), job.shape().1) });
        }
    }

    /// The same for the n-th query.
    fn weighted(sum: &Partial, n: usize, out: &mut [f32]) {
        let weigh = 1.0 / sum.total[n];
        for (out, value) in out.iter_mut().zip(sum.row(n)) {
            *out = value * weigh;
        }
    }

    /// Many queries at a time, for which keys and values are made bfloat16.
    fn attend_strips(
        &self,
        bf16: &Bf16Table,
        job: &Attention<'_>,
        finish: impl Fn((Span, usize), &Partial) + Sync,
    ) {
        let (_, dim, width) = job.shape();
        let spans = job.spans(job.together(MOST, self.threads() * PIECES));
        self.each_head(job, &spans, |span, head| {
            STRIP_BUFFERS.with_borrow_mut(|buffers| {
                buffers.fit((dim, width), span.count().div_ceil(MOST));
                for segment in job.segments(span) {
                    let piece = |span| Piece { span, head, segment };
                    // SAFETY: `table_for` checked the instruction set; the buffers have what the tiles need.
                    unsafe {
                        (bf16.turn)(&job.stored(piece(span)), buffers);
                        let mut tiles = job
                            .seeing(span, MOST, segment)
                            .map(|(strip, part)| (strip, job.tile(piece(part), None)));
                        (bf16.attend)(&mut tiles, buffers);
                    }
                }
                for (part, sum) in span.parts(MOST).zip(&buffers.sums) {
                    finish((part, head), sum);
                }
            });
        });
    }

    /// Each head of each span, by all threads.
    fn each_head(&self, job: &Attention<'_>, spans: &[Span], one: impl Fn(Span, usize) + Sync) {
        let (heads, ..) = job.shape();
        let of = |n: usize| one(spans[n / heads], n % heads);
        let count = spans.len() * heads;
        if job.work() < WORTH_SHARING_MEMORY {
            (0..count).for_each(of);
        } else {
            self.pool.run(count, &of);
        }
    }

    /// Up to `len` queries at a time.
    fn attend_vectors(
        &self,
        job: &Attention<'_>,
        len: usize,
        finish: impl Fn((Span, usize), &Partial) + Sync,
    ) {
        let ((heads, dim, width), spans) = (job.shape(), job.spans(len));
        let one = |piece: Piece, next: Option<Piece>, scratch: &mut Scratch, out: &mut Partial| {
            let tile = job.tile(piece, next);
            // SAFETY: `table_for` checked the instruction set; the tile and the buffers have the table's lengths.
            unsafe { (self.table.attend)(&tile, scratch, out) };
        };
        let of = |n: usize| {
            let (head, span) = head_of(n, (heads, spans.len()), job.lanes.len());
            (spans[span], head)
        };
        let pieces = |n: usize| {
            let (span, head) = of(n);
            job.segments(span).map(move |segment| Piece { span, head, segment })
        };
        let count = spans.len() * heads;
        let whole = |n: usize| {
            BUFFERS.with_borrow_mut(|buffers| {
                buffers.fit((dim, width));
                let Buffers { scratch, sum, next } = buffers;
                let after = (n + 1..count).take(1).flat_map(&pieces).take(1);
                let mut following = pieces(n).skip(1).chain(after);
                for (at, piece) in pieces(n).enumerate() {
                    let out = if at == 0 { &mut *sum } else { &mut *next };
                    one(piece, following.next(), scratch, out);
                    if at > 0 {
                        sum.join(next, piece.span.count());
                    }
                }
                finish(of(n), sum);
            });
        };
        if job.work() < WORTH_SHARING_MEMORY || self.threads() == 1 {
            return (0..count).for_each(whole);
        }
        let single = |span: &Span| job.segments(*span).len() == 1;
        if count >= self.threads() * PIECES * 2 || spans.iter().all(single) {
            return self.pool.run(count, &whole);
        }
        // few spans of several segments: segment by segment, joined afterwards
        let pieces: Vec<_> = (0..count).flat_map(&pieces).collect();
        let mut partials: Vec<_> =
            pieces.iter().map(|piece| Partial::new(piece.span.count(), width)).collect();
        self.chunks(&mut partials, 1, |n, partial| {
            BUFFERS.with_borrow_mut(|buffers| {
                buffers.fit((dim, width));
                one(pieces[n], pieces.get(n + 1).copied(), &mut buffers.scratch, &mut partial[0]);
            });
        });
        let mut parts = pieces.iter().zip(&partials).peekable();
        while let Some((Piece { span, head, .. }, first)) = parts.next() {
            let mut sum = Partial::new(span.count(), width);
            sum.join(first, span.count());
            while let Some((_, next)) = parts.next_if(|(piece, _)| piece.segment > job.segments(*span).start)
            {
                sum.join(next, span.count());
            }
            finish((*span, *head), &sum);
        }
    }
}
