//! The safe front of the kernels: an instruction set and a pool of threads.
#![allow(unsafe_code)]

use std::{cell::RefCell, fmt, ops::Range};

use crate::{
    Aligned, Isa, Kind, KvCache, Lane, Packed, Phase, UnavailableIsa,
    activations::Needs,
    kv::{MOST_OF_VALUE, most_of_key},
    pool::Pool,
    table::{Bf16Table, Table, is_half_width, table_for},
};

/// Work below this many multiplications is not worth waking another thread for.
pub(crate) const WORTH_SHARING: usize = 64 * 1024;
/// Pieces per thread that a loop is cut into, so that a slow thread takes fewer.
pub(crate) const PIECES: usize = 4;
/// Tokens that are few: threads share what is done for each of them, not the tokens.
pub(crate) const FEW: usize = 16;

/// Kernels of one instruction set, spread over a pool of threads.
pub struct Compute {
    pub(crate) table: &'static Table,
    /// Whether the processor takes two turns for a vector of 256 bits.
    pub(crate) half_width: bool,
    pub(crate) pool: Pool,
}

impl fmt::Debug for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compute").field("isa", &self.isa()).field("threads", &self.threads()).finish()
    }
}

thread_local! {
    /// Keys and values of a head of a position as whole numbers.
    static WORDS: RefCell<Aligned<i16>> = RefCell::default();
}

impl Compute {
    /// Kernels of `isa` (the machine's best where `None`) on `threads` threads (one per core where 0).
    ///
    /// # Errors
    /// When this machine lacks `isa`.
    pub fn new(isa: Option<Isa>, threads: usize) -> Result<Self, UnavailableIsa> {
        let isa = isa.unwrap_or_else(Isa::best);
        let table = table_for(isa).ok_or_else(|| UnavailableIsa { asked: isa.name().into() })?;
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let pool = Pool::new(if threads == 0 { cores() } else { threads });
        Ok(Self { table, half_width: is_half_width(), pool })
    }

    /// As on a processor whose vectors of 256 bits take two turns, or on one whose vectors do not, with the same bits: tests see
    /// both, [`new`](Self::new) knows which this one is.
    #[doc(hidden)]
    #[must_use]
    pub fn as_half_width(mut self, yes: bool) -> Self {
        self.half_width = yes;
        self
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.table.isa
    }

    /// How many threads share the work.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// As what weights of `kind` are packed best for this instruction set: 16-bit floats for tiles where it has them, which
    /// make bfloat16 of F16. Another instruction set cannot multiply with those.
    pub fn arranged(&self, kind: Kind) -> Kind {
        match kind {
            Kind::F16 | Kind::Bf16 if self.table.bf16.is_some() => Kind::Tiles,
            kind => kind,
        }
    }

    /// Calls `body(n, chunk)` for each chunk of `len` values (the last may be shorter), shared among the threads.
    pub fn chunks<T: Send>(&self, values: &mut [T], len: usize, body: impl Fn(usize, &mut [T]) + Sync) {
        let base = Base(values.as_mut_ptr());
        let count = values.len();
        self.pool.run(count.div_ceil(len), &|n| {
            let (start, end) = (n * len, count.min((n + 1) * len));
            // SAFETY: the range lies within `values`, which is borrowed until all are done; chunks are disjoint.
            body(n, unsafe { std::slice::from_raw_parts_mut(base.at(start), end - start) });
        });
    }

    /// Says which weights the product after the next one reads: threads that wait meanwhile ask the memory for them.
    pub fn expect(&self, weights: &[&Packed]) {
        self.pool.expect(weights.iter().map(|weights| &*weights.bytes));
    }

    /// Whether the phases differ in their bits.
    pub fn has_phases(&self) -> bool {
        self.table.bf16.is_some()
    }

    /// As what activations for weights of `kinds` are needed in a pass of `phase`.
    pub(crate) fn needs(&self, kinds: &[Kind], phase: Phase) -> Needs {
        Needs::of(kinds, self.bf16_in(phase).is_some())
    }

