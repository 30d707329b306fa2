//! The unit for tiles of bfloat16, and what one or two groups of rows give with one or two strips of tokens.

use std::arch::asm;

use super::{
    amx::{LINE, Registers, TOKENS, V, dot, read, write, zero},
    bf16_weights::Weights,
    vector::prefetch_ahead,
};
use crate::{
    activations::{STRIP, STRIP_BLOCK},
    packed::ROWS,
    table::Strips,
};

const _: () = assert!(STRIP == TOKENS);
/// Bytes of tokens that stay in the second-level cache while groups after groups meet them.
pub(super) const CACHED: usize = 1280 << 10;

/// Registers for one or two strips of tokens, until dropped: 0 to 3 hold sums, of the first group with both strips, then of the
/// second group; 4 and 5 tokens of the strips, 6 and 7 weights of the groups.
pub(super) struct Unit {
    registers: Registers,
    pub(super) lens: [usize; 2],
}

/// Some groups' blocks, and the strips that meet them. A step's values are few and simple on purpose: what is stored in parts and
/// read as a whole has to wait for all sums to be written.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) weights: [*const Weights; 2],
    /// The first strip's blocks, and where the second's are from there.
    pub(super) tokens: *const u16,
    pub(super) strip: usize,
    pub(super) blocks: usize,
    /// Where the sums go, `[token][row]`, values from a token to the next, and whether they are added to what is there.
    pub(super) to: *mut f32,
    pub(super) stride: usize,
    pub(super) go_on: bool,
}

impl Unit {
    /// Not ready for anything yet.
    pub(super) const IDLE: Self = Self { registers: Registers::IDLE, lens: [0, 0] };

    /// Makes it ready for the first strip of some and the one after it, if there is one.
    ///
    /// # Safety
    /// The machine has AMX, and nobody else uses the thread's registers.
    pub(super) unsafe fn fit(&mut self, (x, strips): Strips<'_>) {
        let len = |n: usize| if n < strips.end { x.strip(n).len } else { 0 };
        let lens = [len(strips.start), len(strips.start + 1)];
        if self.lens != lens {
            let [first, second] = lens.map(|len| (len, if len > 0 { LINE } else { 0 }));
            let shapes = [first, second, first, second, first, second, (ROWS, LINE), (ROWS, LINE)];
            // SAFETY: handed on from the caller.
            unsafe { self.registers.configure(&shapes) };
            self.lens = lens;
        }
    }

    /// Sums of `G` groups with the strips that it was made ready for, over some blocks. `beside(n)` is what vectors do meanwhile,
    /// twice a block: as soon as the first group's weights are read, and the second's.
    ///
    /// # Safety
    /// All of that is there.
    #[inline(always)]
    pub(super) unsafe fn multiply<const G: usize>(&self, step: Step, beside: impl FnMut(usize)) {
        // SAFETY: handed on from the caller.
        unsafe {
            if self.lens[1] > 0 {
                self.strips::<G, 2>(step, beside);
            } else {
                self.strips::<G, 1>(step, beside);
            }
        }
    }

    /// The same for `S` strips.
    ///
    /// # Safety
    /// As for [`Unit::multiply`]; there are so many.
    #[inline(always)]
    unsafe fn strips<const G: usize, const S: usize>(&self, step: Step, mut beside: impl FnMut(usize)) {
        let Step { weights, tokens, strip, blocks, to, stride, go_on } = step;
        let apart = stride * size_of::<f32>();
        let to = |strip: usize, group: usize| to.wrapping_add(strip * STRIP * stride + group * ROWS);
        // SAFETY: handed on from the caller.
        unsafe {
            macro_rules! begin {
                ($register:literal, $to:expr) => {
                    if go_on {
                        read!($register, $to, apart);
                    } else {
                        zero!($register);
                    }
                };
            }
            begin!("tmm0", to(0, 0));
            if S == 2 {
                begin!("tmm1", to(1, 0));
            }
            if G == 2 {
                begin!("tmm2", to(0, 1));
            }
            if G == 2 && S == 2 {
                begin!("tmm3", to(1, 1));
            }
            for block in 0..blocks {
                if G == 1 && S == 1 {
                    // few tokens: the memory is waited for
                    prefetch_ahead::<V>(weights[0].add(block).cast(), size_of::<Weights>());
                }
                let tokens = tokens.add(block * STRIP_BLOCK);
                read!("tmm6", weights[0].add(block), LINE);
                read!("tmm4", tokens, LINE, once);
                dot!("tmm0", "tmm4", "tmm6");
                if S == 2 {
                    read!("tmm5", tokens.add(strip), LINE, once);
                    dot!("tmm1", "tmm5", "tmm6");
                }
                beside(2 * block);
                if G == 2 {
                    read!("tmm7", weights[1].add(block), LINE);
                    dot!("tmm2", "tmm4", "tmm7");
                }
                if G == 2 && S == 2 {
                    dot!("tmm3", "tmm5", "tmm7");
                }
                beside(2 * block + 1);
            }
            write!("tmm0", to(0, 0), apart);
            if S == 2 {
                write!("tmm1", to(1, 0), apart);
            }
            if G == 2 {
                write!("tmm2", to(0, 1), apart);
            }
            if G == 2 && S == 2 {
                write!("tmm3", to(1, 1), apart);
            }
        }
    }
}
