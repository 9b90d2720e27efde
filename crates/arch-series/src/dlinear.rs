//! DLinear: linear maps of the trend and of what is left.

use ansatz_core::{
    Backbone, BackboneConfig, BoxedBackbone, Build, Component, ConfigError, FeatureSpec, Features, Layer,
    Registry, Result,
};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, assert_shape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::LinearAlongTime;

/// Linear maps of the trend and of what is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DLinearConfig {
    /// Steps that are foretold, at least 1: the horizon of the data.
    #[schemars(range(min = 1))]
    pub horizon: usize,
    /// Steps whose mean is the trend, odd.
    #[schemars(range(min = 1))]
    pub moving_average: usize,
    /// Whether each channel has maps of its own.
    pub individual: bool,
}

impl Default for DLinearConfig {
    fn default() -> Self {
        Self { horizon: 24, moving_average: 25, individual: false }
    }
}

impl Component for DLinearConfig {
    const KIND: &'static str = "dlinear";
    const ABOUT: &'static str =
        "linear maps along time of a moving mean and of what is left; makes the forecast itself";
    const CITATION: &'static str = "Zeng et al., Are Transformers Effective for Time Series Forecasting?, 2023, \
        arXiv:2205.13504";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.horizon == 0 {
            return Err(ConfigError::value("horizon", "0 steps", "at least 1"));
        }
        if self.moving_average.is_multiple_of(2) {
            let problem = format!("{} is even", self.moving_average);
            return Err(ConfigError::value("moving_average", problem, "an odd number of steps"));
        }
        Ok(())
    }
}

impl DLinearConfig {
    /// Builds the backbone for features of shape `input`, whose tokens are steps.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(&self, input: &FeatureSpec, device: &Device) -> Result<DLinear, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let maps = if self.individual { input.width } else { 1 };
        let map = || LinearAlongTime::new(maps, [input.length, self.horizon], device);
        Ok(DLinear { seasonal: map(), trend: map(), moving_average: self.moving_average })
    }
}

impl BackboneConfig for DLinearConfig {
    fn init(&self, input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        Ok(BoxedBackbone::new(self.build(input, build.device)?))
    }
}

/// `(x − m) W_s + b_s + m W_t + b_t` along time, where m is the mean of the steps around each, the first and
/// the last step repeated beyond the ends (Zeng et al. 2023, section 4.2).
///
/// # Shapes
/// `[batch, length, channels]` → `[batch, horizon, channels]`
#[derive(Module, Debug)]
pub struct DLinear {
    /// W_s and b_s.
    pub seasonal: LinearAlongTime,
    /// W_t and b_t.
    pub trend: LinearAlongTime,
    moving_average: usize,
}

impl DLinear {
    /// `[length, length]`: the share of each step (column) in the mean around each (row).
    fn shares(&self, length: usize) -> Vec<f64> {
        let half = self.moving_average / 2;
        let mut shares = vec![0.0; length * length];
        for step in 0..length {
            for around in 0..self.moving_average {
                let seen = (step + around).saturating_sub(half).min(length - 1);
                shares[step * length + seen] += 1.0 / self.moving_average as f64;
            }
        }
        shares
    }

    /// The moving mean, `[batch, length, channels]`.
    fn mean(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, length, _] = x.dims();
        let shares = TensorData::new(self.shares(length), [1, length, length]);
        Tensor::<3>::from_data(shares, (&x.device(), x.dtype())).matmul(x)
    }

    fn horizon(&self) -> usize {
        self.seasonal.weight.lazy_shape()[2]
    }
}

impl Backbone for DLinear {
    fn forward(&self, features: Features) -> Features {
        let x = features.tokens.clone();
        let [batch, _, channels] = x.dims();
        let mean = self.mean(x.clone());
        let tokens = self.seasonal.forward(x - mean.clone()) + self.trend.forward(mean);
        let horizon = self.horizon();
        assert_shape!(tokens, [batch, horizon, channels]);
        // The tokens are other steps: neither mask nor grid is theirs.
        Features { mask: None, grid: None, ..features.with_tokens(tokens) }
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        FeatureSpec::row(self.horizon(), input.width)
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let output = self.output(input);
        let row = |name: &str, parameters: usize, flops: u64, tokens: &FeatureSpec| Layer {
            name: name.to_owned(),
            output: tokens.to_string(),
            parameters,
            flops,
            activations: tokens.length * tokens.width,
        };
        let mean = (2 * input.length * input.length * input.width) as u64;
        let map =
            |name: &str, map: &LinearAlongTime| row(name, map.num_params(), map.flops(input.width), &output);
        vec![
            row("moving_average", 0, mean, input),
            map("seasonal", &self.seasonal),
            map("trend", &self.trend),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    #[test]
    fn dlinear_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        for (moving_average, individual) in [(1, false), (25, true), (5, true)] {
            let config = DLinearConfig { horizon: 4, moving_average, individual };
            let build =
                |input: &FeatureSpec, device: &Device| Ok(BoxedBackbone::new(config.build(input, device)?));
            let checked = ansatz_conformance::backbone(build).named(format!("{config:?}")).check(&device);
            checked.unwrap_or_else(|failure| panic!("{failure}"));
        }
    }

    #[test]
    fn the_mean_repeats_the_ends() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = DLinearConfig { horizon: 1, moving_average: 3, individual: false };
        let layer = config.build(&FeatureSpec::row(4, 1), &device).unwrap();
        let x = Tensor::<3>::from_data([[[3.0], [0.0], [6.0], [9.0]]], &device);
        let expected = [[[2.0f32], [3.0], [5.0], [8.0]]];
        layer.mean(x).into_data().assert_approx_eq::<f32>(&expected.into(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (config, path) in [
            (DLinearConfig { horizon: 0, ..DLinearConfig::default() }, "`horizon`"),
            (DLinearConfig { moving_average: 4, ..DLinearConfig::default() }, "`moving_average`"),
            (DLinearConfig { moving_average: 0, ..DLinearConfig::default() }, "`moving_average`"),
        ] {
            let said = config.clone().complete(&Registry::default()).unwrap_err().to_string();
            assert!(said.contains(path), "{said}");
        }
    }
}
