//! `[train.average]`: a moving average of the weights.
//!
//! Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", 1992; exponential, as in
//! Tarvainen, Valpola, "Mean teachers are better role models", 2017, equation 2:
//! θ′ ← α θ′ + (1 − α) θ. Early on α is at most (1 + t) / (10 + t) at step t, so that the random weights of
//! the start are soon forgotten.
//!
//! The running statistics of batch normalization are averaged alike. They describe what the layers before
//! give, so they must lag behind as those layers' weights do.

use ansatz_core::{ConfigError, Model};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::require;

/// A moving average of the weights, judged and kept instead of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct AverageConfig {
    /// The part of the average that stays per optimizer step, in 0–1 without 1; 0: no average is kept.
    /// 0.999 looks back about a thousand steps.
    pub decay: f64,
}

impl AverageConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        require("decay", self.decay, (0.0..1.0).contains(&self.decay), "a number from 0 to 1, without 1")
    }
}

/// The average itself.
#[derive(Debug)]
pub(crate) struct Average {
    decay: f64,
    model: Model,
}

impl Average {
    /// Starts at the weights of `model`, which must be without autodiff.
    pub(crate) fn new(decay: f64, model: Model) -> Self {
        Self { decay, model }
    }

    /// The averaged network.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Takes in the weights behind `step`, counted from 1; `model` must be without autodiff.
    pub(crate) fn update(self, model: &Model, step: u64) -> Self {
        let step = step as f64;
        let weight = 1.0 - self.decay.min((1.0 + step) / (10.0 + step));
        let mut current = Collect(GradientsParams::new());
        model.visit(&mut current);
        let model = self.model.map(&mut Blend { current: current.0, weight });
        Self { model, ..self }
    }
}

/// All float tensors by parameter id, in the container that burn has for gradients.
struct Collect(GradientsParams);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val());
    }
}

struct Blend {
    current: GradientsParams,
    weight: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(current) = self.current.remove::<D>(param.id) else { return param };
        param.map(|average| {
            let distance = current - average.clone();
            average + distance.mul_scalar(self.weight)
        })
    }
}
