//! How long a training step takes, without training anything.

use std::time::{Duration, Instant};

use ansatz_core::{Batch, Error, OpenData, Part, Result, Variation};
use ansatz_run::Experiment;
use burn::tensor::Device;

use crate::groups::Parameters;
use crate::setting::{Opened, Setting, learner, training_device};
use crate::step::{Learner, Order};
use crate::{TrainConfig, complete};

/// The most steps that are timed.
const MOST: usize = 50;

/// The fewest steps that are timed, however long they take.
const LEAST: usize = 5;

/// What was timed.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StepTimes {
    /// Trainable values.
    pub parameters: usize,
    /// Examples in a step.
    pub examples: usize,
    /// Steps that were timed, behind one that was not.
    pub steps: usize,
    /// The median of their times, in milliseconds.
    pub milliseconds: f64,
}

/// Takes training steps on the first examples of the training part for about `budget`: forward, gradients and
/// optimizer, the same examples every time. Nothing is written.
///
/// # Errors
/// Like [`crate::train`].
pub fn time_steps(experiment: &Experiment, setting: &Setting<'_>, budget: Duration) -> Result<StepTimes> {
    let mut experiment = experiment.clone();
    complete(&mut experiment)?;
    let opened = Opened::new(&experiment, setting)?;
    let begun = opened.begin(&experiment, setting)?;
    let parameters = Parameters::of(&begun.model).values;
    let batch = first_batch(&*opened.data, &opened.config, experiment.seed.into())?;
    let examples = batch.examples;
    let device = training_device(setting);
    let (init, teacher, plain) = (experiment.init.as_ref(), opened.teacher(setting)?, device.clone().inner());
    let projections = opened.projections(teacher.as_ref(), &begun.model, &experiment, setting)?;
    let steps = opened.pace.total_steps();
    let mut learner = learner(&opened.config, init, begun, (teacher, projections), &plain, steps)?;
    let step = |number, taught: Learner| {
        let order = Order {
            step: number,
            seed: experiment.seed.into(),
            batches: 1,
            examples,
            rate: opened.config.optimizer.learning_rate(),
            clip_norm: opened.config.clip_norm,
            norm_wanted: false,
        };
        timed_step(taught, &batch, &order, &device)
    };
    let mut times = Vec::new();
    (learner, _) = step(1, learner)?;
    let clock = Instant::now();
    while times.len() < LEAST || (times.len() < MOST && clock.elapsed() < budget) {
        let (moved, seconds) = step(times.len() as u64 + 2, learner)?;
        learner = moved;
        times.push(1e3 * seconds);
    }
    times.sort_by(f64::total_cmp);
    Ok(StepTimes { parameters, examples, steps: times.len(), milliseconds: times[times.len() / 2] })
}

fn first_batch(data: &dyn OpenData, config: &TrainConfig, seed: u64) -> Result<Batch> {
    let count = config.batch_size.min(data.examples(Part::Train));
    data.batch(Part::Train, &(0..count).collect::<Vec<_>>(), Some(Variation { seed, epoch: 0 }))
}

/// One step with its seconds, which end when the device has done all of it.
fn timed_step(learner: Learner, batch: &Batch, order: &Order, device: &Device) -> Result<(Learner, f64)> {
    let batch = batch.clone();
    let clock = Instant::now();
    let (learner, _) = learner.step(&mut std::iter::once(Ok(batch)), order, device)?;
    device.sync().map_err(|error| Error::Failed(format!("waiting for the device: {error:?}")))?;
    Ok((learner, clock.elapsed().as_secs_f64()))
}
