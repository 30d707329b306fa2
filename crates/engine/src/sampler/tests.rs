use super::*;
use proptest::prelude::*;

fn greedy() -> SamplerOptions {
    SamplerOptions::default()
}

fn at(temperature: f32) -> SamplerOptions {
    SamplerOptions { temperature, seed: Some(7), ..greedy() }
}

fn pick(options: SamplerOptions, scores: &[f32]) -> Result<u32, SamplerError> {
    Sampler::new(options)?.sample(Logits::F32(scores), &[])
}

fn counts(options: SamplerOptions, logits: Logits<'_>, draws: usize) -> Vec<usize> {
    let mut sampler = Sampler::new(options).unwrap();
    let mut counts = vec![0; logits.len()];
    for _ in 0..draws {
        counts[sampler.sample(logits, &[]).unwrap() as usize] += 1;
    }
    counts
}

#[test]
fn greedy_takes_the_lowest_of_equal_scores() {
    assert_eq!(pick(greedy(), &[1.0, 3.0, 3.0]), Ok(1));
    let logits = Logits::I8 { values: &[-128, 5, 5], scale: 0.1, zero_point: 3 };
    assert_eq!(Sampler::new(greedy()).unwrap().sample(logits, &[]), Ok(1));
}

#[test]
fn invalid_scores_are_refused_at_any_temperature() {
    for options in [greedy(), at(1.0), SamplerOptions { repeat_penalty: 1.1, ..greedy() }] {
        for scores in [&[0.0, f32::NAN][..], &[f32::NAN; 40], &[f32::INFINITY, 0.0], &[f32::NEG_INFINITY; 3]]
        {
            let mut sampler = Sampler::new(options.clone()).unwrap();
            assert_eq!(sampler.sample(Logits::F32(scores), &[0]), Err(SamplerError::InvalidScores));
        }
        assert_eq!(pick(options.clone(), &[]), Err(SamplerError::NoScores));
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let logits = Logits::I8 { values: &[1, 2], scale, zero_point: 0 };
            let error = Sampler::new(options.clone()).unwrap().sample(logits, &[]).unwrap_err();
            assert!(matches!(error, SamplerError::InvalidScale { .. }));
            assert_eq!(error.code(), "invalid_scores");
        }
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let wrong = [
        SamplerOptions { temperature: f32::NAN, ..greedy() },
        SamplerOptions { temperature: -1.0, ..greedy() },
        SamplerOptions { temperature: f32::INFINITY, ..greedy() },
        SamplerOptions { top_p: 1.5, ..greedy() },
        SamplerOptions { min_p: -0.1, ..greedy() },
        SamplerOptions { repeat_penalty: 0.0, ..greedy() },
        SamplerOptions { presence_penalty: f32::NAN, ..greedy() },
        SamplerOptions { frequency_penalty: f32::INFINITY, ..greedy() },
        SamplerOptions { bias: vec![(0, 1.0), (1, f32::NAN)], ..greedy() },
    ];
    for options in wrong {
        assert_eq!(Sampler::new(options).unwrap_err().code(), "invalid_option");
    }
    let error = Sampler::new(SamplerOptions { top_p: 2.0, ..greedy() }).unwrap_err();
    assert_eq!(error.to_string(), "top_p is 2, expected a number from 0 to 1");
}

