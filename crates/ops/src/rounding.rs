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

/// Where the codes of a weight lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Mapping {
    /// As far above 0 as below it: `w ≈ scale · code`.
    #[default]
    Symmetric,
    /// From the least value to the largest, 0 among them: `w ≈ scale · (code − zero point)`.
    Affine,
}

/// The codes that a weight may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    /// 2 to 8.
    pub bits: u32,
    /// Where they lie.
    pub mapping: Mapping,
}

/// Which values codes stand for: `scale · (code − zero point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steps {
    /// From one value to the next, above 0.
    pub scale: f32,
    /// The code of 0.
    pub zero_point: i8,
}

impl Steps {
    /// The value that a code stands for.
    pub fn value(self, code: i8) -> f32 {
        self.scale * f32::from(code) - self.scale * f32::from(self.zero_point)
    }
}

impl Levels {
    /// Codes as far above 0 as below it.
    pub const fn symmetric(bits: u32) -> Self {
        Self { bits, mapping: Mapping::Symmetric }
    }

    /// The least and the largest code: ±(2^(bits − 1) − 1), and one code more below where they are affine and no eight bits
    /// (−128 is no code: the kernels have none).
    fn ends(self) -> [i8; 2] {
        let largest = i8::MAX >> (8 - self.bits);
        match self.mapping {
            Mapping::Affine if self.bits < 8 => [-largest - 1, largest],
            _ => [-largest, largest],
        }
    }

    /// The steps between values of which `least` and `largest` are the ends; scales of groups are bfloat16 numbers, rounded
    /// up.
    ///
    /// A symmetric scale is found once more of what is left of the largest value, which may be less where the scale was
    /// rounded up by much: otherwise a second rounding would find another scale.
    pub fn steps(self, least: f32, largest: f32, per: Granularity) -> Steps {
        let [low, high] = self.ends().map(f32::from);
        let stored = |scale: f32| match per {
            Granularity::Group(_) => f32::from_bits((scale.to_bits() + 0xffff) & 0xffff_0000),
            _ => scale,
        };
        let (scale, zero_point) = match self.mapping {
            Mapping::Symmetric => {
                let largest = largest.max(-least);
                let first = stored(largest / high);
                (stored((largest / first).round().min(high) * first / high), 0)
            }
            Mapping::Affine => {
                let (least, largest) = (least.min(0.0), largest.max(0.0));
                let scale = stored((largest - least) / (high - low));
                (scale, (low - (least / scale).round()).clamp(low, high) as i8)
            }
        };
        // Any scale gives zeros back.
        if scale > 0.0 { Steps { scale, zero_point } } else { Steps { scale: 1.0, zero_point: 0 } }
    }

    /// The code whose value is nearest.
    pub fn code(self, value: f32, steps: Steps) -> i8 {
        let [low, high] = self.ends().map(f32::from);
        ((value / steps.scale).round() + f32::from(steps.zero_point)).clamp(low, high) as i8
    }
}

/// Codes, scales and zero points of a weight: `w ≈ scale · (code − zero point)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rounded {
    /// From −127 to 127, row-major.
    pub codes: Vec<i8>,
    /// See [`Granularity`].
    pub scales: Vec<f32>,
    /// One per scale; none where the codes are symmetric about 0.
    pub zero_points: Vec<i8>,
}

impl Rounded {
    /// The steps that stand at this place of the scales.
    pub fn steps(&self, place: usize) -> Steps {
        Steps { scale: self.scales[place], zero_point: self.zero_points.get(place).copied().unwrap_or(0) }
    }

    /// Puts steps at this place of the scales.
    ///
    /// # Panics
    /// When they have a zero point and the others have none.
    pub fn set_steps(&mut self, place: usize, Steps { scale, zero_point }: Steps) {
        self.scales[place] = scale;
        match self.zero_points.get_mut(place) {
            Some(point) => *point = zero_point,
            None => assert_eq!(zero_point, 0, "codes that are symmetric about 0"),
        }
    }

    /// The values that the codes stand for, row-major, where `per` and `shape` are those it was rounded with.
    pub fn values(&self, shape: &[usize], per: Granularity) -> Vec<f32> {
        let scale_of = scale_index(shape, per);
        let value = |(index, code): (usize, &i8)| self.steps(scale_of(index)).value(*code);
        self.codes.iter().enumerate().map(value).collect()
    }
}

