//! The typed config of a mixture of experts.

use ansatz_core::{BoxedChannel, Build, ChannelConfig, Component, ConfigError, Registry, Result};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Experts;
use super::routing::Routing;
use crate::Activation;
use crate::projection::{check_hidden, hidden_width};

/// A mixture of gated experts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExpertsConfig {
    /// Experts to choose from, 1 up to 65536.
    #[schemars(range(min = 1, max = 65536))]
    pub experts: usize,
    /// Experts that each token uses, 1 up to as many as there are in the chosen groups.
    #[schemars(range(min = 1))]
    pub chosen: usize,
    /// Hidden width of each expert as a multiple of the width, above 0 up to 64; the product is rounded.
    #[schemars(range(max = 64.0))]
    pub expansion: f64,
    /// Hidden width of each expert itself, 1 up to 1048576, in the place of `expansion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1048576))]
    pub hidden: Option<usize>,
    /// The function of the gates.
    pub activation: Activation,
    /// How the router's logits become scores.
    pub scores: Scores,
    /// Whether the scores of the chosen experts are divided by their sum.
    pub renormalize: bool,
    /// What the scores of the chosen experts are multiplied by at last, above 0.
    pub scale: f64,
    /// Whether a bias is added to the scores for choosing alone. It begins as 0 and is no parameter that
    /// gradients train: published networks bring theirs.
    pub correction: bool,
    /// Groups of equally many neighbouring experts, a divisor of `experts`.
    #[schemars(range(min = 1))]
    pub groups: usize,
    /// Groups among whose experts a token chooses, 1 up to `groups`: those with the largest sums of their two
    /// best scores.
    #[schemars(range(min = 1))]
    pub chosen_groups: usize,
    /// Hidden width of one more expert that every token uses, up to 1048576; 0 for none.
    #[schemars(range(max = 1048576))]
    pub shared_hidden: usize,
    /// Whether each token multiplies what the shared expert makes of it by a number between 0 and 1.
    pub shared_gate: bool,
    /// Coefficient of the loss that makes an even load of experts cheaper, 0 or more; it is added while training
    /// alone.
    #[schemars(range(min = 0.0))]
    pub balance: f64,
}

/// How the router's logits become scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scores {
    /// Positive numbers whose sum over all experts is 1.
    Softmax,
    /// A number between 0 and 1 for each expert by itself.
    Sigmoid,
}

impl Default for ExpertsConfig {
    /// Eight experts of which each token uses two, as in Mixtral, with the loss of the Switch Transformer.
    fn default() -> Self {
        Self {
            experts: 8,
            chosen: 2,
            expansion: 8.0 / 3.0,
            hidden: None,
            activation: Activation::Silu,
            scores: Scores::Softmax,
            renormalize: true,
            scale: 1.0,
            correction: false,
            groups: 1,
            chosen_groups: 1,
            shared_hidden: 0,
            shared_gate: false,
            balance: 0.01,
        }
    }
}

impl Component for ExpertsConfig {
    const KIND: &'static str = "experts";
    const ABOUT: &'static str = "a mixture of gated experts, of which a router chooses a few for each token";
    const CITATION: &'static str = "Shazeer et al., Outrageously Large Neural Networks: The Sparsely-Gated \
        Mixture-of-Experts Layer, 2017, arXiv:1701.06538; Jiang et al., Mixtral of Experts, 2024, \
        arXiv:2401.04088; groups, correction and shared experts: DeepSeek-AI, DeepSeek-V3, 2024, \
        arXiv:2412.19437; even load: Fedus et al., Switch Transformers, 2021, arXiv:2101.03961";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        check_hidden(self.expansion, self.hidden)?;
        let whole = |path: &str, value: usize, least: usize, most: usize| {
            let problem = || ConfigError::value(path, value.to_string(), format!("{least} up to {most}"));
            if (least..=most).contains(&value) { Ok(()) } else { Err(problem()) }
        };
        whole("experts", self.experts, 1, 1 << 16)?;
        whole("groups", self.groups, 1, self.experts)?;
        if !self.experts.is_multiple_of(self.groups) {
            let problem = format!("{} groups of {} experts", self.groups, self.experts);
            return Err(ConfigError::value("groups", problem, format!("a divisor of {}", self.experts)));
        }
        whole("chosen_groups", self.chosen_groups, 1, self.groups)?;
        whole("chosen", self.chosen, 1, self.chosen_groups * (self.experts / self.groups))?;
        whole("shared_hidden", self.shared_hidden, 0, 1 << 20)?;
        if self.shared_gate && self.shared_hidden == 0 {
            let expected = "false, or a `shared_hidden` above 0";
            return Err(ConfigError::value("shared_gate", "a gate for no shared expert", expected));
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err(ConfigError::value("scale", self.scale.to_string(), "a number above 0"));
        }
        if !(self.balance.is_finite() && self.balance >= 0.0) {
            return Err(ConfigError::value("balance", self.balance.to_string(), "a number of 0 or more"));
        }
        Ok(())
    }
}

impl ExpertsConfig {
    /// Builds the layer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn build(&self, width: usize, device: &Device) -> Result<Experts, ConfigError> {
        self.clone().complete(&Registry::default())?;
        let hidden = self.hidden.unwrap_or_else(|| hidden_width(self.expansion, width));
        Experts::new([width, hidden], self, device)
    }

    pub(super) fn routing(&self) -> Routing {
        Routing {
            experts: self.experts,
            chosen: self.chosen,
            groups: self.groups,
            chosen_groups: self.chosen_groups,
        }
    }
}

impl ChannelConfig for ExpertsConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedChannel> {
        Ok(BoxedChannel::new(self.build(width, build.device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let default = ExpertsConfig::default;
        let wrong = [
            ("experts", ExpertsConfig { experts: 0, ..default() }),
            ("groups", ExpertsConfig { groups: 3, ..default() }),
            ("chosen_groups", ExpertsConfig { chosen_groups: 2, ..default() }),
            ("chosen", ExpertsConfig { chosen: 9, ..default() }),
            ("chosen", ExpertsConfig { groups: 4, chosen: 3, ..default() }),
            ("shared_gate", ExpertsConfig { shared_gate: true, ..default() }),
            ("scale", ExpertsConfig { scale: 0.0, ..default() }),
            ("balance", ExpertsConfig { balance: f64::NAN, ..default() }),
            ("hidden", ExpertsConfig { hidden: Some(0), ..default() }),
        ];
        let device = ansatz_device::open("cpu").unwrap();
        for (key, config) in wrong {
            let message = config.build(8, &device).unwrap_err().to_string();
            assert!(message.contains(&format!("`{key}`")), "{key}: {message}");
        }
    }
}
