//! The same cases through every instruction set that the machine has, against the scalar oracle.

mod common;

use common::{Noise, assert_close, machines, pattern, phases, product_bits};
use half::{bf16, f16};
use kernels::{
    Activations, Arena, Compute, Format, Isa, Kind, Layout, Linear, Matrix, Packed, Phase, Reals, RowCodes,
};

/// Random weights of `len` in `format`, as bytes; every code occurs.
fn weights(noise: &mut Noise, format: Format, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..len / format.block_len() {
        let start = bytes.len();
        match format {
            Format::F32 => bytes.extend(noise.float().to_le_bytes()),
            Format::F16 => bytes.extend(f16::from_f32(noise.float()).to_le_bytes()),
            Format::Bf16 => bytes.extend(bf16::from_f32(noise.float()).to_le_bytes()),
            _ => bytes.extend((0..format.block_bytes()).map(|_| noise.bits() as u8)),
        }
        for at in reals(format) {
            bytes[start + at..][..2].copy_from_slice(&real(noise).to_le_bytes());
        }
    }
    bytes
}

/// A scale or a minimum: from 1/4 to 1, or seldom, any up to that. Groups of some hundred blocks come with such and without.
fn real(noise: &mut Noise) -> f16 {
    let value = noise.float();
    let is_any = noise.bits().is_multiple_of(512);
    f16::from_f32(if is_any { value } else { value.mul_add(0.75, 0.25_f32.copysign(value)) })
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

fn activate(compute: &Compute, phase: Phase, weights: &[&Packed], x: &[f32]) -> Activations {
    let cols = weights[0].cols();
    let kinds: Vec<_> = weights.iter().map(|weights| weights.kind()).collect();
    let mut activations = Activations::default();
    compute.activate(&mut activations, (x.len() / cols, cols), (&kinds, phase), |token, columns, row| {
        row.copy_from_slice(&x[token * cols..][columns]);
    });
    activations
}

fn packed_product(compute: &Compute, phase: Phase, weights: &Packed, x: &[f32]) -> Vec<f32> {
    let activations = activate(compute, phase, &[weights], x);
    let mut out = vec![f32::NAN; weights.rows() * activations.tokens()];
    compute.linear(&mut [Linear { weights, out: &mut out, add: false }], &activations);
    out
}

fn product(compute: &Compute, phase: Phase, weights: Matrix<'_>, x: &[f32]) -> Vec<f32> {
    packed_product(compute, phase, &compute.pack(&weights, &mut Arena::default()).expect("memory"), x)
}

/// Whether a machine takes weights of `format`, and activations that meet them, as bfloat16.
fn rounds(machine: &Compute, phase: Phase, format: Format) -> bool {
    let kind = machine.arranged(Kind::of(format));
    kind == Kind::Tiles || kind.is_quantised() && machine.has_phases() && phase == Phase::Prefill
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
            for tokens in (1..=9).chain([16, 35]) {
                let rows = 7;
                let bytes = weights(&mut noise, format, rows * cols);
                let weights = Matrix::new(format, rows, cols, &bytes).unwrap();
                let x = noise.floats(tokens * cols);
                let want = product(&machines[0], Phase::Decode, weights, &x);
                for (machine, phase) in phases(&machines[1..]) {
                    let case =
                        format!("{format:?} {rows}×{cols}, {tokens} tokens, {}, {phase:?}", machine.isa());
                    let tolerance = if rounds(machine, phase, format) { 5e-2 } else { 2e-6 };
                    assert_close(&product(machine, phase, weights, &x), &want, tolerance, &case);
                }
            }
        }
    }
}

