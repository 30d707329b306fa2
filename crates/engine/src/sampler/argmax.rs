//! The largest score's place, lowest index first.

const LANES: usize = 64;

/// Place of the largest value; `None` for no values.
pub(super) fn of_i8(values: &[i8]) -> Option<usize> {
    // Shifted to unsigned: the baseline of x86-64 has a vector maximum for unsigned bytes only.
    let largest = values.iter().map(|&value| value as u8 ^ 0x80).max()? ^ 0x80;
    let largest = largest as i8;
    position(values, |value| value == largest)
}

/// Place of the largest value; `None` for no values, a NaN, positive infinity or nothing but negative infinity.
pub(super) fn of_f32(values: &[f32]) -> Option<usize> {
    let mut largest = [f32::NEG_INFINITY; 16];
    let mut unordered = [false; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        for lane in 0..16 {
            largest[lane] = if chunk[lane] > largest[lane] { chunk[lane] } else { largest[lane] };
            unordered[lane] |= chunk[lane].is_nan();
        }
    }
    let mut top = f32::NEG_INFINITY;
    for &value in largest.iter().chain(rest) {
        top = if value > top { value } else { top };
    }
    let unordered = unordered.contains(&true) || rest.iter().any(|value| value.is_nan());
    if unordered || top.is_infinite() {
        return None;
    }
    position(values, |value| value == top)
}

/// First place that holds, tested a vector at a time.
fn position<T: Copy>(values: &[T], holds: impl Fn(T) -> bool) -> Option<usize> {
    let start =
        values.chunks(LANES).position(|chunk| chunk.iter().fold(false, |any, &value| any | holds(value)))?;
    let start = start * LANES;
    values[start..].iter().position(|&value| holds(value)).map(|at| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_the_lowest_index() {
        for length in [1, 15, 16, 17, 64, 65, 1000] {
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
        fn equals_the_plain_loop(bytes in prop::collection::vec(any::<i8>(), 1..300)) {
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
