//! Every block format against llama.cpp's own decoder, and what rounding to our types costs.

use kernels::{Arena, Compute, Format, Kind, Matrix};
use test_support::blocks;

fn format(name: &str) -> Format {
    let all = [
        ("Q4_0", Format::Q4_0),
        ("Q4_1", Format::Q4_1),
        ("Q5_0", Format::Q5_0),
        ("Q5_1", Format::Q5_1),
        ("Q8_0", Format::Q8_0),
        ("Q2_K", Format::Q2K),
        ("Q3_K", Format::Q3K),
        ("Q4_K", Format::Q4K),
        ("Q5_K", Format::Q5K),
        ("Q6_K", Format::Q6K),
        ("IQ4_NL", Format::Iq4Nl),
    ];
    all.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no format {name}")).1
}

#[test]
fn every_format_decodes_and_packs_to_the_reference_bit_for_bit() {
    let compute = Compute::new(None, 1).expect("the machine's best");
    let fixtures = blocks();
    assert_eq!(fixtures.len(), 11);
    for fixture in fixtures {
        let format = format(&fixture.name);
        let mut decoded = vec![0.0; fixture.values.len()];
        format.dequantise(&fixture.bytes, &mut decoded);
        assert_eq!(decoded, fixture.values, "{}", fixture.name);
        let (rows, cols) = (2, fixture.values.len() / 2);
        let matrix = Matrix::new(format, rows, cols, &fixture.bytes).expect("whole blocks");
        let packed = compute.pack(&matrix, &mut Arena::default()).expect("memory");
        for (row, want) in fixture.values.chunks(cols).enumerate() {
            let mut got = vec![0.0; cols];
            packed.dequantise_row(row, &mut got);
            assert_eq!(got, want, "{} packed, row {row}", fixture.name);
        }
    }
}

/// Weights as models have them: most small, a few large (a sum of twelve uniform values is nearly normal).
fn weights(count: usize) -> Vec<f32> {
    let mut seed = 7;
    (0..count).map(|_| (0..12).map(|_| test_support::tiny::random(&mut seed)).sum::<f32>() * 0.02).collect()
}

#[test]
fn rounding_to_our_types_costs_little_and_orders_rows() {
    let (rows, cols) = (20, 320);
    let values = weights(rows * cols);
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let matrix = Matrix::new(Format::F32, rows, cols, &bytes).expect("whole rows");
    let compute = Compute::new(None, 2).expect("the machine's best");
    // root mean square of the error, relative to that of the weights
    for (kind, bound) in [
        (Kind::F32, 0.0),
        (Kind::Bf16, 0.0025),
        (Kind::Tiles, 0.0025),
        (Kind::F16, 0.0004),
        (Kind::Q8, 0.0060),
        (Kind::Q4, 0.078),
    ] {
        let backwards = |row: usize| rows - 1 - row;
        let packed =
            compute.pack_as(&matrix, kind, &backwards, &mut Arena::default(), &|| {}).expect("memory");
        let (mut error, mut size) = (0.0f64, 0.0f64);
        for (row, want) in values.chunks(cols).enumerate() {
            let mut got = vec![0.0; cols];
            packed.dequantise_row(backwards(row), &mut got);
            for (got, want) in got.iter().zip(want) {
                error += f64::from(got - want).powi(2);
                size += f64::from(*want).powi(2);
            }
        }
        let relative = (error / size).sqrt();
        assert!(relative <= bound, "{kind:?}: {relative}");
    }
}

#[test]
fn weights_that_are_no_numbers_stay_visible() {
    let mut values = [0.5f32; 32];
    values[3] = f32::INFINITY;
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let matrix = Matrix::new(Format::F32, 1, 32, &bytes).expect("whole rows");
    let compute = Compute::new(None, 1).expect("the machine's best");
    for kind in [Kind::Q8, Kind::Q4] {
        let packed =
            compute.pack_as(&matrix, kind, &|row| row, &mut Arena::default(), &|| {}).expect("memory");
        let mut got = vec![0.0; 32];
        packed.dequantise_row(0, &mut got);
        assert!(got.iter().all(|value| value.is_nan()), "{kind:?}");
    }
}
