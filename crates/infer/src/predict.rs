//! From files to predictions.

use std::path::{Path, PathBuf};

use ansatz_core::{Batch, HostOutputs, Outcome, Registry, Result, Targets};
use ansatz_run::Trained;
use burn::tensor::Device;
use serde::Serialize;

/// What the network says of one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The file.
    pub file: PathBuf,
    /// Answers with their probabilities in 0–1, most likely first.
    pub predictions: Vec<(String, f32)>,
}

/// A trained network that reads files.
pub struct Predictor {
    trained: Trained,
    device: Device,
}

impl Predictor {
    /// Loads the network of the run folder `run` onto `device`.
    ///
    /// # Errors
    /// When there is no finished run at `run`, or its files do not fit together.
    pub fn load(run: &Path, registry: &Registry, device: &Device) -> Result<Self> {
        Ok(Self { trained: Trained::load(run, registry, device)?, device: device.clone() })
    }

    /// The files at `paths`: each itself, or those inside a folder, sorted.
    ///
    /// # Errors
    /// When a path holds nothing that the network reads.
    pub fn files(&self, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let nested: Result<Vec<_>> = paths.iter().map(|path| self.trained.encoder.files(path)).collect();
        Ok(nested?.into_iter().flatten().collect())
    }

    /// What the network says of `file`: its `top` most likely answers.
    ///
    /// # Errors
    /// When the file cannot be read as the kind of data that the network was trained on.
    pub fn predict(&self, file: &Path, top: usize) -> Result<Prediction> {
        let outcomes = self.outcomes(self.trained.encoder.encode(file)?)?;
        let mut predictions =
            outcomes.into_iter().next().map(|outcome| outcome.predictions).unwrap_or_default();
        predictions.truncate(top);
        Ok(Prediction { file: file.to_owned(), predictions })
    }

    fn outcomes(&self, batch: Batch) -> Result<Vec<Outcome>> {
        let (inputs, _) = batch.into_parts(&self.device);
        let outputs = HostOutputs::read(self.trained.model.forward(&inputs)?)?;
        let mut scorer = self.trained.plan.task.scorer(self.trained.encoder.target())?;
        scorer.add(&outputs, &Targets::Unknown)
    }
}
