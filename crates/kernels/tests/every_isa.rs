//! The same cases through every instruction set that the machine has, against the scalar oracle.

use half::{bf16, f16};
use kernels::{
    Activations, Arena, Attention, Compute, Format, Isa, KvCache, Lane, Layout, Linear, Matrix, Packed,
    RowCodes,
};

/// A small generator of our own, so that a failing case can be named by its seed (Steele et al., SplitMix64).
struct Noise(u64);

impl Noise {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between -1 and 1.
    fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn floats(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.float()).collect()
    }

    /// Random weights of `len` in `format`, as bytes; every code occurs.
    fn weights(&mut self, format: Format, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..len / format.block_len() {
            let start = bytes.len();
            match format {
                Format::F32 => bytes.extend(self.float().to_le_bytes()),
                Format::F16 => bytes.extend(f16::from_f32(self.float()).to_le_bytes()),
                Format::Bf16 => bytes.extend(bf16::from_f32(self.float()).to_le_bytes()),
                _ => bytes.extend((0..format.block_bytes()).map(|_| self.bits() as u8)),
            }
            for at in reals(format) {
                bytes[start + at..][..2].copy_from_slice(&f16::from_f32(self.float()).to_le_bytes());
            }
        }
        bytes
    }
}

/// Where a block's half floats lie.
fn reals(format: Format) -> &'static [usize] {
    match format {
        Format::F32 | Format::F16 | Format::Bf16 => &[],
        Format::Q8_0 | Format::Q4_0 | Format::Q5_0 | Format::Iq4Nl => &[0],
        Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => &[0, 2],
        Format::Q2K => &[80, 82],
        Format::Q3K => &[108],
        Format::Q6K => &[208],
    }
}

fn machines(threads: usize) -> Vec<Compute> {
    let available = Isa::ALL.into_iter().filter(|isa| isa.is_available());
    available.map(|isa| Compute::new(Some(isa), threads).expect("the instruction set is available")).collect()
}

fn activate(compute: &Compute, weights: &[&Packed], x: &[f32]) -> Activations {
    let cols = weights[0].cols();
    let kinds: Vec<_> = weights.iter().map(|weights| weights.kind()).collect();
    let mut activations = Activations::default();
    compute.activate(&mut activations, (x.len() / cols, cols), &kinds, |token, row| {
        row.copy_from_slice(&x[token * cols..][..cols]);
    });
    activations
}

fn packed_product(compute: &Compute, weights: &Packed, x: &[f32]) -> Vec<f32> {
    let activations = activate(compute, &[weights], x);
    let mut out = vec![f32::NAN; weights.rows() * activations.tokens()];
    compute.linear(&mut [Linear { weights, out: &mut out, add: false }], &activations);
    out
}

fn product(compute: &Compute, weights: Matrix<'_>, x: &[f32]) -> Vec<f32> {
    packed_product(compute, &compute.pack(&weights, &mut Arena::default()).expect("memory"), x)
}

fn assert_close(got: &[f32], want: &[f32], tolerance: f32, case: &str) {
    let size = want.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance * size, "{case}: value {i} is {got}, expected {want}");
    }
}

#[test]
fn products_agree_with_the_oracle_for_every_format_tail_and_tile() {
    let machines = machines(1);
    let mut noise = Noise(1);
    for format in Format::ALL {
        let lengths: &[usize] = match format.block_len() {
            1 => &[1, 15, 16, 17, 576],
            32 => &[32, 64, 96, 576, 1536],
            _ => &[256, 768],
        };
        for &cols in lengths {
            for tokens in 1..=9 {
                let rows = 7;
                let bytes = noise.weights(format, rows * cols);
                let weights = Matrix::new(format, rows, cols, &bytes).unwrap();
                let x = noise.floats(tokens * cols);
                let want = product(&machines[0], weights, &x);
                for machine in &machines[1..] {
                    let case = format!("{format:?} {rows}×{cols}, {tokens} tokens, {}", machine.isa());
                    assert_close(&product(machine, weights, &x), &want, 2e-6, &case);
                }
            }
        }
    }
}

#[test]
fn extreme_codes_do_not_saturate() {
    // -128 as a weight and ±127 as activations: the largest sums that the 16-bit steps of AVX2 meet
    let cols = 64;
    for code in [0x80u8, 0x7f, 0xff] {
        let mut bytes = Vec::new();
        for _ in 0..cols / 32 {
            bytes.extend(f16::ONE.to_le_bytes());
            bytes.extend([code; 32]);
        }
        let weights = Matrix::new(Format::Q8_0, 1, cols, &bytes).unwrap();
        for sign in [1.0, -1.0] {
            let x = vec![sign * 127.0; cols];
            let want = sign * 127.0 * 64.0 * f32::from(code.cast_signed());
            for machine in machines(1) {
                assert_eq!(product(&machine, weights, &x), [want], "{} code {code}", machine.isa());
            }
        }
    }
}

