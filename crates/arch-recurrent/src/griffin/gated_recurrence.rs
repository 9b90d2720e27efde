//! The real-gated linear recurrent unit.

use ansatz_ops::{diagonal_scan, sigmoid, softplus};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use crate::BlockLinear;

/// How far a gate can raise the decay to a power: c of De et al. 2024, equation 3.
const POWER: f64 = 8.0;

/// The slope of the square root is held to at most this, as in the published networks: it has no limit where the
/// decay comes to 1.
const STEEPEST: f64 = 1000.0;

/// The real-gated linear recurrent unit (De et al. 2024, arXiv:2402.19427, equations 1 to 4).
///
/// ```text
/// r = σ(x W_a + b_a)    i = σ(x W_x + b_x)             W_a, W_x block-diagonal
/// log a = −c r softplus(Λ)                             c = 8
/// h_t = a_t ⊙ h_{t−1} + √(1 − a_t²) ⊙ (i_t ⊙ x_t)      the first token with 1 in the place of the root
/// ```
///
/// # Shapes
/// `[batch, length, inner]` → the same.
#[derive(Module, Debug)]
pub struct GatedRecurrence {
    /// Λ `[inner]`.
    pub decay: Param<Tensor<1>>,
    /// W_x, b_x.
    pub input_gate: BlockLinear,
    /// W_a, b_a.
    pub recurrence_gate: BlockLinear,
}

impl GatedRecurrence {
    /// Drawn as the published networks are: exp(−softplus Λ) has a square uniform between 0.9² and 0.999² (De et al.
    /// 2024, section 2.4, and Orvieto et al. 2023), gates normal with a variance of 0.01 / inputs.
    pub(super) fn new([heads, size]: [usize; 2], device: &Device) -> Self {
        let normal = Initializer::Normal { mean: 0.0, std: (0.01 / size as f64).sqrt() };
        let square: Param<Tensor<1>> =
            Initializer::Uniform { min: 0.9 * 0.9, max: 0.999 * 0.999 }.init([heads * size], device);
        Self {
            // softplus⁻¹(−½ log u) = log(exp(−½ log u) − 1)
            decay: Param::from_tensor(((square.val().log() * -0.5).exp() - 1.0).log().detach()),
            input_gate: BlockLinear::new([heads, size, size], &normal, true, device),
            recurrence_gate: BlockLinear::new([heads, size, size], &normal, true, device),
        }
    }

    /// The states of all tokens behind `before` `[batch, inner]`, and the last one; without a state before, the first
    /// token is the first of all.
    pub(super) fn forward(&self, x: Tensor<3>, before: Option<Tensor<2>>) -> (Tensor<3>, Tensor<2>) {
        let [_, length, _] = x.dims();
        let [input, recurrence] =
            [&self.input_gate, &self.recurrence_gate].map(|gate| sigmoid(gate.forward(x.clone())));
        let rate = softplus(self.decay.val()) * -POWER;
        let logarithm = recurrence * rate.unsqueeze();
        let decay = logarithm.clone().exp();
        let mut root = square_root((logarithm * 2.0).exp().neg() + 1.0);
        if before.is_none() {
            let first = root.clone().narrow(1, 0, 1).ones_like();
            root =
                if length == 1 { first } else { Tensor::cat(vec![first, root.narrow(1, 1, length - 1)], 1) };
        }
        diagonal_scan(decay, x * input * root, before)
    }

    /// Floating-point operations for one token: both gates, and about ten operations for each value of the state.
    pub(super) fn flops(&self) -> u64 {
        let state = 10 * self.decay.lazy_shape().num_elements() as u64;
        self.input_gate.flops() + self.recurrence_gate.flops() + state
    }
}

/// `√x` with a slope of at most [`STEEPEST`].
fn square_root(x: Tensor<3>) -> Tensor<3> {
    let root = x.clone().detach().sqrt();
    let slope = (x.clone().detach() * 4.0).clamp_min(STEEPEST.powi(-2)).sqrt().recip();
    // The difference is 0 and has the slope of x.
    let difference = x.clone() - x.detach();
    root + difference * slope
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_exact_and_its_slope_is_held() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let x = Tensor::<3>::from_data([[[0.25, 1.0, 0.0]]], &device).require_grad();
        let root = square_root(x.clone());
        let slope = x.grad(&root.clone().sum().backward()).expect("tracked").into_data();
        root.into_data().assert_approx_eq::<f32>(&[[[0.5f32, 1.0, 0.0]]].into(), Default::default());
        slope.assert_approx_eq::<f32>(&[[[1.0f32, 0.5, 1000.0]]].into(), Default::default());
    }

    #[test]
    fn a_fresh_state_decays_slowly() {
        let device = ansatz_device::open("cpu").unwrap();
        let unit = GatedRecurrence::new([4, 16], &device);
        let decay = softplus(unit.decay.val()).neg().exp();
        let (least, most) = (decay.clone().min().into_scalar::<f32>(), decay.max().into_scalar::<f32>());
        assert!(least >= 0.899 && most <= 0.9995, "{least} to {most}");
    }
}
