//! How much of the state is kept from token to token.

use ansatz_ops::{Decay, sigmoid, softplus};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

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
/// as in Mamba-2 (Dao and Gu 2024, arXiv:2405.21060; Yang et al. 2024, arXiv:2412.06464), or, with a
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
        let step = uniform(heads * channels, STEPS.map(f64::ln), device).exp();
        // What softplus turns into the step: log(exp(Δ) − 1) = Δ + log(1 − exp(−Δ)).
        let bias = step.clone() + (step.neg().exp().neg() + 1.0).log();
        let rate = match bound {
            // Larger rates would begin where the sigmoid is flat.
            Some(_) => Tensor::zeros([heads], device),
            None => uniform(heads, RATES, device).log(),
        };
        // What was computed is no leaf of the gradient's graph until it is cut off.
        let [rate, bias] = [rate, bias].map(|values| Param::from_tensor(values.detach()));
        Self { map, rate, bias, bound }
    }

    pub(crate) fn forward(&self, tokens: Tensor<3>) -> Decay {
        let [batch, length, _] = tokens.dims();
        let rate = self.rate.val();
        let [heads] = rate.dims();
        let x = self.map.forward(tokens) + self.bias.val().unsqueeze();
        let [_, _, all] = x.dims();
        let x = x.reshape([batch, length, heads, all / heads]).swap_dims(1, 2);
        let rate = rate.exp().reshape([1, heads, 1, 1]);
        let logarithms = match self.bound {
            Some(bound) => sigmoid(x * rate) * bound,
            None => (softplus(x) * rate).neg(),
        };
        let factors = logarithms.exp();
        if all == heads { Decay::Head(factors.squeeze_dim(3)) } else { Decay::Channel(factors) }
    }
}

/// Values drawn between two bounds.
fn uniform(count: usize, [min, max]: [f64; 2], device: &Device) -> Tensor<1> {
    Initializer::Uniform { min, max }.init::<1, _>([count], device).val()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_their_equation_and_begin_below_one() {
        let device = ansatz_device::open("cpu").unwrap();
        for bound in [None, Some(-5.0)] {
            let map = LowRank::new([4, 6], Some(2), false, &device);
            let forgetting = Forgetting::new(map, [2, 3], bound, &device);
            let tokens = Tensor::<3>::ones([1, 5, 4], &device);
            let x = forgetting.map.forward(tokens.clone()) + forgetting.bias.val().unsqueeze();
            let Decay::Channel(factors) = forgetting.forward(tokens) else { panic!("per channel") };
            assert_eq!(factors.dims(), [1, 2, 5, 3]);
            let values = |of: Tensor<1>| of.into_data().try_to_vec::<f32>().expect("floats");
            let rates = values(forgetting.rate.val());
            let x = values(x.narrow(1, 4, 1).reshape([6]));
            let found = values(factors.narrow(2, 4, 1).reshape([6]));
            for (index, (x, found)) in x.into_iter().zip(found).enumerate() {
                let rate = rates[index / 3].exp();
                let expected = match bound {
                    Some(bound) => (bound as f32 / (1.0 + (-rate * x).exp())).exp(),
                    None => (-rate * x.exp().ln_1p()).exp(),
                };
                assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
                assert!(found > 0.0 && found < 1.0, "{found}");
            }
        }
    }
}
