//! Gated DeltaNet: each head forgets a share of all it holds.

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

/// A memory of keys and values that each token corrects, and of which every head forgets a share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatedDeltaNetConfig {
    /// Heads of queries and keys, 1 up to 65536. They must divide the width unless `head_width` is given.
    #[schemars(range(min = 1, max = 65536))]
    pub heads: usize,
    /// Heads of values, each with a memory of its own: a multiple of `heads`. Left out: as many as `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_heads: Option<usize>,
    /// Values per query and key, at least 1. Left out: the width divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_width: Option<usize>,
    /// Values per value, at least 1. Left out: twice the values per key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_head_width: Option<usize>,
    /// Whether a correction may overshoot up to twice, which gives the state negative eigenvalues (Grazzi et al.
    /// 2024, arXiv:2411.12537).
    pub negative_eigenvalues: bool,
    /// Whether the outputs are multiplied by a gate.
    pub gate: bool,
    /// The function of the gate.
    pub gate_activation: GateActivation,
    /// Tokens that the convolutions see, up to 65536; 0 for none.
    #[schemars(range(max = 65536))]
    pub convolution: usize,
    /// Whether the convolutions add a bias.
    pub convolution_bias: bool,
    /// Added to the mean square of the outputs, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
}

impl Default for GatedDeltaNetConfig {
    fn default() -> Self {
        Self {
            heads: 4,
            value_heads: None,
            head_width: None,
            value_head_width: None,
            negative_eigenvalues: false,
            gate: true,
            gate_activation: GateActivation::Silu,
            convolution: 4,
            convolution_bias: false,
            epsilon: 1e-5,
        }
    }
}

impl Component for GatedDeltaNetConfig {
    const KIND: &'static str = "gated-delta-net";
    const ABOUT: &'static str =
        "the delta rule with forgetting: a matrix of memory per head that decays and is corrected";
    const CITATION: &'static str =
        "Yang et al., Gated Delta Networks: Improving Mamba2 with Delta Rule, 2024, arXiv:2412.06464";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check::value_heads(self.heads, self.value_heads)?;
        for (key, width) in [("head_width", self.head_width), ("value_head_width", self.value_head_width)] {
            check::size(key, width.unwrap_or(1), 1, check::MOST)?;
        }
        check::size("convolution", self.convolution, 0, check::MOST)?;
        check::epsilon(self.epsilon)
    }
}

impl GatedDeltaNetConfig {
    /// Builds the mixer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or the heads do not divide the width.
    pub fn build(&self, width: usize, device: &Device) -> Result<DeltaMixer, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let value_heads = check::value_heads(self.heads, self.value_heads)?;
        let key = check::head_width(self.head_width, width, self.heads)?;
        let value = self.value_head_width.unwrap_or(2 * key);
        let (keys, values) = (self.heads * key, value_heads * value);
        let project =
            |outputs| Projection::new([width, outputs], self.convolution, self.convolution_bias, device);
        let map = LowRank::new([width, value_heads], None, false, device);
        Ok(DeltaMixer {
            query: project(keys),
            key: project(keys),
            value: project(values),
            strength: Some(linear(width, value_heads, device)),
            forgetting: Some(Forgetting::new(map, [value_heads, 1], None, device)),
            gate: self.gate.then(|| LowRank::new([width, values], None, false, device)),
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
                gate_activation: self.gate_activation,
            },
        })
    }
}

impl MixerConfig for GatedDeltaNetConfig {
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
        let grouped = GatedDeltaNetConfig {
            heads: 2,
            value_heads: Some(4),
            head_width: Some(3),
            value_head_width: Some(5),
            negative_eigenvalues: true,
            gate_activation: GateActivation::Sigmoid,
            convolution: 2,
            convolution_bias: true,
            ..GatedDeltaNetConfig::default()
        };
        let bare = GatedDeltaNetConfig { gate: false, convolution: 0, ..GatedDeltaNetConfig::default() };
        for config in [GatedDeltaNetConfig::default(), grouped, bare] {
            let build = |width, device: &Device| Ok(BoxedMixer::new(config.build(width, device)?));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            checked.unwrap_or_else(|failure| panic!("{failure}"));
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let problem = |config: GatedDeltaNetConfig| config.build(8, &device).unwrap_err().to_string();
        let default = GatedDeltaNetConfig::default();
        assert!(
            problem(GatedDeltaNetConfig { heads: 3, ..default.clone() }).contains("3 heads do not divide")
        );
        let heads = GatedDeltaNetConfig { value_heads: Some(6), ..default.clone() };
        assert!(problem(heads).contains("`value_heads`: 6 value heads for 4 key heads"));
        let width = GatedDeltaNetConfig { value_head_width: Some(0), ..default.clone() };
        assert!(problem(width).contains("`value_head_width`"));
        assert!(problem(GatedDeltaNetConfig { epsilon: f64::NAN, ..default }).contains("`epsilon`"));
    }
}
