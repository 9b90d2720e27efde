//! `kind = "fine-tune"` and `kind = "distill"`: the steps that train.

use std::path::{Path, PathBuf};

use ansatz_core::{Registry, Result};
use ansatz_run::{Experiment, InitConfig};
use ansatz_train::{InsideConfig, TeacherConfig, TrainConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::merge::merge;
use crate::stages::DistillStage;

/// Trains on from the weights of the step before, while what was pruned stays zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FineTuneConfig {
    /// What is put over the `[train]` that the run was trained with: `epochs = 2`, another schedule, `prune` to leave out
    /// more and more weights meanwhile, …
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub train: toml::Table,
}

/// Trains by the outputs of a teacher: the network of the step before, or another one from its beginning.
///
/// Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DistillConfig {
    /// The folder of the run that teaches. Left out: the original that the recipe is done with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<PathBuf>,
    /// What both networks' logits are divided by, above 0.
    pub temperature: f64,
    /// The teacher's share of the loss of the answers, above 0, at most 1.
    pub share: f64,
    /// What the loss of the answers counts, at least 0.
    pub outputs: f64,
    /// The tokens that leave the teacher's blocks are imitated. Left out: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<InsideConfig>,
    /// The matrices by which the teacher's mixers mix tokens are imitated. Left out: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub influence: Option<InsideConfig>,
    /// The experiment of a network that takes the place of the one before. Left out: that one learns on, and what was
    /// pruned of it stays zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub student: Option<PathBuf>,
    /// What the student begins with.
    pub start: Start,
    /// What is put over the `[train]` of the student, or of the run.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub train: toml::Table,
    /// Stages that follow each other, each a step of its own that goes on with the student of the one before. Left out:
    /// one, as long as `train` says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<DistillStage>,
}

/// What a student begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Weights that are drawn; without `student` those of the step before.
    #[default]
    Drawn,
    /// The teacher's weights where names and shapes are the same; all others are drawn.
    Teacher,
}

impl Default for DistillConfig {
    fn default() -> Self {
        let TeacherConfig { temperature, share, outputs, .. } = TeacherConfig::default();
        Self {
            teacher: None,
            temperature,
            share,
            outputs,
            hidden: None,
            influence: None,
            student: None,
            start: Start::Drawn,
            train: toml::Table::new(),
            stages: Vec::new(),
        }
    }
}

/// The experiment of a step that trains, but for the weights that it starts with.
pub(crate) struct Lesson {
    pub experiment: Experiment,
    /// Whether it starts with the weights of the step before.
    pub goes_on: bool,
}

impl FineTuneConfig {
    /// What is trained behind a run of `before`.
    ///
    /// # Errors
    /// When a setting is unknown or out of range.
    pub(crate) fn lesson(&self, before: &Experiment) -> Result<Lesson> {
        Ok(Lesson { experiment: trained_by(before.clone(), &self.train, None)?, goes_on: true })
    }
}

impl DistillConfig {
    /// What is trained behind a run of `before`, where `original` is what the recipe is done with.
    ///
    /// # Errors
    /// When the student cannot be read, or a setting is unknown or out of range.
    pub(crate) fn lesson(&self, before: &Experiment, original: &Path, registry: &Registry) -> Result<Lesson> {
        let student = match &self.student {
            Some(path) => Experiment::read(path, &[], registry)?,
            None => before.clone(),
        };
        let run = self.teacher.clone().unwrap_or_else(|| original.to_owned());
        let init = (self.start == Start::Teacher).then(|| InitConfig::from(&*run));
        let teacher = TeacherConfig {
            run,
            temperature: self.temperature,
            share: self.share,
            outputs: self.outputs,
            hidden: self.hidden.clone(),
            influence: self.influence.clone(),
        };
        let mut experiment = trained_by(student, &self.train, Some(teacher))?;
        experiment.init = init;
        Ok(Lesson { experiment, goes_on: self.student.is_none() })
    }
}

impl Lesson {
    /// The experiment, beginning with the weights of the run `before` where it goes on with them.
    pub(crate) fn behind(self, before: &Path) -> Experiment {
        let Self { mut experiment, goes_on } = self;
        if goes_on {
            experiment.init = Some(InitConfig::from(before));
        }
        experiment
    }
}

/// The same experiment with other settings of `[train]`; whoever taught it before, what was pruned while it learned, or
/// where it began, is forgotten.
fn trained_by(
    mut experiment: Experiment,
    train: &toml::Table,
    teacher: Option<TeacherConfig>,
) -> Result<Experiment> {
    experiment.init = None;
    experiment.train.remove("teacher");
    experiment.train.remove("prune");
    merge(&mut experiment.train, train);
    let mut config = TrainConfig::from_experiment(&experiment)?;
    config.teacher = teacher.or(config.teacher);
    experiment.train = config.settings()?;
    // Once more, since the teacher's own values are checked as well.
    TrainConfig::from_experiment(&experiment)?;
    Ok(experiment)
}
