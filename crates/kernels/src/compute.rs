//! The safe front of the kernels: an instruction set and a pool of threads.
#![allow(unsafe_code)]

use std::{cell::RefCell, fmt, io};

use crate::{
    Activations, Arena, Attention, BLOCK, Isa, Kind, Layout, Matrix, Packed, RowCodes, UnavailableIsa, pack,
    packed::ROWS,
    pool::Pool,
    table::{Out, Table, table_for},
};

/// Work below this many multiplications is not worth waking another thread for.
const WORTH_SHARING: usize = 64 * 1024;
/// Pieces per thread that a loop is cut into, so that a slow thread takes fewer.
const PIECES: usize = 4;
/// Groups of rows that are packed together.
const GROUPS_A_ROUND: usize = 8;

/// One product of [`Compute::linear`].
#[derive(Debug)]
pub struct Linear<'a> {
    /// The weights; `cols` equals that of the activations.
    pub weights: &'a Packed,
    /// `[tokens, rows]`.
    pub out: &'a mut [f32],
    /// Whether the product is added to `out` or takes its place.
    pub add: bool,
}

/// Kernels of one instruction set, spread over a pool of threads.
pub struct Compute {
    table: &'static Table,
    pool: Pool,
}

impl fmt::Debug for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compute").field("isa", &self.isa()).field("threads", &self.threads()).finish()
    }
}

