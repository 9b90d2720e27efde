//! DeltaNet: nothing is forgotten but what is corrected.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use ansatz_ops::NormConfig;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check;
use crate::low_rank::{LowRank, linear};
use crate::mixer::{DeltaMixer, Plan};
use crate::projection::Projection;
use crate::vectors::{GateActivation, KeyActivation, KeyNorm};

/// A memory of keys and values that each token corrects, and that forgets nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeltaNetConfig {
    /// Heads, 1 up to 65536: a divisor of the values of all keys, and of all values.
    #[schemars(range(min = 1, max = 65536))]
    pub heads: usize,
    /// Values of all keys together as a multiple of the width, above 0 up to 64; the product is rounded.
    #[schemars(range(max = 64.0))]
    pub key_expansion: f64,
    /// Values of all values together as a multiple of the width, above 0 up to 64; the product is rounded.
    #[schemars(range(max = 64.0))]
    pub value_expansion: f64,
    /// The function of queries and keys.
    pub key_activation: KeyActivation,
    /// How queries and keys are brought to one length.
    pub key_norm: KeyNorm,
    /// Whether each token says how strongly it corrects; else all do so wholly.
    pub strength: bool,
    /// Whether a correction may overshoot up to twice, which gives the state negative eigenvalues (Grazzi et al.
    /// 2024, arXiv:2411.12537).
    pub negative_eigenvalues: bool,
    /// Whether the outputs are multiplied by a gate.
    pub gate: bool,
    /// Tokens that the convolutions see, up to 65536; 0 for none.
    #[schemars(range(max = 65536))]
    pub convolution: usize,
    /// Whether the convolutions add a bias.
    pub convolution_bias: bool,
    /// Added to the mean square of the outputs, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
}

impl Default for DeltaNetConfig {
    fn default() -> Self {
        Self {
            heads: 4,
            key_expansion: 1.0,
            value_expansion: 1.0,
            key_activation: KeyActivation::Silu,
            key_norm: KeyNorm::L2,
            strength: true,
            negative_eigenvalues: false,
            gate: false,
            convolution: 4,
            convolution_bias: false,
            epsilon: 1e-5,
        }
    }
}

impl Component for DeltaNetConfig {
    const KIND: &'static str = "delta-net";
    const ABOUT: &'static str =
        "a matrix of memory per head, which each token corrects where it answers wrongly";
    const CITATION: &'static str = "Schlag et al., Linear Transformers Are Secretly Fast Weight Programmers, 2021, \
        arXiv:2102.11174; Yang et al., Parallelizing Linear Transformers with the Delta Rule over Sequence Length, \
        2024, arXiv:2406.06484";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check::size("heads", self.heads, 1, check::MOST)?;
        check::size("convolution", self.convolution, 0, check::MOST)?;
        for (key, expansion) in
            [("key_expansion", self.key_expansion), ("value_expansion", self.value_expansion)]
        {
            if !(expansion > 0.0 && expansion <= 64.0) {
                return Err(ConfigError::value(key, expansion.to_string(), "above 0 up to 64"));
            }
        }
        check::epsilon(self.epsilon)
    }
}

impl DeltaNetConfig {
    /// Builds the mixer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or the heads do not divide the values.
    pub fn build(&self, width: usize, device: &Device) -> Result<DeltaMixer, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let share = |key: &str, expansion: f64| {
            let all = (width as f64 * expansion).round() as usize;
            if all > 0 && all.is_multiple_of(self.heads) {
                return Ok(all / self.heads);
            }
            let problem =
                format!("{} heads do not divide {all} values, {expansion} times {width}", self.heads);
            Err(ConfigError::value(key, problem, "values that can be divided among the heads"))
        };
        let key = share("key_expansion", self.key_expansion)?;
        let value = share("value_expansion", self.value_expansion)?;
        let (keys, values) = (self.heads * key, self.heads * value);
        let project =
            |outputs| Projection::new([width, outputs], self.convolution, self.convolution_bias, device);
        Ok(DeltaMixer {
            query: project(keys),
            key: project(keys),
            value: project(values),
            strength: self.strength.then(|| linear(width, self.heads, device)),
            forgetting: None,
            gate: self.gate.then(|| LowRank::new([width, values], None, false, device)),
            norm: NormConfig::rms(self.epsilon).init(value, device),
            output: linear(values, width, device),
            plan: Plan {
                heads: self.heads,
                value_heads: self.heads,
                key,
                value,
                key_activation: self.key_activation,
                key_norm: self.key_norm,
                strongest: if self.negative_eigenvalues { 2.0 } else { 1.0 },
                gate_activation: GateActivation::Silu,
            },
        })
    }
}

impl MixerConfig for DeltaNetConfig {
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
        let bare = DeltaNetConfig {
            heads: 2,
            key_activation: KeyActivation::Elu,
            key_norm: KeyNorm::Sum,
            value_expansion: 2.0,
            strength: false,
            convolution: 0,
            ..DeltaNetConfig::default()
        };
        let full = DeltaNetConfig {
            negative_eigenvalues: true,
            gate: true,
            convolution: 3,
            convolution_bias: true,
            ..DeltaNetConfig::default()
        };
        for config in [DeltaNetConfig::default(), bare, full] {
            let build = |width, device: &Device| Ok(BoxedMixer::new(config.build(width, device)?));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            checked.unwrap_or_else(|failure| panic!("{failure}"));
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        let device = ansatz_device::open("cpu").unwrap();
        let problem = |config: DeltaNetConfig| config.build(8, &device).unwrap_err().to_string();
        let default = DeltaNetConfig::default();
        assert!(problem(DeltaNetConfig { heads: 0, ..default.clone() }).contains("`heads`"));
        assert!(problem(DeltaNetConfig { heads: 3, ..default.clone() }).contains("`key_expansion`: 3 heads"));
        assert!(
            problem(DeltaNetConfig { value_expansion: 0.0, ..default.clone() }).contains("`value_expansion`")
        );
        assert!(problem(DeltaNetConfig { convolution: 70000, ..default.clone() }).contains("`convolution`"));
        assert!(problem(DeltaNetConfig { epsilon: 0.0, ..default }).contains("`epsilon`"));
    }
}
