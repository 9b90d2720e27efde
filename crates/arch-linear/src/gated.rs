//! Gated linear attention: a decay for each key channel, made from the tokens.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use ansatz_ops::NormConfig;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::LinearMixer;
use crate::check;
use crate::decay::LowRankDecay;
use crate::feature_map::{FeatureMap, FeatureMapKind};
use crate::module::Settings;
use crate::projection::{Projection, linear};

/// Gated linear attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatedLinearAttentionConfig {
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
    /// Values through which the decay is made, at least 1.
    #[schemars(range(min = 1))]
    pub decay_rank: usize,
    /// What log decays are divided by, above 0: the larger, the longer the state lasts.
    pub temperature: f64,
    /// The least log decay, 0 or below. Left out: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 0.0))]
    pub floor: Option<f64>,
    /// Tokens that the short convolutions of queries, keys and values see, up to 64; 0 for none.
    #[schemars(range(max = 64))]
    pub convolution: usize,
    /// Whether the outputs are gated by what the tokens say.
    pub gate: bool,
    /// Added to the mean square of each head's output, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
}

impl Default for GatedLinearAttentionConfig {
    fn default() -> Self {
        Self {
            heads: 4,
            key_value_heads: None,
            head_key_width: None,
            head_value_width: None,
            decay_rank: 16,
            temperature: 16.0,
            floor: None,
            convolution: 0,
            gate: true,
            epsilon: 1e-5,
        }
    }
}

impl Component for GatedLinearAttentionConfig {
    const KIND: &'static str = "gated-linear-attention";
    const ABOUT: &'static str =
        "gated linear attention: each channel of the state is kept as long as the tokens say";
    const CITATION: &'static str = "Yang et al., Gated Linear Attention Transformers with Hardware-Efficient \
        Training, 2023, arXiv:2312.06635";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check::counts(&[
            ("heads", Some(self.heads)),
            ("head_key_width", self.head_key_width),
            ("head_value_width", self.head_value_width),
            ("decay_rank", Some(self.decay_rank)),
        ])?;
        check::key_value_heads(self.key_value_heads, self.heads)?;
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(ConfigError::value("temperature", self.temperature.to_string(), "a number above 0"));
        }
        if let Some(floor) = self.floor.filter(|floor| !(floor.is_finite() && *floor <= 0.0)) {
            return Err(ConfigError::value("floor", floor.to_string(), "a number of 0 or below"));
        }
        if self.convolution > 64 {
            return Err(ConfigError::value("convolution", self.convolution.to_string(), "0 up to 64"));
        }
        check::epsilon(self.epsilon)
    }
}

impl GatedLinearAttentionConfig {
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
        let project = |outputs| {
            let projection = Projection::new([width, outputs], false, device);
            projection.convolved(self.convolution, device).activated(self.convolution > 0)
        };
        let map = || FeatureMap::new(FeatureMapKind::Identity, key, device);
        let decay = [width, self.decay_rank, shared * key];
        Ok(LinearMixer {
            query: project(heads * key),
            key: Some(project(shared * key)),
            value: project(shared * value),
            query_map: map(),
            key_map: map(),
            decay: Some(LowRankDecay::new(decay, self.temperature, self.floor, device)),
            forget: None,
            norm: Some(NormConfig::rms(self.epsilon).init(value, device)),
            gate: self.gate.then(|| linear([width, heads * value], false, device)),
            output: linear([heads * value, width], false, device),
            settings: Settings {
                heads,
                key_value_heads: shared,
                scaled: true,
                rotary: None,
                unit_sum: [false; 2],
                average: None,
                constant: None,
                joined_norm: false,
            },
        })
    }
}

impl MixerConfig for GatedLinearAttentionConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build.device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gated_linear_attention_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = GatedLinearAttentionConfig::default;
        let configs = [
            default(),
            GatedLinearAttentionConfig {
                key_value_heads: Some(2),
                head_key_width: Some(3),
                head_value_width: Some(5),
                temperature: 1.0,
                floor: Some(-1.0),
                convolution: 4,
                gate: false,
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
        let default = GatedLinearAttentionConfig::default;
        for (config, key) in [
            (GatedLinearAttentionConfig { heads: 0, ..default() }, "heads"),
            (default(), "heads"),
            (GatedLinearAttentionConfig { key_value_heads: Some(3), ..default() }, "key_value_heads"),
            (GatedLinearAttentionConfig { decay_rank: 0, ..default() }, "decay_rank"),
            (GatedLinearAttentionConfig { temperature: 0.0, ..default() }, "temperature"),
            (GatedLinearAttentionConfig { floor: Some(0.5), ..default() }, "floor"),
            (GatedLinearAttentionConfig { convolution: 65, ..default() }, "convolution"),
            (GatedLinearAttentionConfig { epsilon: 0.0, ..default() }, "epsilon"),
        ] {
            let message = config.build(10, &device).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }
}
