//! Scale and zero point of a model's int8 logits, from the logits of a few texts.

use transformer::{Input, Model};

use crate::{Error, Tokenizer};

/// Texts of several kinds: the spread of logits differs between prose, code and other scripts.
const TEXTS: [&str; 8] = [
    "The capital of France is Paris, and the capital of Italy is Rome. Which of them is older?",
    "def add(a, b):\n    \"\"\"Add two numbers.\"\"\"\n    return a + b\n\n\nprint(add(2, 3))\n",
    "{\"name\": \"Alice\", \"age\": 31, \"tags\": [\"a\", \"b\"], \"active\": true}",
    "1 2 3 4 5 6 7 8 9 10 11 12 13. 3.14159 × 2 = 6.28318",
    "Il était une fois une princesse qui vivait dans un château. C'était l'été.",
    "今天天气很好，我们去公园散步吧。Москва — столица России. القاهرة عاصمة مصر",
    "Dear Sir or Madam,\n\nI am writing to ask about the room that you advertised.\n\nYours faithfully,\n",
    "🙂🙂 lol ok!!! see u @ 8pm -> https://example.com/a?b=c#d \t\t ...",
];

/// Share of the seen range that is added above: a logit past the end would be clamped, and clamped ones tie.
const HEADROOM: f64 = 0.1;
/// How far below a position's best logit still matters: e^-12 of its probability.
const DEPTH: f64 = 12.0;

/// `(q − zero_point) · scale` is the logit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantisation {
    pub(super) scale: f64,
    pub(super) zero_point: i32,
}

/// Runs the texts, each behind the beginning of a chat, and covers what their logits need.
pub(super) fn logits(model: &Model, tokenizer: &Tokenizer) -> Result<Quantisation, Error> {
    let vocab_size = model.config().vocab_size;
    let (mut lowest_best, mut best, mut lowest) = (f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY);
    let mut logits = Vec::new();
    for text in TEXTS {
        let mut ids = tokenizer.control_tokens().iter().copied().take(2).collect::<Vec<_>>();
        ids.extend(tokenizer.encode_text(text)?);
        ids.truncate(model.config().context_length);
        logits.resize(ids.len() * vocab_size, 0.0);
        model.forward_all(&mut model.sequence(ids.len()), Input::Tokens(&ids), &mut logits)?;
        for position in logits.chunks_exact(vocab_size) {
            let (low, high) = position
                .iter()
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), l| (low.min(*l), high.max(*l)));
            lowest_best = lowest_best.min(high.into());
            best = best.max(high.into());
            lowest = lowest.min(low.into());
        }
    }
    Ok(cover(lowest.max(lowest_best - DEPTH), best))
}

/// The 256 codes over `low` to `high` and some headroom.
fn cover(low: f64, high: f64) -> Quantisation {
    let range = (high - low).max(1e-3) * (1.0 + HEADROOM);
    let scale = range / 255.0;
    let zero_point = (f64::from(i8::MIN) - low / scale).round();
    Quantisation { scale, zero_point: zero_point as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_cover_the_range() {
        let Quantisation { scale, zero_point } = cover(-5.0, 30.0);
        let mut codes = [0; 3];
        transformer::quantise_logits(&[-5.0, 30.0, 34.0], scale, zero_point, &mut codes);
        assert_eq!(codes[0], i8::MIN);
        assert!(codes[1] < codes[2]);
        assert!((f64::from(i32::from(codes[1]) - zero_point) * scale - 30.0).abs() <= scale);
    }
}
