//! What the tests of several layers share.

use burn::tensor::{Device, Distribution, Gradients, Tensor, TensorData};

/// Values of a standard normal distribution.
pub(crate) fn random(shape: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// The gradients of `Σ y · upstream`.
pub(crate) fn gradient(y: Tensor<4>, upstream: &Tensor<4>) -> Gradients {
    (y * upstream.clone()).sum().backward()
}

/// Checks that two tensors differ by at most 1e-5 of the largest value.
#[track_caller]
pub(crate) fn assert_close<const D: usize>(given: &Tensor<D>, expected: &Tensor<D>, what: &str) {
    assert_eq!(given.dims(), expected.dims(), "{what}");
    let [given, expected] = [given, expected].map(|tensor| floats(tensor.to_data()));
    let scale = expected.iter().fold(1e-3f32, |largest, value| largest.max(value.abs()));
    for (index, (given, expected)) in given.iter().zip(&expected).enumerate() {
        let close = (given - expected).abs() <= 1e-5 * scale;
        assert!(close, "{what}: value {index} is {given}, expected {expected}");
    }
}

fn floats(data: TensorData) -> Vec<f32> {
    data.try_into_vec_as().expect("floats")
}
