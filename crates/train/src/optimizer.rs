//! `[train.optimizer]`: how gradients become steps.

use ansatz_core::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::choice::choice;
use crate::config::require;

choice! {
    /// How gradients become steps. Weight decay spares vectors (biases, gains): a small value of theirs
    /// has no meaning that a small matrix has.
    OptimizerConfig, "optimizer":
    /// Adam with decoupled weight decay.
    "adamw" => AdamW(AdamW),
    /// Stochastic gradient descent with momentum.
    "sgd" => Sgd(Sgd),
    /// The sign of a momentum.
    "lion" => Lion(Lion),
    /// Orthogonalized momentum for the matrices of the backbone, AdamW for the rest.
    "muon" => Muon(Muon),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::AdamW(AdamW::default())
    }
}

impl OptimizerConfig {
    /// The largest learning rate, which the schedule scales.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::AdamW(settings) => settings.learning_rate,
            Self::Sgd(settings) => settings.learning_rate,
            Self::Lion(settings) => settings.learning_rate,
            Self::Muon(settings) => settings.learning_rate,
        }
    }
}

/// Adam with decoupled weight decay: θ ← θ − η (m̂ / (√v̂ + ε) + λ θ).
///
/// Loshchilov, Hutter, "Decoupled weight decay regularization", 2019, algorithm 2, with the schedule
/// multiplying the decay too, as in PyTorch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// η, the largest learning rate, above 0.
    pub learning_rate: f64,
    /// Decay per step of the means of gradients and of their squares, each in 0–1 without 1.
    pub betas: [f64; 2],
    /// ε, added to the root of the mean square, above 0.
    pub epsilon: f64,
    /// λ, the part of a weight taken off per step and unit of learning rate, at least 0.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { learning_rate: 1e-3, betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.01 }
    }
}

impl AdamW {
    fn check(&self) -> Result<(), ConfigError> {
        check_rates(self.learning_rate, self.weight_decay)?;
        check_betas(self.betas)?;
        require("epsilon", self.epsilon, self.epsilon > 0.0, "a number above 0, such as 1e-8")
    }
}

/// Stochastic gradient descent: g ← g + λ θ; v ← μ v + g; θ ← θ − η v, or θ − η (g + μ v) with Nesterov.
///
/// Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep learning",
/// 2013, in PyTorch's form: no dampening, the first v is g, the decay λ is part of the gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// η, the largest learning rate, above 0.
    pub learning_rate: f64,
    /// μ, the part of the velocity that stays per step, in 0–1 without 1; 0: plain descent.
    pub momentum: f64,
    /// Looks ahead along the velocity.
    pub nesterov: bool,
    /// λ, the part of a weight added to its gradient, at least 0.
    pub weight_decay: f64,
}

impl Default for Sgd {
    fn default() -> Self {
        Self { learning_rate: 0.1, momentum: 0.9, nesterov: true, weight_decay: 5e-4 }
    }
}

impl Sgd {
    fn check(&self) -> Result<(), ConfigError> {
        check_rates(self.learning_rate, self.weight_decay)?;
        check_fraction("momentum", self.momentum)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(ConfigError::value(
                "nesterov",
                "there is no momentum to look along",
                "false, or a momentum above 0",
            ));
        }
        Ok(())
    }
}

/// The sign of a momentum: θ ← θ − η (sign(β₁ m + (1 − β₁) g) + λ θ); m ← β₂ m + (1 − β₂) g.
///
/// Chen et al., "Symbolic discovery of optimization algorithms", 2023, algorithm 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    /// η, the largest learning rate, above 0; three to ten times smaller than AdamW's.
    pub learning_rate: f64,
    /// β₁ and β₂, each in 0–1 without 1.
    pub betas: [f64; 2],
    /// λ, the part of a weight taken off per step and unit of learning rate, at least 0.
    pub weight_decay: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Self { learning_rate: 1e-4, betas: [0.9, 0.99], weight_decay: 0.1 }
    }
}

impl Lion {
    fn check(&self) -> Result<(), ConfigError> {
        check_rates(self.learning_rate, self.weight_decay)?;
        check_betas(self.betas)
    }
}

/// Orthogonalized momentum for the matrices of the backbone; AdamW for vectors, convolutions, stem and head.
///
/// Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024. Each update is scaled by
/// 0.2 √max(rows, columns), which gives it the size of AdamW's, so that one learning rate serves both:
/// Liu et al., "Muon is scalable for LLM training", 2025, equation 4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// η, the largest learning rate of both, above 0.
    pub learning_rate: f64,
    /// The part of the velocity that stays per step, in 0–1 without 1; looked ahead along (Nesterov).
    pub momentum: f64,
    /// AdamW's decay per step of the means of gradients and of their squares, each in 0–1 without 1.
    pub betas: [f64; 2],
    /// AdamW's ε, above 0.
    pub epsilon: f64,
    /// λ, the part of a weight taken off per step and unit of learning rate, at least 0; for both.
    pub weight_decay: f64,
}

impl Default for Muon {
    fn default() -> Self {
        Self { learning_rate: 1e-3, momentum: 0.95, betas: [0.9, 0.95], epsilon: 1e-8, weight_decay: 0.1 }
    }
}

impl Muon {
    fn check(&self) -> Result<(), ConfigError> {
        self.adamw().check()?;
        check_fraction("momentum", self.momentum)
    }

    /// The settings for what is not a matrix of the backbone.
    pub(crate) fn adamw(&self) -> AdamW {
        AdamW {
            learning_rate: self.learning_rate,
            betas: self.betas,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
        }
    }
}

fn check_rates(learning_rate: f64, weight_decay: f64) -> Result<(), ConfigError> {
    require("learning_rate", learning_rate, learning_rate > 0.0, "a number above 0, such as 1e-3")?;
    require("weight_decay", weight_decay, weight_decay >= 0.0, "a number of at least 0, such as 0.01")
}

fn check_betas(betas: [f64; 2]) -> Result<(), ConfigError> {
    check_fraction("betas.0", betas[0])?;
    check_fraction("betas.1", betas[1])
}

fn check_fraction(path: &str, given: f64) -> Result<(), ConfigError> {
    require(path, given, (0.0..1.0).contains(&given), "a number from 0 to 1, without 1")
}