#[test]
fn extreme_codes_do_not_saturate() {
    // ±127 as activations, of one sign or of one for each pair: the largest sums that 16 bits meet without dot products
    // alone and among so many that weights are spread for them, in tiles and beside them
    let cols = 64;
    let signs = [[1.0; 4], [-1.0; 4], [1.0, 1.0, -1.0, -1.0], [-1.0, -1.0, 1.0, 1.0]];
    let bytes = [0x80u8, 0x7f, 0xff].map(|byte| (Format::Q8_0, byte));
    let nibbles = [0x00, 0xff, 0x0f, 0xf0].map(|byte| (Format::Q4_0, byte));
    let fives = [0x00, 0xff].map(|byte| (Format::Q5_0, byte));
    for (format, byte) in bytes.into_iter().chain(nibbles).chain(fives) {
        let block = [&f16::ONE.to_le_bytes()[..], &vec![byte; format.block_bytes() - 2]].concat();
        let data = block.repeat(cols / 32);
        let weights = Matrix::new(format, 1, cols, &data).unwrap();
        for signs in signs {
            let x: Vec<f32> = (0..cols).map(|n| signs[n % 4] * 127.0).collect();
            let code = |n: usize| match format {
                Format::Q4_0 => f32::from(if n % 32 < 16 { byte & 15 } else { byte >> 4 }) - 8.0,
                Format::Q5_0 => f32::from(byte & 31) - 16.0,
                _ => f32::from(byte.cast_signed()),
            };
            let want: f32 = x.iter().enumerate().map(|(n, x)| code(n) * x).sum();
            for (machine, tokens) in
                machines(1).iter().flat_map(|machine| [1, 97, 98, 99].map(|n| (machine, n)))
            {
                let got = product(machine, Phase::Decode, weights, &x.repeat(tokens));
                assert_eq!(got, vec![want; tokens], "{} {format:?} {byte} {signs:?}", machine.isa());
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
        let bytes = weights(&mut noise, format, rows * cols);
        let weights = Matrix::new(format, rows, cols, &bytes).unwrap();
        let x = noise.floats(cols);
        let mut row = vec![0.0; cols];
        let scalar = product(&Compute::new(Some(Isa::Scalar), 1).unwrap(), Phase::Decode, weights, &x);
        for machine in machines(1) {
            let got = product(&machine, Phase::Decode, weights, &x);
            for (n, (got, scalar)) in got.iter().zip(&scalar).enumerate() {
                weights.dequantise_row(n, &mut row);
                let want: f64 = row.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                let sizes: f64 = row.iter().map(|w| f64::from(w.abs())).sum();
                let bound = sizes * 0.51 / 127.0;
                assert!(
                    (f64::from(*got) - want).abs() <= bound,
                    "{format:?} {}: {got} {want}",
                    machine.isa()
                );
                // all have the same codes
                let off = f64::from(got - scalar).abs();
                assert!(off <= sizes * 1e-6, "{format:?} {}: {got} {scalar}", machine.isa());
            }
        }
    }
}

#[test]
fn vectors_and_tiles_agree_to_the_last_bit() {
    let machines: Vec<_> = machines(1).into_iter().filter(|m| m.isa() != Isa::Scalar).collect();
    let mut noise = Noise(3);
    for format in Format::ALL {
        // more columns than tiles take at once, tokens in tiles and beside them, and rows for one to meet several groups of them at once
        let (rows, cols) = (425, 2048);
        let bytes = weights(&mut noise, format, rows * cols);
        let weights = Matrix::new(format, rows, cols, &bytes).unwrap();
        let x = noise.floats(35 * cols);
        let exact = machines.iter().filter(|machine| !rounds(machine, Phase::Decode, format));
        let results: Vec<_> = exact.clone().map(|m| product(m, Phase::Decode, weights, &x)).collect();
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{format:?}");
        for (machine, all) in exact.zip(&results) {
            let alone = product(machine, Phase::Decode, weights, &x[..cols]);
            assert!(alone == all[..rows], "{format:?}, one token, {}", machine.isa());
        }
    }
}

#[test]
fn batches_threads_and_pieces_do_not_change_a_bit() {
    let mut noise = Noise(4);
    let (rows, cols) = (300, 576);
    // few tokens, whose rows the threads share, and many, which they share themselves, with tiles of bfloat16 a little later
    let cases =
        [Format::Q4_1, Format::Q8_0, Format::F16].map(|format| [11, 150, 600].map(|tokens| (format, tokens)));
    for (format, tokens) in cases.into_iter().flatten() {
        let bytes = weights(&mut noise, format, rows * cols);
        let weights = Matrix::new(format, rows, cols, &bytes).unwrap();
        let x = noise.floats(tokens * cols);
        let (ones, threes) = (machines(1), machines(3));
        for ((one, phase), (three, _)) in phases(&ones).zip(phases(&threes)) {
            let together = product(one, phase, weights, &x);
            let case = format!("{format:?} {}, {phase:?}", one.isa());
            assert_eq!(together, product(three, phase, weights, &x), "threads, {case}");
            let alone: Vec<f32> = x.chunks(cols).flat_map(|x| product(one, phase, weights, x)).collect();
            assert_eq!(together, alone, "batch, {case}");
        }
    }
}

#[test]
fn scales_of_any_size_give_many_tokens_the_bits_that_one_gets() {
    let mut noise = Noise(31);
    let (rows, cols, tokens) = (16, 256, 101);
    let x = noise.floats(tokens * cols);
    // what lies 2¹⁵ apart at most can be whole numbers, and what does not, cannot: 11 bits and four exponents, or one more
    let sets: [&[f32]; 8] = [
        &[0.0],
        &[1.0, -0.0],
        &[2047.0, -128.0, 128.125, -2047.0 / 16.0],
        &[2047.0, -128.0, 127.937_5],
        &[65504.0, 4096.0, -2049.0],
        &[65504.0, 1.0],
        &[5.960_464_5e-8, -1.192_092_9e-7, 0.001],
        &[5.960_464_5e-8, 1.9e-6, 0.0],
    ];
    let special = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN].map(|value| [1.0, value]);
    for (format, set) in [Format::Q4_0, Format::Q4_1].into_iter().flat_map(|format| {
        sets.into_iter().chain(special.iter().map(|set| &set[..])).map(move |s| (format, s))
    }) {
        let mut bytes = weights(&mut noise, format, rows * cols);
        for block in bytes.chunks_exact_mut(format.block_bytes()) {
            let scale = f16::from_f32(set[noise.bits() as usize % set.len()]);
            block[..2].copy_from_slice(&scale.to_le_bytes());
        }
        let weights = Matrix::new(format, rows, cols, &bytes).unwrap();
        for (machine, phase) in phases(&machines(1)) {
            let together = product(machine, phase, weights, &x);
            let alone = x.chunks(cols).flat_map(|x| product(machine, phase, weights, x));
            for (n, (together, alone)) in together.iter().zip(alone).enumerate() {
                let same = together.to_bits() == alone.to_bits() || together.is_nan() && alone.is_nan();
                assert!(same, "{format:?} {set:?} {}, {phase:?}, {n}: {together} {alone}", machine.isa());
            }
        }
    }
}

#[test]
fn several_matrices_in_one_loop_give_what_they_give_alone() {
    let mut noise = Noise(5);
    let cols = 576;
    // 16-bit floats meet other activations than codes do
    let shapes = [(Format::Q4_1, 576), (Format::Q8_0, 192), (Format::Q4_0, 191), (Format::F16, 40)];
    let bytes: Vec<_> =
        shapes.iter().map(|(format, rows)| weights(&mut noise, *format, rows * cols)).collect();
    let matrices: Vec<_> = shapes
        .iter()
        .zip(&bytes)
        .map(|((format, rows), bytes)| Matrix::new(*format, *rows, cols, bytes).unwrap())
        .collect();
    let machines = machines(2);
    for ((machine, phase), tokens) in phases(&machines).flat_map(|way| [(way, 4), (way, 150), (way, 400)]) {
        let x = noise.floats(tokens * cols);
        let mut arena = Arena::default();
        let packed: Vec<_> = matrices.iter().map(|m| machine.pack(m, &mut arena).expect("memory")).collect();
        let activations = activate(machine, phase, &packed.iter().collect::<Vec<_>>(), &x);
        let mut outs: Vec<_> = shapes.iter().map(|(_, rows)| vec![1.0; rows * tokens]).collect();
        for add in [false, true] {
            let jobs = packed.iter().zip(&mut outs);
            let mut jobs: Vec<_> = jobs.map(|(weights, out)| Linear { weights, out, add }).collect();
            machine.linear(&mut jobs, &activations);
        }
        for ((matrix, (format, _)), out) in matrices.iter().zip(shapes).zip(&outs) {
            let alone = product(machine, phase, *matrix, &x);
            if !rounds(machine, phase, format) {
                assert!(out.iter().zip(alone).all(|(twice, once)| *twice == once + once));
            } else {
                // tiles go on from what is there
                let want: Vec<f32> = alone.iter().map(|once| once + once).collect();
                assert_close(out, &want, 1e-6, "added");
            }
        }
    }
}

#[test]
fn every_layout_agrees_with_the_oracle_and_decodes_to_what_was_packed() {
    let machines = machines(2);
    let mut noise = Noise(8);
    let mut kinds: Vec<_> = Format::ALL.map(Kind::of).into();
    kinds.dedup();
    for kind in kinds {
        let Kind::Codes(layout) = kind else { continue };
        let Layout { bits, halves, minima, reals } = layout;
        let bytes = reals == Reals::Bytes;
        // units are shared by 256 columns
        let (rows, cols, width) = (21, if bytes { 740usize } else { 100 }, if halves { 16 } else { 32 });
        let (codes, lowest) = (1 << bits, if minima { 0 } else { -1 << (bits - 1) });
        let mut some = |count: usize, is_byte: bool| -> Vec<f32> {
            let one = |_| if is_byte { f32::from(noise.bits() as i8) } else { real(&mut noise).to_f32() };
            (0..count).map(one).collect()
        };
        let blocks = cols.next_multiple_of(32) / width;
        let decoded: Vec<RowCodes> = (0..rows)
            .map(|_| RowCodes {
                scales: some(blocks, bytes),
                minima: some(if minima { blocks } else { 0 }, bytes),
                units: some(if bytes { 2 * cols.div_ceil(256) } else { 0 }, false).as_chunks().0.to_vec(),
                codes: some(cols, true)
                    .into_iter()
                    .map(|byte| ((byte as i16).rem_euclid(codes) + lowest) as i8)
                    .collect(),
            })
            .collect();
        let fill = |row: usize, out: &mut RowCodes| {
            let RowCodes { codes, scales, minima, units } = &decoded[row];
            out.codes[..cols].copy_from_slice(codes);
            out.scales.copy_from_slice(scales);
            out.minima.copy_from_slice(minima);
            out.units.copy_from_slice(units);
        };
        for tokens in [1, 2, 3, 7, 13, 16, 37] {
            let x = noise.floats(tokens * cols);
            let run = |machine: &Compute, phase: Phase| {
                let packed =
                    machine.pack_rows(layout, rows, cols, &mut Arena::default(), fill).expect("memory");
                let mut row = vec![0.0; cols];
                for (n, want) in decoded.iter().enumerate() {
                    packed.dequantise_row(n, &mut row);
                    for (column, got) in row.iter().enumerate() {
                        let (code, at) = (f32::from(want.codes[column]), column / width);
                        let [unit, of_minima] = if bytes { want.units[column / 256] } else { [1.0; 2] };
                        let minimum = if minima { of_minima * want.minima[at] } else { 0.0 };
                        let want = unit * want.scales[at] * code + minimum;
                        assert_eq!(*got, want, "{layout:?} row {n} column {column}");
                    }
                }
                packed_product(machine, phase, &packed, &x)
            };
            let want = run(&machines[0], Phase::Decode);
            for (machine, phase) in phases(&machines[1..]) {
                let tolerance = if phase == Phase::Prefill { 5e-2 } else { 2e-6 };
                let case = format!("{layout:?}, {tokens} tokens, {}, {phase:?}", machine.isa());
                assert_close(&run(machine, phase), &want, tolerance, &case);
            }
        }
    }
}

#[test]
fn gated_products_are_what_their_parts_give_for_every_shape() {
    let mut noise = Noise(23);
    let formats = [Format::Q4_0, Format::Q4_1, Format::Q8_0, Format::Q6K, Format::F16, Format::F32];
    for threads in [1, 3] {
        for (machine, phase) in phases(&machines(threads)) {
            for (n, width) in (1..=67).chain([96, 112, 1536]).enumerate() {
                let (cols, tokens) = ([256, 2304][n % 2], [1 + n % 50, 600][usize::from(width == 112)]);
                let x = noise.floats(tokens * cols);
                let mut pack = |n: usize| {
                    let format = formats[n % formats.len()];
                    let bytes = weights(&mut noise, format, width * cols);
                    let matrix = Matrix::new(format, width, cols, &bytes).expect("as many bytes");
                    machine.pack(&matrix, &mut Arena::default()).expect("memory")
                };
                let (gate, up) = (pack(n), pack(n + n / 7));
                let codes = [Format::Q4_0, Format::Q8_0][n % 2];
                let down = pattern(machine, codes, (5, width));

                let kinds = [down.kind()];
                let kinds = (&kinds[..], phase);
                let input = activate(machine, phase, &[&gate, &up], &x);
                let mut parts = [&gate, &up].map(|weights| (weights, vec![f32::NAN; tokens * width]));
                let mut jobs: Vec<_> =
                    parts.iter_mut().map(|(weights, out)| Linear { weights, out, add: false }).collect();
                machine.linear(&mut jobs, &input);
                let mut want = Activations::default();
                machine.activate(&mut want, (tokens, width), kinds, |token, columns, row| {
                    let at = token * width + columns.start..token * width + columns.end;
                    machine.swiglu(phase, &parts[0].1[at.clone()], &parts[1].1[at], row);
                });
                // what is left over from another batch must not matter
                let mut got = activate(machine, phase, &[&down], &vec![f32::NAN; (tokens + 20) * width]);
                machine.gated(&mut got, kinds, [&gate, &up], &input);
                let [got, want] = [&got, &want].map(|x| product_bits(machine, &down, x));
                assert!(
                    got == want,
                    "{width} of {cols}, {tokens} tokens, {}, {phase:?}, {threads} threads, {:?} {:?}",
                    machine.isa(),
                    gate.kind(),
                    up.kind()
                );
            }
        }
    }
}

#[test]
fn products_are_what_the_formula_says_at_every_length_and_alignment() {
    let machines = machines(1);
    let mut noise = Noise(11);
    for cols in (1..=70).chain([512, 576, 2304]) {
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
        for format in Format::ALL {
            if cols % format.block_len() != 0 {
                continue;
            }
            // a file may put its weights anywhere
            let bytes = [vec![0; start], weights(&mut noise, format, rows * cols)].concat();
            let weights = Matrix::new(format, rows, cols, &bytes[start..]).unwrap();
            let row = |n: usize| {
                let mut row = vec![0.0; cols];
                weights.dequantise_row(n, &mut row);
                row
            };
            for (machine, phase) in phases(&machines) {
                let case = format!(
                    "{format:?} {rows}×{cols} from {start}, {tokens} tokens, {}, {phase:?}",
                    machine.isa()
                );
                let rounds = rounds(machine, phase, format);
                let x = if format.is_quantised() && !rounds { rounded(machine, &x, cols) } else { x.clone() };
                let want = if rounds {
                    let rounded = as_multiplied(machine, phase, weights);
                    for (n, row) in (0..rows).map(row).enumerate() {
                        let largest = row.iter().fold(0.0f32, |most, w| most.max(w.abs()));
                        for (got, want) in rounded[n * cols..].iter().zip(&row) {
                            // half of the last of eight bits, and what a scale and a minimum of different size leave
                            let most = want.abs() / 255.0 + largest / 8192.0;
                            assert!((got - want).abs() <= most, "{case}: {got} for {want}");
                        }
                    }
                    let nearest = |v: &f32| bf16::from_f32(*v).to_f32();
                    let row = |n: usize| rounded[n * cols..][..cols].to_vec();
                    naive(&row, &x.iter().map(nearest).collect::<Vec<_>>())
                } else {
                    naive(&row, &x)
                };
                assert_close(&product(machine, phase, weights, &x), &want, 4e-6, &case);
            }
        }
        // columns that are no whole number of blocks: 4-bit and 8-bit codes
        for format in [Format::Q4_0, Format::Q5_0, Format::Q8_0] {
            let Kind::Codes(layout) = Kind::of(format) else { unreachable!("it is quantised") };
            let (codes, scale) = (noise.floats(rows * cols), 0.125);
            let code = |n: usize| (codes[n] * (f32::from(1u16 << (layout.bits - 1)) - 0.1)) as i8;
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
                let got = packed_product(machine, Phase::Decode, &packed, &x);
                assert_close(&got, &naive(&row, &x), 4e-6, &case);
            }
        }
    }
}

