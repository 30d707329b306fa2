//! Where activations are written: block by block, by several threads.
#![allow(unsafe_code)]

use crate::{
    BLOCK,
    activations::{STRIP, STRIP_BLOCK, Tiling, fact},
};

/// The same blocks of some neighbouring tokens, one token's after the other's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks {
    /// The first token.
    pub(crate) token: usize,
    /// The first block of each token, and how many.
    pub(crate) first: usize,
    pub(crate) each: usize,
}

/// The codes, facts and bfloat16 of all tokens, to be written by several threads.
pub(crate) struct Places {
    pub(crate) codes: *mut i8,
    pub(crate) facts: *mut f32,
    pub(crate) bf16: *mut u16,
    /// Blocks of a token.
    pub(crate) blocks: usize,
    pub(crate) tiling: Tiling,
    pub(crate) tokens: usize,
    /// Facts of a block of a token.
    pub(crate) facts_len: usize,
}
// SAFETY: who writes to a place promises that nobody else has it.
unsafe impl Sync for Places {}

impl Places {
    /// The places of codes and facts of some of the blocks, from the n-th on.
    pub(crate) fn find(&self, blocks: Blocks, n: usize, places: &mut [Place]) {
        let (mut token, mut block) = (blocks.token + n / blocks.each, n % blocks.each);
        let mut rest = places;
        while !rest.is_empty() {
            let (part, others) = rest.split_at_mut(rest.len().min(blocks.each - block));
            assert!(token < self.tokens && blocks.first + block + part.len() <= self.blocks);
            let (first, len) = self.tiling.tile_of(self.tokens, token);
            let within = token - first;
            let (token_bytes, quad_bytes) =
                if len >= self.tiling.rows_from { (BLOCK, 4) } else { (4, 4 * len) };
            for (n, place) in part.iter_mut().enumerate() {
                // a block of all tokens of the tile comes after the other
                let at = first * self.blocks + (blocks.first + block + n) * len;
                *place = Place {
                    codes: self.codes.wrapping_add(at * BLOCK + token_bytes * within),
                    quad_bytes,
                    facts: self.facts.wrapping_add(at * self.facts_len + within),
                    len,
                    facts_len: self.facts_len,
                };
            }
            (token, block, rest) = (token + 1, 0, others);
        }
    }

    /// How many of `tokens` tokens from `first` on lie side by side in fours, from the first on; their blocks lie quad by quad.
    pub(crate) fn fours(&self, first: usize, tokens: usize) -> usize {
        let lies_in_four = |n: &usize| {
            let token = first + n * 4;
            let (start, len) = self.tiling.tile_of(self.tokens, token);
            len < self.tiling.rows_from && len.is_multiple_of(4) && (token - start).is_multiple_of(4)
        };
        (0..tokens / 4).take_while(lies_in_four).count()
    }

    /// The place of a block of one of those.
    pub(crate) fn four(&self, first: usize, block: usize) -> Four {
        assert!(first + 4 <= self.tokens && block < self.blocks);
        let (start, len) = self.tiling.tile_of(self.tokens, first);
        let (at, within) = (start * self.blocks + block * len, first - start);
        Four {
            codes: self.codes.wrapping_add(at * BLOCK + within * 4),
            facts: self.facts.wrapping_add(at * self.facts_len + within),
            len,
            facts_len: self.facts_len,
        }
    }

    /// Where the bfloat16 of a token's block go: `BLOCK` of them, which begin with a cache line.
    ///
    /// # Safety
    /// There are bfloat16, and nobody else writes what the caller writes.
    pub(crate) unsafe fn bf16(&self, token: usize, block: usize) -> *mut u16 {
        assert!(token < self.tokens && block < self.blocks);
        let strip = token / STRIP * self.strip_len();
        self.bf16.wrapping_add(strip + block * STRIP_BLOCK + token % STRIP * BLOCK)
    }

    /// bfloat16 from a strip to the next.
    pub(crate) fn strip_len(&self) -> usize {
        self.blocks * STRIP_BLOCK
    }
}

/// Where the codes and facts of one block of four tokens go that lie side by side.
#[derive(Clone, Copy)]
pub(crate) struct Four {
    /// `[quad][len][4]`
    pub(crate) codes: *mut i8,
    /// `[fact][len]`
    pub(crate) facts: *mut f32,
    /// Tokens of the tile.
    pub(crate) len: usize,
    /// How many facts.
    pub(crate) facts_len: usize,
}

impl Four {
    /// Of nothing yet.
    pub(crate) const NOWHERE: Self =
        Self { codes: std::ptr::null_mut(), facts: std::ptr::null_mut(), len: 0, facts_len: 0 };
}

/// Where the codes and facts of one block of one token go.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    codes: *mut i8,
    /// From one quad to the next.
    quad_bytes: usize,
    facts: *mut f32,
    /// Tokens of the tile.
    len: usize,
    facts_len: usize,
}

impl Place {
    /// Of nothing yet.
    pub(crate) const NOWHERE: Self = Self {
        codes: std::ptr::null_mut(),
        quad_bytes: 0,
        facts: std::ptr::null_mut(),
        len: 0,
        facts_len: 0,
    };

