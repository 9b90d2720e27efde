//! The gated channel mixer: a linear map multiplied by an activated one.

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

/// A linear map multiplied by an activated one: SwiGLU with silu, GeGLU with gelu, ReGLU with relu.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatedMlpConfig {
    /// Hidden width as a multiple of the width, above 0 up to 64; the product is rounded. 8/3 makes as many
    /// parameters as a plain layer of 4.
    #[schemars(range(max = 64.0))]
    pub expansion: f64,
    /// Hidden width itself, 1 up to 1048576, in the place of `expansion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1048576))]
    pub hidden: Option<usize>,
    /// The function of the gate.
    pub activation: Activation,
    /// What the gate is multiplied by before its function, as in Falcon-H1; a finite number.
    pub gate_scale: f64,
    /// Whether the three maps add a bias.
    pub bias: bool,
}

impl Default for GatedMlpConfig {
    fn default() -> Self {
        Self {
            expansion: 8.0 / 3.0,
            hidden: None,
            activation: Activation::Silu,
            gate_scale: 1.0,
            bias: false,
        }
    }
}

impl Component for GatedMlpConfig {
    const KIND: &'static str = "gated-mlp";
    const ABOUT: &'static str =
        "a linear map gated by an activated one (SwiGLU, GeGLU), for each token alone";
    const CITATION: &'static str = "Shazeer, GLU Variants Improve Transformer, 2020, arXiv:2002.05202";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check_hidden(self.expansion, self.hidden)?;
        if !self.gate_scale.is_finite() {
            return Err(ConfigError::value("gate_scale", self.gate_scale.to_string(), "a finite number"));
        }
        Ok(())
    }
}

impl GatedMlpConfig {
    /// Builds the layer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(&self, width: usize, device: &Device) -> Result<GatedMlp, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let hidden = self.hidden.unwrap_or_else(|| hidden_width(self.expansion, width));
        let normal = |inputs: usize| Initializer::Normal { mean: 0.0, std: (inputs as f64).powf(-0.5) };
        Ok(GatedMlp {
            gate: linear([width, hidden], normal(width), self.bias, device),
            expand: linear([width, hidden], normal(width), self.bias, device),
            contract: linear([hidden, width], normal(hidden), self.bias, device),
            activation: self.activation,
            gate_scale: self.gate_scale,
        })
    }
}

impl ChannelConfig for GatedMlpConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedChannel> {
        Ok(BoxedChannel::new(self.build(width, build.device)?))
    }
}

/// `(f(s x W) ⊙ x V) W₂` (Shazeer 2020, equation 6, where the scale s is 1).
///
/// Parameters are drawn as in T5 v1.1, where the paper's layer was first published: normal with deviation
/// 1/√inputs, biases zero.
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct GatedMlp {
    /// W `[width, hidden]`, activated.
    pub gate: Linear,
    /// V `[width, hidden]`.
    pub expand: Linear,
    /// W₂ `[hidden, width]`.
    pub contract: Linear,
    #[module(skip)]
    activation: Activation,
    gate_scale: f64,
}

impl Channel for GatedMlp {
    fn forward(&self, tokens: Tensor<3>, _context: &Context) -> Tensor<3> {
        let [batch, length, width] = tokens.dims();
        let gate = self.gate.forward(tokens.clone());
        let gate = if self.gate_scale == 1.0 { gate } else { gate * self.gate_scale };
        let gate = self.activation.apply(gate);
        let output = self.contract.forward(gate * self.expand.forward(tokens));
        assert_shape!(output, [batch, length, width]);
        output
    }

    fn flops(&self) -> u64 {
        6 * self.expand.weight.lazy_shape().num_elements() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn the_layer_is_the_equation() {
        let device = ansatz_device::open("cpu").unwrap();
        for (width, gate_scale) in [(1, 1.0), (4, 0.5), (7, -2.0)] {
            let config = GatedMlpConfig { gate_scale, ..GatedMlpConfig::default() };
            let layer = config.build(width, &device).unwrap();
            let hidden = hidden_width(8.0 / 3.0, width);
            let tokens = Tensor::<3>::random([1, 2, width], Distribution::Normal(0.0, 1.0), &device);
            let values = |tensor: burn::tensor::TensorData| tensor.try_to_vec::<f32>().unwrap();
            let x = values(tokens.to_data());
            let [gate, expand, contract] =
                [&layer.gate, &layer.expand, &layer.contract].map(|map| values(map.weight.val().to_data()));
            let output = values(layer.forward(tokens, &Context::default()).to_data());
            for token in 0..2 {
                let project = |weight: &[f32], unit: usize| -> f32 {
                    (0..width).map(|from| x[token * width + from] * weight[from * hidden + unit]).sum()
                };
                for to in 0..width {
                    let sum: f32 = (0..hidden)
                        .map(|unit| {
                            let gated = project(&gate, unit) * gate_scale as f32;
                            let gated = gated / (1.0 + (-gated).exp());
                            gated * project(&expand, unit) * contract[unit * width + to]
                        })
                        .sum();
                    assert!((output[token * width + to] - sum).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn the_default_is_as_large_as_a_plain_layer() {
        let device = ansatz_device::open("cpu").unwrap();
        let gated = GatedMlpConfig::default().build(96, &device).unwrap();
        assert_eq!(gated.num_params(), 2 * 4 * 96 * 96);
        assert_eq!(gated.flops(), 2 * gated.num_params() as u64);
    }
}
