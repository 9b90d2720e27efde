//! Channel mixing: a squared rectifier between two maps, over each token and the one before it.

use ansatz_core::{
    BoxedChannel, Build, Channel, ChannelConfig, Component, ConfigError, Context, Recurrent, Registry,
    Result, State,
};
use ansatz_ops::{Linear, sigmoid, without_padding};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draw::{falling, linear, orthogonal, vector};
use crate::shift::Shifted;

/// The channel mixing of RWKV-4.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rwkv4ChannelConfig {
    /// Hidden width, 1 up to 1048576. Left out: 4 times the width.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1048576))]
    pub hidden: Option<usize>,
}

/// The channel mixing of RWKV-6, which is that of RWKV-4 with shares of the token before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rwkv6ChannelConfig {
    /// Hidden width, 1 up to 1048576. Left out: 3.5 times the width, rounded up to a multiple of 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1048576))]
    pub hidden: Option<usize>,
}

/// The channel mixing of RWKV-7, which has no receptance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rwkv7ChannelConfig {
    /// Hidden width, 1 up to 1048576. Left out: 4 times the width.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1048576))]
    pub hidden: Option<usize>,
}

fn check(hidden: Option<usize>) -> Result<(), ConfigError> {
    const LARGEST: usize = 1 << 20;
    match hidden {
        Some(hidden) if !(1..=LARGEST).contains(&hidden) => {
            Err(ConfigError::value("hidden", hidden.to_string(), format!("1 up to {LARGEST}")))
        }
        _ => Ok(()),
    }
}

impl Component for Rwkv4ChannelConfig {
    const KIND: &'static str = "rwkv-4-channel";
    const ABOUT: &'static str = "RWKV-4 channel mixing: a squared rectifier between two maps, gated, over each token and the one before";
    const CITATION: &'static str =
        "Peng et al., RWKV: Reinventing RNNs for the Transformer Era, 2023, arXiv:2305.13048";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check(self.hidden)
    }
}

impl Component for Rwkv6ChannelConfig {
    const KIND: &'static str = "rwkv-6-channel";
    const ABOUT: &'static str = "RWKV-6 channel mixing: a squared rectifier between two maps, gated, over each token and the one before";
    const CITATION: &'static str = "Peng et al., Eagle and Finch: RWKV with Matrix-Valued States and Dynamic \
        Recurrence, 2024, arXiv:2404.05892";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check(self.hidden)
    }
}

impl Component for Rwkv7ChannelConfig {
    const KIND: &'static str = "rwkv-7-channel";
    const ABOUT: &'static str =
        "RWKV-7 channel mixing: a squared rectifier between two maps, over each token and the one before";
    const CITATION: &'static str =
        "Peng et al., RWKV-7 \"Goose\" with Expressive Dynamic State Evolution, 2025, arXiv:2503.14456";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check(self.hidden)
    }
}

impl ChannelConfig for Rwkv4ChannelConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedChannel> {
        check(self.hidden)?;
        let (device, hidden) = (build.device, self.hidden.unwrap_or(4 * width));
        let falling = falling(build.depth);
        let share = || vector(width, |channel| (channel as f64 / width as f64).powf(falling), device);
        let map = |shape| linear(shape, &orthogonal(shape, 1.0), device);
        Ok(BoxedChannel::new(ChannelMix {
            mix_key: share(),
            key: map([width, hidden]),
            value: map([hidden, width]),
            gate: Some(Gate { mix_receptance: share(), receptance: map([width, width]) }),
            shares: Shares::Current,
        }))
    }
}

impl ChannelConfig for Rwkv6ChannelConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedChannel> {
        check(self.hidden)?;
        let hidden = self.hidden.unwrap_or_else(|| (7 * width / 2).next_multiple_of(32));
        let zeros = || Initializer::Zeros.init([width], build.device);
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        let map = |shape| linear(shape, &normal, build.device);
        Ok(BoxedChannel::new(ChannelMix {
            mix_key: zeros(),
            key: map([width, hidden]),
            value: map([hidden, width]),
            gate: Some(Gate { mix_receptance: zeros(), receptance: map([width, width]) }),
            shares: Shares::Before,
        }))
    }
}

impl ChannelConfig for Rwkv7ChannelConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedChannel> {
        check(self.hidden)?;
        let (device, hidden) = (build.device, self.hidden.unwrap_or(4 * width));
        let power = falling(build.depth).powi(4);
        let share = |channel: usize| 1.0 - (channel as f64 / width as f64).powf(power);
        Ok(BoxedChannel::new(ChannelMix {
            mix_key: vector(width, share, device),
            key: linear([width, hidden], &Initializer::Orthogonal { gain: 1.0 }, device),
            // A fresh block changes nothing.
            value: linear([hidden, width], &Initializer::Zeros, device),
            gate: None,
            shares: Shares::Before,
        }))
    }
}

