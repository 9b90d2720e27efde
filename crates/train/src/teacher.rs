//! `[train.teacher]`: a trained run that is imitated.

use std::path::PathBuf;

use ansatz_core::{ConfigError, Encoder, Error, HiddenValues, Model, Registry, Result, Target};
use ansatz_run::Trained;
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::require;
use crate::inside::InsideConfig;

/// A trained run that is imitated: its answers, for tasks of classes or tokens, and where wanted the insides of its blocks.
///
/// ```text
/// loss = outputs · (share · soft + (1 − share) · task) + hidden.weight · hidden + influence.weight · influence
/// ```
///
/// Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015, for the answers; see
/// [`soft_loss`](crate::soft_loss), [`hidden_distance`](crate::hidden_distance) and
/// [`influence_distance`](crate::influence_distance).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct TeacherConfig {
    /// The folder of a run that was trained on the same data, of any architecture.
    pub run: PathBuf,
    /// T, what both networks' logits are divided by, above 0: the higher, the more the unlikely answers tell.
    pub temperature: f64,
    /// The teacher's share of the loss of the answers, above 0, at most 1.
    pub share: f64,
    /// What the loss of the answers counts, at least 0; 0: nothing is learned from answers, the teacher's or the right ones.
    pub outputs: f64,
    /// The tokens that leave the teacher's blocks are imitated, through learned maps where they are wider or narrower.
    /// Left out: they are not. Romero et al., FitNets, 2015, arXiv:1412.6550.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<InsideConfig>,
    /// The matrices by which the teacher's mixers mix tokens are imitated, head by head: attention, or what stands for it
    /// in a recurrence. Left out: they are not. Bick et al., MOHAWK, 2024, arXiv:2408.10189.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub influence: Option<InsideConfig>,
}

impl Default for TeacherConfig {
    fn default() -> Self {
        Self {
            run: PathBuf::new(),
            temperature: 4.0,
            share: 0.9,
            outputs: 1.0,
            hidden: None,
            influence: None,
        }
    }
}

impl TeacherConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.run.as_os_str().is_empty() {
            return Err(ConfigError::value("run", "it names no run", "the folder of a trained run"));
        }
        require("temperature", self.temperature, self.temperature > 0.0, "a number above 0")?;
        let shared = self.share > 0.0 && self.share <= 1.0;
        require("share", self.share, shared, "a number above 0, at most 1")?;
        require("outputs", self.outputs, self.outputs >= 0.0, "a number of at least 0")?;
        for (key, inside) in [("hidden", &self.hidden), ("influence", &self.influence)] {
            if let Some(inside) = inside {
                inside.check().map_err(|error| error.under(key))?;
            }
        }
        if self.outputs == 0.0 && self.hidden.is_none() && self.influence.is_none() {
            let problem = "0 leaves nothing to learn from";
            return Err(ConfigError::value("outputs", problem, "a number above 0, or hidden or influence"));
        }
        Ok(())
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
        let told = matches!(
            taught,
            Target::Series { .. } | Target::HiddenValues(_) | Target::Number { .. } | Target::Labels { .. }
        );
        if told && self.outputs > 0.0 {
            let problem = "what is told are no probabilities of which one holds, and only such are imitated";
            return refused(problem.to_owned(), "a task of classes or tokens, or train.teacher.outputs = 0");
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
        Ok(Teacher { model: trained.model, device: device.clone(), config: self.clone() })
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
        Target::HiddenValues(HiddenValues { size: [rows, columns, channels], .. }) => {
            format!("hidden values of {rows}×{columns}×{channels}")
        }
        Target::Number { .. } => "a number".to_owned(),
        Target::Series { channels, .. } => format!("a series of {} channels", channels.len()),
    }
}

/// A trained network that teaches another.
pub(crate) struct Teacher {
    pub model: Model,
    /// Where it computes, without autodiff.
    pub device: Device,
    pub config: TeacherConfig,
}