thread_local! {
    /// Attention scores of the task at hand: one buffer a thread, grown to the longest context seen.
    static SCORES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    /// The row of activations at hand.
    static ROW: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
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
        Ok(Self { table, pool: Pool::new(if threads == 0 { cores() } else { threads }) })
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.table.isa
    }

    /// How many threads share the work.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Packs a matrix as a file stores it.
    ///
    /// # Errors
    /// When the system has no memory.
    pub fn pack(&self, source: &Matrix<'_>, arena: &mut Arena) -> io::Result<Packed> {
        self.pack_as(source, Kind::of(source.format()), &|row| row, arena)
    }

    /// Packs a matrix as `kind`, rounding where the file stores it otherwise; row `n` is the file's row `order(n)`.
    ///
    /// # Errors
    /// When the system has no memory.
    pub fn pack_as(
        &self,
        source: &Matrix<'_>,
        kind: Kind,
        order: &(dyn Fn(usize) -> usize + Sync),
        arena: &mut Arena,
    ) -> io::Result<Packed> {
        let from = pack::Source { matrix: source, order, kind };
        self.pack_groups(kind, source.rows(), source.cols(), arena, &|group, out| {
            pack::group(from, group, out)
        })
    }

    /// Packs a matrix row by row: `fill(row, codes)` decodes one, on any of the threads and in any order.
    ///
    /// # Errors
    /// When the system has no memory.
    pub fn pack_rows(
        &self,
        layout: Layout,
        rows: usize,
        cols: usize,
        arena: &mut Arena,
        fill: impl Fn(usize, &mut RowCodes) + Sync,
    ) -> io::Result<Packed> {
        self.pack_groups(Kind::Codes(layout), rows, cols, arena, &|group, out| {
            let mut row = RowCodes::new(layout, cols);
            pack::group_of(layout, group * ROWS..rows.min((group + 1) * ROWS), &mut row, &fill, out);
        })
    }

    fn pack_groups(
        &self,
        kind: Kind,
        rows: usize,
        cols: usize,
        arena: &mut Arena,
        pack: &(dyn Fn(usize, &mut [u8]) + Sync),
    ) -> io::Result<Packed> {
        let size = kind.bytes(rows, cols).filter(|size| *size > 0).ok_or(io::ErrorKind::InvalidInput)?;
        let mut bytes = arena.take(size)?;
        let group = kind.group_bytes(cols);
        self.chunks(bytes.as_mut(), group * GROUPS_A_ROUND, |n, chunk| {
            for (at, out) in chunk.chunks_exact_mut(group).enumerate() {
                pack(n * GROUPS_A_ROUND + at, out);
            }
        });
        Ok(Packed { kind, rows, cols, bytes })
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

    /// Makes `x` the input of products with weights of `kinds`: `fill(token, row)` gives the `cols` values of each of
    /// `tokens` tokens, on any of the threads.
    pub fn activate(
        &self,
        x: &mut Activations,
        (tokens, cols): (usize, usize),
        kinds: &[Kind],
        fill: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let codes = kinds.iter().any(|kind| kind.is_quantised());
        let floats = kinds.iter().any(|kind| !kind.is_quantised());
        x.reset(tokens, cols, codes, floats);
        let blocks = x.blocks();
        let bases = (Base(x.codes.as_mut_ptr()), Base(x.scales.as_mut_ptr()), Base(x.values.as_mut_ptr()));
        let (code_base, scale_base, value_base) = (&bases.0, &bases.1, &bases.2);
        let one = |token: usize, row: &mut [f32]| {
            fill(token, row);
            // SAFETY: `reset` made room for every token, each of which is visited once; `table_for` checked the
            // instruction set, and the lengths are a row's.
            unsafe {
                if codes {
                    let len = blocks * BLOCK;
                    let codes = std::slice::from_raw_parts_mut(code_base.at(token * len), len);
                    let scales = std::slice::from_raw_parts_mut(scale_base.at(token * blocks), blocks);
                    (self.table.quantise)(row, codes, scales);
                }
                if floats {
                    std::slice::from_raw_parts_mut(value_base.at(token * cols), cols).copy_from_slice(row);
                }
            }
        };
        self.each(tokens, tokens * cols, |token| {
            ROW.with_borrow_mut(|row| {
                row.resize(cols.max(row.len()), 0.0);
                one(token, &mut row[..cols]);
            });
        });
    }

    /// Calls `body` for `0..count`, shared among the threads where `work` values are worth it.
    fn each(&self, count: usize, work: usize, body: impl Fn(usize) + Sync) {
        if count < 2 || work < WORTH_SHARING / 8 {
            return (0..count).for_each(body);
        }
        let step = count.div_ceil(self.threads() * PIECES);
        self.pool.run(count.div_ceil(step), &|n| (n * step..count.min((n + 1) * step)).for_each(&body));
    }

    /// Products of several matrices with the same activations, in one loop over all their rows.
    ///
    /// # Panics
    /// When a shape does not fit, or when `x` was activated for weights of other kinds.
    pub fn linear(&self, jobs: &mut [Linear<'_>], x: &Activations) {
        if x.tokens() == 0 {
            return;
        }
        for job in jobs.iter() {
            assert_eq!(job.weights.cols, x.cols, "weights and activations differ in columns");
            assert_eq!(job.out.len(), job.weights.rows * x.tokens(), "the output has another shape");
            let ready = if job.weights.kind.is_quantised() { x.codes.len() } else { x.values.len() };
            assert!(ready > 0, "activations were not made for weights of this kind");
        }
        let groups: usize = jobs.iter().map(|job| job.weights.groups()).sum();
        let pieces = match groups * ROWS * x.cols * x.tokens() {
            work if work < WORTH_SHARING => 1,
            _ => self.threads() * PIECES,
        };
        let step = groups.div_ceil(pieces);
        let targets: Vec<Target<'_>> = jobs
            .iter_mut()
            .map(|job| Target { weights: job.weights, base: job.out.as_mut_ptr(), add: job.add })
            .collect();
        let targets = &targets;
        self.pool.run(groups.div_ceil(step), &|piece| {
            // the groups of all matrices, one after the other, are cut into pieces of `step`
            let (mut from, to) = (piece * step, groups.min((piece + 1) * step));
            let mut first = 0;
            for target in targets {
                let last = first + target.weights.groups();
                if from < to.min(last) {
                    let range = from - first..to.min(last) - first;
                    from = to.min(last);
                    let out = Out { base: target.base, stride: target.weights.rows, add: target.add };
                    // SAFETY: the instruction set is there; shapes were checked above; pieces are disjoint ranges
                    // of rows, so no two threads write the same element, and `jobs` is borrowed until all are done.
                    unsafe { (self.table.linear)(target.weights, range, x, out) };
                }
                first = last;
            }
        });
    }

    /// `out = x / √(mean(x²) + eps) · weight` for each row of `weight.len()` values.
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn rms_norm(&self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        assert!(x.len() == out.len() && x.len().is_multiple_of(weight.len()), "rows of another length");
        for (x, out) in x.chunks_exact(weight.len()).zip(out.chunks_exact_mut(weight.len())) {
            // SAFETY: `table_for` checked the instruction set; the lengths are equal.
            unsafe { (self.table.rms_norm)(x, weight, eps, out) };
        }
    }

    /// `gate = silu(gate) · up`.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn swiglu(&self, gate: &mut [f32], up: &[f32]) {
        assert_eq!(gate.len(), up.len(), "gate and up differ in length");
        // SAFETY: `table_for` checked the instruction set; the lengths are equal.
        unsafe { (self.table.swiglu)(gate, up) };
    }

    /// Attention for `out.len() / chunk` groups: `job(n)` describes the one that writes the n-th chunk of `out`.
    ///
    /// # Panics
    /// When `chunk` is not the length of the job's queries, or the job's lengths do not fit each other.
    pub fn attend<'a>(&self, out: &mut [f32], chunk: usize, job: impl Fn(usize) -> Attention<'a> + Sync) {
        assert!(chunk > 0 && out.len().is_multiple_of(chunk), "the output is whole groups");
        let groups = out.len() / chunk;
        if groups == 0 {
            return;
        }
        let work: usize = [0, groups - 1].iter().map(|n| job(*n).kv.keys.len() * groups).sum();
        let base = Base(out.as_mut_ptr());
        let one = |n: usize| {
            let job = job(n);
            // SAFETY: chunk `n` lies within `out`, and each is written by one round only.
            let out = unsafe { std::slice::from_raw_parts_mut(base.at(n * chunk), chunk) };
            SCORES.with_borrow_mut(|scores| {
                if scores.len() < job.positions() {
                    scores.resize(job.positions(), 0.0);
                }
                job.check(out, scores);
                // SAFETY: `table_for` checked the instruction set, `check` the lengths.
                unsafe { (self.table.attend)(&job, scores, out) };
            });
        };
        if work < WORTH_SHARING {
            (0..groups).for_each(one);
        } else {
            self.pool.run(groups, &one);
        }
    }
}

/// One matrix of a product and where its output goes.
struct Target<'a> {
    weights: &'a Packed,
    base: *mut f32,
    add: bool,
}
// SAFETY: the threads write through `base` to disjoint rows only (see `Compute::linear`).
unsafe impl Sync for Target<'_> {}

/// The start of an output that threads write disjoint chunks of.
struct Base<T>(*mut T);
// SAFETY: each chunk is visited by one round only, so its values are handed to one thread at a time.
unsafe impl<T: Send> Sync for Base<T> {}

impl<T> Base<T> {
    /// # Safety
    /// `offset` lies within the output.
    unsafe fn at(&self, offset: usize) -> *mut T {
        // SAFETY: handed on from the caller.
        unsafe { self.0.add(offset) }
    }
}
