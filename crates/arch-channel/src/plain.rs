//! The plain channel mixer: two linear maps with a nonlinearity between them.

use ansatz_core::{
    BoxedChannel, Build, Channel, ChannelConfig, Component, ConfigError, Context, Registry, Result,
};
use ansatz_ops::Linear;
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Activation;
use crate::projection::{check_hidden, hidden_width, linear};

/// Two linear maps with a nonlinearity between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Hidden width as a multiple of the width, above 0 up to 64; the product is rounded.
    #[schemars(range(max = 64.0))]
    pub expansion: f64,
    /// Hidden width itself, 1 up to 1048576, in the place of `expansion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1048576))]
    pub hidden: Option<usize>,
    /// The function between the two maps.
    pub activation: Activation,
    /// Whether the two maps add a bias.
    pub bias: bool,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self { expansion: 4.0, hidden: None, activation: Activation::Gelu, bias: true }
    }
}

impl Component for MlpConfig {
    const KIND: &'static str = "mlp";
    const ABOUT: &'static str = "two linear maps with a nonlinearity between them, for each token alone";
    const CITATION: &'static str = "Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762, section \
        3.3; GELU: Hendrycks and Gimpel 2016, arXiv:1606.08415";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check_hidden(self.expansion, self.hidden)
    }
}

impl MlpConfig {
    /// Builds the layer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(&self, width: usize, device: &Device) -> Result<Mlp, ConfigError> {
        check_hidden(self.expansion, self.hidden)?;
        let hidden = self.hidden.unwrap_or_else(|| hidden_width(self.expansion, width));
        let glorot = Initializer::XavierUniform { gain: 1.0 };
        Ok(Mlp {
            expand: linear([width, hidden], glorot.clone(), self.bias, device),
            contract: linear([hidden, width], glorot, self.bias, device),
            activation: self.activation,
        })
    }
}

impl ChannelConfig for MlpConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedChannel> {
        Ok(BoxedChannel::new(self.build(width, build.device)?))
    }
}

/// `f(x W₁ + b₁) W₂ + b₂` (Vaswani et al. 2017, equation 2, there with f = max(0, ·)).
///
/// Parameters are drawn as in google-research/vision_transformer: Glorot uniform, biases zero (there: 1e-6).
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Mlp {
    /// W₁ `[width, hidden]`.
    pub expand: Linear,
    /// W₂ `[hidden, width]`.
    pub contract: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Channel for Mlp {
    fn forward(&self, tokens: Tensor<3>, _context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let hidden = self.activation.apply(self.expand.forward(tokens));
        let output = self.contract.forward(hidden);
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn flops(&self) -> u64 {
        4 * self.expand.weight.lazy_shape().num_elements() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn the_layer_is_the_equation() {
        let device = ansatz_device::open("cpu").unwrap();
        for (width, bias) in [(1, true), (3, false), (5, true)] {
            let config = MlpConfig { expansion: 1.5, hidden: None, bias, activation: Activation::Relu };
            let layer = config.build(width, &device).unwrap();
            let tokens = Tensor::<3>::random([2, 3, width], Distribution::Normal(0.0, 1.0), &device);
            let values = |tensor: burn::tensor::TensorData| tensor.try_to_vec::<f32>().unwrap();
            let x = values(tokens.to_data());
            let hidden = hidden_width(1.5, width);
            let [first, second] =
                [&layer.expand, &layer.contract].map(|map| values(map.weight.val().to_data()));
            let output = values(layer.forward(tokens, &Context::default()).to_data());
            for token in 0..6 {
                for to in 0..width {
                    let mut sum = 0.0;
                    for unit in 0..hidden {
                        let inner: f32 = (0..width)
                            .map(|from| x[token * width + from] * first[from * hidden + unit])
                            .sum();
                        sum += inner.max(0.0) * second[unit * width + to];
                    }
                    assert!((output[token * width + to] - sum).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn operations_and_parameters_are_counted() {
        let device = ansatz_device::open("cpu").unwrap();
        let layer = MlpConfig::default().build(8, &device).unwrap();
        assert_eq!(layer.num_params(), 8 * 32 + 32 + 32 * 8 + 8);
        assert_eq!(layer.flops(), 2 * 2 * 8 * 32);
    }

    #[test]
    fn ratios_out_of_range_are_named() {
        for expansion in [0.0, -1.0, f64::NAN, f64::INFINITY, 65.0] {
            let mut config = MlpConfig { expansion, ..MlpConfig::default() };
            let message = config.complete(&Registry::default()).unwrap_err().to_string();
            assert!(message.contains("`expansion`"), "{message}");
        }
    }
}