/// The weights that products meet, row by row: they are what unit columns give.
fn as_multiplied(machine: &Compute, phase: Phase, weights: Matrix<'_>) -> Vec<f32> {
    let (rows, cols) = (weights.rows(), weights.cols());
    let unit = |n: usize| f32::from(n / cols == n % cols);
    let columns = product(machine, phase, weights, &(0..cols * cols).map(unit).collect::<Vec<_>>());
    (0..rows * cols).map(|n| columns[n % cols * rows + n / cols]).collect()
}

/// The values that `x` becomes when it is quantised, which quantise to themselves: the products of unit rows.
fn rounded(machine: &Compute, x: &[f32], cols: usize) -> Vec<f32> {
    let Kind::Codes(layout) = Kind::Q8 else { unreachable!("codes") };
    let unit = |row: usize, out: &mut RowCodes| {
        out.codes[row] = 1;
        out.scales.fill(1.0);
    };
    let unit = machine.pack_rows(layout, cols, cols, &mut Arena::default(), unit).expect("memory");
    packed_product(machine, Phase::Decode, &unit, x)
}

#[test]
fn an_unknown_instruction_set_lists_the_known_ones() {
    let error = "mmx".parse::<Isa>().unwrap_err().to_string();
    assert!(error.contains("mmx") && error.contains("scalar"), "{error}");
}
