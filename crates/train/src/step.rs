//! One optimizer step.

use ansatz_core::{Batch, Error, Model, Result};
use ansatz_ops::{GOLDEN_GAMMA, split_mix};
use ansatz_run::Holding;
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};

use crate::average::Average;
use crate::clip::{clip, global_norm};
use crate::gradual::Gradual;
use crate::projections::Projections;
use crate::rates::LayerRates;
use crate::teacher::Teacher;

/// The parts of training that every step changes.
pub(crate) struct Learner {
    /// The network, on an autodiff device.
    pub model: Model,
    /// Its optimizer, with its state.
    pub optimizer: ModuleOptimizer,
    /// The average of its weights, where one is kept.
    pub average: Option<Average<Model>>,
    /// Which of its weights stay zero.
    pub holding: Holding,
    /// How more of them come to it, where they do.
    pub gradual: Option<Gradual>,
    /// Whom it imitates besides.
    pub teacher: Option<Teacher>,
    /// Through what it is compared with its teacher.
    pub projections: Projections,
    /// How fast each layer learns.
    pub rates: LayerRates,
}

/// What a step is told.
pub(crate) struct Order {
    /// The step's number, counted from 1.
    pub step: u64,
    /// The run's seed.
    pub seed: u64,
    /// Batches in the step.
    pub batches: usize,
    /// Examples in all of them.
    pub examples: usize,
    /// The learning rate.
    pub rate: f64,
    /// The largest norm of all gradients together; 0: no limit.
    pub clip_norm: f64,
    /// Whether the norm is wanted even without a limit.
    pub norm_wanted: bool,
}

/// What a step gives, still on the device.
pub(crate) struct StepResult {
    /// Mean loss of the step's examples, `[1]`.
    pub loss: Tensor<1>,
    /// Norm of all gradients together before clipping, `[1]`, where it was wanted.
    pub gradient_norm: Option<Tensor<1>>,
}

impl Learner {
    /// Learns from the next batches of `batches`.
    pub(crate) fn step(
        self,
        batches: &mut dyn Iterator<Item = Result<Batch>>,
        order: &Order,
        device: &Device,
    ) -> Result<(Self, StepResult)> {
        let Self { model, mut optimizer, average, rates, mut holding, mut gradual, teacher, projections } =
            self;
        let learning = (model, projections);
        // What dropout draws depends on the step alone, not on what was drawn before.
        device.seed(step_seed(order.seed, order.step));
        let (loss, gradients) = gradients(&learning, teacher.as_ref(), batches, order, device)?;
        let plain = device.clone().inner();
        let gradient_norm =
            (order.norm_wanted || order.clip_norm > 0.0).then(|| global_norm(&learning, &gradients, &plain));
        let gradients = match &gradient_norm {
            Some(norm) if order.clip_norm > 0.0 => clip(&learning, gradients, norm.clone(), order.clip_norm),
            _ => gradients,
        };
        let (mut model, projections) = optimizer.step(rates.at(order.rate)?, learning, gradients);
        let due = gradual.as_mut().filter(|gradual| gradual.is_due(order.step));
        let chosen = due.is_some();
        if let Some(gradual) = due {
            gradual.choose(&model, order.step)?;
            holding = gradual.masks.on(&plain);
        }
        model = holding.hold(model);
        let mut average = average.map(|average| average.update(&model.valid(), order.step));
        if chosen {
            // What was left out just now is still in the average; from here on it stays zero by itself.
            average = average.map(|average| average.hold(&holding));
        }
        let learner = Self { model, optimizer, average, rates, holding, gradual, teacher, projections };
        Ok((learner, StepResult { loss, gradient_norm }))
    }

    /// The network that is judged and kept: the average where there is one, without autodiff.
    pub(crate) fn judged(&self) -> Model {
        match &self.average {
            Some(average) => average.model().clone(),
            None => self.model.valid(),
        }
    }
}

/// The mean loss of the step's examples and its gradients, over one or several batches.
fn gradients(
    learning: &(Model, Projections),
    teacher: Option<&Teacher>,
    batches: &mut dyn Iterator<Item = Result<Batch>>,
    order: &Order,
    device: &Device,
) -> Result<(Tensor<1>, GradientsParams)> {
    let mut accumulated = GradientsAccumulator::new();
    let mut total: Option<Tensor<1>> = None;
    for number in 0..order.batches {
        let batch = batches.next().ok_or_else(|| {
            Error::Failed(format!("training: step {} has no batch {number}: the epoch ended", order.step))
        })??;
        // Batches may differ in size, so each counts by its part of the step's examples.
        let share = batch.examples as f64 / order.examples as f64;
        let mut loss = loss(learning, teacher, batch, device)?;
        if order.batches > 1 {
            loss = loss.mul_scalar(share);
        }
        let value = loss.clone().inner();
        let gradients = GradientsParams::from_grads(loss.backward(), learning);
        if order.batches == 1 {
            return Ok((value, gradients));
        }
        accumulated.accumulate(learning, gradients);
        total = Some(match total {
            Some(total) => total + value,
            None => value,
        });
    }
    let loss = total.ok_or_else(|| Error::Failed(format!("training: step {} is empty", order.step)))?;
    Ok((loss, accumulated.grads()))
}

/// The mean loss of the examples of `batch`.
fn loss(
    (model, projections): &(Model, Projections),
    teacher: Option<&Teacher>,
    batch: Batch,
    device: &Device,
) -> Result<Tensor<1>> {
    if let Some(teacher) = teacher {
        return teacher.loss(model, projections, batch, device);
    }
    let (inputs, targets) = batch.into_parts(device);
    model.loss(&inputs, &targets)
}

/// A number for the random numbers of one step: SplitMix64 of seed and step.
fn step_seed(seed: u64, step: u64) -> u64 {
    let mix = |value: u64| split_mix(value.wrapping_add(GOLDEN_GAMMA));
    mix(mix(seed) ^ step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_step_of_every_seed_has_its_own_random_numbers() {
        let seeds: HashSet<u64> =
            (0..50).flat_map(|seed| (0..50).map(move |step| step_seed(seed, step))).collect();
        assert_eq!(seeds.len(), 2500);
    }
}
