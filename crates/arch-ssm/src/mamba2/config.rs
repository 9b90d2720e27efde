//! The typed config of Mamba-2.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::Sizes;
use crate::Mamba2;
use crate::parts::{check_epsilon, check_size};

/// Mamba-2's state space with its convolution and gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mamba2Config {
    /// Channels inside, 1 up to 1048576, a multiple of `heads`. Left out: twice the width of the tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Heads, each with one decay, 1 up to 65536.
    #[schemars(range(min = 1, max = 65536))]
    pub heads: usize,
    /// Groups of neighbouring heads that share B and C, a divisor of `heads`.
    #[schemars(range(min = 1, max = 65536))]
    pub groups: usize,
    /// Numbers that each channel carries on, 1 up to 4096.
    #[schemars(range(min = 1, max = 4096))]
    pub state: usize,
    /// Tokens under the convolution, the last being the token itself, 1 up to 64.
    #[schemars(range(min = 1, max = 64))]
    pub window: usize,
    /// Whether the maps into and out of the mixer add a bias.
    pub bias: bool,
    /// Whether the convolution adds a bias.
    pub convolution_bias: bool,
    /// The shortest time step, 0 or more.
    #[schemars(range(min = 0.0))]
    pub shortest_step: f64,
    /// The longest time step, not below `shortest_step`. Left out: none is too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_step: Option<f64>,
    /// How the outputs are gated and brought to one scale, the channels of each group by themselves.
    pub gating: Gating,
    /// Added to the mean square by that norm, above 0 up to 1.
    #[schemars(range(max = 1.0))]
    pub epsilon: f64,
    /// Factors of what the tokens are mapped to.
    pub scales: PartScales,
}

/// How the outputs y are gated by z and brought to one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Gating {
    /// `norm(y ⊙ silu(z))`, as in Mamba-2.
    #[default]
    NormBehind,
    /// `norm(y) ⊙ silu(z)`.
    NormBefore,
    /// `y ⊙ silu(z)`, as in Mamba.
    Plain,
}

/// Factors of the parts that the tokens are mapped to, before the convolution: Falcon-H1 trains with others than
/// 1 (Zuo et al. 2025, arXiv:2507.22448, section 3.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PartScales {
    /// Of the gate z.
    pub gate: f64,
    /// Of x.
    pub x: f64,
    /// Of B.
    pub input: f64,
    /// Of C.
    pub output: f64,
    /// Of the time steps, before their bias is added.
    pub step: f64,
}

impl Default for PartScales {
    fn default() -> Self {
        Self { gate: 1.0, x: 1.0, input: 1.0, output: 1.0, step: 1.0 }
    }
}

impl Default for Mamba2Config {
    fn default() -> Self {
        Self {
            channels: None,
            heads: 4,
            groups: 1,
            state: 64,
            window: 4,
            bias: false,
            convolution_bias: true,
            shortest_step: 0.0,
            longest_step: None,
            gating: Gating::NormBehind,
            epsilon: 1e-5,
            scales: PartScales::default(),
        }
    }
}

impl Component for Mamba2Config {
    const KIND: &'static str = "mamba-2";
    const ABOUT: &'static str = "a state-space model with one decay for each head, by matrix products: linear in the length, a large state";
    const CITATION: &'static str = "Dao and Gu, Transformers are SSMs: Generalized Models and Efficient \
        Algorithms Through Structured State Space Duality, 2024, arXiv:2405.21060";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check_size("channels", self.channels.unwrap_or(1), 1 << 20)?;
        check_size("heads", self.heads, 1 << 16)?;
        check_size("groups", self.groups, self.heads)?;
        if !self.heads.is_multiple_of(self.groups) {
            let problem = format!("{} groups of {} heads", self.groups, self.heads);
            return Err(ConfigError::value("groups", problem, format!("a divisor of {}", self.heads)));
        }
        check_size("state", self.state, 4096)?;
        check_size("window", self.window, 64)?;
        check_epsilon(self.epsilon)?;
        if !(self.shortest_step.is_finite() && self.shortest_step >= 0.0) {
            return Err(ConfigError::value("shortest_step", self.shortest_step.to_string(), "0 or more"));
        }
        if let Some(longest) = self.longest_step
            && !(longest.is_finite() && longest >= self.shortest_step)
        {
            let expected = format!("{} or more", self.shortest_step);
            return Err(ConfigError::value("longest_step", longest.to_string(), expected));
        }
        let PartScales { gate, x, input, output, step } = self.scales;
        let scales = [("gate", gate), ("x", x), ("input", input), ("output", output), ("step", step)];
        match scales.into_iter().find(|(_, scale)| !scale.is_finite()) {
            Some((key, scale)) => {
                Err(ConfigError::value(format!("scales.{key}"), scale.to_string(), "a finite number"))
            }
            None => Ok(()),
        }
    }
}

impl Mamba2Config {
    /// Builds Mamba-2 for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or the heads do not divide the channels.
    pub fn build(&self, width: usize, device: &Device) -> Result<Mamba2, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let channels = self.channels.unwrap_or(2 * width);
        if channels == 0 || !channels.is_multiple_of(self.heads) {
            let problem = format!("{} heads do not divide {channels} channels", self.heads);
            return Err(ConfigError::value("heads", problem, format!("a divisor of {channels}")));
        }
        let sizes = Sizes { channels, heads: self.heads, groups: self.groups, state: self.state };
        Ok(Mamba2::new(width, sizes, self, device))
    }
}

impl MixerConfig for Mamba2Config {
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
        let default = Mamba2Config::default();
        let scales = PartScales { x: f64::NAN, ..PartScales::default() };
        for (config, key) in [
            (Mamba2Config { heads: 3, ..default.clone() }, "heads"),
            (Mamba2Config { groups: 3, ..default.clone() }, "groups"),
            (Mamba2Config { groups: 0, ..default.clone() }, "groups"),
            (Mamba2Config { state: 0, ..default.clone() }, "state"),
            (Mamba2Config { window: 0, ..default.clone() }, "window"),
            (Mamba2Config { shortest_step: -1.0, ..default.clone() }, "shortest_step"),
            (Mamba2Config { shortest_step: 0.2, longest_step: Some(0.1), ..default.clone() }, "longest_step"),
            (Mamba2Config { epsilon: 0.0, ..default.clone() }, "epsilon"),
            (Mamba2Config { scales, ..default }, "scales.x"),
        ] {
            let message = config.build(8, &device).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }
}
