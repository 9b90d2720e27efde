//! What a training run tells while it goes on.

use std::path::PathBuf;

use ansatz_core::{Part, Scores};
use serde::Serialize;

/// What a training run tells while it goes on.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// Training begins, or goes on behind `step`.
    Started {
        /// The experiment's title.
        title: String,
        /// Where the run is written.
        run: PathBuf,
        /// The device, by name.
        device: String,
        /// Trainable values.
        parameters: usize,
        /// Examples of the training part.
        examples: usize,
        /// Steps already done, when a run is resumed.
        step: u64,
        /// Steps in an epoch.
        steps_per_epoch: u64,
        /// Steps in all.
        total_steps: u64,
    },
    /// One optimizer step was done.
    Step(StepFigures),
    /// A part of the data was judged.
    Evaluated {
        /// Which part.
        part: Part,
        /// Optimizer steps done so far.
        step: u64,
        /// Epochs done so far, fractions included.
        epoch: f64,
        /// Its scores.
        scores: Scores,
        /// Whether they are the best so far.
        best: bool,
    },
    /// A checkpoint was written.
    Saved {
        /// Optimizer steps done so far.
        step: u64,
        /// The checkpoint.
        path: PathBuf,
    },
    /// Something a person should know, though training goes on.
    Noted {
        /// In full sentences.
        text: String,
    },
    /// Training ended.
    Ended {
        /// `finished`, `stopped early`, `interrupted`.
        reason: String,
        /// Optimizer steps done.
        step: u64,
        /// Seconds of training, over all sittings.
        seconds: f64,
    },
}

/// Figures of one optimizer step.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct StepFigures {
    /// Optimizer steps done, this one included.
    pub step: u64,
    /// Epochs done, fractions included.
    pub epoch: f64,
    /// Mean loss of the step's examples; where it is a surprise, in nats.
    pub loss: f64,
    /// The learning rate that was used.
    pub learning_rate: f64,
    /// Norm of all gradients together, before clipping.
    pub gradient_norm: f64,
    /// Examples per second since the step before.
    pub examples_per_second: f64,
}

/// Hears what a training run tells.
pub trait Listener {
    /// Takes in one event. Must not take long: training waits.
    fn hear(&mut self, event: &Event);
}
