//! Batch normalisation, with an optional sum and rectifier behind it, over plain slices.

#![expect(unsafe_code, reason = "results are made without being zeroed first")]

use super::buffer::fill_chunks;
use super::elementwise::{self, Affine, InputGradient};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Parts of a batch whose sums are taken apart, whatever the number of threads, so that they have the same
/// bits on every machine.
const PARTS: usize = 16;

/// `[batch, channels, area]` values and what follows their normalisation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Normalize {
    pub(super) batch: usize,
    pub(super) channels: usize,
    pub(super) area: usize,
    /// Whether negative results become zero.
    pub(super) rectify: bool,
    pub(super) epsilon: f32,
}

/// Mean and biased variance of each channel.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    pub(super) mean: Vec<f32>,
    pub(super) variance: Vec<f32>,
}

/// What [`Normalize::backward`] makes.
pub(super) struct Gradients {
    pub(super) input: Vec<f32>,
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
    /// The gradient of what was added, where something was.
    pub(super) residual: Option<Vec<f32>>,
}

impl Normalize {
    /// Values per part.
    fn part(&self) -> usize {
        self.batch.div_ceil(PARTS) * self.channels * self.area
    }

    /// Values per channel.
    fn count(&self) -> f64 {
        (self.batch * self.area) as f64
    }

    /// Mean and biased variance over batch and area.
    ///
    /// The sums are of differences from the channel's first value: the variance of values far from zero
    /// would otherwise be lost in the difference of two large numbers.
    pub(super) fn moments(&self, x: &[f32]) -> Moments {
        let pivots: Vec<f32> = (0..self.channels).map(|channel| x[channel * self.area]).collect();
        let parts = x.par_chunks(self.part());
        let totals = total(parts.map(|part| elementwise::moments(part, &pivots, self.area)).collect());
        let mean = |([sum, _], pivot): (&[f64; 2], &f32)| (f64::from(*pivot) + sum / self.count()) as f32;
        let variance =
            |[sum, square]: &[f64; 2]| ((square - sum * sum / self.count()) / self.count()).max(0.0) as f32;
        Moments {
            mean: totals.iter().zip(&pivots).map(mean).collect(),
            variance: totals.iter().map(variance).collect(),
        }
    }

    /// `γ (x − μ) / √(σ² + ε) + β` for each channel.
    pub(super) fn channels(&self, moments: &Moments, gamma: &[f32], beta: &[f32]) -> Vec<Affine> {
        let moments = moments.mean.iter().zip(&moments.variance);
        moments
            .zip(gamma.iter().zip(beta))
            .map(|((&mean, variance), (gamma, &shift))| {
                let scale = gamma / (variance + self.epsilon).sqrt();
                Affine { mean, scale, shift }
            })
            .collect()
    }

    /// `y = f(norm(x) + residual)`, f the rectifier or nothing.
    pub(super) fn forward(&self, x: &[f32], channels: &[Affine], residual: Option<&[f32]>) -> Vec<f32> {
        let part = self.part();
        let fill = |index: usize, target: &mut [MaybeUninit<f32>]| {
            let x = &x[index * part..][..target.len()];
            match residual {
                Some(residual) => {
                    let residual = &residual[index * part..][..target.len()];
                    elementwise::affine_sum(x, residual, target, channels, self.area, self.rectify);
                }
                None => elementwise::affine(x, target, channels, self.area, self.rectify),
            }
        };
        // SAFETY: both loops write all of a target that is whole planes.
        unsafe { fill_chunks(x.len(), part, fill) }
    }

    /// Gradients, given that of the output. `output` is what [`Normalize::forward`] made where something
    /// was added, and nothing otherwise.
    ///
    /// With `g` the gradient in front of the rectifier and means over the channel (Ioffe and Szegedy 2015,
    /// the equations at the end of section 3): `dβ = Σ g`, `dγ = Σ g x̂`,
    /// `dx = γ / √(σ² + ε) · (g − mean(g) − x̂ mean(g x̂))`.
    pub(super) fn backward(
        &self,
        x: &[f32],
        channels: &[Affine],
        moments: &Moments,
        mut gradient: Vec<f32>,
        output: Option<&[f32]>,
    ) -> Gradients {
        let (part, area) = (self.part(), self.area);
        // Where something was added, the rectifier cannot be told from x, and g is needed for the residual.
        let rectify = self.rectify && output.is_none();
        let parts = x.par_chunks(part).zip(gradient.par_chunks_mut(part)).enumerate();
        let parts = parts.map(|(index, (x, gradient))| {
            if let Some(output) = output.filter(|_| self.rectify) {
                elementwise::mask(&output[index * part..][..x.len()], gradient);
            }
            elementwise::products(x, gradient, channels, area, rectify)
        });
        let totals = total(parts.collect());
        let inverse = |channel: usize| 1.0 / f64::from(moments.variance[channel] + self.epsilon).sqrt();
        let terms = |(channel, [sum, product]): (usize, &[f64; 2])| {
            let scale = f64::from(channels[channel].scale);
            let terms = InputGradient {
                of_gradient: scale as f32,
                of_input: (-scale * product / self.count() * inverse(channel).powi(2)) as f32,
                constant: (-scale * sum / self.count()) as f32,
            };
            (channels[channel], terms)
        };
        let terms: Vec<_> = totals.iter().enumerate().map(terms).collect();
        let gamma =
            totals.iter().enumerate().map(|(channel, [_, product])| (product * inverse(channel)) as f32);
        let gamma = gamma.collect();
        let beta = totals.iter().map(|[sum, _]| *sum as f32).collect();
        if output.is_none() {
            x.par_chunks(part).zip(gradient.par_chunks_mut(part)).for_each(|(x, gradient)| {
                elementwise::combine_in_place(x, gradient, &terms, area, rectify);
            });
            return Gradients { input: gradient, gamma, beta, residual: None };
        }
        let fill = |index: usize, target: &mut [MaybeUninit<f32>]| {
            let range = index * part..index * part + target.len();
            elementwise::combine(&x[range.clone()], &gradient[range], target, &terms, area);
        };
        // SAFETY: the loop writes all of a target that is whole planes.
        let input = unsafe { fill_chunks(x.len(), part, fill) };
        Gradients { input, gamma, beta, residual: Some(gradient) }
    }
}

/// The sums of all parts, in their order.
fn total(parts: Vec<Vec<[f64; 2]>>) -> Vec<[f64; 2]> {
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_default();
    for part in parts {
        for (total, [first, second]) in total.iter_mut().zip(part) {
            total[0] += first;
            total[1] += second;
        }
    }
    total
}
