//! The safe front of the kernels: an instruction set and a pool of threads.
#![allow(unsafe_code)]

use std::{cell::RefCell, fmt};

use crate::{
    Activations, Attention, Isa, Matrix, UnavailableIsa,
    pool::Pool,
    table::{Out, Table, table_for},
};

/// Work below this many multiplications is not worth waking another thread for.
const WORTH_SHARING: usize = 64 * 1024;
/// Pieces per thread that a loop is cut into, so that a slow thread takes fewer.
const PIECES: usize = 4;

/// One product of [`Compute::linear`].
#[derive(Debug)]
pub struct Linear<'a> {
    /// The weights; `cols` equals that of the activations.
    pub weights: Matrix<'a>,
    /// `[tokens, rows]`, overwritten.
    pub out: &'a mut [f32],
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

    /// Takes `values` (`[tokens, cols]`) as the input of products with weights; `quantised` says whether any of
    /// those weights are in a quantised format.
    ///
    /// # Panics
    /// When `values` is not whole rows of `cols`.
    pub fn activate(&self, x: &mut Activations, values: &[f32], cols: usize, quantised: bool) {
        x.reset(values, cols);
        if quantised {
            // SAFETY: `table_for` checked the instruction set.
            unsafe { (self.table.quantise)(x) };
        } else {
            x.codes.clear();
        }
    }

    /// Products of several matrices with the same activations, in one loop over all their rows.
    ///
    /// # Panics
    /// When a shape does not fit, or when a matrix is quantised and the activations are not.
    pub fn linear(&self, jobs: &mut [Linear<'_>], x: &Activations) {
        if x.tokens() == 0 {
            return;
        }
        for job in jobs.iter() {
            assert_eq!(job.weights.cols(), x.cols, "weights and activations differ in columns");
            assert_eq!(job.out.len(), job.weights.rows() * x.tokens(), "the output has another shape");
            assert!(!job.weights.format().is_quantised() || !x.codes.is_empty(), "activations lack codes");
        }
        let rows: usize = jobs.iter().map(|job| job.weights.rows()).sum();
        let pieces = match rows * x.cols * x.tokens() {
            work if work < WORTH_SHARING => 1,
            _ => self.threads() * PIECES,
        };
        let step = rows.div_ceil(pieces).next_multiple_of(4);
        let targets: Vec<Target<'_>> =
            jobs.iter_mut().map(|job| Target { weights: job.weights, base: job.out.as_mut_ptr() }).collect();
        let targets = &targets;
        self.pool.run(rows.div_ceil(step), &|piece| {
            // the rows of all matrices, one after the other, are cut into pieces of `step`
            let (mut from, to) = (piece * step, rows.min((piece + 1) * step));
            let mut first = 0;
            for target in targets {
                let last = first + target.weights.rows();
                if from < to.min(last) {
                    let range = from - first..to.min(last) - first;
                    from = to.min(last);
                    let out = Out { base: target.base, stride: target.weights.rows() };
                    // SAFETY: the instruction set is there; shapes were checked above; pieces are disjoint ranges
                    // of rows, so no two threads write the same element, and `jobs` is borrowed until all are done.
                    unsafe { (self.table.linear)(&target.weights, range, x, out) };
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
    weights: Matrix<'a>,
    base: *mut f32,
}
// SAFETY: the threads write through `base` to disjoint rows only (see `Compute::linear`).
unsafe impl Sync for Target<'_> {}

/// The start of an output that threads write disjoint chunks of.
struct Base(*mut f32);
// SAFETY: each chunk is written by one round only (see `Compute::attend`).
unsafe impl Sync for Base {}

impl Base {
    /// # Safety
    /// `offset` lies within the output.
    unsafe fn at(&self, offset: usize) -> *mut f32 {
        // SAFETY: handed on from the caller.
        unsafe { self.0.add(offset) }
    }
}
