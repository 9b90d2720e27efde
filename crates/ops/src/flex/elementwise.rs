//! Loops over the planes of a batch `[image, channel, area]`: the parts of batch normalisation.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::vectorized::vectorized;
use std::mem::MaybeUninit;

/// How a channel is normalised: `scale · (x − mean) + shift`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine {
    pub(super) mean: f32,
    pub(super) scale: f32,
    pub(super) shift: f32,
}

impl Affine {
    #[inline(always)]
    fn apply(&self, x: f32) -> f32 {
        (x - self.mean) * self.scale + self.shift
    }

    /// The gradient in front of the rectifier, given that behind it.
    #[inline(always)]
    fn masked(&self, x: f32, gradient: f32, rectify: bool) -> f32 {
        if rectify && self.apply(x) <= 0.0 { 0.0 } else { gradient }
    }
}

/// The gradient of a channel's input: `of_gradient · g + of_input · (x − mean) + constant`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct InputGradient {
    pub(super) of_gradient: f32,
    pub(super) of_input: f32,
    pub(super) constant: f32,
}

impl InputGradient {
    #[inline(always)]
    fn apply(&self, gradient: f32, difference: f32) -> f32 {
        self.of_gradient * gradient + self.of_input * difference + self.constant
    }
}

/// Sums kept side by side, so that they fill two of the widest registers.
const LANES: usize = 32;

/// The value behind a rectifier, or as it is.
#[inline(always)]
fn rectified(value: f32, rectify: bool) -> f32 {
    if rectify && value < 0.0 { 0.0 } else { value }
}

