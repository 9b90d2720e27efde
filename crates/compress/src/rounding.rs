//! From values to whole numbers with scales, by rounding.

use ansatz_ops::Granularity;

use crate::{Kind, Weight};

/// Codes and scales of a weight: `w ≈ scale · code`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rounded {
    pub codes: Vec<i8>,
    pub scales: Vec<f32>,
}

/// Rounds a weight to codes of `bits` bits, symmetric about 0, 2 to 8:
/// `scale = max |w| / (2^(bits − 1) − 1)` over the values that share it, `code = round(w / scale)`.
///
/// Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018,
/// equation 1 with a zero point of 0. What is zero stays zero. The scales of groups are bfloat16 numbers, rounded up.
pub(crate) fn round(weight: &Weight, bits: u32, per: Granularity) -> Rounded {
    let scale_of = scale_index(weight, per);
    let mut scales = vec![0.0_f32; 1 + (0..weight.values.len()).map(&scale_of).max().unwrap_or(0)];
    for (index, value) in weight.values.iter().enumerate() {
        let scale = &mut scales[scale_of(index)];
        *scale = scale.max(value.abs());
    }
    scales.iter_mut().for_each(|scale| *scale = scale_for(*scale, bits, per));
    let codes = weight.values.iter().enumerate();
    let codes = codes.map(|(index, value)| code(*value, scales[scale_of(index)], bits)).collect();
    Rounded { codes, scales }
}

/// The largest code of so many bits.
fn largest_code(bits: u32) -> f32 {
    f32::from(i8::MAX >> (8 - bits))
}

/// The scale of values of which `largest` is the largest magnitude.
pub(crate) fn scale_for(largest: f32, bits: u32, per: Granularity) -> f32 {
    // Any scale gives zeros back.
    let scale = if largest > 0.0 { largest / largest_code(bits) } else { 1.0 };
    match per {
        Granularity::Group(_) => f32::from_bits((scale.to_bits() + 0xffff) & 0xffff_0000),
        _ => scale,
    }
}

/// The code that is nearest to a value.
pub(crate) fn code(value: f32, scale: f32, bits: u32) -> i8 {
    let largest = largest_code(bits);
    (value / scale).round().clamp(-largest, largest) as i8
}

/// Which scale each value has, both counted row by row.
pub(crate) fn scale_index(weight: &Weight, per: Granularity) -> impl Fn(usize) -> usize + use<> {
    let (inputs, outputs, kind) = (weight.inputs(), weight.outputs(), weight.kind);
    let window: usize = weight.shape[2..].iter().product();
    move |index| {
        let (input, output) = match kind {
            Kind::Matrix => (index / outputs, index % outputs),
            Kind::Kernel => (index / window % inputs, index / window / inputs),
        };
        match (per, kind) {
            (Granularity::Tensor, _) => 0,
            (Granularity::Axis(_), _) => output,
            (Granularity::Group(size), Kind::Matrix) => input / size * outputs + output,
            (Granularity::Group(size), Kind::Kernel) => output * (inputs / size) + input / size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weight(kind: Kind, shape: &[usize], values: &[f32]) -> Weight {
        Weight { name: String::new(), kind, shape: shape.to_vec(), values: values.to_vec() }
    }

    #[test]
    fn codes_and_scales_are_those_worked_out_by_hand() {
        let matrix = weight(Kind::Matrix, &[2, 2], &[7.0, -0.6, -3.4, 0.31]);
        let Rounded { codes, scales } = round(&matrix, 4, Granularity::Axis(1));
        assert_eq!(codes, [7, -7, -3, 4]);
        assert_eq!(scales, [1.0, 0.6 / 7.0]);
        let Rounded { codes, scales } = round(&matrix, 3, Granularity::Tensor);
        assert_eq!((codes, scales), (vec![3, 0, -1, 0], vec![7.0 / 3.0]));
        let kernel = weight(Kind::Kernel, &[1, 2, 2], &[127.0, 1.4, 0.0, -0.0]);
        let Rounded { codes, scales } = round(&kernel, 8, Granularity::Group(1));
        assert_eq!((codes, scales), (vec![127, 1, 0, 0], vec![1.0, 1.0]));
    }

    proptest! {
        #[test]
        fn no_value_moves_by_more_than_half_a_step(
            bits in 2_u32..=8,
            kind in prop::sample::select(vec![Kind::Matrix, Kind::Kernel]),
            groups in 1_usize..4,
            size in 1_usize..4,
            outputs in 1_usize..4,
            values in prop::collection::vec(-2.0_f32..2.0, 27 * 2),
            choice in 0_usize..3,
        ) {
            let inputs = groups * size;
            let shape = match kind {
                Kind::Matrix => vec![inputs, outputs],
                Kind::Kernel => vec![outputs, inputs, 2],
            };
            let weight = weight(kind, &shape, &values[..shape.iter().product()]);
            let per = [Granularity::Tensor, Granularity::output(shape.len()), Granularity::Group(size)][choice];
            let Rounded { codes, scales } = round(&weight, bits, per);
            let count = [1, outputs, outputs * groups][choice];
            prop_assert_eq!(scales.len(), count);
            let largest = 127_i8 >> (8 - bits);
            let scale_of = scale_index(&weight, per);
            for (index, (value, code)) in weight.values.iter().zip(&codes).enumerate() {
                let scale = scales[scale_of(index)];
                prop_assert!(code.abs() <= largest);
                prop_assert!((value - scale * f32::from(*code)).abs() <= 0.5001 * scale);
            }
        }
    }
}
