//! `[train.prune]`: more and more weights are left out while training goes on.

use ansatz_core::{ConfigError, Model, Result};
use ansatz_run::{InitConfig, Layers, Mask, Masks, Scope, Weight, largest, weights};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::require;

/// Leaves out more and more of the weights of least magnitude while training goes on.
///
/// Zhu and Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model compression", 2017,
/// arXiv:1710.01878, equation 1. Between two choices the masks are held; what was left out stays so. Weights are only kept
/// as the best from the step on at which the whole share is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct GradualPruningConfig {
    /// The share that is left out in the end, s_f, above 0 and below 1.
    pub ratio: f64,
    /// The share that is left out at first, s_i, from 0, below `ratio`.
    pub initial: f64,
    /// The part of all steps behind which it begins, from 0, below `until`.
    pub from: f64,
    /// The part of all steps behind which the whole share is left out, at most 1; the steps behind it mend what was lost.
    pub until: f64,
    /// Optimizer steps between two choices, Δt, at least 1.
    pub every: u64,
    /// Among which values the least are sought.
    pub scope: Scope,
    /// Dotted names of the weights that are pruned, or of what they lie in; empty: all matrices of linear layers and
    /// kernels of convolutions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Dotted names of weights that are spared, or of what they lie in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

impl Default for GradualPruningConfig {
    fn default() -> Self {
        Self {
            ratio: 0.9,
            initial: 0.0,
            from: 0.0,
            until: 0.7,
            every: 20,
            scope: Scope::Global,
            only: Vec::new(),
            except: Vec::new(),
        }
    }
}

impl GradualPruningConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self { ratio, initial, from, until, every, .. } = *self;
        require("ratio", ratio, ratio > 0.0 && ratio < 1.0, "a share above 0 and below 1")?;
        require("initial", initial, initial >= 0.0 && initial < ratio, "a share from 0, below `ratio`")?;
        require("until", until, until > 0.0 && until <= 1.0, "a part of all steps, above 0, at most 1")?;
        require("from", from, from >= 0.0 && from < until, "a part of all steps, from 0, below `until`")?;
        if every == 0 {
            return Err(ConfigError::value(
                "every",
                "0 is too little",
                "a whole number of steps, at least 1",
            ));
        }
        Ok(())
    }

    /// Checks that the weights it names are there, and that nothing is to stay what it would change.
    ///
    /// # Errors
    /// When a name is unknown, or parts of the network are frozen or learn beside their matrices.
    pub(crate) fn fits(&self, model: &Model, init: Option<&InitConfig>) -> Result<()> {
        if init.is_some_and(|init| !init.freeze.is_empty() || init.lora.is_some()) {
            let problem = "weights that `init` keeps as they are would be left out";
            let expected = "no train.prune beside init.freeze and init.lora";
            return Err(ConfigError::value("train.prune", problem, expected).into());
        }
        self.select(model).map(drop)
    }

    fn select(&self, model: &Model) -> Result<Vec<Weight>> {
        Layers { only: self.only.clone(), except: self.except.clone() }.select(weights(model))
    }

    /// The share that is left out at `progress`, in 0–1 from the first step of pruning to the last:
    /// `s = s_f + (s_i − s_f) (1 − p)³`.
    fn share(&self, progress: f64) -> f64 {
        self.ratio + (self.initial - self.ratio) * (1.0 - progress).powi(3)
    }
}

/// The masks of a network that is pruned while it learns.
#[derive(Debug, Clone)]
pub(crate) struct Gradual {
    config: GradualPruningConfig,
    /// The first step and the last at which masks are chosen, counted from 1.
    first: u64,
    last: u64,
    /// What is left out by now.
    pub masks: Masks,
}

impl Gradual {
    /// For a run of `total_steps`, of which `masks` were pruned already.
    pub(crate) fn new(config: GradualPruningConfig, total_steps: u64, masks: Masks) -> Self {
        let step = |part: f64| ((part * total_steps as f64) as u64).clamp(1, total_steps.max(1));
        let (first, last) = (step(config.from), step(config.until));
        Self { config, first, last, masks }
    }

    /// Whether masks are chosen behind `step`.
    pub(crate) fn is_due(&self, step: u64) -> bool {
        let within = (self.first..=self.last).contains(&step);
        within && (step == self.last || (step - self.first).is_multiple_of(self.config.every))
    }

    /// Whether the whole share is left out behind `step`.
    pub(crate) fn has_ended(&self, step: u64) -> bool {
        step >= self.last
    }

    /// Chooses anew what of `model` is left out behind `step`. What was left out is zero, and so stays among the least.
    ///
    /// # Errors
    /// When a name is of no weight.
    pub(crate) fn choose(&mut self, model: &Model, step: u64) -> Result<()> {
        let progress = match self.last - self.first {
            0 => 1.0,
            steps => (step - self.first) as f64 / steps as f64,
        };
        let weights = self.config.select(model)?;
        let kept = largest(&weights, self.config.share(progress), self.config.scope);
        for (weight, kept) in weights.into_iter().zip(kept) {
            self.masks.add(&weight.name, Mask { shape: weight.shape, kept });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradual(from: f64, until: f64, every: u64, total: u64) -> Gradual {
        let config = GradualPruningConfig { from, until, every, ..GradualPruningConfig::default() };
        Gradual::new(config, total, Masks::default())
    }

    fn due(gradual: &Gradual) -> Vec<u64> {
        (1..=30).filter(|step| gradual.is_due(*step)).collect()
    }

    #[test]
    fn the_share_rises_by_the_cube_that_was_published() {
        let config = GradualPruningConfig { ratio: 0.875, initial: 0.5, ..GradualPruningConfig::default() };
        // s_f + (s_i − s_f) (1 − (t − t₀) / (n Δt))³, by hand.
        for (progress, share) in [(0.0, 0.5), (0.5, 0.875 - 0.375 / 8.0), (1.0, 0.875)] {
            assert!((config.share(progress) - share).abs() < 1e-12, "{progress}");
        }
    }

    #[test]
    fn masks_are_chosen_from_the_first_step_to_the_last() {
        assert_eq!(due(&gradual(0.0, 0.5, 4, 20)), [1, 5, 9, 10]);
        assert_eq!(due(&gradual(0.25, 1.0, 5, 20)), [5, 10, 15, 20]);
        assert_eq!(due(&gradual(0.0, 0.1, 100, 3)), [1]);
        assert!(!gradual(0.0, 0.5, 4, 20).has_ended(9) && gradual(0.0, 0.5, 4, 20).has_ended(10));
    }
}
