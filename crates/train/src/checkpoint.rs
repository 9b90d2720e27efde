//! One checkpoint: a folder from which a run goes on to the bit.
//!
//! Weights are stored as burn's records, which keep parameter ids: the optimizer's state is found by them,
//! and safetensors would lose them. A checksum of every file tells a damaged checkpoint from a good one.

use std::fs;
use std::path::{Path, PathBuf};

use ansatz_core::{Error, Model, Result};
use ansatz_run::{Masks, write_folder_atomically};
use burn::module::Module;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::projections::Projections;
use crate::state::State;
use crate::step::Learner;

const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const AVERAGE: &str = "average.bpk";
const PROJECTIONS: &str = "projections.bpk";
const MASKS: &str = "masks.safetensors";
const STATE: &str = "state.json";

/// What must be the same for a run to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recipe {
    /// The run's seed.
    pub seed: u32,
    /// The optimizer's `kind`.
    pub optimizer: String,
    /// Whether an average of the weights is kept.
    pub averaged: bool,
    /// Examples of the training part.
    pub examples: usize,
    /// Examples in a batch.
    pub batch_size: usize,
    /// Batches in a step.
    pub accumulation: usize,
}

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    /// What must be the same for a run to go on.
    pub recipe: Recipe,
    /// Where the run stood.
    pub state: State,
    /// The other files.
    files: Vec<Fingerprint>,
}

/// What a file must be.
#[derive(Debug, Serialize, Deserialize)]
struct Fingerprint {
    name: String,
    /// SHA-256, in hexadecimal digits.
    sha256: String,
}

/// A checkpoint on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    path: PathBuf,
}

impl Checkpoint {
    /// The checkpoint at `path`, there or not.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it: it is there whole, or not at all.
    pub(crate) fn write(&self, recipe: &Recipe, state: &State, learner: &Learner) -> Result<()> {
        write_folder_atomically(&self.path, |folder| {
            let mut files = Vec::new();
            let mut file = |name: &str, bytes: &[u8]| -> Result<()> {
                let path = folder.join(name);
                fs::write(&path, bytes).map_err(Error::file(path, "write"))?;
                files.push(Fingerprint { name: name.to_owned(), sha256: sha256(bytes) });
                Ok(())
            };
            // Without autodiff, because that also brings the running statistics of batch normalization up
            // to date: a module under training is one update behind.
            file(MODEL, &self.packed(learner.model.valid().into_record().into_bytes())?)?;
            file(OPTIMIZER, &self.packed(learner.optimizer.into_bytes())?)?;
            if let Some(average) = &learner.average {
                file(AVERAGE, &self.packed(average.model().clone().into_record().into_bytes())?)?;
            }
            if !learner.projections.is_empty() {
                file(PROJECTIONS, &self.packed(learner.projections.valid().into_record().into_bytes())?)?;
            }
            if let Some(gradual) = &learner.gradual {
                file(MASKS, &gradual.masks.to_bytes()?)?;
            }
            let header = Header { recipe: recipe.clone(), state: state.clone(), files };
            let text = serde_json::to_string_pretty(&header).map_err(|error| self.unwritable(&error))?;
            let path = folder.join(STATE);
            fs::write(&path, text).map_err(Error::file(path, "write"))
        })
    }

    /// Reads where the run stood.
    ///
    /// # Errors
    /// When the file is not there or damaged.
    pub(crate) fn header(&self) -> Result<Header> {
        let path = self.path.join(STATE);
        let text = fs::read(&path).map_err(Error::file(&path, "read"))?;
        serde_json::from_slice(&text).map_err(|error| self.damaged(&format!("{STATE}: {error}")))
    }

    /// Checks that every file is as it was written.
    ///
    /// # Errors
    /// With the first file that is not.
    pub(crate) fn verify(&self) -> Result<Header> {
        let header = self.header()?;
        for file in &header.files {
            let path = self.path.join(&file.name);
            let bytes = fs::read(&path).map_err(Error::file(&path, "read"))?;
            if sha256(&bytes) != file.sha256 {
                return Err(self.damaged(&format!("{} is not what was written", file.name)));
            }
        }
        Ok(header)
    }

    /// Reads weights and parameter ids into a network of the same architecture.
    pub(crate) fn load_model(&self, model: Model) -> Result<Model> {
        self.load_into(MODEL, model)
    }

    /// Reads the averaged weights into a network of the same architecture.
    pub(crate) fn load_average(&self, model: Model) -> Result<Model> {
        self.load_into(AVERAGE, model)
    }

    /// Reads the weights that are judged: the averaged ones where `averaged`.
    pub(crate) fn load_judged(&self, model: Model, averaged: bool) -> Result<Model> {
        if averaged { self.load_average(model) } else { self.load_model(model) }
    }

    /// Reads the maps to a teacher's widths, into as many of the same shapes.
    pub(crate) fn load_projections(&self, projections: Projections) -> Result<Projections> {
        if projections.is_empty() { Ok(projections) } else { self.load_into(PROJECTIONS, projections) }
    }

    /// Reads what was pruned by then; nothing where training does not prune.
    pub(crate) fn load_masks(&self) -> Result<Masks> {
        Masks::read(&self.path.join(MASKS))
    }

    /// Reads the optimizer's state.
    pub(crate) fn load_optimizer(&self) -> Result<OptimizerRecord> {
        OptimizerRecord::from_bytes(self.bytes(OPTIMIZER)?).map_err(|error| self.damaged(&error.to_string()))
    }

    fn load_into<M: Module>(&self, name: &str, module: M) -> Result<M> {
        let record =
            ModuleRecord::from_bytes(self.bytes(name)?).map_err(|error| self.damaged(&error.to_string()))?;
        module.try_load_record(record).map_err(|error| {
            // burn lists everything that differs, in quotes; the first says enough.
            let problem = error.to_string();
            let first = problem.split('"').nth(1).unwrap_or(&problem);
            Error::input(
                self.path.display(),
                format!("the checkpoint is of another network: {first}"),
                "a checkpoint of the network that config.toml of the run describes",
                "restore the run's config.toml, or train anew into another folder",
            )
        })
    }

    fn bytes(&self, name: &str) -> Result<Bytes> {
        let path = self.path.join(name);
        fs::read(&path).map(Bytes::from_bytes_vec).map_err(Error::file(path, "read"))
    }

    fn packed<E: std::fmt::Display>(&self, bytes: Result<Bytes, E>) -> Result<Bytes> {
        bytes.map_err(|error| self.unwritable(&error))
    }

    fn unwritable(&self, error: &dyn std::fmt::Display) -> Error {
        Error::Failed(format!("{}: cannot write the checkpoint: {error}", self.path.display()))
    }

    fn damaged(&self, problem: &str) -> Error {
        Error::input(
            self.path.display(),
            format!("the checkpoint is damaged: {problem}"),
            "a checkpoint as training leaves it",
            "delete its folder: the run then goes on from the one before",
        )
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
