//! What stands between the last tokens and the logits of a masked language model.

use ansatz_core::ConfigError;
use ansatz_ops::{Activation, Linear, Norm, NormConfig};
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A linear map, a nonlinearity and a norm between the last tokens and the logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TransformConfig {
    /// The function behind the map.
    pub activation: Activation,
    /// Whether the map adds a bias.
    pub bias: bool,
    /// The norm behind the function.
    pub norm: NormConfig,
}

impl Default for TransformConfig {
    fn default() -> Self {
        Self { activation: Activation::Gelu, bias: true, norm: NormConfig::default() }
    }
}

impl TransformConfig {
    /// Checks the ranges of values.
    ///
    /// # Errors
    /// With the key at fault, its problem and what was expected.
    pub fn check(&self) -> Result<(), ConfigError> {
        let named = |(key, problem, expected)| ConfigError::value(format!("norm.{key}"), problem, expected);
        self.norm.check().map_err(named)
    }

    /// Builds it for tokens of `width` values; the map is drawn as in BERT, normal of deviation 0.02.
    pub fn init(&self, width: usize, device: &Device) -> Transform {
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        let bias = self.bias.then(|| Initializer::Zeros.init([width], device));
        Transform {
            dense: Linear { weight: normal.init([width, width], device), bias },
            norm: self.norm.init(width, device),
            activation: self.activation,
        }
    }
}

/// `norm(f(x W + b))` (Devlin et al., BERT, 2018, arXiv:1810.04805, in the form of its published code).
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct Transform {
    /// W `[width, width]` and b.
    pub dense: Linear,
    /// Behind the function.
    pub norm: Norm,
    #[module(skip)]
    activation: Activation,
}

impl Transform {
    /// Transforms each token.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.norm.forward(self.activation.apply(self.dense.forward(tokens)))
    }

    /// Floating-point operations for one token; a multiply–add counts two.
    pub fn flops(&self) -> u64 {
        2 * self.dense.weight.lazy_shape().num_elements() as u64 + self.norm.flops()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Param;
    use burn::tensor::Tolerance;

    #[test]
    fn tokens_are_mapped_bent_and_brought_to_one_scale() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = TransformConfig {
            activation: Activation::Relu,
            norm: NormConfig::rms(1e-12),
            ..TransformConfig::default()
        };
        let mut transform = config.init(2, &device);
        transform.dense.weight = Param::from_tensor(Tensor::from_data([[1.0, -1.0], [0.0, 2.0]], &device));
        let found = transform.forward(Tensor::from_data([[[3.0, 3.5], [3.0, 1.0]]], &device));
        // (3, 4) and (3, −1), the negative value cut off.
        let root = 12.5f32.sqrt();
        let expected = [[[3.0 / root, 4.0 / root], [2f32.sqrt(), 0.0]]];
        found.into_data().assert_approx_eq::<f32>(&expected.into(), Tolerance::default());
    }

    #[test]
    fn a_norm_out_of_range_is_named() {
        let config = TransformConfig { norm: NormConfig::rms(0.0), ..TransformConfig::default() };
        assert!(config.check().unwrap_err().to_string().contains("`norm.epsilon`"));
    }
}
