//! Floats to codes of any layout: how weights are made smaller at load.

use half::f16;

use crate::{RowCodes, packed::Layout};

/// Ranges that a block's codes may span, as shares of the block's own: what lies outside is clamped. The one that
/// leaves the least squared error is taken; narrower ones pay where a block has one outlier and few codes.
const SPANS: [f32; 4] = [1.0, 0.96, 0.91, 0.86];

/// Quantises one row into `out`, whose fields are as long as the layout says.
///
/// A block with a weight that is no finite number gets the scale NaN, so that it cannot pass unnoticed.
pub(crate) fn row(layout: Layout, values: &[f32], out: &mut RowCodes) {
    for (n, values) in values.chunks(layout.width()).enumerate() {
        let codes = &mut out.codes[n * layout.width()..][..values.len()];
        let (scale, minimum) = block(layout, values, codes);
        out.scales[n] = scale;
        if layout.minima {
            out.minima[n] = minimum;
        }
    }
}

/// Scale and minimum of some weights, and their codes.
fn block(layout: Layout, values: &[f32], codes: &mut [i8]) -> (f32, f32) {
    if values.iter().any(|value| !value.is_finite()) {
        codes.fill(0);
        return (f32::NAN, 0.0);
    }
    let (lowest, highest) = limits(layout);
    let rounded = |value: f32| f16::from_f32(value).to_f32(); // scales of layouts that weights are rounded to
    let (low, high) =
        values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let mut best = (f32::INFINITY, f32::NAN, 0.0);
    let spans = if layout.bits == 4 { &SPANS[..] } else { &SPANS[..1] };
    for span in spans {
        let (scale, minimum) = if layout.minima {
            let scale = rounded((high - low) * span / (highest - lowest));
            (scale, rounded((high + low) / 2.0 - scale * (highest + lowest) / 2.0))
        } else {
            (rounded(low.abs().max(high.abs()) * span / highest), 0.0)
        };
        if spans.len() == 1 {
            best = (0.0, scale, minimum);
            break;
        }
        let code = |value: f32| code(value, scale, minimum, (lowest, highest));
        let error: f32 = values.iter().map(|v| (v - (scale * code(*v) + minimum)).powi(2)).sum();
        if error < best.0 {
            best = (error, scale, minimum);
        }
    }
    let (_, scale, minimum) = best;
    for (out, value) in codes.iter_mut().zip(values) {
        *out = code(*value, scale, minimum, (lowest, highest)) as i8;
    }
    (scale, minimum)
}

fn code(value: f32, scale: f32, minimum: f32, (lowest, highest): (f32, f32)) -> f32 {
    let code = if scale == 0.0 { 0.0 } else { ((value - minimum) / scale).round_ties_even() };
    code.clamp(lowest, highest)
}

/// The least and the greatest code of a layout; without minima the same distance from 0.
fn limits(layout: Layout) -> (f32, f32) {
    let codes = f32::from(1u16 << layout.bits);
    match (layout.bits, layout.minima) {
        (8, true) => (-128.0, 127.0),
        (_, true) => (0.0, codes - 1.0),
        (_, false) => (1.0 - codes / 2.0, codes / 2.0 - 1.0),
    }
}
