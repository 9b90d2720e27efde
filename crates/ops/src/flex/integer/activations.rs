//! Activations as bytes, with a scale and a zero found from the values at hand, or given.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::super::vectorized::vectorized;
use crate::byte_rounding::Range;
use rayon::prelude::*;

/// `1.5 · 2²³`: floats of this size have whole numbers for last bits, so that adding it rounds to the nearest.
pub(super) const ROUND: f32 = 12_582_912.0;

/// The bits of a float but for its sign: of infinity and NaN the largest.
pub(super) const MAGNITUDE: u32 = 0x7fff_ffff;

/// Below all bytes, and not so far below that the bits of the sum with [`ROUND`] have another sign.
const BELOW: f32 = -1024.0;

/// `round(x) + zero` within 0 to 255, where `offset` is the zero less the bits of [`ROUND`]. NaN is some byte.
#[inline(always)]
pub(super) fn nearest(x: f32, offset: i32) -> i32 {
    let x = if x < BELOW { BELOW } else { x };
    ((x + ROUND).to_bits().cast_signed() + offset).clamp(0, 255)
}

/// Values kept side by side, so that they fill two of the widest registers.
const LANES: usize = 32;

/// Values that are not worth a second thread.
const SMALL: usize = 1 << 15;

/// How floats become bytes: `x ≈ scale · (byte − zero)`, at most half a `scale` apart. A float 0 is exact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine {
    /// NaN where a value was not finite, and so is all that is computed with it.
    pub(super) scale: f32,
    /// From 0 to 255.
    pub(super) zero: i32,
}

impl Affine {
    /// Of values that are not all finite.
    pub(super) const NO_NUMBER: Self = Self { scale: f32::NAN, zero: 0 };

    /// The steps of 255 between the least and the largest value (Jacob et al. 2018, arXiv:1712.05877, section 2.1),
    /// both drawn apart to 0.
    pub(super) fn of(values: &[f32]) -> Self {
        let [least, largest, magnitude] = extremes(values);
        if magnitude.to_bits() >= f32::INFINITY.to_bits() {
            return Self::NO_NUMBER;
        }
        Self::within([least, largest])
    }

    /// The same between two given values, the least at most 0 and the largest at least 0.
    pub(super) fn within([least, largest]: [f32; 2]) -> Self {
        let scale = (largest / 255.0 - least / 255.0).max(f32::MIN_POSITIVE);
        Self { scale, zero: (-least / scale).round_ties_even().min(255.0) as i32 }
    }

    /// How `values` become bytes together.
    pub(super) fn by(range: Range, values: &[f32]) -> Self {
        match range {
            Range::OfEachRow => Self::of(values),
            Range::Given(bounds) => Self::within(bounds),
        }
    }

    /// The bytes of `values` to the front of `target`, and how they became so; zeros where a value is not finite.
    pub(super) fn quantize(self, values: &[f32], target: &mut [u8]) -> Self {
        let are_finite = !self.scale.is_nan() && bytes(values, 1.0 / self.scale, self.zero, target);
        if are_finite {
            return self;
        }
        target[..values.len()].fill(0);
        Self::NO_NUMBER
    }
}

/// Rows of activations as bytes.
pub(super) struct Rows {
    /// `[rows, pitch]`, zeros behind each row.
    pub(super) bytes: Vec<u8>,
    /// The inputs, rounded up to a multiple of four.
    pub(super) pitch: usize,
    /// How each row became bytes.
    pub(super) affine: Vec<Affine>,
}

impl Rows {
    /// Quantizes `values` `[rows, inputs]`.
    pub(super) fn new(values: &[f32], inputs: usize, range: Range) -> Self {
        let rows = values.len() / inputs;
        let pitch = inputs.next_multiple_of(4);
        let mut bytes = vec![0; rows * pitch];
        let quantize = |values: &[f32], bytes: &mut [u8]| Affine::by(range, values).quantize(values, bytes);
        let affine = if values.len() < SMALL {
            values.chunks(inputs).zip(bytes.chunks_mut(pitch)).map(|(row, to)| quantize(row, to)).collect()
        } else {
            let rows = values.par_chunks(inputs).zip(bytes.par_chunks_mut(pitch));
            rows.map(|(row, bytes)| quantize(row, bytes)).collect()
        };
        Self { bytes, pitch, affine }
    }
}

