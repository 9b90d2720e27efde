//! The typed config of Griffin's recurrent block.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RgLru;

/// Griffin's recurrent block around the real-gated linear recurrent unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RgLruConfig {
    /// Values of the state, a multiple of `heads`. Left out: the width of the tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<usize>,
    /// Blocks on the diagonal of the gates' matrices, at least 1: a gate sees the values of its own block.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Tokens that the convolution in front of the recurrence sees, 1 up to 64.
    #[schemars(range(min = 1, max = 64))]
    pub convolution: usize,
}

impl Default for RgLruConfig {
    fn default() -> Self {
        Self { inner: None, heads: 4, convolution: 4 }
    }
}

impl Component for RgLruConfig {
    const KIND: &'static str = "rg-lru";
    const ABOUT: &'static str =
        "Griffin's recurrent block: a convolution and a linear recurrence under two gates";
    const CITATION: &'static str = "De et al., Griffin: Mixing Gated Linear Recurrences with Local Attention for \
        Efficient Language Models, 2024, arXiv:2402.19427";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.heads == 0 {
            return Err(ConfigError::value("heads", "0 heads", "at least 1"));
        }
        if !(1..=64).contains(&self.convolution) {
            return Err(ConfigError::value("convolution", self.convolution.to_string(), "1 up to 64"));
        }
        match self.inner {
            Some(inner) => self.check_inner("inner", inner),
            None => Ok(()),
        }
    }
}

impl RgLruConfig {
    fn check_inner(&self, key: &str, inner: usize) -> Result<(), ConfigError> {
        if inner > 0 && inner.is_multiple_of(self.heads) {
            return Ok(());
        }
        let problem = format!("{} heads do not divide a state of {inner} values", self.heads);
        Err(ConfigError::value(key, problem, format!("`inner` as a multiple of {}", self.heads)))
    }

    /// Builds the block for tokens of `width` values, in a network of `build.depth.blocks` blocks.
    ///
    /// # Errors
    /// When a value is out of range, or the heads do not divide the state.
    pub fn build(&self, width: usize, build: &Build) -> Result<RgLru, ConfigError> {
        self.clone().complete(build.registry)?;
        let inner = self.inner.unwrap_or(width);
        self.check_inner("heads", inner)?;
        Ok(RgLru::new([width, inner], self, build))
    }
}

impl MixerConfig for RgLruConfig {
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
        let default = RgLruConfig::default();
        for (config, named) in [
            (RgLruConfig { heads: 0, ..default.clone() }, "`heads`: 0 heads"),
            (
                RgLruConfig { heads: 3, ..default.clone() },
                "`heads`: 3 heads do not divide a state of 8 values",
            ),
            (
                RgLruConfig { inner: Some(6), ..default.clone() },
                "`inner`: 4 heads do not divide a state of 6",
            ),
            (RgLruConfig { convolution: 0, ..default }, "`convolution`: 0"),
        ] {
            let message = config.build(8, &Build::new(&registry, &device)).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
