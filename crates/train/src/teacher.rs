//! `[train.teacher]`: a trained run whose outputs are imitated.

use std::path::PathBuf;

use ansatz_core::{Batch, ConfigError, Encoder, Error, Model, Registry, Result, Target, Targets};
use ansatz_run::Trained;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::require;
use crate::soft_targets::soft_loss;

/// A trained run whose outputs are imitated besides the task's own loss, for tasks of classes or tokens.
///
/// Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015: the loss is
/// `share · soft + (1 − share) · task`, see [`soft_loss`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct TeacherConfig {
    /// The folder of a run that was trained on the same data, of any architecture.
    pub run: PathBuf,
    /// T, what both networks' logits are divided by, above 0: the higher, the more the unlikely answers tell.
    pub temperature: f64,
    /// The teacher's share of the loss, above 0, at most 1.
    pub share: f64,
}

impl Default for TeacherConfig {
    fn default() -> Self {
        Self { run: PathBuf::new(), temperature: 4.0, share: 0.9 }
    }
}

impl TeacherConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.run.as_os_str().is_empty() {
            return Err(ConfigError::value("run", "it names no run", "the folder of a trained run"));
        }
        require("temperature", self.temperature, self.temperature > 0.0, "a number above 0")?;
        let shared = self.share > 0.0 && self.share <= 1.0;
        require("share", self.share, shared, "a number above 0, at most 1")
    }

    /// Loads the teacher of a student whose data `encoder` prepares, onto `device`, which is without autodiff.
    ///
    /// # Errors
    /// When there is no such run, or it reads other data or gives other answers.
    pub(crate) fn open(
        &self,
        encoder: &dyn Encoder,
        registry: &Registry,
        device: &Device,
    ) -> Result<Teacher> {
        let trained = Trained::load(&self.run, registry, device)?;
        let refused = |problem: String, expected: &str| {
            let remedy = "choose another train.teacher.run, or train one on these data";
            Err(Error::input(self.run.display(), problem, expected, remedy))
        };
        let (taught, known) = (encoder.target(), trained.encoder.target());
        if matches!(taught, Target::Series { .. } | Target::Number { .. } | Target::Labels { .. }) {
            let problem = "what is told are no probabilities of which one holds, and only such are imitated";
            return refused(problem.to_owned(), "a task of classes or tokens");
        }
        if taught != known {
            let problem =
                format!("the teacher answers with {}, the student with {}", answers(known), answers(taught));
            return refused(problem, "a run with the same answers");
        }
        if encoder.preparation()? != trained.encoder.preparation()? {
            let problem = "the teacher prepares its inputs in another way than the student".to_owned();
            return refused(problem, "a run trained on the same data with the same [data] settings");
        }
        Ok(Teacher {
            model: trained.model,
            device: device.clone(),
            temperature: self.temperature,
            share: self.share,
        })
    }
}

/// What a network answers with.
fn answers(target: &Target) -> String {
    match target {
        Target::Classes { names } => {
            let first = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if names.len() > 3 { ", …" } else { "" };
            format!("{} classes ({first}{more})", names.len())
        }
        Target::Labels { names } => format!("any of {} labels", names.len()),
        Target::Tokens { vocabulary } => format!("{vocabulary} tokens"),
        Target::MaskedTokens { vocabulary, .. } => format!("{vocabulary} hidden tokens"),
        Target::Number { .. } => "a number".to_owned(),
        Target::Series { channels, .. } => format!("a series of {} channels", channels.len()),
    }
}

/// A trained network that teaches another.
pub(crate) struct Teacher {
    model: Model,
    /// Where it computes, without autodiff.
    device: Device,
    temperature: f64,
    share: f64,
}

impl Teacher {
    /// The teacher's outputs for `batch`.
    pub(crate) fn outputs(&self, batch: &Batch) -> Result<Tensor<3>> {
        self.model.forward(&batch.inputs(&self.device))
    }

    /// The loss of a student that gave `outputs` where the teacher gave `wanted`, and whose own loss is `task`.
    ///
    /// # Errors
    /// When the two are of different shapes.
    pub(crate) fn loss(
        &self,
        outputs: Tensor<3>,
        wanted: Tensor<3>,
        targets: &Targets,
        task: Tensor<1>,
    ) -> Result<Tensor<1>> {
        if outputs.dims() != wanted.dims() {
            return Err(Error::Failed(format!(
                "training: the teacher gives {:?} outputs, the student {:?}",
                wanted.dims(),
                outputs.dims()
            )));
        }
        let soft = soft_loss(outputs, Tensor::from_inner(wanted), targets, self.temperature);
        Ok(soft * self.share + task * (1.0 - self.share))
    }
}
