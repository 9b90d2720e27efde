//! From floats to whole numbers with scales, by rounding.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantized::{Granularity, axes};

/// Which weights share a scale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(inline)]
pub enum Scales {
    /// All of a matrix or kernel.
    Tensor,
    /// Those of an output, or channel.
    #[default]
    Output,
    /// Those of some inputs of an output that follow each other. Scales of groups are bfloat16 numbers.
    Group {
        /// How many inputs, 1 to 255; of a kernel, with their whole windows.
        #[schemars(range(min = 1, max = 255))]
        size: usize,
        /// What is done with a weight whose inputs are no multiple of `size`.
        #[serde(default)]
        misfits: Ungrouped,
    },
}

/// What is done with a weight that groups do not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Ungrouped {
    /// It is an error.
    #[default]
    Refuse,
    /// It has a scale per output, unless `only` names it: then it is an error.
    Output,
}

impl Scales {
    /// Which values of a weight of this shape share a scale; where groups do not fit, those of an output.
    ///
    /// # Panics
    /// When the shape has less than two sides.
    pub fn granularity(self, shape: &[usize]) -> Granularity {
        match self {
            Self::Tensor => Granularity::Tensor,
            Self::Group { size, .. } if self.fits(shape) => Granularity::Group(size),
            Self::Output | Self::Group { .. } => Granularity::output(shape.len()),
        }
    }

    /// Whether a weight of this shape can have such scales: its inputs are a multiple of the group.
    ///
    /// # Panics
    /// When the shape has less than two sides.
    pub fn fits(self, shape: &[usize]) -> bool {
        match self {
            Self::Tensor | Self::Output => true,
            Self::Group { size, .. } => shape[axes(shape.len())[1]].is_multiple_of(size),
        }
    }
}

/// Codes and scales of a weight: `w ≈ scale · code`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rounded {
    /// From −127 to 127, row-major.
    pub codes: Vec<i8>,
    /// See [`Granularity`].
    pub scales: Vec<f32>,
}

impl Rounded {
    /// `scale · code`, row-major, where `per` and `shape` are those it was rounded with.
    pub fn values(&self, shape: &[usize], per: Granularity) -> Vec<f32> {
        let scale_of = scale_index(shape, per);
        let value = |(index, code): (usize, &i8)| self.scales[scale_of(index)] * f32::from(*code);
        self.codes.iter().enumerate().map(value).collect()
    }
}

/// Rounds the values of a weight `[inputs, outputs]` or `[outputs, inputs, …]` to codes of `bits` bits, symmetric about 0,
/// 2 to 8: `scale = max |w| / (2^(bits − 1) − 1)` over the values that share it, `code = round(w / scale)`.
///
/// Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018,
/// equation 1 with a zero point of 0. What is zero stays zero, and rounding what was rounded changes nothing. The scales of
/// groups are bfloat16 numbers, rounded up.
///
/// # Panics
/// When there are not as many values as `shape` says.
pub fn round(values: &[f32], shape: &[usize], bits: u32, per: Granularity) -> Rounded {
    assert_eq!(values.len(), shape.iter().product::<usize>(), "values of a weight {shape:?}");
    let scale_of = scale_index(shape, per);
    let mut scales = vec![0.0_f32; 1 + (0..values.len()).map(&scale_of).max().unwrap_or(0)];
    for (index, value) in values.iter().enumerate() {
        let scale = &mut scales[scale_of(index)];
        *scale = scale.max(value.abs());
    }
    scales.iter_mut().for_each(|scale| *scale = scale_for(*scale, bits, per));
    let codes = values.iter().enumerate();
    let codes = codes.map(|(index, value)| code(*value, scales[scale_of(index)], bits)).collect();
    Rounded { codes, scales }
}

/// The largest code of so many bits.
fn largest_code(bits: u32) -> f32 {
    f32::from(i8::MAX >> (8 - bits))
}

/// The scale of values of which `largest` is the largest magnitude; of groups a bfloat16 number, rounded up.
///
/// It is found once more of what is left of that value, which may be less where the scale was rounded up by much:
/// otherwise a second rounding would find another scale.
pub fn scale_for(largest: f32, bits: u32, per: Granularity) -> f32 {
    let scale_for = |largest: f32| {
        let scale = largest / largest_code(bits);
        match per {
            Granularity::Group(_) => f32::from_bits((scale.to_bits() + 0xffff) & 0xffff_0000),
            _ => scale,
        }
    };
    let first = scale_for(largest);
    let scale = scale_for((largest / first).round().min(largest_code(bits)) * first);
    // Any scale gives zeros back.
    if scale > 0.0 { scale } else { 1.0 }
}

