//! The typed config of Mamba.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Mamba;
use crate::parts::{check_epsilon, check_size};

/// Mamba's selective state space with its convolution and gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MambaConfig {
    /// Channels inside, 1 up to 1048576. Left out: twice the width of the tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Numbers that each channel carries on, 1 up to 4096.
    #[schemars(range(min = 1, max = 4096))]
    pub state: usize,
    /// Tokens under the convolution, the last being the token itself, 1 up to 64.
    #[schemars(range(min = 1, max = 64))]
    pub window: usize,
    /// Width of the bottleneck from which the time steps are made, 1 up to 1048576. Left out: a sixteenth of the
    /// width of the tokens, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// Whether the maps into and out of the mixer add a bias.
    pub bias: bool,
    /// Whether the convolution adds a bias.
    pub convolution_bias: bool,
    /// How what is selected by the token (the time step's bottleneck, B and C) is brought to one scale.
    pub selection_norm: SelectionNorm,
    /// Added to the mean square by that norm, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
}

/// How the time step's bottleneck, B and C are brought to one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SelectionNorm {
    /// Not at all, as in Mamba.
    #[default]
    None,
    /// To mean square 1 each, as in Falcon-Mamba (Zuo et al. 2024, arXiv:2410.05355, section 2.2).
    Plain,
    /// To mean square 1 each, then by learned scales, as in Jamba (Lieber et al. 2024, arXiv:2403.19887,
    /// section 6.4).
    Scaled,
}

impl Default for MambaConfig {
    fn default() -> Self {
        Self {
            channels: None,
            state: 16,
            window: 4,
            rank: None,
            bias: false,
            convolution_bias: true,
            selection_norm: SelectionNorm::None,
            epsilon: 1e-6,
        }
    }
}

impl Component for MambaConfig {
    const KIND: &'static str = "mamba";
    const ABOUT: &'static str = "a state-space model whose tokens choose what is kept: linear in the length, a state of constant size";
    const CITATION: &'static str = "Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State \
        Spaces, 2023, arXiv:2312.00752";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check_size("channels", self.channels.unwrap_or(1), 1 << 20)?;
        check_size("state", self.state, 4096)?;
        check_size("window", self.window, 64)?;
        check_size("rank", self.rank.unwrap_or(1), 1 << 20)?;
        check_epsilon(self.epsilon)
    }
}

impl MambaConfig {
    /// Builds Mamba for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(&self, width: usize, device: &Device) -> Result<Mamba, ConfigError> {
        self.clone().complete(&Registry::default())?;
        Ok(Mamba::new(width, self, device))
    }
}

impl MixerConfig for MambaConfig {
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
        let default = MambaConfig::default();
        for (config, key) in [
            (MambaConfig { channels: Some(0), ..default.clone() }, "channels"),
            (MambaConfig { state: 0, ..default.clone() }, "state"),
            (MambaConfig { window: 65, ..default.clone() }, "window"),
            (MambaConfig { rank: Some(0), ..default.clone() }, "rank"),
            (MambaConfig { epsilon: f64::NAN, ..default }, "epsilon"),
        ] {
            let message = config.build(8, &device).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }
}
