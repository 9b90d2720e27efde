//! The gated short convolution of LFM2: the cheapest mixer that looks back.

use ansatz_core::{
    BoxedMixer, Build, Component, ConfigError, Context, Mixer, MixerConfig, Recurrent, Registry, Result,
    State,
};
use ansatz_ops::{CausalConvolution, Linear, without_padding};
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The gated short convolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShortConvolutionConfig {
    /// Tokens that are seen, the current one among them, 1 up to 1024.
    #[schemars(range(min = 1, max = 1024))]
    pub taps: usize,
    /// Whether the convolution and both projections add a bias.
    pub bias: bool,
}

impl Default for ShortConvolutionConfig {
    fn default() -> Self {
        Self { taps: 3, bias: false }
    }
}

impl Component for ShortConvolutionConfig {
    const KIND: &'static str = "short-convolution";
    const ABOUT: &'static str =
        "a causal convolution over a few tokens, channel by channel, between two gates";
    const CITATION: &'static str = "Liquid AI, LFM2 Technical Report, 2025, arXiv:2511.23404";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if (1..=1024).contains(&self.taps) {
            Ok(())
        } else {
            Err(ConfigError::value("taps", self.taps.to_string(), "1 up to 1024"))
        }
    }
}

impl ShortConvolutionConfig {
    /// Builds the mixer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(&self, width: usize, device: &Device) -> Result<ShortConvolution, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        let map = |outputs: usize| Linear {
            weight: normal.init([width, outputs], device),
            bias: self.bias.then(|| Initializer::Zeros.init([outputs], device)),
        };
        Ok(ShortConvolution {
            input: map(3 * width),
            convolution: CausalConvolution::new(width, self.taps, self.bias, device),
            output: map(width),
        })
    }
}

impl MixerConfig for ShortConvolutionConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build.device)?))
    }
}

/// A causal convolution of each channel between two gates (LFM2 Technical Report, section 2.2):
///
/// ```text
/// (b, c, h) = x W + d
/// o = W_o (c ⊙ convolution(b ⊙ h))
/// ```
///
/// Maps are drawn with deviation 0.02, as the published class draws them.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct ShortConvolution {
    /// W `[width, 3 × width]`: the gate in front, the gate behind, the values.
    pub input: Linear,
    /// Over the gated values.
    pub convolution: CausalConvolution,
    /// W_o `[width, width]`.
    pub output: Linear,
}

/// The gated values of the last tokens, `[batch, taps − 1, width]`; there are none with a single tap.
const WINDOW: &str = "window";

impl ShortConvolution {
    /// The outputs for `tokens`, and the window behind the last; `None` stands for the one before the first.
    fn mix(&self, tokens: Tensor<3>, window: Option<Tensor<3>>) -> (Tensor<3>, Option<Tensor<3>>) {
        let [_, _, width] = tokens.dims();
        let projected = self.input.forward(tokens);
        let part = |index: usize| projected.clone().narrow(2, index * width, width);
        let (convolved, window) = self.convolution.forward(part(0) * part(2), window);
        (self.output.forward(part(1) * convolved), window)
    }
}

impl Mixer for ShortConvolution {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let output = without_padding(tokens, context.mask.as_ref(), |tokens| self.mix(tokens, None).0);
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let [width, _] = self.output.weight.lazy_shape().dims();
        let projections = 2 * 4 * width * width;
        length as u64 * ((projections + 2 * width) as u64 + self.convolution.flops())
    }
}

impl Recurrent for ShortConvolution {
    fn state(&self, batch: usize, device: &Device) -> State {
        let mut state = State::new();
        if let Some(window) = self.convolution.window(batch, device) {
            state.set(WINDOW, window);
        }
        state
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let (output, window) = self.mix(tokens, state.take::<3>(WINDOW));
        if let Some(window) = window {
            state.set(WINDOW, window);
        }
        state.position += length;
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
        for (taps, bias) in [(1, false), (3, true), (40, false)] {
            let config = ShortConvolutionConfig { taps, bias };
            let build = |width, device: &Device| Ok(BoxedMixer::new(config.build(width, device)?));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(ansatz_conformance::Property::Recurrence));
        }
    }

    #[test]
    fn the_layer_is_the_equation() {
        let device = ansatz_device::open("cpu").unwrap();
        let mut layer = ShortConvolutionConfig { taps: 2, bias: false }.build(1, &device).unwrap();
        let set = |values: &[f32]| Tensor::<1>::from_data(values, &device).reshape([1, values.len()]);
        layer.input.weight = burn::module::Param::from_tensor(set(&[2.0, 3.0, 0.5]));
        layer.convolution.weight = burn::module::Param::from_tensor(set(&[10.0, 1.0]));
        layer.output.weight = burn::module::Param::from_tensor(set(&[-1.0]));
        let tokens = Tensor::<3>::from_data([[[1.0], [2.0], [-1.0]]], &device);
        let found = layer.forward(tokens, &Context::default()).into_data().try_to_vec::<f32>().unwrap();
        let mut before = 0.0;
        for (token, found) in [1.0f32, 2.0, -1.0].into_iter().zip(found) {
            let gated = 2.0 * token * 0.5 * token;
            assert_eq!(found, -(3.0 * token * (10.0 * before + gated)));
            before = gated;
        }
    }

    #[test]
    fn taps_out_of_range_are_named() {
        let mut config = ShortConvolutionConfig { taps: 0, bias: false };
        let message = config.complete(&Registry::default()).unwrap_err().to_string();
        assert!(message.contains("`taps`"), "{message}");
    }
}
