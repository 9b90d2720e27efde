//! The typed config of S4D.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::S4d;

/// A diagonal state space for each channel, then a gated map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct S4dConfig {
    /// Numbers that each channel carries on, an even number from 2 up to 4096: half as many complex ones, each of
    /// which stands for itself and its conjugate.
    #[schemars(range(min = 2, max = 4096))]
    pub state: usize,
    /// Probability with which each value before the gated map is dropped while training, 0 up to but not
    /// including 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dropout: f64,
}

impl Default for S4dConfig {
    fn default() -> Self {
        Self { state: 64, dropout: 0.0 }
    }
}

impl Component for S4dConfig {
    const KIND: &'static str = "s4d";
    const ABOUT: &'static str =
        "a diagonal state-space model: a long convolution with a state of constant size";
    const CITATION: &'static str = "Gu et al., On the Parameterization and Initialization of Diagonal State \
        Space Models, 2022, arXiv:2206.11893";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if !(2..=4096).contains(&self.state) || !self.state.is_multiple_of(2) {
            return Err(ConfigError::value("state", self.state.to_string(), "an even number, 2 up to 4096"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let problem = format!("a probability of {}", self.dropout);
            return Err(ConfigError::value("dropout", problem, "0 up to but not including 1"));
        }
        Ok(())
    }
}

impl S4dConfig {
    /// Builds S4D for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(&self, width: usize, device: &Device) -> Result<S4d, ConfigError> {
        self.clone().complete(&Registry::default())?;
        Ok(S4d::new(width, self, device))
    }
}

impl MixerConfig for S4dConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build.device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        for (config, key) in [
            (S4dConfig { state: 3, ..S4dConfig::default() }, "state"),
            (S4dConfig { state: 0, ..S4dConfig::default() }, "state"),
            (S4dConfig { dropout: 1.0, ..S4dConfig::default() }, "dropout"),
        ] {
            let message = config.build(8, &device).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }
}