#[test]
fn the_same_seed_gives_the_same_draws() {
    let scores: Vec<f32> = (0..1000).map(|id| (id % 17) as f32 / 3.0).collect();
    let draw = |seed| {
        let mut sampler = Sampler::new(SamplerOptions { seed: Some(seed), ..at(0.8) }).unwrap();
        (0..50).map(|_| sampler.sample(Logits::F32(&scores), &[]).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let drawn = Sampler::new(SamplerOptions { seed: None, ..at(1.0) }).unwrap();
    assert_ne!(drawn.seed(), Sampler::new(at(1.0)).unwrap().seed());
}

#[test]
fn draws_follow_the_dequantised_probabilities() {
    // 10 steps of 0.1 are one nat, whatever the zero point.
    let logits = Logits::I8 { values: &[30, 40, -128], scale: 0.1, zero_point: -5 };
    let counts = counts(at(1.0), logits, 20_000);
    let share = counts[1] as f64 / 20_000.0;
    let want = 1.0_f64.exp() / (1.0 + 1.0_f64.exp());
    assert!((share - want).abs() < 0.02, "{share} {want}");
    assert_eq!(counts[2], 0);
}

#[test]
fn extreme_temperatures_are_the_best_token_and_any_token() {
    let scores = [0.0, 2.0, 1.999, 2.0];
    let cold = counts(at(1e-30), Logits::F32(&scores), 2_000);
    assert_eq!((cold[0], cold[2]), (0, 0));
    assert!(cold[1] > 800 && cold[3] > 800, "{cold:?}");
    let hot = counts(at(1e30), Logits::F32(&scores), 4_000);
    assert!(hot.iter().all(|&count| count > 800), "{hot:?}");
}

#[test]
fn cuts_keep_what_they_say() {
    // probabilities 0.5, 0.25, 0.125, 0.125
    let scores = [0.5_f32.ln(), 0.25_f32.ln(), 0.125_f32.ln(), 0.125_f32.ln()];
    let kept = |options| {
        let counts = counts(options, Logits::F32(&scores), 3_000);
        counts.iter().map(|&count| u8::from(count > 0)).collect::<Vec<_>>()
    };
    assert_eq!(kept(at(1.0)), [1, 1, 1, 1]);
    assert_eq!(kept(SamplerOptions { top_k: 3, ..at(1.0) }), [1, 1, 1, 0]);
    assert_eq!(kept(SamplerOptions { top_k: 1, ..at(1.0) }), [1, 0, 0, 0]);
    assert_eq!(kept(SamplerOptions { top_p: 0.7, ..at(1.0) }), [1, 1, 0, 0]);
    assert_eq!(kept(SamplerOptions { top_p: 0.0, ..at(1.0) }), [1, 0, 0, 0]);
    assert_eq!(kept(SamplerOptions { min_p: 0.4, ..at(1.0) }), [1, 1, 0, 0]);
    assert_eq!(kept(SamplerOptions { min_p: 1.0, ..at(1.0) }), [1, 0, 0, 0]);
    // The cut comes before the temperature: a hot draw stays within it.
    assert_eq!(kept(SamplerOptions { top_p: 0.7, ..at(1e9) }), [1, 1, 0, 0]);
}

#[test]
fn penalties_count_what_was_seen() {
    let sample = |options, scores: &[f32], recent: &[u32]| {
        Sampler::new(options).unwrap().sample(Logits::F32(scores), recent).unwrap()
    };
    let repeat = SamplerOptions { repeat_penalty: 2.0, ..greedy() };
    assert_eq!(sample(repeat.clone(), &[3.0, 2.0], &[0]), 1);
    assert_eq!(sample(repeat.clone(), &[-1.0, -1.5], &[0]), 1);
    assert_eq!(sample(repeat, &[3.0, 2.0], &[0, 1, 99]), 0);
    let frequency = SamplerOptions { frequency_penalty: 0.4, ..greedy() };
    assert_eq!(sample(frequency.clone(), &[3.0, 2.0], &[0, 0]), 0);
    assert_eq!(sample(frequency, &[3.0, 2.0], &[0, 0, 0]), 1);
    let presence = SamplerOptions { presence_penalty: 0.9, ..greedy() };
    assert_eq!(sample(presence, &[3.0, 2.0], &[0, 0, 0]), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn any_scores_give_a_token_or_an_error(
        scores in prop::collection::vec(prop_oneof![
            20 => -100.0_f32..100.0, 1 => any::<f32>(), 1 => Just(f32::NEG_INFINITY), 1 => Just(f32::MIN)
        ], 0..80),
        temperature in prop_oneof![Just(0.0), Just(1e-30), Just(1e30), 0.0_f32..3.0],
        top_k in 0_usize..90, top_p in 0.0_f32..=1.0, min_p in 0.0_f32..=1.0,
        repeat_penalty in prop_oneof![Just(1.0), 0.1_f32..3.0],
        recent in prop::collection::vec(0_u32..100, 0..5),
        seed in any::<u64>(),
    ) {
        let options = SamplerOptions {
            temperature, top_k, top_p, min_p, repeat_penalty, seed: Some(seed), ..greedy()
        };
        let result = Sampler::new(options).unwrap().sample(Logits::F32(&scores), &recent);
        let valid = scores.iter().all(|score| !score.is_nan() && *score != f32::INFINITY)
            && scores.iter().any(|score| score.is_finite());
        match result {
            Ok(id) => prop_assert!(valid && scores[id as usize].is_finite()),
            Err(_) => prop_assert!(!valid),
        }
    }

    #[test]
    fn any_quantised_scores_give_a_token(
        values in prop::collection::vec(any::<i8>(), 1..300),
        scale in prop_oneof![Just(1e-300), Just(1e290), 1e-6_f64..10.0],
        zero_point in any::<i32>(),
        temperature in prop_oneof![Just(0.0), Just(1e-30), Just(1e30), 0.0_f32..3.0],
    ) {
        let logits = Logits::I8 { values: &values, scale, zero_point };
        let id = Sampler::new(at(temperature)).unwrap().sample(logits, &[]).unwrap() as usize;
        if temperature == 0.0 {
            let largest = *values.iter().max().unwrap();
            prop_assert_eq!(Some(id), values.iter().position(|&value| value == largest));
        }
    }
}

#[test]
fn a_bias_moves_scores_before_anything_else_looks_at_them() {
    let scores = [1.0, 3.0, 2.0];
    let biased = |bias: &[(u32, f32)], options| SamplerOptions { bias: bias.to_vec(), ..options };
    assert_eq!(pick(biased(&[(0, 2.5)], greedy()), &scores), Ok(0));
    assert_eq!(pick(biased(&[(1, -100.0)], greedy()), &scores), Ok(2));
    // an id that there is no token of counts for nothing
    assert_eq!(pick(biased(&[(99, 100.0)], greedy()), &scores), Ok(1));
    let top_one = SamplerOptions { top_k: 1, ..at(1.0) };
    assert_eq!(pick(biased(&[(2, 1.5)], top_one), &scores), Ok(2));
    let quantised = Logits::I8 { values: &[10, 30, 20], scale: 0.1, zero_point: 0 };
    let mut sampler = Sampler::new(biased(&[(0, 2.5)], greedy())).unwrap();
    assert_eq!(sampler.sample(quantised, &[]), Ok(0));
}

/// What is left of `scores` by cuts that look at every token in order, and its share of all that is left, best first.
fn kept_of_all(scores: &[f32], options: &SamplerOptions) -> Vec<(u32, f64)> {
    let mut left: Vec<(u32, f64)> = (0..).zip(scores.iter().map(|score| f64::from(*score))).collect();
    left.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    if options.top_k > 0 {
        left.truncate(options.top_k);
    }
    let largest = left[0].1;
    if options.top_p < 1.0 {
        let total: f64 = left.iter().map(|(_, score)| (score - largest).exp()).sum();
        let mut sum = 0.0;
        let enough = left.iter().position(|(_, score)| {
            sum += (score - largest).exp();
            sum >= total * f64::from(options.top_p)
        });
        left.truncate(enough.map_or(left.len(), |at| at + 1));
    }
    left.retain(|(_, score)| score - largest >= f64::from(options.min_p).ln());
    let total: f64 =
        left.iter().map(|(_, score)| ((score - largest) / f64::from(options.temperature)).exp()).sum();
    left.into_iter()
        .map(|(id, score)| (id, ((score - largest) / f64::from(options.temperature)).exp() / total))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn cuts_leave_what_they_leave_of_all_tokens_in_order(
        // of few values, so that some are equal, or of many
        scores in prop_oneof![
            prop::collection::vec((-60..60_i8).prop_map(|score| f32::from(score) / 3.0), 1..3_000),
            prop::collection::vec(-20.0_f32..20.0, 1..3_000),
            prop::collection::vec(prop_oneof![9 => -3.0_f32..3.0, 1 => Just(f32::NEG_INFINITY)], 1..300),
        ],
        temperature in 0.3_f32..3.0,
        top_k in prop_oneof![Just(0_usize), 1..60_usize, 1..3_000_usize],
        top_p in prop_oneof![Just(1.0), Just(0.0), 0.5_f32..1.0],
        min_p in prop_oneof![Just(0.0), Just(1.0), 0.0_f32..0.3],
    ) {
        prop_assume!(scores.iter().any(|score| score.is_finite()));
        let options = SamplerOptions { top_k, top_p, min_p, ..at(temperature) };
        // a sum or a logarithm may be rounded to either side of the bound
        let nearly = |options: &SamplerOptions, by: f32| SamplerOptions {
            top_p: (options.top_p * by).min(1.0), min_p: options.min_p / by, ..options.clone()
        };
        let most = kept_of_all(&scores, &nearly(&options, 1.000_01));
        let least = kept_of_all(&scores, &nearly(&options, 0.999_99)).len();
        let mut sampler = Sampler::new(options.clone()).unwrap();
        for _ in 0..3 {
            let id = sampler.sample(Logits::F32(&scores), &[]).unwrap();
            let place = most.iter().position(|(kept, _)| *kept == id);
            prop_assert!(place.is_some_and(|place| most[place].1 > 0.0), "{id} was cut off");
        }
        if (1..scores.len()).contains(&top_k) || top_p < 1.0 || min_p > 0.0 {
            let got: std::collections::HashSet<u32> = sampler.candidates.clone().ranked().into_iter().collect();
            prop_assert!(most[..least].iter().all(|(id, _)| got.contains(id)), "{} of {least}", got.len());
            prop_assert!(got.len() <= most.len(), "{} of {}", got.len(), most.len());
            prop_assert!(got.iter().all(|id| most.iter().any(|(kept, _)| kept == id)));
        } else {
            let total = sampler.scores.total(temperature);
            let mut sum = 0.0;
            for id in 0..scores.len() as u32 {
                let share = most.iter().find(|(kept, _)| *kept == id).map_or(0.0, |(_, share)| *share);
                // the middle of a token's own piece of the line, and no token where there is none
                let point = (sum + share / 2.0) * total;
                prop_assert!(share * f64::from(u32::MAX) < 1e6 || sampler.scores.draw(point) == id);
                sum += share;
            }
        }
    }
}
