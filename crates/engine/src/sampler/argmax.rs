//! The largest score's place, lowest index first: one pass over the scores for the best part, then a look into that part.

/// Scores that are compared before anybody asks which part the best lies in.
const PART: usize = 1024;

/// Place of the largest value; `None` for no values.
pub(super) fn of_i8(values: &[i8]) -> Option<usize> {
    // Shifted to unsigned: the baseline of x86-64 has a vector maximum for unsigned bytes only.
    let order = |value: i8| value as u8 ^ 0x80;
    let (mut top, mut start) = (order(*values.first()?), 0);
    for (n, part) in values.chunks(PART).enumerate() {
        let largest = part.iter().fold(0, |largest, &value| order(value).max(largest));
        if largest > top {
            (top, start) = (largest, n * PART);
        }
    }
    values[start..].iter().position(|&value| order(value) == top).map(|at| start + at)
}

/// Place of the largest value; `None` for no values, a NaN, positive infinity or nothing but negative infinity.
pub(super) fn of_f32(values: &[f32]) -> Option<usize> {
    let (mut top, mut start, mut unordered) = (f32::NEG_INFINITY, 0, false);
    for (n, part) in values.chunks(PART).enumerate() {
        let (mut largest, mut odd) = ([f32::NEG_INFINITY; 16], [false; 16]);
        let (chunks, rest) = part.as_chunks::<16>();
        for chunk in chunks {
            for lane in 0..16 {
                largest[lane] = if chunk[lane] > largest[lane] { chunk[lane] } else { largest[lane] };
                odd[lane] |= chunk[lane].is_nan();
            }
        }
        unordered |= odd.contains(&true) || rest.iter().any(|value| value.is_nan());
        for &value in largest.iter().chain(rest) {
            if value > top {
                (top, start) = (value, n * PART);
            }
        }
    }
    if unordered || top.is_infinite() {
        return None;
    }
    values[start..].iter().position(|&value| value == top).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_the_lowest_index() {
        for length in [1, 15, 16, 17, 64, 65, 1000, 1023, 1024, 1025, 5000] {
            assert_eq!(of_i8(&vec![-128; length]), Some(0));
            assert_eq!(of_i8(&vec![127; length]), Some(0));
            assert_eq!(of_f32(&vec![0.5; length]), Some(0));
        }
        assert_eq!((of_i8(&[]), of_f32(&[])), (None, None));
    }

    #[test]
    fn invalid_scores_have_no_largest() {
        for bad in [f32::NAN, f32::INFINITY] {
            for at in [0, 15, 16, 39] {
                let mut scores = vec![1.0; 40];
                scores[at] = bad;
                assert_eq!(of_f32(&scores), None);
            }
        }
        assert_eq!(of_f32(&[f32::NEG_INFINITY; 40]), None);
        assert_eq!(of_f32(&[f32::NEG_INFINITY, -3.0]), Some(1));
    }

    proptest! {
        #[test]
        fn equals_the_plain_loop(bytes in prop::collection::vec(any::<i8>(), 1..3000)) {
            let mut want = 0;
            for (at, &value) in bytes.iter().enumerate() {
                if value > bytes[want] { want = at; }
            }
            prop_assert_eq!(of_i8(&bytes), Some(want));
            let floats: Vec<f32> = bytes.iter().map(|&value| f32::from(value)).collect();
            prop_assert_eq!(of_f32(&floats), Some(want));
        }
    }
}