/// Channel mixing over each token and the one before it (Peng et al. 2023, arXiv:2305.13048, equations 17 to 20):
///
/// ```text
/// k_t = W_k mixed(x_t, x_{t−1}, μ_k)      r_t = W_r mixed(x_t, x_{t−1}, μ_r)
/// o_t = σ(r_t) ⊙ (W_v max(0, k_t)²)
/// ```
///
/// RWKV-7 has no σ(r_t) (Peng et al. 2025, arXiv:2503.14456, section 4.3). Parameters are drawn by channel and
/// depth as in the papers, those of RWKV-6 as in the fla library.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct ChannelMix {
    /// μ_k `[width]`.
    pub mix_key: Param<Tensor<1>>,
    /// W_k `[width, hidden]`.
    pub key: Linear,
    /// W_v `[hidden, width]`.
    pub value: Linear,
    /// The receptance, where the generation has one.
    pub gate: Option<Gate>,
    #[module(skip)]
    shares: Shares,
}

/// The receptance of channel mixing.
#[derive(Module, Debug)]
pub struct Gate {
    /// μ_r `[width]`.
    pub mix_receptance: Param<Tensor<1>>,
    /// W_r `[width, width]`.
    pub receptance: Linear,
}

/// What μ is the share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shares {
    /// The token itself: `μ ⊙ x_t + (1 − μ) ⊙ x_{t−1}`.
    Current,
    /// The token before: `x_t + μ ⊙ (x_{t−1} − x_t)`.
    Before,
}

impl ChannelMix {
    fn mix(&self, tokens: &Shifted) -> Tensor<3> {
        let mixed = |share: &Param<Tensor<1>>| {
            let share = share.val().unsqueeze();
            tokens.toward(if self.shares == Shares::Current { 1.0 - share } else { share })
        };
        let key = relu(self.key.forward(mixed(&self.mix_key)));
        let output = self.value.forward(key.clone() * key);
        match &self.gate {
            Some(gate) => sigmoid(gate.receptance.forward(mixed(&gate.mix_receptance))) * output,
            None => output,
        }
    }
}

impl Channel for ChannelMix {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let output = without_padding(tokens, context.mask.as_ref(), |tokens| self.mix(&Shifted::new(tokens)));
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self) -> u64 {
        let linears = [Some(&self.key), Some(&self.value), self.gate.as_ref().map(|gate| &gate.receptance)];
        let linears = linears.into_iter().flatten();
        2 * linears.map(|linear| linear.weight.lazy_shape().num_elements() as u64).sum::<u64>()
    }
}

impl Recurrent for ChannelMix {
    fn state(&self, batch: usize, device: &Device) -> State {
        let [width] = self.mix_key.lazy_shape().dims();
        Shifted::state(batch, width, device)
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        self.mix(&Shifted::step(tokens, state))
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conforms(config: &impl ChannelConfig) {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let build = |width, device: &Device| config.init(width, &Build::new(&registry, device).at(1, 3));
        let checked =
            ansatz_conformance::channel(build).named(format!("{config:?}")).widths([1, 6]).check(&device);
        checked.unwrap_or_else(|failure| panic!("{failure}"));
    }

    #[test]
    fn all_generations_conform() {
        for hidden in [None, Some(5)] {
            conforms(&Rwkv4ChannelConfig { hidden });
            conforms(&Rwkv6ChannelConfig { hidden });
            conforms(&Rwkv7ChannelConfig { hidden });
        }
    }

    #[test]
    fn the_layer_is_the_equation() {
        let device = ansatz_device::open("cpu").unwrap();
        let one = || vector(1, |_| 0.25, &device);
        let map = |value: f64| linear([1, 1], &Initializer::Constant { value }, &device);
        let tokens = || Tensor::<3>::from_data([[[1.0], [3.0], [-2.0]]], &device);
        for (shares, gated) in [(Shares::Current, true), (Shares::Before, true), (Shares::Before, false)] {
            let gate = gated.then(|| Gate { mix_receptance: one(), receptance: map(0.5) });
            let layer = ChannelMix { mix_key: one(), key: map(2.0), value: map(3.0), gate, shares };
            let found = layer.forward(tokens(), &Context::default()).into_data().try_to_vec::<f32>().unwrap();
            let mut before = 0.0f32;
            for (token, found) in [1.0f32, 3.0, -2.0].into_iter().zip(found) {
                let share = if shares == Shares::Current { 0.75 } else { 0.25 };
                let mixed = token + share * (before - token);
                let gate = if gated { 1.0 / (1.0 + (-0.5 * mixed).exp()) } else { 1.0 };
                let expected = gate * 3.0 * (2.0 * mixed).max(0.0).powi(2);
                assert!((found - expected).abs() < 1e-4, "{found} for {expected}");
                before = token;
            }
        }
    }
}
