//! Kimi Delta Attention: each key channel forgets a share of its own.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use ansatz_ops::NormConfig;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check;
use crate::forgetting::Forgetting;
use crate::low_rank::{LowRank, linear};
use crate::mixer::{DeltaMixer, Plan};
use crate::projection::Projection;
use crate::vectors::{GateActivation, KeyActivation, KeyNorm};

/// A memory of keys and values that each token corrects, and of which every key channel forgets a share of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KimiDeltaAttentionConfig {
    /// Heads of queries and keys, 1 up to 65536. They must divide the width unless `head_width` is given.
    #[schemars(range(min = 1, max = 65536))]
    pub heads: usize,
    /// Heads of values, each with a memory of its own: a multiple of `heads`. Left out: as many as `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_heads: Option<usize>,
    /// Values per query and key, at least 1. Left out: the width divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_width: Option<usize>,
    /// Values per value, at least 1. Left out: as many as per key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_head_width: Option<usize>,
    /// Values between the two maps of the gate and of what is forgotten, at least 1. Left out: as many as per value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// Whether the gate adds a bias.
    pub gate_bias: bool,
    /// The least logarithm of what is kept from one token to the next, below 0; left out: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower_bound: Option<f64>,
    /// Whether a correction may overshoot up to twice, which gives the state negative eigenvalues (Grazzi et al.
    /// 2024, arXiv:2411.12537).
    pub negative_eigenvalues: bool,
    /// Tokens that the convolutions see, up to 65536; 0 for none.
    #[schemars(range(max = 65536))]
    pub convolution: usize,
    /// Whether the convolutions add a bias.
    pub convolution_bias: bool,
    /// Added to the mean square of the outputs, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
}

impl Default for KimiDeltaAttentionConfig {
    fn default() -> Self {
        Self {
            heads: 4,
            value_heads: None,
            head_width: None,
            value_head_width: None,
            rank: None,
            gate_bias: false,
            lower_bound: None,
            negative_eigenvalues: false,
            convolution: 4,
            convolution_bias: false,
            epsilon: 1e-5,
        }
    }
}

impl Component for KimiDeltaAttentionConfig {
    const KIND: &'static str = "kimi-delta-attention";
    const ABOUT: &'static str = "the delta rule with forgetting for each channel of the keys";
    const CITATION: &'static str =
        "Kimi Team, Kimi Linear: An Expressive, Efficient Attention Architecture, 2025, arXiv:2510.26692";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check::value_heads(self.heads, self.value_heads)?;
        for (key, width) in [
            ("head_width", self.head_width),
            ("value_head_width", self.value_head_width),
            ("rank", self.rank),
        ] {
            check::size(key, width.unwrap_or(1), 1, check::MOST)?;
        }
        if let Some(bound) = self.lower_bound
            && !(bound.is_finite() && bound < 0.0)
        {
            return Err(ConfigError::value("lower_bound", bound.to_string(), "a number below 0"));
        }
        check::size("convolution", self.convolution, 0, check::MOST)?;
        check::epsilon(self.epsilon)
    }
}

impl KimiDeltaAttentionConfig {
    /// Builds the mixer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or the heads do not divide the width.
    pub fn build(&self, width: usize, device: &Device) -> Result<DeltaMixer, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let value_heads = check::value_heads(self.heads, self.value_heads)?;
        let key = check::head_width(self.head_width, width, self.heads)?;
        let value = self.value_head_width.unwrap_or(key);
        let rank = Some(self.rank.unwrap_or(value));
        let (keys, values) = (self.heads * key, value_heads * value);
        let project =
            |outputs| Projection::new([width, outputs], self.convolution, self.convolution_bias, device);
        let map = LowRank::new([width, value_heads * key], rank, false, device);
        Ok(DeltaMixer {
            query: project(keys),
            key: project(keys),
            value: project(values),
            strength: Some(linear(width, value_heads, device)),
            forgetting: Some(Forgetting::new(map, [value_heads, key], self.lower_bound, device)),
            gate: Some(LowRank::new([width, values], rank, self.gate_bias, device)),
            norm: NormConfig::rms(self.epsilon).init(value, device),
            output: linear(values, width, device),
            plan: Plan {
                heads: self.heads,
                value_heads,
                key,
                value,
                key_activation: KeyActivation::Silu,
                key_norm: KeyNorm::L2,
                strongest: if self.negative_eigenvalues { 2.0 } else { 1.0 },
                gate_activation: GateActivation::Sigmoid,
            },
        })
    }
}

impl MixerConfig for KimiDeltaAttentionConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build.device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixer_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let grouped = KimiDeltaAttentionConfig {
            heads: 1,
            value_heads: Some(2),
            head_width: Some(3),
            value_head_width: Some(4),
            rank: Some(2),
            gate_bias: true,
            lower_bound: Some(-5.0),
            negative_eigenvalues: true,
            convolution: 2,
            ..KimiDeltaAttentionConfig::default()
        };
        for config in [KimiDeltaAttentionConfig::default(), grouped] {
            let build = |width, device: &Device| Ok(BoxedMixer::new(config.build(width, device)?));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            checked.unwrap_or_else(|failure| panic!("{failure}"));
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let problem = |config: KimiDeltaAttentionConfig| config.build(8, &device).unwrap_err().to_string();
        let default = KimiDeltaAttentionConfig::default();
        assert!(problem(KimiDeltaAttentionConfig { rank: Some(0), ..default.clone() }).contains("`rank`"));
        let bound = KimiDeltaAttentionConfig { lower_bound: Some(1.0), ..default };
        assert!(problem(bound).contains("`lower_bound`"));
    }
}
