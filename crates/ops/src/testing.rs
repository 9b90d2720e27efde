//! What the tests of several layers share.

use std::cell::Cell;

use burn::tensor::{Device, Gradients, Tensor, TensorData};

use crate::{GOLDEN_GAMMA, split_mix};

thread_local! {
    /// How many numbers this thread has drawn. A test runs in a thread of its own, so it meets the same numbers each
    /// time, whatever runs beside it.
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// A number between 0 and 1, neither included.
fn draw() -> f64 {
    let count = DRAWN.get() + 1;
    DRAWN.set(count);
    ((split_mix(count.wrapping_mul(GOLDEN_GAMMA)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
}

fn drawn<const D: usize>(shape: [usize; D], device: &Device, value: impl Fn() -> f64) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| value() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Values of a standard normal distribution, by the transform of Box and Muller.
pub(crate) fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    drawn(shape, device, || (-2.0 * draw().ln()).sqrt() * (std::f64::consts::TAU * draw()).cos())
}

/// Values between `low` and `high`.
pub(crate) fn between<const D: usize>(shape: [usize; D], low: f64, high: f64, device: &Device) -> Tensor<D> {
    drawn(shape, device, || low + (high - low) * draw())
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