#[test]
fn quantised_activations_stay_within_half_a_step() {
    // against plain float arithmetic: the only error is the rounding of the activations
    let mut noise = Noise(2);
    let (rows, cols) = (5, 768);
    for format in Format::ALL.into_iter().filter(|format| format.is_quantised()) {
        let bytes = noise.weights(format, rows * cols);
        let weights = Matrix::new(format, rows, cols, &bytes).unwrap();
        let x = noise.floats(cols);
        let mut row = vec![0.0; cols];
        for machine in machines(1) {
            let got = product(&machine, weights, &x);
            for (n, got) in got.iter().enumerate() {
                weights.dequantise_row(n, &mut row);
                let want: f64 = row.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                let bound: f64 = row.iter().map(|w| f64::from(w.abs()) * 0.51 / 127.0).sum();
                assert!(
                    (f64::from(*got) - want).abs() <= bound,
                    "{format:?} {}: {got} {want}",
                    machine.isa()
                );
            }
        }
    }
}

#[test]
fn avx2_and_avx512_agree_to_the_last_bit() {
    let machines: Vec<_> = machines(1).into_iter().filter(|m| m.isa() != Isa::Scalar).collect();
    let mut noise = Noise(3);
    for format in Format::ALL {
        let (rows, cols) = (9, 256);
        let bytes = noise.weights(format, rows * cols);
        let weights = Matrix::new(format, rows, cols, &bytes).unwrap();
        let x = noise.floats(3 * cols);
        let results: Vec<_> = machines.iter().map(|m| product(m, weights, &x)).collect();
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{format:?}");
    }
}

#[test]
fn batches_threads_and_pieces_do_not_change_a_bit() {
    let mut noise = Noise(4);
    let (rows, cols, tokens) = (300, 576, 11);
    for format in [Format::Q4_1, Format::Q8_0, Format::F16] {
        let bytes = noise.weights(format, rows * cols);
        let weights = Matrix::new(format, rows, cols, &bytes).unwrap();
        let x = noise.floats(tokens * cols);
        for (one, three) in machines(1).iter().zip(machines(3)) {
            let together = product(one, weights, &x);
            assert_eq!(together, product(&three, weights, &x), "threads, {format:?} {}", one.isa());
            let alone: Vec<f32> = x.chunks(cols).flat_map(|x| product(one, weights, x)).collect();
            assert_eq!(together, alone, "batch, {format:?} {}", one.isa());
        }
    }
}

#[test]
fn several_matrices_in_one_loop_give_what_they_give_alone() {
    let mut noise = Noise(5);
    let (cols, tokens) = (576, 4);
    let shapes = [(Format::Q4_1, 576), (Format::Q8_0, 192), (Format::Q4_0, 191)];
    let bytes: Vec<_> = shapes.iter().map(|(format, rows)| noise.weights(*format, rows * cols)).collect();
    let matrices: Vec<_> = shapes
        .iter()
        .zip(&bytes)
        .map(|((format, rows), bytes)| Matrix::new(*format, *rows, cols, bytes).unwrap())
        .collect();
    let x = noise.floats(tokens * cols);
    for machine in machines(2) {
        let mut arena = Arena::default();
        let packed: Vec<_> = matrices.iter().map(|m| machine.pack(m, &mut arena).expect("memory")).collect();
        let activations = activate(&machine, &packed.iter().collect::<Vec<_>>(), &x);
        let mut outs: Vec<_> = shapes.iter().map(|(_, rows)| vec![1.0; rows * tokens]).collect();
        for add in [false, true] {
            let jobs = packed.iter().zip(&mut outs);
            let mut jobs: Vec<_> = jobs.map(|(weights, out)| Linear { weights, out, add }).collect();
            machine.linear(&mut jobs, &activations);
        }
        for (matrix, out) in matrices.iter().zip(&outs) {
            let alone = product(&machine, *matrix, &x);
            assert!(out.iter().zip(alone).all(|(twice, once)| *twice == once + once));
        }
    }
}