/// The code that is nearest to a value.
pub fn code(value: f32, scale: f32, bits: u32) -> i8 {
    let largest = largest_code(bits);
    (value / scale).round().clamp(-largest, largest) as i8
}

/// Which scale each value of a weight of this shape has, both counted row by row.
pub fn scale_index(shape: &[usize], per: Granularity) -> impl Fn(usize) -> usize + use<> {
    let [output_axis, input_axis] = axes(shape.len());
    let (inputs, outputs) = (shape[input_axis], shape[output_axis]);
    let window: usize = shape[2..].iter().product();
    let is_matrix = shape.len() == 2;
    move |index| {
        let (input, output) = match is_matrix {
            true => (index / outputs, index % outputs),
            false => (index / window % inputs, index / window / inputs),
        };
        match per {
            Granularity::Tensor => 0,
            Granularity::Axis(axis) if axis == input_axis => input,
            Granularity::Axis(_) => output,
            Granularity::Group(size) if is_matrix => input / size * outputs + output,
            Granularity::Group(size) => output * (inputs / size) + input / size,
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::quantized::{dense, quantized};
    use burn::tensor::Device;

    #[test]
    fn codes_and_scales_are_those_worked_out_by_hand() {
        let Rounded { codes, scales } = round(&[7.0, -0.6, -3.4, 0.31], &[2, 2], 4, Granularity::Axis(1));
        assert_eq!(codes, [7, -7, -3, 4]);
        assert_eq!(scales, [1.0, 0.6 / 7.0]);
        let Rounded { codes, scales } = round(&[7.0, -0.6, -3.4, 0.31], &[2, 2], 3, Granularity::Tensor);
        assert_eq!((codes, scales), (vec![3, 0, -1, 0], vec![7.0 / 3.0]));
        let kernel = round(&[127.0, 1.4, 0.0, -0.0], &[1, 2, 2], 8, Granularity::Group(1));
        assert_eq!((kernel.codes, kernel.scales), (vec![127, 1, 0, 0], vec![1.0, 1.0]));
    }

    /// Values of both signs and of magnitudes that differ by a factor of 500.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        let value = |index: usize| ((index * 7919 + seed * 104_729 + 13) % 2003) as f32 / 1001.0 - 1.0;
        (0..count).map(|index| value(index) * (1.0 + (index * index + seed) as f32 % 1.7)).collect()
    }

    #[test]
    fn no_value_moves_by_more_than_half_a_step_and_a_second_rounding_changes_nothing() {
        for seed in 0..300 {
            for (shape, size) in [(&[8, 5][..], 4), (&[3, 6, 2, 2], 2), (&[12, 1], 3)] {
                let values = values(shape.iter().product(), seed);
                let per = [Granularity::Tensor, Granularity::output(shape.len()), Granularity::Group(size)]
                    [seed % 3];
                let bits = 2 + seed as u32 / 3 % 7;
                let rounded = round(&values, shape, bits, per);
                let scale_of = scale_index(shape, per);
                let kept = rounded.values(shape, per);
                for (index, (value, kept)) in values.iter().zip(&kept).enumerate() {
                    let step = rounded.scales[scale_of(index)];
                    assert!((value - kept).abs() <= 0.5001 * step, "{value} {kept} {step}: {bits} {per:?}");
                }
                assert!(rounded.codes.iter().all(|code| code.abs() <= 127 >> (8 - bits)));
                assert_eq!(round(&kept, shape, bits, per), rounded, "{bits} bits {per:?} {seed}");
            }
        }
    }

    #[test]
    fn values_are_those_of_the_quantized_tensor() {
        let (shape, device) = ([6, 4, 3, 3], Device::flex());
        for per in [Granularity::Tensor, Granularity::Axis(0), Granularity::Group(2)] {
            let rounded = round(&values(216, 1), &shape, 5, per);
            let tensor = quantized(&rounded.codes, shape, &rounded.scales, per, &device);
            let dense: Vec<f32> = dense(tensor).into_data().try_into_vec().expect("float32");
            assert_eq!(dense, rounded.values(&shape, per), "{per:?}");
        }
    }

    #[test]
    fn groups_that_do_not_fit_have_a_scale_per_output() {
        let groups = Scales::Group { size: 4, misfits: Ungrouped::Output };
        assert_eq!(groups.granularity(&[8, 3]), Granularity::Group(4));
        assert_eq!(groups.granularity(&[6, 3]), Granularity::Axis(1));
        assert_eq!(groups.granularity(&[3, 6, 5, 5]), Granularity::Axis(0));
        assert!(groups.fits(&[3, 8, 5, 5]) && !groups.fits(&[3, 6, 5, 5]) && Scales::Output.fits(&[3, 6]));
    }
}
