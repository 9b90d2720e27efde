//! A trained network, rebuilt from its run folder.

use std::path::Path;

use ansatz_core::{Encoder, Model, ModelPlan, Registry, Result};
use burn::tensor::Device;

use crate::{Experiment, Plan, RunFolder, load_weights};

/// A trained network with all that is needed to use it.
pub struct Trained {
    /// Where it came from.
    pub folder: RunFolder,
    /// The experiment it was trained by.
    pub experiment: Experiment,
    /// The typed configs of its components.
    pub plan: Plan,
    /// Its preprocessing, as fitted on the training part.
    pub encoder: Box<dyn Encoder>,
    /// The network, on the device asked for.
    pub model: Model,
}

impl Trained {
    /// Rebuilds the network of the run folder at `path`, on `device`.
    ///
    /// # Errors
    /// When there is no run, it has no weights yet, or its files do not fit together.
    pub fn load(path: &Path, registry: &Registry, device: &Device) -> Result<Self> {
        let folder = RunFolder::open(path)?;
        let experiment = folder.read_experiment(registry)?;
        let plan = experiment.plan(registry)?;
        let weights = folder.ended_weights()?;
        let encoder = plan.data.restore(&folder.read_preparation()?)?;
        let network =
            ModelPlan { registry, encoder: &*encoder, backbone: &*plan.backbone, task: &*plan.task };
        let mut model = Model::init(&network, experiment.seed.into(), device)?;
        load_weights(&mut model, &weights)?;
        Ok(Self { folder, experiment, plan, encoder, model })
    }
}
