//! Attention through every instruction set that the machine has, against the formula.

mod common;

use common::{Noise, assert_close, machines, pattern, phases, product_bits};
use kernels::{Activations, Aligned, Attention, Compute, Format, Isa, KvCache, Lane, Phase};

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
    /// Numbers that the cache keeps as they are: those of each head are whole multiples of one, of which the largest is as many as
    /// there may be. The others are bfloat16, too.
    fn noise(noise: &mut Noise, positions: usize, (heads, group, dim): (usize, usize, usize)) -> Self {
        let mut rows = |rows: usize, most: usize, largest: f32| -> Vec<f32> {
            let step = (most / 127).ilog2();
            let unit = largest / (1 << most.ilog2()) as f32;
            let mut numbers = noise.floats(rows * dim);
            for row in numbers.chunks_exact_mut(dim) {
                row.iter_mut().for_each(|v| *v = (*v * 127.0).round() * (1 << step) as f32 * unit);
                row[dim / 3] = (most as f32 * unit).copysign(row[0]);
            }
            numbers
        };
        let most = (i32::MAX as usize / dim).isqrt().min(i16::MAX as usize);
        let keys = rows(positions * heads, most, 1.0);
        let values = rows(positions * heads, 4095, 1.0);
        let queries = rows(positions * heads * group, most, 8.0);
        Self { heads, group, dim, keys, values, queries }
    }

    fn cache(&self, machine: &Compute) -> KvCache {
        let mut cache = KvCache::new(2, self.heads, self.dim);
        let positions = self.keys.len() / self.heads / self.dim;
        cache.reserve(positions).expect("memory");
        // many positions, then a few at a time: threads share them in other ways
        let cuts = [0].into_iter().chain((positions / 2..positions).step_by(7)).chain([positions]);
        for (start, end) in cuts.clone().zip(cuts.skip(1)) {
            let lanes: Vec<_> = (start..end).map(|position| Lane { sequence: 0, position }).collect();
            let row = self.heads * self.dim;
            let mut keys = self.keys[start * row..end * row].to_vec();
            let values = &self.values[start * row..end * row];
            machine.store(&mut [&mut cache], 1, &lanes, (&mut keys, values), |_, _, _| {});
        }
        cache
    }

    /// Attention of the positions in `range`.
    fn attend(
        &self,
        (machine, phase): (&Compute, Phase),
        cache: &KvCache,
        range: std::ops::Range<usize>,
        window: Option<usize>,
    ) -> Vec<f32> {
        let row = self.heads * self.group * self.dim;
        let queries = &self.queries[range.start * row..range.end * row];
        let mut out = vec![f32::NAN; queries.len()];
        let lanes: Vec<_> = range.map(|position| Lane { sequence: 0, position }).collect();
        let job =
            Attention { caches: &[cache], layer: 1, lanes: &lanes, window, queries, scale: 0.125, phase };
        machine.attend(&job, &mut out);
        assert_input(machine, &job, &out);
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

/// What attention makes the input of products is its result as floats, made that input.
fn assert_input(machine: &Compute, job: &Attention<'_>, result: &[f32]) {
    let (tokens, phase) = (job.lanes.len(), job.phase);
    let row = result.len() / tokens;
    let weights = pattern(machine, Format::Q4_0, (3, row));
    let [mut got, mut want] = [(); 2].map(|()| Activations::default());
    // what is left over from another batch must not matter
    machine
        .activate(&mut got, (tokens + 40, row), (&[weights.kind()], phase), |_, _, row| row.fill(f32::NAN));
    machine.attended(&mut got, &[weights.kind()], job, &mut Aligned::default());
    machine.activate(&mut want, (tokens, row), (&[weights.kind()], phase), |token, columns, to| {
        to.copy_from_slice(&result[token * row..][columns]);
    });
    let [got, want] = [got, want].map(|x| product_bits(machine, &weights, &x));
    assert!(got == want, "{row} values of {tokens} tokens, {}, {phase:?}", machine.isa());
}

#[test]
fn attention_is_what_the_formula_says_for_every_group_width_window_and_depth() {
    let mut noise = Noise(7);
    let shapes = [(3, 3, 64), (1, 1, 16), (2, 4, 24), (1, 7, 80), (2, 2, 128), (1, 13, 8), (1, 5, 5)];
    for (n, shape) in shapes.into_iter().enumerate() {
        let positions = [300, 530, 33, 257, 260, 40, 18][n];
        let heads = Heads::noise(&mut noise, positions, shape);
        for (machine, phase) in phases(&machines(2)) {
            let cache = heads.cache(machine);
            for window in [None, Some(1), Some(17), Some(256)] {
                let got = heads.attend((machine, phase), &cache, 0..positions, window);
                let row = got.len() / positions;
                for position in [0, 1, 14, 15, 16, 17, positions / 2, positions - 2, positions - 1] {
                    let case =
                        format!("{shape:?} position {position} {window:?} {}, {phase:?}", machine.isa());
                    let want: Vec<_> = heads.naive(position, window).iter().map(|v| *v as f32).collect();
                    // weights are rounded to bfloat16 in prompts, else to 16 bits, unless there is but one
                    let tolerance = match (phase, window) {
                        (Phase::Prefill, _) => 1e-2,
                        (_, Some(1)) => 5e-6,
                        _ => 2e-4,
                    };
                    assert_close(&got[position * row..][..row], &want, tolerance, &case);
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
        let (ones, threes) = (machines(1), machines(3));
        for ((one, phase), (three, _)) in phases(&ones).zip(phases(&threes)) {
            let cache = heads.cache(one);
            for window in [None, Some(270)] {
                let whole = heads.attend((one, phase), &cache, 0..positions, window);
                assert!(
                    whole == heads.attend((three, phase), &cache, 0..positions, window),
                    "threads, {}, {phase:?}",
                    one.isa()
                );
                for (start, len) in [(599, 1), (511, 2), (255, 5), (250, 33), (593, 7)] {
                    let piece = heads.attend((three, phase), &cache, start..start + len, window);
                    assert!(
                        piece == whole[start * row..][..len * row],
                        "{start} {len} {}, {phase:?}",
                        one.isa()
                    );
                }
                if one.isa() != Isa::Scalar && phase == Phase::Decode {
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
    for (machine, phase) in phases(&machines(2)) {
        let (mut first, mut second) = (a.cache(machine), b.cache(machine));
        let lane = |sequence, position| Lane { sequence, position };
        let lanes = [lane(0, 18), lane(0, 19), lane(1, 299)];
        let queries = [&a.queries[18 * row..], &b.queries[299 * row..]].concat();
        let mut out = vec![0.0; queries.len()];
        let way = (machine, phase);
        let alone = [a.attend(way, &first, 18..20, None), b.attend(way, &second, 299..300, None)];
        // stored anew, together, over something else
        for factor in [0.0, 1.0] {
            let kept = |a: &[f32], b: &[f32]| -> Vec<f32> {
                [&a[18 * 64..], &b[299 * 64..]].concat().iter().map(|value| value * factor).collect()
            };
            let (mut keys, values) = (kept(&a.keys, &b.keys), kept(&a.values, &b.values));
            machine.store(&mut [&mut first, &mut second], 1, &lanes, (&mut keys, &values), |_, _, _| {});
        }
        let caches = [&first, &second];
        let job = Attention {
            caches: &caches,
            layer: 1,
            lanes: &lanes,
            window: None,
            queries: &queries,
            scale: 0.125,
            phase,
        };
        machine.attend(&job, &mut out);
        assert!(out == alone.concat(), "{}, {phase:?}", machine.isa());
        assert_input(machine, &job, &out);
    }
}

#[test]
fn what_is_too_large_or_no_number_does_not_reach_positions_that_do_not_see_it() {
    let shape = (2, 3, 40);
    let (positions, place) = (300, 277);
    let heads = Heads::noise(&mut Noise(12), positions, shape);
    let row = 2 * 3 * 40;
    for (machine, phase) in phases(&machines(2)) {
        let mut cache = heads.cache(machine);
        let before = heads.attend((machine, phase), &cache, 0..positions, None);
        for value in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            // tiles of bfloat16 multiply by the 0 that it weighs
            if value.is_nan() && phase == Phase::Prefill {
                continue;
            }
            let lanes = [Lane { sequence: 0, position: place }];
            let (mut keys, mut values) = (vec![0.5; 80], vec![1.0; 80]);
            (keys[3], values[41]) = (value, value);
            machine.store(&mut [&mut cache], 1, &lanes, (&mut keys, &values), |_, _, _| {});
            let after = heads.attend((machine, phase), &cache, 0..positions, None);
            let case = format!("{value}, {}, {phase:?}", machine.isa());
            assert!(after[..place * row] == before[..place * row], "{case}");
            let seeing = &after[place * row..][..row];
            assert!(seeing.iter().all(|v| v.is_finite()) != value.is_nan(), "{case}");
        }
    }
}
