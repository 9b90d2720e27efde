//! Rows brought to one scale, and their gradients.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::super::buffer::fill_chunks;
use super::super::lanes::sum;
use super::super::vectorized::vectorized;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Which norm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::flex) struct TokenNorm {
    /// Whether the mean is taken off first.
    pub(in crate::flex) centre: bool,
    pub(in crate::flex) epsilon: f32,
}

/// Floats of one task: large enough to be worth one, small enough for the cache. Not a matter of the number of
/// threads, on which no sum may depend.
const PART: usize = 16 * 1024;

/// Floats in the whole rows of one task.
fn part(width: usize) -> usize {
    (PART / width).max(1) * width
}

impl TokenNorm {
    /// `(x − μ) r γ + β` with `r = 1 / √(mean (x − μ)² + ε)`, μ the mean of the row or 0.
    pub(super) fn forward(self, x: &[f32], scale: &[f32], shift: Option<&[f32]>) -> Vec<f32> {
        let part = part(scale.len());
        let fill = |index: usize, target: &mut [MaybeUninit<f32>]| {
            normalize(self, &x[index * part..][..target.len()], scale, shift, target);
        };
        // SAFETY: the loop writes all of a target that is whole rows.
        unsafe { fill_chunks(x.len(), part, fill) }
    }

    /// Gradients of x, scale and shift, given that of the output.
    ///
    /// With `x̂ = (x − μ) r` and means over the row: `dx = r (γ g − mean(γ g) − x̂ mean(γ g x̂))`, the first mean
    /// only where the norm takes off its own; `dγ = Σ g x̂` and `dβ = Σ g` over the rows.
    pub(super) fn backward(self, x: &[f32], scale: &[f32], mut gradient: Vec<f32>) -> [Vec<f32>; 3] {
        let (width, part) = (scale.len(), part(scale.len()));
        let parts = x.par_chunks(part).zip(gradient.par_chunks_mut(part));
        let parts: Vec<_> = parts.map(|(x, gradient)| slopes(self, x, scale, gradient)).collect();
        let mut totals = [vec![0.0f32; width], vec![0.0; width]];
        for part in parts {
            for (total, part) in totals.iter_mut().zip(part) {
                total.iter_mut().zip(part).for_each(|(total, value)| *total += value);
            }
        }
        let [of_scale, of_shift] = totals;
        [gradient, of_scale, of_shift]
    }

    /// μ and r of a row.
    #[inline(always)]
    fn moments(self, x: &[f32]) -> [f32; 2] {
        let count = x.len() as f32;
        let mean = if self.centre { sum([x], |[x]| x) / count } else { 0.0 };
        let square = sum([x], |[x]| (x - mean) * (x - mean)) / count;
        [mean, 1.0 / (square + self.epsilon).sqrt()]
    }
}

vectorized! {
    fn normalize(
        norm: TokenNorm, x: &[f32], scale: &[f32], shift: Option<&[f32]>, y: &mut [MaybeUninit<f32>],
    ) {
        for (x, y) in x.chunks_exact(scale.len()).zip(y.chunks_exact_mut(scale.len())) {
            let [mean, inverse] = norm.moments(x);
            let values = x.iter().zip(scale).zip(y);
            match shift {
                Some(shift) => {
                    for (((x, scale), y), shift) in values.zip(shift) {
                        y.write((x - mean) * inverse * scale + shift);
                    }
                }
                None => {
                    for ((x, scale), y) in values {
                        y.write((x - mean) * inverse * scale);
                    }
                }
            }
        }
    }

    /// The gradient of x in the place of that of the output, and the sums of `g x̂` and of `g`.
    fn slopes(norm: TokenNorm, x: &[f32], scale: &[f32], gradient: &mut [f32]) -> [Vec<f32>; 2] {
        let (width, count) = (scale.len(), scale.len() as f32);
        let mut products = vec![0.0f32; width];
        let mut totals = vec![0.0f32; width];
        for (x, gradient) in x.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
            let [mean, inverse] = norm.moments(x);
            let of_mean = if norm.centre {
                sum([gradient, scale], |[gradient, scale]| gradient * scale) / count
            } else {
                0.0
            };
            let product = sum([x, gradient, scale], |[x, gradient, scale]| {
                (x - mean) * inverse * gradient * scale
            }) / count;
            let rows = x.iter().zip(scale).zip(gradient).zip(products.iter_mut().zip(&mut totals));
            for (((x, scale), gradient), (of_scale, of_shift)) in rows {
                let normal = (x - mean) * inverse;
                *of_scale += *gradient * normal;
                *of_shift += *gradient;
                *gradient = inverse * (*gradient * scale - of_mean - normal * product);
            }
        }
        [products, totals]
    }
}
