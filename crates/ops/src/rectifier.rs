//! Smooth rectifiers: each value times how far its gate is open.

use burn::tensor::{Tensor, activation};

/// `x Φ(x)` with the normal distribution's Φ, by the error function (Hendrycks and Gimpel 2016,
/// arXiv:1606.08415).
///
/// Of this and its two relatives the fast form keeps the input alone.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let Some(y) = crate::flex::curve(&x, crate::flex::Curve::Gelu) {
        return y;
    }
    activation::gelu(x)
}

/// `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`: the approximation of the same paper, section 2.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let Some(y) = crate::flex::curve(&x, crate::flex::Curve::GeluTanh) {
        return y;
    }
    let cube = x.clone() * x.clone() * x.clone();
    let inner = (x.clone() + cube * 0.044715) * (2.0 / std::f64::consts::PI).sqrt();
    x * (inner.tanh() + 1.0) * 0.5
}

/// `x σ(x)` with the logistic function σ, also called swish (Ramachandran et al. 2017, arXiv:1710.05941).
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if let Some(y) = crate::flex::curve(&x, crate::flex::Curve::Silu) {
        return y;
    }
    activation::silu(x)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::{assert_close, gradient, random};
    use burn::tensor::{DType, Device, Tolerance};

    type Function = fn(Tensor<4>) -> Tensor<4>;

    const FUNCTIONS: [(&str, Function); 3] = [("gelu", gelu), ("gelu_tanh", gelu_tanh), ("silu", silu)];

    /// float64 takes the composed form.
    #[test]
    fn outputs_and_gradients_are_those_of_tensor_operations() {
        let device = Device::flex().autodiff();
        for shape in [[1, 1, 5, 3], [2, 3, 5, 7], [9, 1, 40, 64]] {
            for (name, function) in FUNCTIONS {
                for scale in [1.0, 10.0] {
                    let case = format!("{name} {shape:?} × {scale}");
                    let values = random(shape, &device) * scale;
                    let x = values.clone().detach().require_grad();
                    let exact = values.detach().cast(DType::F64).require_grad();
                    let (fast, slow) = (function(x.clone()), function(exact.clone()));
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
    fn far_out_the_gate_is_open_or_shut() {
        let device = Device::flex().autodiff();
        for (name, function) in FUNCTIONS {
            let x = Tensor::<4>::from_floats([[[[-1e30, -200.0, 0.0, 200.0, 1e30]]]], &device).require_grad();
            let y = function(x.clone());
            let slope = x.grad(&y.clone().sum().backward()).expect("tracked");
            let near = |given: Tensor<4>, expected: [f32; 5]| {
                let expected = [[[expected]]].into();
                given.into_data().assert_approx_eq::<f32>(&expected, Tolerance::rel_abs(1e-6, 1e-12));
            };
            near(y.detach(), [0.0, 0.0, 0.0, 200.0, 1e30]);
            near(slope, [0.0, 0.0, 0.5, 1.0, 1.0]);
            let nothing = Tensor::<4>::from_floats([[[[f32::NAN]]]], &device);
            assert!(function(nothing).into_scalar::<f32>().is_nan(), "{name}");
        }
    }
}