#[test]
fn every_layout_agrees_with_the_oracle_and_decodes_to_what_was_packed() {
    let machines = machines(2);
    let mut noise = Noise(8);
    for bits in 0..16 {
        let [nibbles, halves, minima, wide] = [bits & 1 > 0, bits & 2 > 0, bits & 4 > 0, bits & 8 > 0];
        let layout = Layout { nibbles, halves, minima, wide };
        let (rows, cols, width) = (21, 100, if halves { 16 } else { 32 });
        let lowest: i16 = if !nibbles {
            -128
        } else if minima {
            0
        } else {
            -8
        };
        let decoded: Vec<RowCodes> = (0..rows)
            .map(|_| RowCodes {
                codes: (0..cols)
                    .map(|_| (lowest + (noise.bits() % if nibbles { 16 } else { 256 }) as i16) as i8)
                    .collect(),
                scales: (0..128 / width).map(|_| f16::from_f32(noise.float()).to_f32()).collect(),
                minima: (0..128 / width).map(|_| f16::from_f32(noise.float()).to_f32()).collect(),
            })
            .collect();
        let fill = |row: usize, out: &mut RowCodes| {
            out.codes[..cols].copy_from_slice(&decoded[row].codes);
            out.scales.copy_from_slice(&decoded[row].scales);
            if minima {
                out.minima.copy_from_slice(&decoded[row].minima);
            }
        };
        for tokens in [1, 2, 3, 7, 13] {
            let x = noise.floats(tokens * cols);
            let run = |machine: &Compute| {
                let packed =
                    machine.pack_rows(layout, rows, cols, &mut Arena::default(), fill).expect("memory");
                let mut row = vec![0.0; cols];
                for (n, want) in decoded.iter().enumerate() {
                    packed.dequantise_row(n, &mut row);
                    for (column, got) in row.iter().enumerate() {
                        let (code, at) = (f32::from(want.codes[column]), column / width);
                        let minimum = if minima { want.minima[at] } else { 0.0 };
                        assert_eq!(
                            *got,
                            want.scales[at] * code + minimum,
                            "{layout:?} row {n} column {column}"
                        );
                    }
                }
                packed_product(machine, &packed, &x)
            };
            let want = run(&machines[0]);
            for machine in &machines[1..] {
                assert_close(
                    &run(machine),
                    &want,
                    2e-6,
                    &format!("{layout:?}, {tokens} tokens, {}", machine.isa()),
                );
            }
        }
    }
}

#[test]
fn norms_and_activations_are_what_the_formula_says_at_every_length_and_alignment() {
    let machines = machines(1);
    let mut noise = Noise(6);
    for len in (1..=130).chain([576, 2048]) {
        for start in [0, 1, 7] {
            let (x, weight) = (noise.floats(len + start), noise.floats(len + start));
            let (x, weight) = (&x[start..], &weight[start..]);
            let gate: Vec<f32> = noise.floats(len).iter().map(|v| v * 40.0).collect();
            let square = x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / len as f64;
            let norm = |x: &f32, w: &f32| (f64::from(*x) / (square + 1e-5).sqrt() * f64::from(*w)) as f32;
            let want: Vec<f32> = x.iter().zip(weight).map(|(x, w)| norm(x, w)).collect();
            let silu =
                |g: &f32, x: &f32| (f64::from(*g) / (1.0 + (-f64::from(*g)).exp()) * f64::from(*x)) as f32;
            let want_gate: Vec<f32> = gate.iter().zip(x).map(|(g, x)| silu(g, x)).collect();
            for machine in &machines {
                let case = format!("{len} values from {start}, {}", machine.isa());
                let mut got = vec![0.0; len + start];
                machine.rms_norm(x, weight, 1e-5, &mut got[start..]);
                assert_close(&got[start..], &want, 1e-6, &case);
                machine.swiglu(&gate, x, &mut got[start..]);
                assert_close(&got[start..], &want_gate, 1e-6, &case);
            }
        }
    }
}

