//! The logistic function and its relatives.

use burn::tensor::{Tensor, activation};

/// `σ(x) = 1 / (1 + exp(−x))`.
///
/// Of this and its relatives the fast form keeps the input alone.
pub fn sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let Some(y) = crate::flex::curve(&x, crate::flex::Curve::Sigmoid) {
        return y;
    }
    activation::sigmoid(x)
}

/// `log(1 + exp x)`, a smooth `max(0, x)`.
pub fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let Some(y) = crate::flex::curve(&x, crate::flex::Curve::Softplus) {
        return y;
    }
    activation::softplus(x, 1.0)
}

/// `log σ(x) = −log(1 + exp(−x))`.
pub fn log_sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    softplus(x.neg()).neg()
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gradient, random};
    use burn::tensor::{DType, Device, Tolerance};

    type Function = fn(Tensor<4>) -> Tensor<4>;

    const FUNCTIONS: [(&str, Function, Function); 3] = [
        ("sigmoid", sigmoid, activation::sigmoid),
        ("softplus", softplus, |x| activation::softplus(x, 1.0)),
        ("log_sigmoid", log_sigmoid, activation::log_sigmoid),
    ];

    #[test]
    fn outputs_and_gradients_are_those_of_tensor_operations() {
        let device = Device::flex().autodiff();
        for shape in [[1, 1, 5, 3], [2, 3, 5, 7], [9, 1, 40, 64]] {
            for (name, function, composed) in FUNCTIONS {
                for scale in [1.0, 10.0] {
                    let case = format!("{name} {shape:?} × {scale}");
                    let values = random(shape, &device) * scale;
                    let x = values.clone().detach().require_grad();
                    let exact = values.detach().cast(DType::F64).require_grad();
                    let (fast, slow) = (function(x.clone()), composed(exact.clone()));
                    assert_close(&fast, &slow.clone().cast(DType::F32), &case);
                    let upstream = random(shape, &device);
                    let fast = x.grad(&gradient(fast, &upstream)).expect("tracked");
                    let slow = exact.grad(&gradient(slow, &upstream.cast(DType::F64))).expect("tracked");
                    assert_close(&fast, &slow.cast(DType::F32), &format!("{case} gradient"));
                }
            }
        }
    }

    #[test]
    fn far_out_they_are_flat_or_straight() {
        let device = Device::flex().autodiff();
        let expected = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 200.0, 1e30], [-1e30, -200.0, 0.0, 0.0]];
        for ((name, function, _), expected) in FUNCTIONS.into_iter().zip(expected) {
            let x = Tensor::<4>::from_floats([[[[-1e30, -200.0, 200.0, 1e30]]]], &device);
            let tolerance = Tolerance::rel_abs(1e-6, 1e-12);
            function(x).into_data().assert_approx_eq::<f32>(&[[[expected]]].into(), tolerance);
            let nothing = Tensor::<4>::from_floats([[[[f32::NAN]]]], &device);
            assert!(function(nothing).into_scalar::<f32>().is_nan(), "{name}");
        }
    }
}
