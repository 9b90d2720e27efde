//! Two-dimensional convolution in whole numbers, over plain slices.

#![expect(
    unsafe_code,
    reason = "bounds are checked once per call, and results are made without being zeroed first"
)]

use super::super::buffer::{Pool, fill_chunks};
use super::super::layout::Layout;
use super::super::plane::{Run, Window};
use super::super::vectorized::vectorized;
use super::activations::{Affine, MAGNITUDE, ROUND, nearest};
use super::correlate::{Correlate, Output, ROWS};
use super::packed::Packed;
use crate::byte_rounding::Range;
use std::mem::MaybeUninit;

/// Shapes of a convolution of `[batch, inputs, height, width]` with `[outputs, inputs, kernel, kernel]`, and what
/// follows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolve<'a> {
    pub(super) batch: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) size: [usize; 2],
    pub(super) windows: [Window; 2],
    /// How a picture becomes bytes.
    pub(super) range: Range,
    /// What the whole numbers of each output are multiplied with.
    pub(super) factor: &'a [f32],
    /// What is added to each output then.
    pub(super) shift: &'a [f32],
    /// Added to the outputs then, `[batch, outputs, …]`.
    pub(super) residual: Option<&'a [f32]>,
    /// Whether negative results become zero at last.
    pub(super) rectify: bool,
}

/// What one picture is computed in.
struct Scratch {
    /// Four inputs per cell, padded planes; what is no pixel holds `zero`.
    cells: Vec<u32>,
    zero: u32,
    /// Four inputs per pixel.
    pixels: Vec<u32>,
    /// Outputs at all positions of the padded plane.
    results: Vec<f32>,
}

impl Convolve<'_> {
    /// Height and width of the output.
    pub(super) fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.windows[axis].outputs(self.size[axis]))
    }

    /// `y[n, o, i, j] = f(shift[o] + s[n] · factor[o] · Σ_{c,k,l} w[o, c, k, l] · (q[n, c, …] − z[n]) + residual)`, each
    /// picture quantized by itself, or all by the range that is given.
    ///
    /// # Panics
    /// When a slice is shorter than its shape says.
    pub(super) fn compute(&self, input: &[f32], weight: &[i8]) -> Vec<f32> {
        let [rows, columns] = [0, 1].map(|axis| self.windows[axis].reading(self.size[axis]));
        let layout = Layout { rows, columns, images: 1 };
        let quads = self.inputs.div_ceil(4);
        let area = self.size[0] * self.size[1];
        let offsets = layout.offsets(quads);
        let taps = self.windows[0].kernel * self.windows[1].kernel;
        let packed = Packed::new(weight, [self.outputs, self.inputs, taps]);
        let padded = self.outputs.next_multiple_of(ROWS);
        let [height, width] = self.output_size();
        let write = self.outputs * height * width;
        let pool = Pool::new(|| Scratch {
            cells: vec![0; layout.cells(quads)],
            zero: 0,
            pixels: vec![0; quads * area],
            results: vec![0.0; padded * layout.positions()],
        });
        let fill = |image: usize, target: &mut [MaybeUninit<f32>]| {
            let picture = &input[image * self.inputs * area..][..self.inputs * area];
            let affine = Affine::by(self.range, picture);
            pool.with(|scratch| {
                let zero = affine.zero.cast_unsigned() * 0x0101_0101;
                if scratch.zero != zero {
                    scratch.cells.fill(zero);
                    scratch.zero = zero;
                }
                let mut are_finite = true;
                for (pixels, planes) in scratch.pixels.chunks_exact_mut(area).zip(picture.chunks(4 * area)) {
                    are_finite &= quantize(planes, affine, pixels);
                }
                let scale = if are_finite { affine.scale } else { f32::NAN };
                layout.fill(&mut scratch.cells, &scratch.pixels, quads, self.size);
                let scaled = |output: usize| self.factor.get(output).map_or(0.0, |factor| scale * factor);
                let factor: Vec<f32> = (0..padded).map(scaled).collect();
                let start: Vec<i32> = packed.sums.iter().map(|sum| -affine.zero * sum).collect();
                Correlate {
                    source: &scratch.cells,
                    offsets: &offsets,
                    weight: &packed.quads,
                    start: &start,
                    factor: &factor,
                    shift: self.shift,
                    rectify: self.rectify && self.residual.is_none(),
                    output: Output::Floats(&mut scratch.results),
                    pitch: layout.positions(),
                    positions: layout.plane(),
                }
                .compute();
                let [rows, columns] = [height, width].map(|count| Run { start: 0, count, first: 0, step: 1 });
                layout.take(&scratch.results, target, self.outputs, [height, width], [&rows, &columns]);
            });
            if let Some(residual) = self.residual {
                // SAFETY: `take` has written all of the picture.
                let target = unsafe { target.assume_init_mut() };
                add(target, &residual[image * write..][..write], self.rectify);
            }
        };
        if self.batch == 1 {
            let mut output = Vec::with_capacity(write);
            fill(0, &mut output.spare_capacity_mut()[..write]);
            // SAFETY: `rows` and `columns` are all of the output.
            unsafe { output.set_len(write) };
            return output;
        }
        // SAFETY: `rows` and `columns` are all of the output.
        unsafe { fill_chunks(self.batch * write, write, fill) }
    }
}