vectorized! {
    /// The least value and 0, the largest value and 0, and the largest magnitude by the order of bits, in which
    /// infinity and NaN come last.
    fn extremes(values: &[f32]) -> [f32; 3] {
        let mut least = [0.0f32; LANES];
        let mut largest = [0.0f32; LANES];
        let mut magnitude = [0u32; LANES];
        let (whole, rest) = values.as_chunks::<LANES>();
        let mut last = [0.0; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for chunk in whole.iter().chain([&last]) {
            for lane in 0..LANES {
                let value = chunk[lane];
                least[lane] = if value < least[lane] { value } else { least[lane] };
                largest[lane] = if value > largest[lane] { value } else { largest[lane] };
                magnitude[lane] = magnitude[lane].max(value.to_bits() & MAGNITUDE);
            }
        }
        // Halves upon halves: one lane after the other would take longer than a short row.
        let mut half = LANES / 2;
        while half > 0 {
            for lane in 0..half {
                let other = lane + half;
                least[lane] = if least[other] < least[lane] { least[other] } else { least[lane] };
                largest[lane] = if largest[other] > largest[lane] { largest[other] } else { largest[lane] };
                magnitude[lane] = magnitude[lane].max(magnitude[other]);
            }
            half /= 2;
        }
        [least[0], largest[0], f32::from_bits(magnitude[0])]
    }

    /// `round(inverse · x) + zero`, within 0 to 255; says whether all values are finite.
    fn bytes(values: &[f32], inverse: f32, zero: i32, target: &mut [u8]) -> bool {
        let offset = zero - ROUND.to_bits().cast_signed();
        let mut magnitude = 0;
        for (byte, value) in target.iter_mut().zip(values) {
            magnitude = magnitude.max(value.to_bits() & MAGNITUDE);
            *byte = nearest(value * inverse, offset) as u8;
        }
        magnitude < f32::INFINITY.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantized(values: &[f32]) -> (Affine, Vec<u8>) {
        let affine = Affine::of(values);
        let mut bytes = vec![9; values.len()];
        let found = affine.quantize(values, &mut bytes);
        assert!(found == affine || affine.scale.is_nan());
        (affine, bytes)
    }

    #[test]
    fn bytes_are_at_most_half_a_step_off() {
        for (low, high) in
            [(-1.0f32, 1.0), (0.0, 6.0), (-3.0, 0.0), (2.0, 3.0), (-1e-30, 2e-30), (-3e38, 3e38)]
        {
            let between = |step| low * (1.0 - step as f32 / 100.0) + high * (step as f32 / 100.0);
            let values: Vec<f32> = (0..=100).map(between).collect();
            let (Affine { scale, zero }, bytes) = quantized(&values);
            for (value, byte) in values.iter().zip(bytes) {
                let error = (f64::from(scale) * f64::from(i32::from(byte) - zero) - f64::from(*value)).abs();
                // Half a step, and what the rounding of the scale itself adds over 255 steps.
                assert!(error <= f64::from(scale) * 0.5001, "{value} as {byte}, {scale}, {zero}");
            }
        }
    }

    #[test]
    fn zero_is_exact_and_alone_costs_nothing() {
        let (affine, bytes) = quantized(&[0.0, -0.0, 0.0]);
        assert_eq!((affine.zero, bytes), (0, vec![0; 3]));
        let (affine, bytes) = quantized(&[-0.7, 0.0, 1.1]);
        assert_eq!(i32::from(bytes[1]), affine.zero);
    }

    #[test]
    fn what_is_not_finite_makes_the_scale_no_number() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 31, 32, 40] {
                let mut values = [1.0; 41];
                values[place] = value;
                let (affine, bytes) = quantized(&values);
                assert!(affine.scale.is_nan());
                assert_eq!((affine.zero, bytes), (0, vec![0; 41]));
            }
        }
    }
    #[test]
    fn what_lies_beyond_a_given_range_becomes_its_end() {
        let affine = Affine::within([-1.0, 1.55]);
        let values = [-3e38, -1.0, -0.004, 0.0, 1.0, 1.55, 2.0, 3e38];
        let mut bytes = [9; 8];
        assert_eq!(affine.quantize(&values, &mut bytes), affine);
        assert_eq!((affine.zero, bytes), (100, [0, 0, 100, 100, 200, 255, 255, 255]));
        for value in [f32::NAN, f32::INFINITY] {
            let mut bytes = [9; 2];
            assert!(affine.quantize(&[0.5, value], &mut bytes).scale.is_nan());
            assert_eq!(bytes, [0; 2]);
        }
    }
}