    /// The kernels of bfloat16, where a pass of `phase` uses them for everything.
    pub(crate) fn bf16_in(&self, phase: Phase) -> Option<&'static Bf16Table> {
        self.table.bf16.as_ref().filter(|_| phase == Phase::Prefill)
    }

    /// Calls `body(n, row)` for each row of `len` values, shared among the threads where that is worth it.
    ///
    /// # Panics
    /// When the values are no whole rows.
    pub fn rows(&self, values: &mut [f32], len: usize, body: impl Fn(usize, &mut [f32]) + Sync) {
        assert!(len > 0 && values.len().is_multiple_of(len), "whole rows");
        let base = Base(values.as_mut_ptr());
        self.each(values.len() / len, values.len(), |n| {
            // SAFETY: rows lie within `values`, are disjoint and visited once.
            body(n, unsafe { std::slice::from_raw_parts_mut(base.at(n * len), len) });
        });
    }

    /// Calls `body` for `0..count`, shared among the threads where `work` values are worth it.
    pub(crate) fn each(&self, count: usize, work: usize, body: impl Fn(usize) + Sync) {
        if count < 2 || work < WORTH_SHARING / 8 {
            return (0..count).for_each(body);
        }
        self.shared(count, PIECES, |part| part.for_each(&body));
    }

    /// Calls `body` for parts of `0..count` of equal size, `pieces` for each thread.
    pub(crate) fn shared(&self, count: usize, pieces: usize, body: impl Fn(Range<usize>) + Sync) {
        let pieces = (self.threads() * pieces).min(count);
        self.pool.run(pieces, &|n| body(count * n / pieces..count * (n + 1) / pieces));
    }

    /// Some `columns` of `x / √(mean(x²) + eps) · weight`.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn rms_norm(&self, x: &[f32], (weight, eps): (&[f32], f32), columns: Range<usize>, out: &mut [f32]) {
        assert!(x.len() == weight.len() && out.len() == columns.len(), "rows of another length");
        // SAFETY: `table_for` checked the instruction set; the lengths are equal.
        unsafe { (self.table.rms_norm)(x, (weight, eps), columns, out) };
    }

    /// `out = silu(gate) · up`, in prompts as exactly as their products take it.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn swiglu(&self, phase: Phase, gate: &[f32], up: &[f32], out: &mut [f32]) {
        assert!(gate.len() == up.len() && gate.len() == out.len(), "gate, up and out differ in length");
        let swiglu = self.bf16_in(phase).map_or(self.table.swiglu, |bf16| bf16.swiglu);
        // SAFETY: `table_for` checked the instruction set; the lengths are equal.
        unsafe { swiglu(gate, up, out) };
    }

    /// Stores keys and values (`[lanes][kv_heads · head_dim]`) of one position a lane in one layer; `ready(n, head, keys)` may
    /// change those of a head of lane `n` first, on any of the threads. The caches have room for the positions.
    ///
    /// # Panics
    /// When a length does not fit, there is no room, or the lanes are not in the order of sequences and positions.
    pub fn store(
        &self,
        caches: &mut [&mut KvCache],
        layer: usize,
        lanes: &[Lane],
        (keys, values): (&mut [f32], &[f32]),
        ready: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) {
        let Some((_, heads, dim)) = caches.first().map(|cache| cache.shape()) else { return };
        let row = heads * dim;
        assert!(keys.len() == row * lanes.len() && values.len() == keys.len(), "a row a lane");
        assert!(
            lanes.iter().all(|lane| caches[lane.sequence].shape() == caches[0].shape()),
            "caches of one shape"
        );
        assert!(
            lanes.is_sorted_by_key(|lane| (lane.sequence, lane.position))
                && lanes.windows(2).all(|w| w[0] != w[1])
        );
        let caches: Vec<&KvCache> = caches.iter().map(|cache| &**cache).collect();
        let (base, most) = (Base(keys.as_mut_ptr()), most_of_key(dim));
        // each key goes to a line of its own
        self.each(heads * lanes.len(), keys.len() * 8, |n| {
            let (head, n) = head_of(n, (heads, lanes.len()), lanes.len());
            let Lane { sequence, position } = lanes[n];
            let at = n * row + head * dim;
            // SAFETY: a row a lane, each head of which is visited once.
            let keys = unsafe { std::slice::from_raw_parts_mut(base.at(at), dim) };
            ready(n, head, keys);
            WORDS.with_borrow_mut(|words| {
                let (own_keys, own_values) = words.room(2 * dim).split_at_mut(dim);
                // SAFETY: `table_for` checked the instruction set, and lengths are equal. The caches were given as `&mut`, and
                // no other lane has this place.
                unsafe {
                    let key_scale = (self.table.words)(keys, most, own_keys);
                    let value_scale = (self.table.words)(&values[at..][..dim], MOST_OF_VALUE, own_values);
                    let (keys, values) = ((&*own_keys, key_scale), (&*own_values, value_scale));
                    caches[sequence].write((layer, head), position, keys, values);
                }
            });
        });
    }
}

/// Which head, and which of `others` for each head, is the n-th. By heads where `tokens` are few, as several lie in the same lines;
/// where they are many threads keep to their own.
pub(crate) fn head_of(n: usize, (heads, others): (usize, usize), tokens: usize) -> (usize, usize) {
    if tokens <= FEW { (n / others, n % others) } else { (n % heads, n / heads) }
}

/// The start of an output that threads write disjoint chunks of.
pub(crate) struct Base<T>(pub(crate) *mut T);
// SAFETY: each chunk is visited by one round only, so its values are handed to one thread at a time.
unsafe impl<T: Send> Sync for Base<T> {}

impl<T> Base<T> {
    /// # Safety
    /// `offset` lies within the output.
    pub(crate) unsafe fn at(&self, offset: usize) -> *mut T {
        // SAFETY: handed on from the caller.
        unsafe { self.0.add(offset) }
    }
}