/// Adds two `terms` of every pair of values, in a fixed order.
#[inline(always)]
fn sums(left: &[f32], right: &[f32], terms: impl Fn(f32, f32) -> [f32; 2]) -> [f64; 2] {
    let mut first = [0.0f32; LANES];
    let mut second = [0.0f32; LANES];
    let ((lefts, left), (rights, right)) = (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    for (left, right) in lefts.iter().zip(rights) {
        for lane in 0..LANES {
            let [a, b] = terms(left[lane], right[lane]);
            first[lane] += a;
            second[lane] += b;
        }
    }
    for (lane, (&left, &right)) in left.iter().zip(right).enumerate() {
        let [a, b] = terms(left, right);
        first[lane] += a;
        second[lane] += b;
    }
    let total = |lanes: [f32; LANES]| lanes.into_iter().map(f64::from).sum();
    [total(first), total(second)]
}

/// Rows whose sums are taken in single precision before they join the others.
const ROWS: usize = 256;

/// Adds two `terms` of every pair of values of each channel, in a fixed order, where an area is a single value, so that
/// channels lie side by side.
#[inline(always)]
fn sums_by_channel(
    left: &[f32],
    right: &[f32],
    channels: usize,
    terms: impl Fn(usize, f32, f32) -> [f32; 2],
) -> Vec<[f64; 2]> {
    let mut totals = vec![[0.0; 2]; channels];
    let [mut first, mut second] = [vec![0.0f32; channels], vec![0.0f32; channels]];
    for (left, right) in left.chunks(ROWS * channels).zip(right.chunks(ROWS * channels)) {
        first.fill(0.0);
        second.fill(0.0);
        for (left, right) in left.chunks_exact(channels).zip(right.chunks_exact(channels)) {
            let values = left.iter().zip(right).zip(first.iter_mut().zip(&mut second));
            for (channel, ((&left, &right), (first, second))) in values.enumerate() {
                let [a, b] = terms(channel, left, right);
                *first += a;
                *second += b;
            }
        }
        for (total, (first, second)) in totals.iter_mut().zip(first.iter().zip(&second)) {
            total[0] += f64::from(*first);
            total[1] += f64::from(*second);
        }
    }
    totals
}

vectorized! {
    /// For each channel: the sum of `x − pivot` and of its square.
    fn moments(x: &[f32], pivots: &[f32], area: usize) -> Vec<[f64; 2]> {
        if area == 1 {
            return sums_by_channel(x, x, pivots.len(), |channel, value, _| {
                let difference = value - pivots[channel];
                [difference, difference * difference]
            });
        }
        let mut totals = vec![[0.0; 2]; pivots.len()];
        for picture in x.chunks_exact(pivots.len() * area) {
            for ((plane, &pivot), total) in picture.chunks_exact(area).zip(pivots).zip(&mut totals) {
                let [sum, square] = sums(plane, plane, |value, _| {
                    let difference = value - pivot;
                    [difference, difference * difference]
                });
                total[0] += sum;
                total[1] += square;
            }
        }
        totals
    }

    /// For each channel: the sum of `g` and of `g (x − mean)`, `g` the gradient in front of the rectifier.
    fn products(x: &[f32], gradient: &[f32], channels: &[Affine], area: usize, rectify: bool) -> Vec<[f64; 2]> {
        if area == 1 {
            return sums_by_channel(x, gradient, channels.len(), |index, x, gradient| {
                let channel = &channels[index];
                let gradient = channel.masked(x, gradient, rectify);
                [gradient, gradient * (x - channel.mean)]
            });
        }
        let mut totals = vec![[0.0; 2]; channels.len()];
        let picture = channels.len() * area;
        for (x, gradient) in x.chunks_exact(picture).zip(gradient.chunks_exact(picture)) {
            let planes = x.chunks_exact(area).zip(gradient.chunks_exact(area));
            for ((x, gradient), (channel, total)) in planes.zip(channels.iter().zip(&mut totals)) {
                let [sum, product] = sums(x, gradient, |x, gradient| {
                    let gradient = channel.masked(x, gradient, rectify);
                    [gradient, gradient * (x - channel.mean)]
                });
                total[0] += sum;
                total[1] += product;
            }
        }
        totals
    }

    /// `y = f(scale · (x − mean) + shift)`.
    fn affine(x: &[f32], y: &mut [MaybeUninit<f32>], channels: &[Affine], area: usize, rectify: bool) {
        let planes = x.chunks_exact(area).zip(y.chunks_exact_mut(area));
        for ((x, y), channel) in planes.zip(channels.iter().cycle()) {
            for (x, y) in x.iter().zip(y) {
                y.write(rectified(channel.apply(*x), rectify));
            }
        }
    }

    /// `y = f(scale · (x − mean) + shift + residual)`.
    fn affine_sum(
        x: &[f32], residual: &[f32], y: &mut [MaybeUninit<f32>], channels: &[Affine], area: usize, rectify: bool,
    ) {
        let planes = x.chunks_exact(area).zip(residual.chunks_exact(area)).zip(y.chunks_exact_mut(area));
        for (((x, residual), y), channel) in planes.zip(channels.iter().cycle()) {
            for ((x, residual), y) in x.iter().zip(residual).zip(y) {
                y.write(rectified(channel.apply(*x) + residual, rectify));
            }
        }
    }

    /// Zeroes the gradient where the rectifier's output is not positive.
    fn mask(output: &[f32], gradient: &mut [f32]) {
        for (output, gradient) in output.iter().zip(gradient) {
            *gradient = if *output <= 0.0 { 0.0 } else { *gradient };
        }
    }

    /// The gradient of the input, beside that of the output.
    fn combine(
        x: &[f32], gradient: &[f32], target: &mut [MaybeUninit<f32>], channels: &[(Affine, InputGradient)],
        area: usize,
    ) {
        let planes = x.chunks_exact(area).zip(gradient.chunks_exact(area)).zip(target.chunks_exact_mut(area));
        for (((x, gradient), target), (channel, terms)) in planes.zip(channels.iter().cycle()) {
            for ((x, gradient), target) in x.iter().zip(gradient).zip(target) {
                target.write(terms.apply(*gradient, x - channel.mean));
            }
        }
    }

    /// The gradient of the input, in the place of that of the output.
    fn combine_in_place(
        x: &[f32], gradient: &mut [f32], channels: &[(Affine, InputGradient)], area: usize, rectify: bool,
    ) {
        let planes = x.chunks_exact(area).zip(gradient.chunks_exact_mut(area));
        for ((x, gradient), (channel, terms)) in planes.zip(channels.iter().cycle()) {
            for (x, gradient) in x.iter().zip(gradient) {
                *gradient = terms.apply(channel.masked(*x, *gradient, rectify), x - channel.mean);
            }
        }
    }
}
