//! RWKV-4: a decaying weighted mean for each channel.

use ansatz_core::{
    BoxedMixer, Build, Component, ConfigError, Context, Mixer, MixerConfig, Recurrent, Registry, Result,
    State,
};
use ansatz_ops::{Linear, sigmoid, without_padding, wkv, wkv_state};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::draw::{along, falling, linear, orthogonal, rising, vector};
use crate::shift::Shifted;

/// The time mixing of RWKV-4.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rwkv4Config {
    /// Channels of the recurrence, 1 up to 65536. Left out: the width of the tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65536))]
    pub hidden: Option<usize>,
}

impl Component for Rwkv4Config {
    const KIND: &'static str = "rwkv-4";
    const ABOUT: &'static str = "RWKV-4 time mixing: for each channel a weighted mean of all values so far, whose \
        weights decay with distance";
    const CITATION: &'static str =
        "Peng et al., RWKV: Reinventing RNNs for the Transformer Era, 2023, arXiv:2305.13048";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        match self.hidden {
            Some(hidden) if !(1..=65536).contains(&hidden) => {
                Err(ConfigError::value("hidden", hidden.to_string(), "1 up to 65536"))
            }
            _ => Ok(()),
        }
    }
}

impl Rwkv4Config {
    /// Builds the mixer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(&self, width: usize, build: &Build) -> Result<Rwkv4, ConfigError> {
        self.clone().complete(build.registry)?;
        let (device, hidden) = (build.device, self.hidden.unwrap_or(width));
        let (rising, falling) = (rising(build.depth), falling(build.depth));
        let share = |channel: usize| channel as f64 / width as f64;
        let map = |shape| linear(shape, &orthogonal(shape, 1.0), device);
        Ok(Rwkv4 {
            mix_key: vector(width, |channel| share(channel).powf(falling), device),
            mix_value: vector(width, |channel| share(channel).powf(falling) + 0.3 * rising, device),
            mix_receptance: vector(width, |channel| share(channel).powf(0.5 * falling), device),
            decay: vector(
                hidden,
                |channel| -5.0 + 8.0 * along(channel, hidden).powf(0.7 + 1.3 * rising),
                device,
            ),
            bonus: vector(hidden, |channel| 0.3f64.ln() + 0.5 * ((channel + 1) % 3) as f64 - 0.5, device),
            key: map([width, hidden]),
            value: map([width, hidden]),
            receptance: map([width, hidden]),
            output: map([hidden, width]),
        })
    }
}

impl MixerConfig for Rwkv4Config {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build)?))
    }
}

/// The time mixing of RWKV-4 (Peng et al. 2023, equations 11 to 16):
///
/// ```text
/// k_t = W_k (μ_k ⊙ x_t + (1 − μ_k) ⊙ x_{t−1})      v_t and r_t likewise
/// o_t = W_o (σ(r_t) ⊙ wkv_t)                        wkv: see `ansatz_ops::wkv`
/// ```
///
/// Parameters are drawn as in appendix E there, and the maps as in the transformers library: orthogonal.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Rwkv4 {
    /// μ_k `[width]`.
    pub mix_key: Param<Tensor<1>>,
    /// μ_v `[width]`.
    pub mix_value: Param<Tensor<1>>,
    /// μ_r `[width]`.
    pub mix_receptance: Param<Tensor<1>>,
    /// `[hidden]`; the logarithm of the decay from token to token is −exp of it.
    pub decay: Param<Tensor<1>>,
    /// u `[hidden]`, added to the key of the current token.
    pub bonus: Param<Tensor<1>>,
    /// W_k `[width, hidden]`.
    pub key: Linear,
    /// W_v `[width, hidden]`.
    pub value: Linear,
    /// W_r `[width, hidden]`.
    pub receptance: Linear,
    /// W_o `[hidden, width]`.
    pub output: Linear,
}

/// The sums of the recurrence, `[batch, 3, hidden]`.
const SUMS: &str = "sums";

impl Rwkv4 {
    /// The outputs for `tokens`, and the sums behind the last; `None` stands for those before the first.
    fn mix(&self, tokens: &Shifted, sums: Option<Tensor<3>>) -> (Tensor<3>, Tensor<3>) {
        // Published are the shares of the token itself.
        let mixed = |share: &Param<Tensor<1>>| tokens.toward(1.0 - share.val().unsqueeze());
        let key = self.key.forward(mixed(&self.mix_key));
        let value = self.value.forward(mixed(&self.mix_value));
        let receptance = sigmoid(self.receptance.forward(mixed(&self.mix_receptance)));
        let sums = sums.unwrap_or_else(|| wkv_state(&key));
        let (mean, sums) = wkv(-self.decay.val().exp(), self.bonus.val(), key, value, sums);
        (self.output.forward(receptance * mean), sums)
    }
}

impl Mixer for Rwkv4 {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let output =
            without_padding(tokens, context.mask.as_ref(), |tokens| self.mix(&Shifted::new(tokens), None).0);
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let linears = [&self.key, &self.value, &self.receptance, &self.output];
        let projections: usize = linears.iter().map(|linear| linear.weight.lazy_shape().num_elements()).sum();
        let [width] = self.mix_key.lazy_shape().dims();
        let [hidden] = self.bonus.lazy_shape().dims();
        // Three mixtures; for the output and for the state two exponents, two products, two sums; and a division.
        length as u64 * (2 * projections + 3 * 3 * width + 14 * hidden) as u64
    }
}

impl Recurrent for Rwkv4 {
    fn state(&self, batch: usize, device: &Device) -> State {
        let [width] = self.mix_key.lazy_shape().dims();
        let [hidden] = self.bonus.lazy_shape().dims();
        Shifted::state(batch, width, device).with(SUMS, wkv_state(&Tensor::zeros([batch, 1, hidden], device)))
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let (output, sums) = self.mix(&Shifted::step(tokens, state), state.take::<3>(SUMS));
        state.set(SUMS, sums);
        output
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixer_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        for (hidden, index) in [(None, 0), (Some(5), 2)] {
            let config = Rwkv4Config { hidden };
            let registry = Registry::default();
            let build =
                |width, device: &Device| config.init(width, &Build::new(&registry, device).at(index, 3));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(ansatz_conformance::Property::Recurrence));
        }
    }

    #[test]
    fn far_channels_of_late_blocks_forget_fastest() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let decay = |index| {
            let mixer =
                Rwkv4Config::default().build(8, &Build::new(&registry, &device).at(index, 4)).unwrap();
            mixer.decay.val().into_data().try_to_vec::<f32>().unwrap()
        };
        for index in [0, 3] {
            let decay = decay(index);
            assert!(decay.is_sorted());
            assert_eq!([decay[0], decay[7]], [-5.0, 3.0]);
        }
        assert!(decay(0)[3] > decay(3)[3]);
    }

    #[test]
    fn channels_out_of_range_are_named() {
        let message = Rwkv4Config { hidden: Some(0) }.complete(&Registry::default()).unwrap_err().to_string();
        assert!(message.contains("`hidden`"), "{message}");
    }
}
