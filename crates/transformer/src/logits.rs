//! Logits as an accelerator hands them out.

/// Quantises `logits` to `round(x / scale) + zero_point`, ties to even, clamped to i8; the inverse is
/// `(q − zero_point) · scale`.
///
/// # Panics
/// When the lengths differ.
pub fn quantise_logits(logits: &[f32], scale: f64, zero_point: i32, out: &mut [i8]) {
    assert_eq!(logits.len(), out.len(), "as many codes as logits");
    for (code, logit) in out.iter_mut().zip(logits) {
        let q = (f64::from(*logit) / scale).round_ties_even() + f64::from(zero_point);
        *code = q.clamp(f64::from(i8::MIN), f64::from(i8::MAX)) as i8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_clamped_and_ties_go_to_even() {
        let mut out = [0; 5];
        quantise_logits(&[-1e9, 0.25, 0.75, 10.0, 1e9], 0.5, -3, &mut out);
        assert_eq!(out, [-128, -3, -1, 17, 127]);
    }
}
