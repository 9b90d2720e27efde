//! Retention: decays that are constants of the heads.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use ansatz_ops::{NormConfig, RotaryConfig};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::LinearMixer;
use crate::check;
use crate::feature_map::{FeatureMap, FeatureMapKind};
use crate::module::Settings;
use crate::projection::{Projection, linear};

/// Multi-scale retention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Heads, at least 1. They must divide the width unless the widths of the heads are given.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Key and value heads, each shared by `heads / key_value_heads` query heads: 1 up to `heads`, a divisor of it.
    /// Left out: as many as `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub key_value_heads: Option<usize>,
    /// Values of each head's query and key, an even number of at least 2. Left out: the width divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2))]
    pub head_key_width: Option<usize>,
    /// Values of each head's value, at least 1. Left out: the width divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub head_value_width: Option<usize>,
    /// Tokens that the short convolutions of queries, keys and values see, up to 64; 0 for none.
    #[schemars(range(max = 64))]
    pub convolution: usize,
    /// Whether the outputs are gated by what the tokens say.
    pub gate: bool,
    /// Added to the mean square of each head's output, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            heads: 2,
            key_value_heads: None,
            head_key_width: None,
            head_value_width: None,
            convolution: 0,
            gate: true,
            epsilon: 1e-5,
        }
    }
}

impl Component for RetentionConfig {
    const KIND: &'static str = "retention";
    const ABOUT: &'static str = "retention: linear attention that forgets at a rate of its own in each head";
    const CITATION: &'static str = "Sun et al., Retentive Network: A Successor to Transformer for Large Language \
        Models, 2023, arXiv:2307.08621";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check::counts(&[("heads", Some(self.heads)), ("head_value_width", self.head_value_width)])?;
        check::key_value_heads(self.key_value_heads, self.heads)?;
        if let Some(odd) = self.head_key_width.filter(|key| *key == 0 || !key.is_multiple_of(2)) {
            return Err(ConfigError::value(
                "head_key_width",
                odd.to_string(),
                "an even number of at least 2",
            ));
        }
        if self.convolution > 64 {
            return Err(ConfigError::value("convolution", self.convolution.to_string(), "0 up to 64"));
        }
        check::epsilon(self.epsilon)
    }
}

/// `log γ` of each head: `γ_h = 1 − 2^(−5 − h)` (equation 8).
fn decays(heads: usize) -> Vec<f64> {
    (0..heads).map(|head| (-(-5.0 - head as f64).exp2()).ln_1p()).collect()
}

impl RetentionConfig {
    /// Builds the mixer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or `width` cannot be divided among the heads in even numbers.
    pub fn build(&self, width: usize, device: &Device) -> Result<LinearMixer, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let heads = self.heads;
        let shared = check::key_value_heads(self.key_value_heads, heads)?;
        let key = check::head_width("head_key_width", self.head_key_width, width, heads)?;
        let value = check::head_width("head_value_width", self.head_value_width, width, heads)?;
        if !key.is_multiple_of(2) {
            let problem = format!("{heads} heads of {key} values, which do not come in pairs");
            let expected = "heads of an even width, since positions turn pairs of values";
            return Err(ConfigError::value("heads", problem, expected));
        }
        let rotary = RotaryConfig::default().init(key);
        let rotary =
            rotary.map_err(|(_, problem, expected)| ConfigError::value("heads", problem, expected))?;
        let project = |outputs| {
            let projection = Projection::new([width, outputs], false, device);
            projection.convolved(self.convolution, device).activated(self.convolution > 0)
        };
        let map = || FeatureMap::new(FeatureMapKind::Identity, key, device);
        Ok(LinearMixer {
            query: project(heads * key),
            key: Some(project(shared * key)),
            value: project(shared * value),
            query_map: map(),
            key_map: map(),
            decay: None,
            forget: None,
            norm: Some(NormConfig::rms(self.epsilon).init(value, device)),
            gate: self.gate.then(|| linear([width, heads * value], false, device)),
            output: linear([heads * value, width], false, device),
            settings: Settings {
                heads,
                key_value_heads: shared,
                scaled: true,
                rotary: Some(rotary),
                unit_sum: [false; 2],
                average: None,
                constant: Some(decays(heads)),
                joined_norm: false,
            },
        })
    }
}

impl MixerConfig for RetentionConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build.device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = RetentionConfig::default;
        let configs = [
            default(),
            RetentionConfig {
                heads: 4,
                key_value_heads: Some(2),
                head_key_width: Some(6),
                head_value_width: Some(3),
                convolution: 3,
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
        let default = RetentionConfig::default;
        for (config, key) in [
            (RetentionConfig { heads: 0, ..default() }, "heads"),
            // Heads of five values, which do not come in pairs.
            (default(), "heads"),
            (RetentionConfig { key_value_heads: Some(3), ..default() }, "key_value_heads"),
            (RetentionConfig { head_key_width: Some(3), ..default() }, "head_key_width"),
            (RetentionConfig { convolution: 65, ..default() }, "convolution"),
            (RetentionConfig { epsilon: 2.0, ..default() }, "epsilon"),
        ] {
            let message = config.build(10, &device).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }
}
