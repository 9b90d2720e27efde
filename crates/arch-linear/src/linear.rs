//! Linear attention without a decay.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use ansatz_ops::NormConfig;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::LinearMixer;
use crate::check;
use crate::feature_map::{FeatureMap, FeatureMapKind};
use crate::module::Settings;
use crate::projection::{Projection, linear};

/// Linear attention without a decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinearAttentionConfig {
    /// Heads, at least 1. They must divide the width unless the widths of the heads are given.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Key and value heads, each shared by `heads / key_value_heads` query heads: 1 up to `heads`, a divisor of it.
    /// Left out: as many as `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub key_value_heads: Option<usize>,
    /// Values of each head's query and key, at least 1. Left out: the width divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub head_key_width: Option<usize>,
    /// Values of each head's value, at least 1. Left out: the width divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub head_value_width: Option<usize>,
    /// What queries and keys become before they are multiplied.
    pub feature_map: FeatureMapKind,
    /// Whether queries are divided by the square root of their features.
    pub scaled: bool,
    /// Whether each query is divided by the sum of its features; fla's `norm_q`.
    pub unit_queries: bool,
    /// Whether each key is divided by the sum of its features; fla's `norm_k`.
    pub unit_keys: bool,
    /// Added to the sum of a query's products with all keys, by which outputs are divided, so that they are averages
    /// of the values: 0 or more. Left out: outputs are sums.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub average: Option<f64>,
    /// Whether each head's output is brought to one scale.
    pub norm: bool,
    /// Added to the mean square of each head's output, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
    /// Whether the four projections add a bias.
    pub bias: bool,
}

impl Default for LinearAttentionConfig {
    /// As in the fla library, with the feature map of the paper.
    fn default() -> Self {
        Self {
            heads: 4,
            key_value_heads: None,
            head_key_width: None,
            head_value_width: None,
            feature_map: FeatureMapKind::Elu,
            scaled: true,
            unit_queries: false,
            unit_keys: false,
            average: None,
            norm: true,
            epsilon: 1e-5,
            bias: false,
        }
    }
}

impl Component for LinearAttentionConfig {
    const KIND: &'static str = "linear-attention";
    const ABOUT: &'static str = "linear attention: products of positive features in the place of the softmax, kept as one matrix per head";
    const CITATION: &'static str = "Katharopoulos et al., Transformers are RNNs: Fast Autoregressive Transformers \
        with Linear Attention, 2020, arXiv:2006.16236";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check::counts(&[
            ("heads", Some(self.heads)),
            ("head_key_width", self.head_key_width),
            ("head_value_width", self.head_value_width),
        ])?;
        check::key_value_heads(self.key_value_heads, self.heads)?;
        if let Some(epsilon) = self.average.filter(|epsilon| !(epsilon.is_finite() && *epsilon >= 0.0)) {
            return Err(ConfigError::value("average", epsilon.to_string(), "a number of 0 or more"));
        }
        check::epsilon(self.epsilon)
    }
}

impl LinearAttentionConfig {
    /// Builds the mixer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or `width` cannot be divided among the heads.
    pub fn build(&self, width: usize, device: &Device) -> Result<LinearMixer, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let heads = self.heads;
        let shared = check::key_value_heads(self.key_value_heads, heads)?;
        let key = check::head_width("head_key_width", self.head_key_width, width, heads)?;
        let value = check::head_width("head_value_width", self.head_value_width, width, heads)?;
        let project = |outputs| Projection::new([width, outputs], self.bias, device);
        let map = || FeatureMap::new(self.feature_map, key, device);
        Ok(LinearMixer {
            query: project(heads * key),
            key: Some(project(shared * key)),
            value: project(shared * value),
            query_map: map(),
            key_map: map(),
            decay: None,
            forget: None,
            norm: self.norm.then(|| NormConfig::rms(self.epsilon).init(value, device)),
            gate: None,
            output: linear([heads * value, width], self.bias, device),
            settings: Settings {
                heads,
                key_value_heads: shared,
                scaled: self.scaled,
                rotary: None,
                unit_sum: [self.unit_queries, self.unit_keys],
                average: self.average,
                constant: None,
                joined_norm: false,
            },
        })
    }
}

impl MixerConfig for LinearAttentionConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build.device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_attention_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = LinearAttentionConfig::default;
        let configs = [
            default(),
            LinearAttentionConfig {
                average: Some(1e-6),
                scaled: false,
                norm: false,
                bias: true,
                ..default()
            },
            LinearAttentionConfig {
                key_value_heads: Some(2),
                head_key_width: Some(3),
                head_value_width: Some(5),
                feature_map: FeatureMapKind::Hedgehog,
                unit_queries: true,
                unit_keys: true,
                ..default()
            },
        ];
        for config in configs {
            let build = |width, device: &Device| Ok(BoxedMixer::new(config.build(width, device)?));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(ansatz_conformance::Property::Recurrence));
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = LinearAttentionConfig::default;
        for (config, key) in [
            (LinearAttentionConfig { heads: 0, ..default() }, "heads"),
            (default(), "heads"),
            (LinearAttentionConfig { key_value_heads: Some(3), ..default() }, "key_value_heads"),
            (LinearAttentionConfig { head_key_width: Some(0), ..default() }, "head_key_width"),
            (LinearAttentionConfig { average: Some(-1.0), ..default() }, "average"),
            (LinearAttentionConfig { epsilon: 0.0, ..default() }, "epsilon"),
        ] {
            let message = config.build(10, &device).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }
}
