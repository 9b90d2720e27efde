//! A step of gradient descent in one pass over weights, gradient and velocity.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::adam::{CHUNK, owned};
use super::vectorized::vectorized;
use crate::DescentStep;
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

/// [`DescentStep::apply`] on tensors that the kernels take. What nobody else holds is changed where it lies.
pub(crate) fn descent<const D: usize>(
    step: &DescentStep,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    velocity: Option<Tensor<D>>,
) -> (Tensor<D>, Option<Tensor<D>>) {
    let (shape, device) = (weights.dims(), weights.device());
    let [mut weights, mut gradient] = [weights, gradient].map(owned);
    let tensor = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, shape), &device);
    let tasks = weights.par_chunks_mut(CHUNK).zip(gradient.par_chunks_mut(CHUNK));
    let velocity = match velocity.map(owned) {
        _ if step.momentum == 0.0 => {
            tasks.for_each(|(weights, gradient)| plain(step, weights, gradient));
            None
        }
        Some(mut velocity) => {
            tasks.zip(velocity.par_chunks_mut(CHUNK)).for_each(|((weights, gradient), velocity)| {
                along(step, weights, gradient, velocity);
            });
            Some(velocity)
        }
        // The first velocity is the gradient.
        None => {
            tasks.for_each(|(weights, gradient)| begin(step, weights, gradient));
            Some(gradient)
        }
    };
    (tensor(weights), velocity.map(tensor))
}

/// The gradient with the decay's part.
#[inline(always)]
fn decayed(step: &DescentStep, weight: f32, gradient: f32) -> f32 {
    if step.weight_decay == 0.0 { gradient } else { gradient + weight * step.weight_decay }
}

/// By what the weight changes, times the rate.
#[inline(always)]
fn change(step: &DescentStep, gradient: f32, velocity: f32) -> f32 {
    let ahead = if step.nesterov { velocity * step.momentum + gradient } else { velocity };
    ahead * step.rate as f32
}

vectorized! {
    /// A step without momentum.
    fn plain(step: &DescentStep, weights: &mut [f32], gradient: &[f32]) {
        for (weight, &gradient) in weights.iter_mut().zip(gradient) {
            *weight -= decayed(step, *weight, gradient) * step.rate as f32;
        }
    }
}

vectorized! {
    /// The first step, which leaves the velocity in the place of the gradient.
    fn begin(step: &DescentStep, weights: &mut [f32], gradient: &mut [f32]) {
        for (weight, gradient) in weights.iter_mut().zip(gradient) {
            *gradient = decayed(step, *weight, *gradient);
            *weight -= change(step, *gradient, *gradient);
        }
    }
}

vectorized! {
    /// A step, in the order of operations of its composed form.
    fn along(step: &DescentStep, weights: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
        for ((weight, &gradient), velocity) in weights.iter_mut().zip(gradient).zip(velocity) {
            let gradient = decayed(step, *weight, gradient);
            *velocity = gradient + *velocity * step.momentum;
            *weight -= change(step, gradient, *velocity);
        }
    }
}