#[test]
fn products_are_what_the_formula_says_at_every_length_and_alignment() {
    let machines = machines(1);
    let mut noise = Noise(11);
    for cols in (1..=70).chain([576]) {
        let (rows, tokens, start) = (1 + cols % 37, 1 + cols % 29, cols % 5);
        let x = noise.floats(tokens * cols);
        let naive = |row: &dyn Fn(usize) -> Vec<f32>, x: &[f32]| -> Vec<f32> {
            let rows: Vec<_> = (0..rows).map(row).collect();
            let dot = |row: &[f32], x: &[f32]| {
                row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>()
            };
            x.chunks(cols)
                .flat_map(|x| rows.iter().map(|row| dot(row, x) as f32).collect::<Vec<_>>())
                .collect()
        };
        for format in [Format::F32, Format::F16, Format::Bf16, Format::Q8_0, Format::Q4_0, Format::Q4_1] {
            if cols % format.block_len() != 0 {
                continue;
            }
            // a file may put its weights anywhere
            let bytes = [vec![0; start], noise.weights(format, rows * cols)].concat();
            let weights = Matrix::new(format, rows, cols, &bytes[start..]).unwrap();
            let row = |n: usize| {
                let mut row = vec![0.0; cols];
                weights.dequantise_row(n, &mut row);
                row
            };
            for machine in &machines {
                let case =
                    format!("{format:?} {rows}×{cols} from {start}, {tokens} tokens, {}", machine.isa());
                let x = if format.is_quantised() { rounded(machine, &x, cols) } else { x.clone() };
                assert_close(&product(machine, weights, &x), &naive(&row, &x), 4e-6, &case);
            }
        }
        // columns that are no whole number of blocks: 4-bit and 8-bit codes
        for nibbles in [true, false] {
            let layout = Layout { nibbles, halves: false, minima: false, wide: true };
            let (codes, scale) = (noise.floats(rows * cols), 0.125);
            let code = |n: usize| (codes[n] * if nibbles { 7.9 } else { 127.9 }) as i8;
            let fill = |row: usize, out: &mut RowCodes| {
                (0..cols).for_each(|column| out.codes[column] = code(row * cols + column));
                out.scales.fill(scale);
            };
            let row = |n: usize| (0..cols).map(|column| scale * f32::from(code(n * cols + column))).collect();
            for machine in &machines {
                let packed =
                    machine.pack_rows(layout, rows, cols, &mut Arena::default(), fill).expect("memory");
                let x = rounded(machine, &x, cols);
                let case = format!("{layout:?} {rows}×{cols}, {tokens} tokens, {}", machine.isa());
                assert_close(&packed_product(machine, &packed, &x), &naive(&row, &x), 4e-6, &case);
            }
        }
    }
}

/// The values that `x` becomes when it is quantised, which quantise to themselves: the products of unit rows.
fn rounded(machine: &Compute, x: &[f32], cols: usize) -> Vec<f32> {
    let layout = Layout { nibbles: false, halves: false, minima: false, wide: true };
    let unit = |row: usize, out: &mut RowCodes| {
        out.codes[row] = 1;
        out.scales.fill(1.0);
    };
    let unit = machine.pack_rows(layout, cols, cols, &mut Arena::default(), unit).expect("memory");
    packed_product(machine, &unit, x)
}

/// Keys, values and queries of a sequence of `positions`, and where they are kept.
struct Heads {
    heads: usize,
    group: usize,
    dim: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
    queries: Vec<f32>,
}

impl Heads {
    fn noise(noise: &mut Noise, positions: usize, (heads, group, dim): (usize, usize, usize)) -> Self {
        let mut halves = |len| noise.floats(len).iter().map(|v| f16::from_f32(*v).to_f32()).collect();
        let (keys, values) = (halves(positions * heads * dim), halves(positions * heads * dim));
        let queries = noise.floats(positions * heads * group * dim).iter().map(|v| v * 9.0).collect();
        Self { heads, group, dim, keys, values, queries }
    }

    fn cache(&self, machine: &Compute) -> KvCache {
        let mut cache = KvCache::new(2, self.heads, self.dim);
        let positions = self.keys.len() / self.heads / self.dim;
        cache.reserve(positions).expect("memory");
        let lanes: Vec<_> = (0..positions).map(|position| Lane { sequence: 0, position }).collect();
        machine.store(&mut [&mut cache], 1, &lanes, (&mut self.keys.clone(), &self.values), |_, _| {});
        cache
    }

    /// Attention of the positions in `range`.
    fn attend(
        &self,
        machine: &Compute,
        cache: &KvCache,
        range: std::ops::Range<usize>,
        window: Option<usize>,
    ) -> Vec<f32> {
        let row = self.heads * self.group * self.dim;
        let queries = &self.queries[range.start * row..range.end * row];
        let mut out = vec![f32::NAN; queries.len()];
        let lanes: Vec<_> = range.map(|position| Lane { sequence: 0, position }).collect();
        let job = Attention { caches: &[cache], layer: 1, lanes: &lanes, window, queries, scale: 0.125 };
        machine.attend(&job, &mut out);
        out
    }

