//! The instructions of AMX, and the vectors that work beside them.
//!
//! A tile is a register of up to sixteen lines of 64 bytes; a thread configures its tiles before it uses them. Compilers
//! have no stable functions for them yet, hence the assembler.

use std::arch::{asm, x86_64::*};

use super::avx512::Avx512;
use crate::{BLOCK, packed::ROWS};

/// Tokens of a tile.
pub(super) const TOKENS: usize = 16;
/// Bytes of a line of weights or of sums: four of each of sixteen rows.
pub(super) const LINE: usize = 64;

/// The vectors of processors with AMX.
pub(super) type V = Avx512<true, true>;

/// Sums as a tile holds them: `[token][row]`.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub(super) struct Sums(pub(super) [[i32; ROWS]; TOKENS]);

/// The unit for tiles, made ready for products of `columns` columns, until dropped.
pub(super) struct Unit(Registers);

impl Unit {
    /// # Safety
    /// The machine has AMX; `columns` is 16 or 32; the thread has no other unit.
    pub(super) unsafe fn configured(columns: usize) -> Self {
        let mut registers = Registers::IDLE;
        // SAFETY: handed on from the caller.
        unsafe { registers.configure(&[(TOKENS, LINE), (TOKENS, columns), (columns / 4, LINE)]) };
        Self(registers)
    }

    /// `sums = codes · weights`: sixteen tokens, whose codes lie a block apart, with the quads of sixteen rows.
    ///
    /// # Safety
    /// There are as many columns of both as the tiles were configured for.
    #[inline(always)]
    pub(super) unsafe fn multiply(&self, codes: *const i8, weights: *const u8, sums: &mut Sums) {
        // SAFETY: handed on from the caller; the sums are sixteen lines.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tileloadd tmm1, [{codes} + {token} * 1]",
                "tileloadd tmm2, [{weights} + {line} * 1]",
                "tdpbssd tmm0, tmm1, tmm2",
                "tilestored [{sums} + {line} * 1], tmm0",
                codes = in(reg) codes,
                weights = in(reg) weights,
                sums = in(reg) sums,
                token = in(reg) BLOCK,
                line = in(reg) LINE,
                options(nostack, preserves_flags)
            );
        }
    }
}

/// The thread's registers, given back when this is dropped.
pub(super) struct Registers(());

impl Registers {
    /// Not ready for anything yet.
    pub(super) const IDLE: Self = Self(());

    /// Makes them ready, each for so many lines of so many bytes; what they hold is lost.
    ///
    /// # Safety
    /// The machine has AMX, and nobody else uses the thread's registers.
    pub(super) unsafe fn configure(&mut self, shapes: &[(usize, usize)]) {
        // palette 1, as Intel's manual lays it out (volume 1, chapter 18)
        #[repr(C, align(64))]
        struct Config {
            palette: u8,
            start_row: u8,
            reserved: [u8; 14],
            line_bytes: [u16; 16],
            lines: [u8; 16],
        }
        let mut config =
            Config { palette: 1, start_row: 0, reserved: [0; 14], line_bytes: [0; 16], lines: [0; 16] };
        for (tile, (lines, bytes)) in shapes.iter().enumerate() {
            (config.lines[tile], config.line_bytes[tile]) = (*lines as u8, *bytes as u16);
        }
        // SAFETY: 64 bytes that are a configuration.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, preserves_flags, readonly))
        };
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: nobody else uses them.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
    }
}

/// Reads a register's lines, some bytes apart; the first-level cache need not keep those that are read `once`.
macro_rules! read {
    ($register:literal, $from:expr, $apart:expr) => {
        read!(@ "tileloadd ", $register, $from, $apart)
    };
    ($register:literal, $from:expr, $apart:expr, once) => {
        read!(@ "tileloaddt1 ", $register, $from, $apart)
    };
    (@ $instruction:literal, $register:literal, $from:expr, $apart:expr) => {
        asm!(
            concat!($instruction, $register, ", [{from} + {apart} * 1]"),
            from = in(reg) $from,
            apart = in(reg) $apart,
            options(nostack, preserves_flags, readonly)
        )
    };
}

