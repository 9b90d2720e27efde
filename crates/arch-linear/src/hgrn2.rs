//! HGRN2: a forget gate whose complement is the key.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, Depth, MixerConfig, Registry, Result};
use ansatz_ops::NormConfig;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::LinearMixer;
use crate::check;
use crate::decay::ForgetGate;
use crate::feature_map::{FeatureMap, FeatureMapKind};
use crate::module::Settings;
use crate::projection::{Projection, linear};

/// The mixer of HGRN2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hgrn2Config {
    /// Heads, at least 1, a divisor of the width.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Values of each head's query and forget gate, at least 1. Left out: the width divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub head_key_width: Option<usize>,
    /// Whether later blocks keep at least a learned share of their state that grows along the depth.
    pub lower_bounds: bool,
    /// Tokens that the short convolutions of queries, forget gates and values see, up to 64; 0 for none.
    #[schemars(range(max = 64))]
    pub convolution: usize,
    /// Added to the mean square of the output, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
}

impl Default for Hgrn2Config {
    fn default() -> Self {
        Self { heads: 4, head_key_width: None, lower_bounds: true, convolution: 0, epsilon: 1e-5 }
    }
}

impl Component for Hgrn2Config {
    const KIND: &'static str = "hgrn2";
    const ABOUT: &'static str =
        "HGRN2: a gated recurrence whose state is a matrix; what a gate does not keep is what it takes in";
    const CITATION: &'static str = "Qin et al., HGRN2: Gated Linear RNNs with State Expansion, 2024, \
        arXiv:2404.07904";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check::counts(&[("heads", Some(self.heads)), ("head_key_width", self.head_key_width)])?;
        if self.convolution > 64 {
            return Err(ConfigError::value("convolution", self.convolution.to_string(), "0 up to 64"));
        }
        check::epsilon(self.epsilon)
    }
}

impl Hgrn2Config {
    /// Builds the mixer of a block at `depth` for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or `width` cannot be divided among the heads.
    pub fn build(&self, width: usize, depth: Depth, device: &Device) -> Result<LinearMixer, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let heads = self.heads;
        let value = check::head_width("heads", None, width, heads)?;
        let key = self.head_key_width.unwrap_or(value);
        let project =
            |outputs| Projection::new([width, outputs], false, device).convolved(self.convolution, device);
        let map = || FeatureMap::new(FeatureMapKind::Identity, key, device);
        let blocks = self.lower_bounds.then_some(depth.blocks);
        Ok(LinearMixer {
            query: project(heads * key).activated(true),
            key: None,
            value: project(width),
            query_map: map(),
            key_map: map(),
            decay: None,
            forget: Some(ForgetGate::new(project(heads * key), depth.index, blocks, device)),
            norm: Some(NormConfig::rms(self.epsilon).init(width, device)),
            gate: None,
            output: linear([width, width], false, device),
            settings: Settings {
                heads,
                key_value_heads: heads,
                scaled: true,
                rotary: None,
                unit_sum: [false; 2],
                average: None,
                constant: None,
                joined_norm: true,
            },
        })
    }
}

impl MixerConfig for Hgrn2Config {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build.depth, build.device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hgrn2_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = Hgrn2Config::default;
        let configs =
            [default(), Hgrn2Config { heads: 2, head_key_width: Some(3), convolution: 3, ..default() }];
        for config in configs {
            let build = |width, device: &Device| {
                Ok(BoxedMixer::new(config.build(width, Depth::default(), device)?))
            };
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(ansatz_conformance::Property::Recurrence));
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = Hgrn2Config::default;
        for (config, key) in [
            (Hgrn2Config { heads: 0, ..default() }, "heads"),
            (default(), "heads"),
            (Hgrn2Config { head_key_width: Some(0), ..default() }, "head_key_width"),
            (Hgrn2Config { convolution: 65, ..default() }, "convolution"),
            (Hgrn2Config { epsilon: -1.0, ..default() }, "epsilon"),
        ] {
            let message = config.build(10, Depth::default(), &device).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }
}