    /// As the formula reads, for one position.
    fn naive(&self, position: usize, window: Option<usize>) -> Vec<f64> {
        let Self { heads, group, dim, .. } = *self;
        let from = window.map_or(0, |window| (position + 1).saturating_sub(window));
        let at = |values: &[f32], place: usize| -> Vec<f64> {
            values[place * dim..][..dim].iter().map(|v| f64::from(*v)).collect()
        };
        let mut out = Vec::new();
        for query in 0..heads * group {
            let q = at(&self.queries, position * heads * group + query);
            let score = |place: usize| -> f64 {
                let key = at(&self.keys, place * heads + query / group);
                q.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() * 0.125
            };
            let weights: Vec<_> = (from..=position).map(|place| score(place).exp()).collect();
            for d in 0..dim {
                let values =
                    (from..=position).map(|place| at(&self.values, place * heads + query / group)[d]);
                out.push(
                    weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>() / weights.iter().sum::<f64>(),
                );
            }
        }
        out
    }
}

#[test]
fn attention_is_what_the_formula_says_for_every_group_width_window_and_depth() {
    let mut noise = Noise(7);
    let shapes = [(3, 3, 64), (1, 1, 16), (2, 4, 24), (1, 7, 80), (2, 2, 128), (1, 13, 8), (1, 5, 5)];
    for (n, shape) in shapes.into_iter().enumerate() {
        let positions = [300, 530, 33, 257, 260, 40, 18][n];
        let heads = Heads::noise(&mut noise, positions, shape);
        for machine in machines(2) {
            let cache = heads.cache(&machine);
            for window in [None, Some(1), Some(17), Some(256)] {
                let got = heads.attend(&machine, &cache, 0..positions, window);
                let row = got.len() / positions;
                for position in [0, 1, 14, 15, 16, 17, positions / 2, positions - 2, positions - 1] {
                    let case = format!("{shape:?} position {position} {window:?} {}", machine.isa());
                    let want: Vec<_> = heads.naive(position, window).iter().map(|v| *v as f32).collect();
                    assert_close(&got[position * row..][..row], &want, 5e-6, &case);
                }
            }
        }
    }
}

#[test]
fn attention_does_not_depend_on_how_the_tokens_are_cut_or_shared() {
    let mut noise = Noise(9);
    let positions = 600;
    for shape in [(3, 3, 64), (1, 4, 20)] {
        let heads = Heads::noise(&mut noise, positions, shape);
        let row = shape.0 * shape.1 * shape.2;
        let mut results = Vec::new();
        for (one, three) in machines(1).iter().zip(machines(3)) {
            let cache = heads.cache(one);
            for window in [None, Some(270)] {
                let whole = heads.attend(one, &cache, 0..positions, window);
                assert!(
                    whole == heads.attend(&three, &cache, 0..positions, window),
                    "threads, {}",
                    one.isa()
                );
                for (start, len) in [(599, 1), (511, 2), (255, 5), (250, 33), (593, 7)] {
                    let piece = heads.attend(&three, &cache, start..start + len, window);
                    assert!(piece == whole[start * row..][..len * row], "{start} {len} {}", one.isa());
                }
                if one.isa() != Isa::Scalar {
                    results.push(whole);
                }
            }
        }
        assert!(results.chunks(2).all(|pair| pair == &results[..2]), "instruction sets differ");
    }
}

#[test]
fn sequences_that_share_a_pass_attend_to_their_own() {
    let mut noise = Noise(10);
    let shape = (2, 3, 32);
    let (a, b) = (Heads::noise(&mut noise, 20, shape), Heads::noise(&mut noise, 300, shape));
    let row = 2 * 3 * 32;
    for machine in machines(2) {
        let (first, second) = (a.cache(&machine), b.cache(&machine));
        let lane = |sequence, position| Lane { sequence, position };
        let lanes = [lane(0, 18), lane(0, 19), lane(1, 299)];
        let queries = [&a.queries[18 * row..], &b.queries[299 * row..]].concat();
        let mut out = vec![0.0; queries.len()];
        let caches = [&first, &second];
        let job = Attention {
            caches: &caches,
            layer: 1,
            lanes: &lanes,
            window: None,
            queries: &queries,
            scale: 0.125,
        };
        machine.attend(&job, &mut out);
        let alone = [a.attend(&machine, &first, 18..20, None), b.attend(&machine, &second, 299..300, None)];
        assert!(out == alone.concat(), "{}", machine.isa());
    }
}

#[test]
fn an_unknown_instruction_set_lists_the_known_ones() {
    let error = "mmx".parse::<Isa>().unwrap_err().to_string();
    assert!(error.contains("mmx") && error.contains("scalar"), "{error}");
}