/// Rounds the values of a weight `[inputs, outputs]` or `[outputs, inputs, …]` to codes. Over the values that share a scale,
///
/// ```text
/// symmetric:  scale = max |w| / (2^(bits − 1) − 1),          code = round(w / scale)
/// affine:     scale = (max w − min w) / (2^bits − 1),         code = round(w / scale) + zero point,
///             zero point = least code − round(min w / scale)
/// ```
///
/// (Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018,
/// equation 1; affine with 0 counted to the values.) What is zero stays zero. Rounding what was rounded symmetrically
/// changes nothing. The scales of groups are bfloat16 numbers, rounded up.
///
/// # Panics
/// When there are not as many values as `shape` says.
pub fn round(values: &[f32], shape: &[usize], levels: Levels, per: Granularity) -> Rounded {
    assert_eq!(values.len(), shape.iter().product::<usize>(), "values of a weight {shape:?}");
    let scale_of = scale_index(shape, per);
    let mut ends = vec![[0.0_f32; 2]; 1 + (0..values.len()).map(&scale_of).max().unwrap_or(0)];
    for (index, value) in values.iter().enumerate() {
        let [least, largest] = &mut ends[scale_of(index)];
        (*least, *largest) = (least.min(*value), largest.max(*value));
    }
    let steps: Vec<Steps> =
        ends.into_iter().map(|[least, largest]| levels.steps(least, largest, per)).collect();
    let codes = values.iter().enumerate();
    let codes = codes.map(|(index, value)| levels.code(*value, steps[scale_of(index)])).collect();
    let zero_points = match levels.mapping {
        Mapping::Symmetric => Vec::new(),
        Mapping::Affine => steps.iter().map(|steps| steps.zero_point).collect(),
    };
    Rounded { codes, scales: steps.into_iter().map(|steps| steps.scale).collect(), zero_points }
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
        let Rounded { codes, scales, .. } =
            round(&[7.0, -0.6, -3.4, 0.31], &[2, 2], Levels::symmetric(4), Granularity::Axis(1));
        assert_eq!(codes, [7, -7, -3, 4]);
        assert_eq!(scales, [1.0, 0.6 / 7.0]);
        let Rounded { codes, scales, zero_points } =
            round(&[7.0, -0.6, -3.4, 0.31], &[2, 2], Levels::symmetric(3), Granularity::Tensor);
        assert_eq!((codes, scales, zero_points), (vec![3, 0, -1, 0], vec![7.0 / 3.0], vec![]));
        let kernel = round(&[127.0, 1.4, 0.0, -0.0], &[1, 2, 2], Levels::symmetric(8), Granularity::Group(1));
        assert_eq!((kernel.codes, kernel.scales), (vec![127, 1, 0, 0], vec![1.0, 1.0]));
    }

    #[test]
    fn affine_codes_reach_from_the_least_value_to_the_largest() {
        let levels = |bits| Levels { bits, mapping: Mapping::Affine };
        let Rounded { codes, scales, zero_points } =
            round(&[0.0, 1.0, 2.0, 6.9], &[4, 1], levels(3), Granularity::Tensor);
        assert_eq!((codes, scales, zero_points), (vec![-4, -3, -2, 3], vec![6.9 / 7.0], vec![-4]));
        let rounded = round(&[-1.0, 0.0, 0.5, 2.0], &[4, 1], levels(2), Granularity::Tensor);
        assert_eq!((&rounded.codes, &rounded.zero_points), (&vec![-2, -1, 0, 1], &vec![-1]));
        assert_eq!(rounded.values(&[4, 1], Granularity::Tensor), [-1.0, 0.0, 1.0, 2.0]);
        // Values far from 0 have it among them; those that are all 0 stay so.
        let far = round(&[-255.0, -254.0], &[2, 1], levels(8), Granularity::Tensor);
        assert_eq!((far.codes[0], far.zero_points[0]), (-127, 127));
        let zeros = round(&[0.0, -0.0], &[2, 1], levels(4), Granularity::Group(2));
        assert_eq!(zeros.values(&[2, 1], Granularity::Group(2)), [0.0, 0.0]);
    }

    /// Values of both signs and of magnitudes that differ by a factor of 500.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        let value = |index: usize| ((index * 7919 + seed * 104_729 + 13) % 2003) as f32 / 1001.0 - 1.0;
        (0..count).map(|index| value(index) * (1.0 + (index * index + seed) as f32 % 1.7)).collect()
    }

    #[test]
    fn no_value_moves_by_more_than_half_a_step_and_a_second_symmetric_rounding_changes_nothing() {
        for seed in 0..600 {
            for (shape, size) in [(&[8, 5][..], 4), (&[3, 6, 2, 2], 2), (&[12, 1], 3)] {
                let mapping = [Mapping::Symmetric, Mapping::Affine][seed % 2];
                let mut values = values(shape.iter().product(), seed);
                values.iter_mut().skip(3).step_by(4).for_each(|value| *value = 0.0);
                let per = [Granularity::Tensor, Granularity::output(shape.len()), Granularity::Group(size)]
                    [seed / 2 % 3];
                let levels = Levels { bits: 2 + seed as u32 / 6 % 7, mapping };
                let rounded = round(&values, shape, levels, per);
                let scale_of = scale_index(shape, per);
                let kept = rounded.values(shape, per);
                for (index, (value, kept)) in values.iter().zip(&kept).enumerate() {
                    let step = rounded.scales[scale_of(index)];
                    assert!(
                        (value - kept).abs() <= 0.5001 * step,
                        "{value} {kept} {step}: {levels:?} {per:?}"
                    );
                    assert!(*value != 0.0 || *kept == 0.0, "{kept}: {levels:?} {per:?}");
                }
                let [low, high] = levels.ends();
                assert!(
                    rounded.codes.iter().chain(&rounded.zero_points).all(|code| (low..=high).contains(code))
                );
                if mapping == Mapping::Symmetric {
                    assert_eq!(round(&kept, shape, levels, per), rounded, "{levels:?} {per:?} {seed}");
                }
            }
        }
    }

    #[test]
    fn values_are_those_of_the_quantized_tensor() {
        let (shape, device) = ([6, 4, 3, 3], Device::flex());
        for per in [Granularity::Tensor, Granularity::Axis(0), Granularity::Group(2)] {
            let rounded = round(&values(216, 1), &shape, Levels::symmetric(5), per);
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
