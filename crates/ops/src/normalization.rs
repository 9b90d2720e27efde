//! Batch normalisation with a batch's own moments.

use burn::tensor::activation::relu;
use burn::tensor::module::batch_norm_train;
use burn::tensor::{Tensor, assert_shape};

/// What [`batch_norm`] makes.
#[derive(Debug, Clone)]
pub struct Normalized {
    /// The normalised batch `[batch, channels, height, width]`.
    pub output: Tensor<4>,
    /// Mean of each channel of the input, `[channels]`; carries no gradient.
    pub mean: Tensor<1>,
    /// Biased variance of each channel of the input, `[channels]`; carries no gradient.
    pub variance: Tensor<1>,
}

/// Batch normalisation as while training (Ioffe and Szegedy 2015, algorithm 1), what is added to it, and
/// the rectifier, in one operation: `y = f(γ (x − μ) / √(σ² + ε) + β + residual)` with mean μ and biased
/// variance σ² of each channel over batch, height and width, and f the rectifier `max(·, 0)` where `rectify`
/// says so.
///
/// The backward pass keeps only the input and, where something was added, the output: the rectifier's mask
/// is computed again.
///
/// # Shapes
/// - `x`, `residual`, output: `[batch, channels, height, width]`
/// - `gamma`, `beta`: `[channels]`
///
/// # Panics
/// When the shapes do not fit each other.
pub fn batch_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    residual: Option<Tensor<4>>,
    rectify: bool,
    epsilon: f64,
) -> Normalized {
    let [batch, channels, height, width] = x.dims();
    assert_shape!(gamma, [channels]);
    assert_shape!(beta, [channels]);
    if let Some(residual) = &residual {
        assert_shape!(residual, [batch, channels, height, width]);
    }
    #[cfg(feature = "flex")]
    if let Some((output, [mean, variance])) =
        crate::flex::batch_norm(&x, [&gamma, &beta], residual.as_ref(), rectify, epsilon)
    {
        return Normalized { output, mean, variance };
    }
    composed(x, gamma, beta, residual, rectify, epsilon)
}

/// The same of burn's operations.
fn composed(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    residual: Option<Tensor<4>>,
    rectify: bool,
    epsilon: f64,
) -> Normalized {
    let normal = batch_norm_train(x, gamma, beta, epsilon);
    let sum = match residual {
        Some(residual) => normal.output + residual,
        None => normal.output,
    };
    let output = if rectify { relu(sum) } else { sum };
    Normalized { output, mean: normal.mean.detach(), variance: normal.variance.detach() }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gradient, random};
    use burn::tensor::{DType, Device};

    const SHAPES: [[usize; 4]; 7] = [
        [2, 3, 5, 7],
        [1, 1, 1, 4],
        [33, 4, 1, 1],
        [9000, 37, 1, 1],
        [17, 2, 6, 6],
        [4, 5, 9, 3],
        [128, 3, 7, 7],
    ];

    #[test]
    fn outputs_and_gradients_are_those_of_tensor_operations() {
        let device = Device::flex().autodiff();
        for shape in SHAPES {
            for (rectify, added) in [(false, false), (true, false), (false, true), (true, true)] {
                let case = format!("{shape:?} rectify {rectify} added {added}");
                let channels = shape[1];
                let x = (random(shape, &device) * 3.0 + 5.0).detach().require_grad();
                let [gamma, beta] = [(); 2].map(|()| {
                    random([1, 1, 1, channels], &device).reshape([channels]).detach().require_grad()
                });
                let residual = added.then(|| random(shape, &device).require_grad());
                let make = |form: fn(_, _, _, _, _, _) -> Normalized| {
                    form(x.clone(), gamma.clone(), beta.clone(), residual.clone(), rectify, 1e-5)
                };
                let (fast, slow) = (make(batch_norm), make(composed));
                assert_close(&fast.output, &slow.output, &format!("{case} output"));
                assert_close(&fast.mean, &slow.mean, &format!("{case} mean"));
                assert_close(&fast.variance, &slow.variance, &format!("{case} variance"));
                let upstream = random(shape, &device);
                let (fast, slow) = (gradient(fast.output, &upstream), gradient(slow.output, &upstream));
                for (name, tensor) in [("gamma", &gamma), ("beta", &beta)] {
                    let [fast, slow] = [&fast, &slow].map(|grads| tensor.grad(grads).expect("tracked"));
                    assert_close(&fast, &slow, &format!("{case} gradient of {name}"));
                }
                for tensor in [Some(&x), residual.as_ref()].into_iter().flatten() {
                    let [fast, slow] = [&fast, &slow].map(|grads| tensor.grad(grads).expect("tracked"));
                    assert_close(&fast, &slow, &format!("{case} gradient"));
                }
            }
        }
    }

    #[test]
    fn values_far_from_zero_keep_their_variance() {
        let device = Device::flex();
        let x = random([8, 2, 9, 9], &device);
        let [gamma, beta] = [Tensor::ones([2], &device), Tensor::zeros([2], &device)];
        let near = batch_norm(x.clone(), gamma.clone(), beta.clone(), None, false, 1e-5);
        let far = batch_norm(x + 1000.0, gamma, beta, None, false, 1e-5);
        let difference = (near.variance - far.variance).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-3, "variance moved by {difference}");
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let device = Device::flex().autodiff();
        let shape = [3, 2, 2, 2];
        let x = random(shape, &device).require_grad();
        let [gamma, beta] = [Tensor::ones([2], &device) * 1.5, Tensor::ones([2], &device) * 0.3];
        let weights = random(shape, &device);
        let objective = |x: Tensor<4>| {
            let y = batch_norm(x, gamma.clone(), beta.clone(), None, false, 1e-5).output;
            (y * weights.clone()).sum()
        };
        let slope = x.grad(&objective(x.clone()).backward()).expect("tracked");
        let direction = random(shape, &device);
        let along = (slope * direction.clone().inner()).sum().into_scalar::<f32>();
        let step = 1e-2;
        let [ahead, behind] = [step, -step]
            .map(|step| objective(x.clone().detach() + direction.clone() * step).into_scalar::<f32>());
        let measured = (ahead - behind) / (2.0 * step);
        assert!((along - measured).abs() < 2e-2 * (1.0 + measured.abs()), "{along} against {measured}");
    }

    #[test]
    fn other_number_types_take_the_composed_form() {
        let device = Device::flex();
        let x = random([2, 3, 4, 4], &device);
        let [gamma, beta] = [Tensor::ones([3], &device), Tensor::zeros([3], &device)];
        let single = batch_norm(x.clone(), gamma.clone(), beta.clone(), None, true, 1e-5).output;
        let [gamma, beta] = [gamma, beta].map(|tensor: Tensor<1>| tensor.cast(DType::F64));
        let double = batch_norm(x.cast(DType::F64), gamma, beta, None, true, 1e-5).output;
        assert_eq!(double.dtype(), DType::F64);
        assert_close(&single, &double.cast(DType::F32), "output");
    }
}