/// Writes a register's lines.
macro_rules! write {
    ($register:literal, $to:expr, $apart:expr) => {
        asm!(
            concat!("tilestored [{to} + {apart} * 1], ", $register),
            to = in(reg) $to,
            apart = in(reg) $apart,
            options(nostack, preserves_flags)
        )
    };
}

/// Makes a register's lines zeros.
macro_rules! zero {
    ($register:literal) => {
        asm!(concat!("tilezero ", $register), options(nostack, preserves_flags, nomem))
    };
}

/// `sums += a · b` of bfloat16, registers: lines of `a` with pairs of `b`.
macro_rules! dot {
    ($sums:literal, $a:literal, $b:literal) => {
        asm!(concat!("tdpbf16ps ", $sums, ", ", $a, ", ", $b), options(nostack, preserves_flags, nomem))
    };
}
pub(super) use {dot, read, write, zero};

/// Some lines for each of eight tokens, whose totals are `s0` to `s7`; `n` stands for the token.
macro_rules! eight {
    ($totals:ident, [$($line:tt)*], $($operands:tt)*) => {
        asm!(
            eight!(@ "0" $($line)*), eight!(@ "1" $($line)*), eight!(@ "2" $($line)*), eight!(@ "3" $($line)*),
            eight!(@ "4" $($line)*), eight!(@ "5" $($line)*), eight!(@ "6" $($line)*), eight!(@ "7" $($line)*),
            s0 = inout(zmm_reg) $totals[0],
            s1 = inout(zmm_reg) $totals[1],
            s2 = inout(zmm_reg) $totals[2],
            s3 = inout(zmm_reg) $totals[3],
            s4 = inout(zmm_reg) $totals[4],
            s5 = inout(zmm_reg) $totals[5],
            s6 = inout(zmm_reg) $totals[6],
            s7 = inout(zmm_reg) $totals[7],
            $($operands)*,
            options(pure, readonly, nostack, preserves_flags)
        )
    };
    (@ $n:literal) => { "" };
    (@ $n:literal n $($rest:tt)*) => { concat!($n, eight!(@ $n $($rest)*)) };
    (@ $n:literal $text:literal $($rest:tt)*) => { concat!($text, eight!(@ $n $($rest)*)) };
}

/// `totals[token] += (scale · sums[token]) · facts[token]`, a row a lane. A compiler keeps all factors in registers, of which
/// there are not enough.
///
/// # Safety
/// There are eight lines of sums and eight facts.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn add_scaled(
    totals: &mut [__m512; 8],
    sums: *const [i32; ROWS],
    facts: *const f32,
    scale: __m512,
) {
    let _floats: __m512;
    // SAFETY: handed on from the caller.
    unsafe {
        eight!(
            totals,
            ["vcvtdq2ps {floats}, zmmword ptr [{sums} + 64*" n "]\n"
             "vmulps {floats}, {floats}, {scale}\n"
             "vfmadd231ps {s" n "}, {floats}, dword ptr [{facts} + 4*" n "]{{1to16}}"],
            sums = in(reg) sums,
            facts = in(reg) facts,
            scale = in(zmm_reg) scale,
            floats = out(zmm_reg) _floats
        );
    }
}

/// `totals[token] += minimum · facts[token]`
///
/// # Safety
/// There are eight facts.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn add_minima(totals: &mut [__m512; 8], facts: *const f32, minimum: __m512) {
    // SAFETY: handed on from the caller.
    unsafe {
        eight!(
            totals,
            ["vfmadd231ps {s" n "}, {minimum}, dword ptr [{facts} + 4*" n "]{{1to16}}"],
            facts = in(reg) facts,
            minimum = in(zmm_reg) minimum
        );
    }
}

/// Whether the processor has it, and the system lends this process its registers.
pub(crate) fn is_available() -> bool {
    use std::sync::OnceLock;
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        // AMX-BF16, AMX-TILE and AMX-INT8 (Intel's manual, volume 2, CPUID leaf 7), which std's macro does not know yet
        const BITS: u32 = 1 << 22 | 0b11 << 24;
        __cpuid_count(7, 0).edx & BITS == BITS
            && is_x86_feature_detected!("gfni")
            && is_x86_feature_detected!("avx512bf16")
            && permitted()
    })
}

/// Asks the system for the registers, see Documentation/arch/x86/xstate.rst of Linux. It refuses where a thread has a stack
/// for signals that is too small for them.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: takes numbers only.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}
