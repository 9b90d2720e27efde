//! A step of Adam in one pass over weights, gradients and moments.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::vectorized::vectorized;
use crate::AdamStep;
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

/// Values of a task: long enough that a thread is worth waking.
pub(super) const CHUNK: usize = 1 << 15;

/// [`AdamStep::apply`] on tensors that the kernels take. What nobody else holds is changed where it lies.
pub(crate) fn adam<const D: usize>(
    step: &AdamStep,
    weights: Tensor<D>,
    gradient: Tensor<D>,
    moments: [Tensor<D>; 2],
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let (shape, device) = (weights.dims(), weights.device());
    let [mut weights, gradient] = [weights, gradient].map(owned);
    let [mut mean, mut square] = moments.map(owned);
    let tasks = weights.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
    let moments = mean.par_chunks_mut(CHUNK).zip(square.par_chunks_mut(CHUNK));
    tasks.zip(moments).for_each(|((weights, gradient), (mean, square))| {
        walk(step, weights, gradient, mean, square);
    });
    let tensor = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, shape), &device);
    (tensor(weights), [tensor(mean), tensor(square)])
}

/// The values of a float32 tensor, taken over where nobody else holds it.
pub(super) fn owned<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("callers checked that the tensor is float32")
}

vectorized! {
    /// A step, in the order of operations of its composed form.
    fn walk(step: &AdamStep, weights: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32]) {
        let ([first, second], [of_mean, of_square]) = (step.betas, step.corrections());
        let (rate, kept, epsilon) = (step.rate as f32, step.kept() as f32, step.epsilon);
        let moments = mean.iter_mut().zip(square);
        for ((weight, &gradient), (mean, square)) in weights.iter_mut().zip(gradient).zip(moments) {
            *mean = *mean * first + gradient * (1.0 - first);
            *square = *square * second + gradient * gradient * (1.0 - second);
            let change = *mean / of_mean / ((*square / of_square).sqrt() + epsilon);
            *weight = *weight * kept - change * rate;
        }
    }
}
