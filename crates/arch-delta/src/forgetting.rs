//! How much of the state is kept from token to token.

use ansatz_ops::Decay;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, activation};

use crate::low_rank::LowRank;

/// The time steps that a new layer begins with lie between these, on a logarithmic scale (Gu and Dao 2023,
/// arXiv:2312.00752, section 3.6).
const STEPS: [f64; 2] = [0.001, 0.1];
/// The rates that a new layer begins with lie between these.
const RATES: [f64; 2] = [1.0, 16.0];

/// What is kept of the state, a factor for every head or for every key channel of it:
///
/// ```text
/// d = exp(−exp(rate) · softplus(x W + b))
/// ```
///
/// as in Mamba-2 (Dao and Gu 2024, arXiv:2405.21060; Yang et al. 2024, arXiv:2412.06464, section 3.4), or, with a
/// lower bound ℓ < 0 for the logarithm, `d = exp(ℓ σ(exp(rate) · (x W + b)))`.
///
/// # Shapes
/// `[batch, length, width]` → `[batch, heads, length]` or `[batch, heads, length, key]`.
#[derive(Module, Debug)]
pub struct Forgetting {
    /// W.
    pub map: LowRank,
    /// The logarithms of the rates, `[heads]`.
    pub rate: Param<Tensor<1>>,
    /// b, `[heads]` or `[heads × key]`.
    pub bias: Param<Tensor<1>>,
    bound: Option<f64>,
}

impl Forgetting {
    /// Factors for `heads` heads, of `channels` channels each; 1 where a head has but one.
    pub(crate) fn new(
        map: LowRank,
        [heads, channels]: [usize; 2],
        bound: Option<f64>,
        device: &Device,
    ) -> Self {
        let [min, max] = STEPS.map(f64::ln);
        let step = Initializer::Uniform { min, max }.init::<1, _>([heads * channels], device).val().exp();
        // What softplus turns into the step: log(exp(Δ) − 1) = Δ + log(1 − exp(−Δ)).
        let bias = step.clone() + (step.neg().exp().neg() + 1.0).log();
        let [min, max] = RATES;
        let rate = Initializer::Uniform { min, max }.init::<1, _>([heads], device).val().log();
        Self { map, rate: Param::from_tensor(rate), bias: Param::from_tensor(bias), bound }
    }

    /// The factors at padded tokens are 1: `real` is `[batch, 1, length]`, 1 for real tokens and 0 for padding.
    pub(crate) fn forward(&self, tokens: Tensor<3>, real: Option<&Tensor<3>>) -> Decay {
        let [batch, length, _] = tokens.dims();
        let rate = self.rate.val();
        let [heads] = rate.dims();
        let x = self.map.forward(tokens) + self.bias.val().unsqueeze();
        let [_, _, all] = x.dims();
        let x = x.reshape([batch, length, heads, all / heads]).swap_dims(1, 2);
        let rate = rate.exp().reshape([1, heads, 1, 1]);
        let logarithms = match self.bound {
            Some(bound) => activation::sigmoid(x * rate) * bound,
            None => (activation::softplus(x, 1.0) * rate).neg(),
        };
        let logarithms = match real {
            Some(real) => logarithms * real.clone().unsqueeze_dim::<4>(3),
            None => logarithms,
        };
        let factors = logarithms.exp();
        if all == heads { Decay::Head(factors.squeeze_dim(3)) } else { Decay::Channel(factors) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_of_a_new_layer_are_below_one_and_padding_forgets_nothing() {
        let device = ansatz_device::open("cpu").unwrap();
        let real = Tensor::<3>::from_data([[[1.0f32, 0.0, 1.0]]], &device);
        for bound in [None, Some(-5.0)] {
            let map = LowRank::new([4, 6], Some(2), false, &device);
            let forgetting = Forgetting::new(map, [2, 3], bound, &device);
            let tokens = Tensor::<3>::ones([1, 3, 4], &device);
            let Decay::Channel(factors) = forgetting.forward(tokens, Some(&real)) else {
                panic!("per channel")
            };
            assert_eq!(factors.dims(), [1, 2, 3, 3]);
            let at = |token: usize| -> Vec<f32> {
                factors.clone().narrow(2, token, 1).into_data().try_to_vec().expect("floats")
            };
            assert!(at(0).iter().all(|factor| (0.0..1.0).contains(factor)), "{:?}", at(0));
            assert!(at(1).iter().all(|factor| *factor == 1.0), "{:?}", at(1));
        }
    }
}