/// The bytes of up to four planes of equal size, side by side; those of planes that are missing count nothing, as
/// their weights are zero. Says whether all values are finite.
pub(super) fn quantize(planes: &[f32], affine: Affine, pixels: &mut [u32]) -> bool {
    let area = pixels.len();
    if affine.scale.is_nan() {
        pixels.fill(0);
        return false;
    }
    let plane = |index: usize| planes.get(index * area..).and_then(|planes| planes.get(..area));
    let planes = [0, 1, 2, 3].map(|index| plane(index).unwrap_or(&planes[..area]));
    interleave(planes, 1.0 / affine.scale, affine.zero, pixels)
}

vectorized! {
    /// `round(inverse · x) + zero`, within 0 to 255, of four planes; says whether all values are finite.
    fn interleave(planes: [&[f32]; 4], inverse: f32, zero: i32, pixels: &mut [u32]) -> bool {
        let [first, second, third, fourth] = planes.map(|plane| &plane[..pixels.len()]);
        let offset = zero - ROUND.to_bits().cast_signed();
        let mut magnitude = 0;
        for (index, pixel) in pixels.iter_mut().enumerate() {
            let values = [first[index], second[index], third[index], fourth[index]];
            let [a, b, c, d] = values.map(|value| nearest(value * inverse, offset).cast_unsigned());
            let largest = values.map(|value| value.to_bits() & MAGNITUDE);
            magnitude = magnitude.max(largest[0].max(largest[1]).max(largest[2].max(largest[3])));
            *pixel = u32::from_le(a | b << 8 | c << 16 | d << 24);
        }
        magnitude < f32::INFINITY.to_bits()
    }

    /// Adds `residual` and, where asked for, makes negative sums zero.
    fn add(target: &mut [f32], residual: &[f32], rectify: bool) {
        // Of NaN, the comparison keeps NaN.
        let least = if rectify { 0.0 } else { f32::NEG_INFINITY };
        for (target, residual) in target.iter_mut().zip(residual) {
            let sum = *target + residual;
            *target = if sum < least { least } else { sum };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 7919 + seed * 104_729 + 13) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    /// The sum of the documentation, pixel by pixel.
    fn naive(shape: &Convolve<'_>, input: &[f32], weight: &[i8]) -> Vec<f32> {
        let ([height, width], [below, right]) = (shape.size, shape.output_size());
        let [down, across] = shape.windows;
        let mut output = Vec::new();
        for image in 0..shape.batch {
            let picture = &input[image * shape.inputs * height * width..][..shape.inputs * height * width];
            let affine = Affine::by(shape.range, picture);
            let mut bytes = vec![0; picture.len()];
            affine.quantize(picture, &mut bytes);
            for to in 0..shape.outputs {
                for place in 0..below * right {
                    let mut sum = 0i64;
                    for tap in 0..shape.inputs * down.kernel * across.kernel {
                        let (from, tap) =
                            (tap / (down.kernel * across.kernel), tap % (down.kernel * across.kernel));
                        let [k, l] = [tap / across.kernel, tap % across.kernel];
                        let row =
                            (place / right * down.stride + k * down.dilation).wrapping_sub(down.padding);
                        let column = (place % right * across.stride + l * across.dilation)
                            .wrapping_sub(across.padding);
                        if row < height && column < width {
                            let byte = i64::from(bytes[(from * height + row) * width + column]);
                            let weight =
                                weight[((to * shape.inputs + from) * down.kernel + k) * across.kernel + l];
                            sum += (byte - i64::from(affine.zero)) * i64::from(weight);
                        }
                    }
                    let value = (sum as f32).mul_add(affine.scale * shape.factor[to], shape.shift[to]);
                    let value = value + shape.residual.map_or(0.0, |residual| residual[output.len()]);
                    output.push(if shape.rectify && value < 0.0 { 0.0 } else { value });
                }
            }
        }
        output
    }

    #[test]
    fn outputs_are_those_of_the_naive_sum() {
        // Batch, inputs, outputs, height, width, kernel, stride, padding, dilation.
        for [batch, inputs, outputs, height, width, kernel, stride, padding, dilation] in [
            [1, 1, 1, 5, 5, 3, 1, 1, 1],
            [2, 3, 10, 7, 9, 3, 2, 1, 1],
            [3, 5, 9, 8, 6, 1, 2, 0, 1],
            [2, 4, 24, 11, 13, 5, 2, 2, 1],
            [2, 3, 4, 12, 12, 3, 1, 2, 2],
            [2, 8, 17, 9, 7, 3, 1, 4, 1],
            [1, 2, 2, 1, 17, 3, 1, 1, 1],
            [4, 24, 24, 28, 28, 3, 1, 1, 1],
            [1, 6, 2, 40, 30, 7, 4, 3, 1],
        ] {
            let window = Window { kernel, stride, padding, dilation };
            let (factor, shift) = (floats(outputs, 1), floats(outputs, 2));
            let shape = Convolve {
                batch,
                inputs,
                outputs,
                size: [height, width],
                windows: [window; 2],
                range: Range::OfEachRow,
                factor: &factor,
                shift: &shift,
                residual: None,
                rectify: false,
            };
            let mut input = floats(batch * inputs * height * width, 3);
            // One picture without negative values, whose zero is another.
            input[..inputs * height * width].iter_mut().for_each(|value| *value = value.abs());
            let weight: Vec<i8> = (0..outputs * inputs * kernel * kernel)
                .map(|index| ((index * 7919 + index / 251) % 256) as u8)
                .map(u8::cast_signed)
                .collect();
            let [below, right] = shape.output_size();
            let residual = floats(batch * outputs * below * right, 4);
            let given = Range::Given([-0.4, 0.9]);
            for (residual, rectify, range) in [
                (None, false, given),
                (None, true, Range::OfEachRow),
                (Some(&residual[..]), true, Range::OfEachRow),
            ] {
                let shape = Convolve { residual, rectify, range, ..shape };
                let (found, expected) = (shape.compute(&input, &weight), naive(&shape, &input, &weight));
                assert_eq!(found.len(), expected.len());
                for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let close = (found - expected).abs() <= 1e-6 * expected.abs().max(1.0);
                    assert!(close, "{shape:?}: value {index} is {found}, expected {expected}");
                }
            }
        }
    }

    #[test]
    fn a_picture_that_is_not_finite_is_no_number_and_its_neighbours_are_untouched() {
        let window = Window { kernel: 3, stride: 1, padding: 1, dilation: 1 };
        let shape = Convolve {
            batch: 3,
            inputs: 2,
            outputs: 2,
            size: [4, 4],
            windows: [window; 2],
            range: Range::OfEachRow,
            factor: &[1.0; 2],
            shift: &[0.0; 2],
            residual: None,
            rectify: true,
        };
        let mut input = floats(3 * 2 * 16, 1);
        input[40] = f32::NAN;
        for range in [Range::OfEachRow, Range::Given([-1.0, 1.0])] {
            let shape = Convolve { range, ..shape };
            for (index, value) in shape.compute(&input, &[1; 2 * 2 * 9]).into_iter().enumerate() {
                assert_eq!(value.is_nan(), index / 32 == 1, "{index}");
            }
        }
    }
}
