//! `summary.json`: the figures of a run.

use ansatz_core::{Interval, Scores};
use serde::{Deserialize, Serialize};

use crate::{Environment, Stage, Taken};

/// The figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The experiment's title.
    pub title: String,
    /// The run's seed.
    pub seed: u32,
    /// The device it ran on, by name.
    pub device: String,
    /// Trainable values.
    pub parameters: usize,
    /// Epochs and steps done.
    pub epochs: f64,
    /// Optimizer steps done.
    pub steps: u64,
    /// Seconds of training, validation included, over all sittings of a resumed run.
    pub seconds: f64,
    /// Training examples taken in per second of training, validation excluded.
    pub examples_per_second: f64,
    /// The most memory the process held, in bytes; absent where the system does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Why training ended: `finished`, `stopped early`, `interrupted`.
    pub ended: String,
    /// The step whose weights were kept.
    pub best_step: u64,
    /// Scores of the kept weights on the validation part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Figures>,
    /// Scores of the kept weights on the test part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Figures>,
    /// What the original and each step of a compression gave and cost; empty for a run that was not compressed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compression: Vec<Stage>,
    /// What was taken from another run, where training started from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Taken>,
    /// The machine and the build.
    pub environment: Environment,
}

/// Scores flattened for reading by other programs: `test.accuracy`, `test.loss`, `test.examples`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Examples counted.
    pub examples: usize,
    /// How far chance may have moved the figure that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Every figure by name.
    #[serde(flatten)]
    pub values: std::collections::BTreeMap<String, f64>,
}

impl From<&Scores> for Figures {
    fn from(scores: &Scores) -> Self {
        Self { examples: scores.examples, interval: scores.interval.clone(), values: scores.values.clone() }
    }
}
