//! The typed config of latent attention.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use ansatz_ops::{Linear, LinearConfig, NormConfig};
use burn::nn::DropoutConfig;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LatentAttention;
use super::module::Widths;

/// Softmax attention whose keys and values come from one narrow latent vector per token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LatentAttentionConfig {
    /// Heads, 1 up to 65536. They must divide the width unless `key_width` and `value_width` are given.
    #[schemars(range(min = 1, max = 65536))]
    pub heads: usize,
    /// Values of the latent vector that keys and values come from, at least 1. Left out: half the width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latent: Option<usize>,
    /// Values of the latent vector that queries come from, at least 1. Left out: queries come from the tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_latent: Option<usize>,
    /// Values of a key that each head has for itself, at least 1. Left out: the width divided by the heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_width: Option<usize>,
    /// Values of a key that all heads share, at least 1. Left out: half of `key_width`, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_key_width: Option<usize>,
    /// Values of a value, at least 1. Left out: the width divided by the heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_width: Option<usize>,
    /// Whether a token sees only itself and those before it, which gives attention a recurrent form.
    pub causal: bool,
    /// Whether the maps to the latent vectors and the output add a bias.
    pub bias: bool,
    /// Added to the mean square of a latent vector, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
    /// Probability with which each attention weight is dropped while training, 0 up to but not including 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub dropout: f64,
}

impl Default for LatentAttentionConfig {
    fn default() -> Self {
        Self {
            heads: 4,
            latent: None,
            query_latent: None,
            key_width: None,
            shared_key_width: None,
            value_width: None,
            causal: false,
            bias: false,
            epsilon: 1e-6,
            dropout: 0.0,
        }
    }
}

impl Component for LatentAttentionConfig {
    const KIND: &'static str = "latent-attention";
    const ABOUT: &'static str =
        "softmax attention that keeps one narrow vector per token for all heads; causal on demand";
    const CITATION: &'static str = "DeepSeek-AI, DeepSeek-V2: A Strong, Economical, and Efficient \
        Mixture-of-Experts Language Model, 2024, arXiv:2405.04434, section 2.1";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        let sizes = [
            ("heads", Some(self.heads)),
            ("latent", self.latent),
            ("query_latent", self.query_latent),
            ("key_width", self.key_width),
            ("shared_key_width", self.shared_key_width),
            ("value_width", self.value_width),
        ];
        for (key, size) in sizes {
            if size.is_some_and(|size| !(1..=65536).contains(&size)) {
                let size = size.unwrap_or_default();
                return Err(ConfigError::value(key, size.to_string(), "1 up to 65536"));
            }
        }
        if !(self.epsilon > 0.0 && self.epsilon <= 1.0) {
            return Err(ConfigError::value("epsilon", self.epsilon.to_string(), "above 0 up to 1"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let problem = format!("a probability of {}", self.dropout);
            return Err(ConfigError::value("dropout", problem, "0 up to but not including 1"));
        }
        Ok(())
    }
}

impl LatentAttentionConfig {
    /// How the vectors are split, for tokens of `width` values.
    fn widths(&self, width: usize) -> Result<Widths, ConfigError> {
        let share = |key: &str, given: Option<usize>| match given {
            Some(given) => Ok(given),
            None if width > 0 && width.is_multiple_of(self.heads) => Ok(width / self.heads),
            None => Err(ConfigError::value(
                "heads",
                format!("{} heads do not divide a width of {width}", self.heads),
                format!("a divisor of {width}, or `{key}`"),
            )),
        };
        let key = share("key_width", self.key_width)?;
        Ok(Widths {
            heads: self.heads,
            key,
            shared: self.shared_key_width.unwrap_or_else(|| key.div_ceil(2)),
            value: share("value_width", self.value_width)?,
        })
    }

    /// Builds attention for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or `width` cannot be divided among the heads.
    pub fn build(&self, width: usize, device: &Device) -> Result<LatentAttention, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let widths = self.widths(width)?;
        let latent = self.latent.unwrap_or_else(|| width.div_ceil(2));
        let linear = |inputs: usize, outputs: usize, bias: bool| -> Linear {
            LinearConfig::new(inputs, outputs).with_bias(bias).init(device)
        };
        let norm = NormConfig::rms(self.epsilon);
        let queries = widths.heads * (widths.key + widths.shared);
        Ok(LatentAttention {
            query_latent: self.query_latent.map(|latent| linear(width, latent, self.bias)),
            query_norm: self.query_latent.map(|latent| norm.init(latent, device)),
            query: linear(self.query_latent.unwrap_or(width), queries, false),
            latent: linear(width, latent, self.bias),
            latent_norm: norm.init(latent, device),
            shared_key: linear(width, widths.shared, self.bias),
            key: linear(latent, widths.heads * widths.key, false),
            value: linear(latent, widths.heads * widths.value, false),
            output: linear(widths.heads * widths.value, width, self.bias),
            dropout: DropoutConfig::new(self.dropout).init(),
            widths,
            causal: self.causal,
        })
    }
}

impl MixerConfig for LatentAttentionConfig {
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
        let problem = |config: LatentAttentionConfig| config.build(10, &device).unwrap_err().to_string();
        let default = LatentAttentionConfig::default();
        assert!(problem(LatentAttentionConfig { heads: 0, ..default.clone() }).contains("`heads`"));
        assert!(problem(default.clone()).contains("4 heads do not divide a width of 10"));
        assert!(problem(LatentAttentionConfig { latent: Some(0), ..default.clone() }).contains("`latent`"));
        assert!(problem(LatentAttentionConfig { epsilon: 0.0, ..default.clone() }).contains("`epsilon`"));
        assert!(problem(LatentAttentionConfig { dropout: 1.0, ..default.clone() }).contains("`dropout`"));
        let free = LatentAttentionConfig { key_width: Some(3), value_width: Some(2), ..default };
        assert!(free.build(10, &device).is_ok());
    }
}
