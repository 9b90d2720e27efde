//! Loops over values.

#![expect(unsafe_code, reason = "loops compiled for processor extensions are called after detection")]

use super::super::buffer::fill_chunks;
use super::super::squash::{erf, exp, sigmoid, softplus};
use super::super::vectorized::vectorized;
use std::mem::MaybeUninit;

/// A function of every value by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    /// `x Φ(x)`, with the normal distribution.
    Gelu,
    /// `x (1 + tanh u) / 2 = x σ(2u)` with `u = √(2/π) (x + 0.044715 x³)`.
    GeluTanh,
    /// `x σ(x)`.
    Silu,
    /// `σ(x)`.
    Sigmoid,
    /// `log(1 + exp x)`.
    Softplus,
}

/// Floats of one task: large enough to be worth one, small enough for the cache.
const PART: usize = 16 * 1024;

impl Curve {
    /// The function's values.
    pub(super) fn forward(self, x: &[f32]) -> Vec<f32> {
        let fill = |index: usize, target: &mut [MaybeUninit<f32>]| {
            let x = &x[index * PART..][..target.len()];
            match self {
                Self::Gelu => gelu(x, target),
                Self::GeluTanh => gelu_tanh(x, target),
                Self::Silu => silu(x, target),
                Self::Sigmoid => logistic(x, target),
                Self::Softplus => soft(x, target),
            }
        };
        // SAFETY: all loops write one value for each of x, and x is as long as the target.
        unsafe { fill_chunks(x.len(), PART, fill) }
    }

    /// The gradient of x: `gradient · f′(x)`.
    pub(super) fn backward(self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        let fill = |index: usize, target: &mut [MaybeUninit<f32>]| {
            let x = &x[index * PART..][..target.len()];
            let gradient = &gradient[index * PART..][..target.len()];
            match self {
                Self::Gelu => gelu_slope(x, gradient, target),
                Self::GeluTanh => gelu_tanh_slope(x, gradient, target),
                Self::Silu => silu_slope(x, gradient, target),
                Self::Sigmoid => sigmoid_slope(x, gradient, target),
                Self::Softplus => softplus_slope(x, gradient, target),
            }
        };
        // SAFETY: as above; the gradient is as long as x.
        unsafe { fill_chunks(x.len(), PART, fill) }
    }
}

/// `Φ(x)`, 0 below −5.6: there it is less than the error function's last bit, which x would multiply.
#[inline(always)]
fn distribution(x: f32) -> f32 {
    if x < -5.6 { 0.0 } else { 0.5 + 0.5 * erf(x * std::f32::consts::FRAC_1_SQRT_2) }
}

/// 2 √(2/π) and the weight of the cube.
const RATE: f32 = 2.0 * std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
const CUBE: f32 = 0.044_715;

/// Held here no `x³` overflows, and the gate is as open or shut as it can be.
#[inline(always)]
fn bounded(x: f32) -> f32 {
    x.clamp(-1e4, 1e4)
}

/// `x σ(u)`, 0 where the gate is shut.
#[inline(always)]
fn through(x: f32, argument: f32) -> f32 {
    // σ(−88) is not quite 0, and x may be as large as it likes.
    if argument < -88.0 { 0.0 } else { x * sigmoid(argument) }
}

/// `σ(u) + x σ(u) (1 − σ(u)) u′`.
#[inline(always)]
fn logistic_slope(x: f32, argument: f32, slope: f32) -> f32 {
    let open = sigmoid(argument);
    open + x * open * (1.0 - open) * slope
}

vectorized! {
    fn gelu(x: &[f32], y: &mut [MaybeUninit<f32>]) {
        for (x, y) in x.iter().zip(y) {
            y.write(x * distribution(*x));
        }
    }

    fn gelu_slope(x: &[f32], gradient: &[f32], target: &mut [MaybeUninit<f32>]) {
        for ((x, gradient), target) in x.iter().zip(gradient).zip(target) {
            let near = bounded(*x);
            let density = 0.398_942_3 * exp(-0.5 * near * near);
            target.write(gradient * (distribution(near) + near * density));
        }
    }

    fn gelu_tanh(x: &[f32], y: &mut [MaybeUninit<f32>]) {
        for (x, y) in x.iter().zip(y) {
            let near = bounded(*x);
            y.write(through(*x, RATE * (near + CUBE * near * near * near)));
        }
    }

    fn gelu_tanh_slope(x: &[f32], gradient: &[f32], target: &mut [MaybeUninit<f32>]) {
        for ((x, gradient), target) in x.iter().zip(gradient).zip(target) {
            let near = bounded(*x);
            let slope = RATE * (1.0 + 3.0 * CUBE * near * near);
            target.write(gradient * logistic_slope(near, RATE * (near + CUBE * near * near * near), slope));
        }
    }

    fn silu(x: &[f32], y: &mut [MaybeUninit<f32>]) {
        for (x, y) in x.iter().zip(y) {
            y.write(through(*x, *x));
        }
    }

    fn silu_slope(x: &[f32], gradient: &[f32], target: &mut [MaybeUninit<f32>]) {
        for ((x, gradient), target) in x.iter().zip(gradient).zip(target) {
            target.write(gradient * logistic_slope(bounded(*x), *x, 1.0));
        }
    }

    fn logistic(x: &[f32], y: &mut [MaybeUninit<f32>]) {
        for (x, y) in x.iter().zip(y) {
            y.write(sigmoid(*x));
        }
    }

    fn sigmoid_slope(x: &[f32], gradient: &[f32], target: &mut [MaybeUninit<f32>]) {
        for ((x, gradient), target) in x.iter().zip(gradient).zip(target) {
            let open = sigmoid(*x);
            target.write(gradient * open * (1.0 - open));
        }
    }

    fn soft(x: &[f32], y: &mut [MaybeUninit<f32>]) {
        for (x, y) in x.iter().zip(y) {
            y.write(softplus(*x));
        }
    }

    fn softplus_slope(x: &[f32], gradient: &[f32], target: &mut [MaybeUninit<f32>]) {
        for ((x, gradient), target) in x.iter().zip(gradient).zip(target) {
            target.write(gradient * sigmoid(*x));
        }
    }
}
