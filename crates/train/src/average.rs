//! `[train.average]`: a moving average of the weights.
//!
//! Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", 1992; exponential, as in
//! Tarvainen, Valpola, "Mean teachers are better role models", 2017, equation 2:
//! θ′ ← α θ′ + (1 − α) θ. Early on α is at most (1 + t) / (10 + t) at step t, so that the random weights of
//! the start are soon forgotten.
//!
//! The running statistics of batch normalization are averaged alike. They describe what the layers before
//! give, so they must lag behind as those layers' weights do.

use ansatz_core::ConfigError;
use ansatz_run::Holding;
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
pub(crate) struct Average<M> {
    decay: f64,
    model: M,
}

impl<M: Module> Average<M> {
    /// Starts at the weights of `model`, which must be without autodiff.
    pub(crate) fn new(decay: f64, model: M) -> Self {
        Self { decay, model }
    }

    /// The averaged network.
    pub(crate) fn model(&self) -> &M {
        &self.model
    }

    /// The average with zeros where `holding` says so.
    pub(crate) fn hold(self, holding: &Holding) -> Self {
        Self { model: holding.hold(self.model), ..self }
    }

    /// Takes in the weights behind `step`, counted from 1; `model` must be without autodiff.
    pub(crate) fn update(self, model: &M, step: u64) -> Self {
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
        // As it is stored: what stands beside it is a parameter of its own.
        self.0.register(param.id, param.base());
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{BatchNorm, BatchNormConfig};
    use burn::tensor::Device;

    fn norm(device: &Device, values: [f32; 2]) -> BatchNorm {
        let mut norm = BatchNormConfig::new(2).init(device);
        norm.gamma = burn::module::Param::from_data(values, device);
        norm
    }

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_average_is_that_of_a_plain_loop() {
        let device = ansatz_device::open("cpu").unwrap();
        let model = norm(&device, [0.0, 0.0]);
        let mut average = Average::new(0.5, model.clone());
        let mut expected = [0.0_f64; 2];
        for step in 1..=20_u64 {
            let weights = [step as f64, -2.0 * step as f64];
            let now = weights.map(|weight| weight as f32);
            let gamma = Tensor::from_floats(now, &device);
            let current = BatchNorm { gamma: model.gamma.clone().map(|_| gamma), ..model.clone() };
            average = average.update(&current, step);
            let decay = 0.5_f64.min((1.0 + step as f64) / (10.0 + step as f64));
            for (average, weight) in expected.iter_mut().zip(weights) {
                *average = decay * *average + (1.0 - decay) * weight;
            }
        }
        for (given, expected) in values(average.model().gamma.val()).iter().zip(expected) {
            assert!((f64::from(*given) - expected).abs() < 1e-4, "{given} {expected}");
        }
    }

    #[test]
    fn running_statistics_are_averaged_and_none_is_a_step_behind() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let model = norm(&device, [1.0, 1.0]);
        let average = Average::new(0.999, model.valid());
        // One batch of mean 10: the running mean becomes 0.9 · 0 + 0.1 · 10.
        model.forward(Tensor::<2>::from_floats([[9.0, 9.0], [11.0, 11.0]], &device));
        let average = average.update(&model.valid(), 1);
        let expected = (1.0 - 2.0 / 11.0) as f32;
        for mean in values(average.model().running_mean.value()) {
            assert!((mean - expected).abs() < 1e-6, "{mean}");
        }
    }
}