    /// Writes the codes.
    ///
    /// # Safety
    /// The activations have codes, and the place is the caller's alone.
    #[inline(always)]
    pub(crate) unsafe fn write_codes(&self, codes: &[i8; BLOCK]) {
        // SAFETY: the quads of a block lie `quad_bytes` apart.
        unsafe {
            for (quad, codes) in codes.as_chunks::<4>().0.iter().enumerate() {
                self.codes.add(quad * self.quad_bytes).cast::<[i8; 4]>().write(*codes);
            }
        }
    }
}

/// Writes the facts of the blocks of `places`: their scales and the sums of the first and the last sixteen codes of each,
/// which are whole numbers. Sums of 4-bit codes have 16 bits where `words`.
///
/// # Safety
/// As for the codes; there are at most `N` places, of the same activations.
#[inline(always)]
pub(crate) unsafe fn write_facts<const N: usize>(
    words: bool,
    places: &[Place],
    scales: &[f32; N],
    [low, high]: [&[f32; N]; 2],
) {
    let facts_len = places.first().map_or(0, |place| place.facts_len);
    let facts = facts(words, facts_len, scales, [low, high]);
    for (n, place) in places.iter().enumerate() {
        for (fact, values) in facts[..facts_len].iter().enumerate() {
            // SAFETY: a block's facts lie `len` apart.
            unsafe { place.facts.add(fact * place.len).write(values[n]) };
        }
    }
}

/// The facts of some blocks as [`write_facts`] writes them, the first `facts_len`.
#[inline(always)]
pub(crate) fn facts<const N: usize>(
    words: bool,
    facts_len: usize,
    scales: &[f32; N],
    [low, high]: [&[f32; N]; 2],
) -> [[f32; N]; fact::ALL] {
    // fact by fact for all blocks, which a compiler turns into vectors
    let mut facts = [[0.0; N]; fact::ALL];
    let kept = if words { 0xffff } else { u32::MAX };
    let nibbles = |sum: f32| f32::from_bits(whole(-8.0 * sum).to_bits() & kept);
    for n in 0..N {
        let sum = low[n] + high[n];
        facts[fact::SCALE][n] = scales[n];
        facts[fact::SUM][n] = scales[n] * sum;
        facts[fact::NIBBLES][n] = nibbles(sum);
        facts[fact::BYTES][n] = whole(-128.0 * sum);
    }
    if facts_len == fact::ALL {
        for (half, sums) in [low, high].into_iter().enumerate() {
            for n in 0..N {
                facts[fact::HALF_SUMS + half][n] = scales[n] * sums[n];
                facts[fact::HALF_NIBBLES + half][n] = nibbles(sums[n]);
                facts[fact::HALF_BYTES + half][n] = whole(-128.0 * sums[n]);
            }
        }
    }
    facts
}

/// A whole number below 2²² as an i32, in the bits of a float; a checked cast would not become a vector.
#[inline(always)]
fn whole(value: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 · 2²³: the last bit of its neighbourhood is a one
    f32::from_bits((value + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activations, activations::Needs};

    #[test]
    fn a_token_is_written_where_its_tile_is_read() {
        let lens = &[12, 8, 4, 2, 1];
        let tilings = [Tiling::quads(lens), Tiling { lens, rows_from: 8 }];
        for (tokens, tiling) in (1..40).flat_map(|tokens| tilings.map(|tiling| (tokens, tiling))) {
            let mut x = Activations::default();
            x.reset((tokens, 70), tiling, Needs { codes: true, ..Needs::default() });
            let places = x.places();
            // two of three blocks of all tokens, then the third
            for (blocks, start) in
                [(Blocks { token: 0, first: 1, each: 2 }, 1), (Blocks { token: 0, first: 0, each: 1 }, 0)]
            {
                for n in 0..tokens * blocks.each {
                    let (token, block) = (n / blocks.each, n % blocks.each + start);
                    let codes = std::array::from_fn(|n| (token + n + block) as i8);
                    let mut place = [Place::NOWHERE];
                    places.find(blocks, n, &mut place);
                    // SAFETY: one thread, and each place once.
                    unsafe {
                        place[0].write_codes(&codes);
                        write_facts(false, &place, &[token as f32], [&[0.0], &[0.0]]);
                    }
                }
            }
            let mut next = 0;
            for tile in x.tiles() {
                assert_eq!(tile.first, next);
                next += tile.len;
                for (n, (block, column)) in
                    (0..tile.len).flat_map(|n| (0..96).map(move |c| (n, (c / 32, c % 32))))
                {
                    let at = if tile.len >= tiling.rows_from {
                        (block * tile.len + n) * 32 + column
                    } else {
                        ((block * 8 + column / 4) * tile.len + n) * 4 + column % 4
                    };
                    // SAFETY: within the tile.
                    let (code, scale) = unsafe {
                        (
                            *tile.codes.add(at),
                            *tile.facts.add((block * fact::FEW + fact::SCALE) * tile.len + n),
                        )
                    };
                    assert_eq!(usize::from(code.cast_unsigned()), tile.first + n + column + block);
                    assert_eq!(scale, (tile.first + n) as f32);
                }
            }
            assert_eq!(next, tokens);
        }
    }
}
