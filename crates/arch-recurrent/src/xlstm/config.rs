//! The typed config of the matrix memory.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MatrixLstm;

/// xLSTM's matrix memory in the block of xLSTM 7B.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MatrixLstmConfig {
    /// Memories that are written and read side by side, at least 1. They must divide the width unless both widths
    /// are given.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Values of a key and of a query of one head, at least 1. Left out: the width of the tokens divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub key_width: Option<usize>,
    /// Values that one head stores under a key, at least 1. Left out: the width of the tokens divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub value_width: Option<usize>,
    /// Holds the logarithms of the gates between −cap and cap, by `cap · tanh(x / cap)`; 0: no limit.
    #[schemars(range(min = 0.0))]
    pub gate_cap: f64,
    /// Whether the projections and the norm add a bias; the input and forget gates always have one.
    pub bias: bool,
    /// Added to the normalizer of the memory, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
    /// Added to the variance of what a head reads, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub norm_epsilon: f64,
}

impl Default for MatrixLstmConfig {
    fn default() -> Self {
        Self {
            heads: 4,
            key_width: None,
            value_width: None,
            gate_cap: 15.0,
            bias: false,
            epsilon: 1e-6,
            norm_epsilon: 1e-6,
        }
    }
}

impl Component for MatrixLstmConfig {
    const KIND: &'static str = "mlstm";
    const ABOUT: &'static str =
        "xLSTM's matrix memory: keys and values under exponential gates, in chunks or token by token";
    const CITATION: &'static str = "Beck et al., xLSTM: Extended Long Short-Term Memory, 2024, arXiv:2405.04517; \
        this block: Beck et al., xLSTM 7B, 2025, arXiv:2503.13427";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        let sizes =
            [("heads", Some(self.heads)), ("key_width", self.key_width), ("value_width", self.value_width)];
        for (key, size) in sizes {
            if size == Some(0) {
                return Err(ConfigError::value(key, "0", "at least 1"));
            }
        }
        for (key, value) in [("epsilon", self.epsilon), ("norm_epsilon", self.norm_epsilon)] {
            if !(value > 0.0 && value <= 1.0) {
                return Err(ConfigError::value(key, value.to_string(), "above 0 up to 1"));
            }
        }
        if !(self.gate_cap.is_finite() && self.gate_cap >= 0.0) {
            return Err(ConfigError::value("gate_cap", self.gate_cap.to_string(), "0 or more"));
        }
        Ok(())
    }
}

impl MatrixLstmConfig {
    /// Builds the memory for tokens of `width` values, in a network of `build.depth.blocks` blocks.
    ///
    /// # Errors
    /// When a value is out of range, or `width` cannot be divided among the heads.
    pub fn build(&self, width: usize, build: &Build) -> Result<MatrixLstm, ConfigError> {
        self.clone().complete(build.registry)?;
        let size = |given: Option<usize>| match given {
            Some(size) => Ok(size),
            None if width > 0 && width.is_multiple_of(self.heads) => Ok(width / self.heads),
            None => Err(ConfigError::value(
                "heads",
                format!("{} heads do not divide a width of {width}", self.heads),
                format!("a divisor of {width}, or `key_width` and `value_width`"),
            )),
        };
        Ok(MatrixLstm::new(width, [size(self.key_width)?, size(self.value_width)?], self, build))
    }
}

impl MixerConfig for MatrixLstmConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let default = MatrixLstmConfig::default();
        for (config, named) in [
            (MatrixLstmConfig { heads: 0, ..default.clone() }, "`heads`: 0"),
            (MatrixLstmConfig { key_width: Some(0), ..default.clone() }, "`key_width`: 0"),
            (MatrixLstmConfig { gate_cap: -1.0, ..default.clone() }, "`gate_cap`: -1"),
            (MatrixLstmConfig { epsilon: 0.0, ..default.clone() }, "`epsilon`: 0"),
            (MatrixLstmConfig { norm_epsilon: f64::NAN, ..default.clone() }, "`norm_epsilon`: NaN"),
            (
                MatrixLstmConfig { heads: 3, value_width: Some(2), ..default },
                "3 heads do not divide a width of 8",
            ),
        ] {
            let message = config.build(8, &Build::new(&registry, &device)).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
