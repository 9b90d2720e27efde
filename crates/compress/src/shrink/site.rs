//! Where a network is built anew with other numbers in its config, and compared with what it was.

use ansatz_core::{
    Batch, ConfigError, Encoder, Error, HostOutputs, Inputs, Model, ModelPlan, Registry, Result,
};
use ansatz_run::{Experiment, Masks, Patch};
use burn::tensor::Device;

use super::tensors::Tensors;

/// How far outputs of two networks that are the same in exact arithmetic may lie apart, in parts of the largest output.
const TOLERANCE: f32 = 1e-4;

/// A network that is to become smaller, with what is needed to build and to try it.
#[derive(Clone, Copy)]
pub struct Original<'a> {
    /// The components that its config names.
    pub registry: &'a Registry,
    /// Its preprocessing.
    pub encoder: &'a dyn Encoder,
    /// Its config.
    pub experiment: &'a Experiment,
    /// The network itself, without autodiff.
    pub model: &'a Model,
    /// Which of its weights were pruned.
    pub masks: &'a Masks,
    /// Some of the data it was trained with: what the proofs and the choice of blocks go by.
    pub batch: &'a Batch,
    /// Where it computes.
    pub device: &'a Device,
}

/// A network: its config, its tensors and what it says of the batch.
#[derive(Clone)]
pub(super) struct Whole {
    pub experiment: Experiment,
    pub tensors: Tensors,
    /// Which values of them are kept, where some were pruned.
    pub masks: Tensors,
    pub outputs: Vec<f32>,
}

/// Where networks are built and tried.
pub(super) struct Site<'a> {
    original: Original<'a>,
    inputs: Inputs,
}

impl<'a> Site<'a> {
    pub(super) fn new(original: Original<'a>) -> Self {
        Self { inputs: original.batch.inputs(original.device), original }
    }

    /// The registry.
    pub(super) fn registry(&self) -> &'a Registry {
        self.original.registry
    }

    /// The network as it is.
    pub(super) fn whole(&self) -> Result<Whole> {
        Ok(Whole {
            experiment: self.original.experiment.clone(),
            tensors: Tensors::read(self.original.model),
            masks: Tensors::of(self.original.masks),
            outputs: self.outputs(self.original.model)?,
        })
    }

    /// The same experiment with other numbers at some keys.
    pub(super) fn changed(&self, experiment: &Experiment, values: &[(String, usize)]) -> Result<Experiment> {
        let patches = values.iter().map(|(key, value)| format!("{key}={value}").parse());
        let patches: Vec<Patch> = patches.collect::<Result<_, ConfigError>>()?;
        Experiment::from_toml(&experiment.render()?, &patches, self.original.registry)
    }

    /// The network of `experiment`, with weights that mean nothing yet.
    pub(super) fn build(&self, experiment: &Experiment) -> Result<Model> {
        let Original { registry, encoder, device, .. } = self.original;
        let plan = experiment.plan(registry)?;
        let mut restored = None;
        if experiment.data != self.original.experiment.data {
            restored = Some(plan.data.restore(&encoder.preparation()?)?);
        }
        let encoder: &dyn Encoder = match &restored {
            Some(restored) => &**restored,
            None => encoder,
        };
        let network = ModelPlan { registry, encoder, backbone: &*plan.backbone, task: &*plan.task };
        Model::init(&network, experiment.seed.into(), device)
    }

    /// The network of `experiment` with these tensors.
    pub(super) fn filled(&self, experiment: &Experiment, tensors: &Tensors) -> Result<Model> {
        // Into a new network, not a copy: copies share their running statistics.
        tensors.fill(self.build(experiment)?)
    }

    /// What the network of `experiment` with these tensors says of the batch.
    pub(super) fn said(&self, experiment: &Experiment, tensors: &Tensors) -> Result<Vec<f32>> {
        self.outputs(&self.filled(experiment, tensors)?)
    }

    /// The loss of the batch, of the network of `experiment` with these tensors.
    pub(super) fn loss(&self, experiment: &Experiment, tensors: &Tensors) -> Result<f32> {
        let model = self.filled(experiment, tensors)?;
        let loss = model.loss(&self.inputs, &self.original.batch.targets)?.into_data();
        let value = loss.convert::<f32>().try_to_vec::<f32>().ok().and_then(|values| values.first().copied());
        value.ok_or_else(|| Error::Failed("reading the loss of a batch failed".to_owned()))
    }

    fn outputs(&self, model: &Model) -> Result<Vec<f32>> {
        Ok(HostOutputs::read(model.forward(&self.inputs)?)?.values)
    }
}

/// Floating-point operations for one example.
pub(super) fn flops(model: &Model) -> u64 {
    model.layers().iter().map(|layer| layer.flops).sum()
}

/// Whether outputs are the same but for rounding: `|a − b| ≤ 10⁻⁴ max |a|`.
pub(super) fn same(a: &[f32], b: &[f32]) -> bool {
    let largest = a.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= TOLERANCE * largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_compared_with_their_largest() {
        assert!(same(&[1.0, -100.0], &[1.009, -100.0]));
        assert!(!same(&[1.0, -100.0], &[1.02, -100.0]));
        assert!(!same(&[1.0, f32::NAN], &[1.0, f32::NAN]));
        assert!(!same(&[1.0], &[1.0, 1.0]));
    }
}
