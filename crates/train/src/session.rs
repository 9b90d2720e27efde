//! The loop: steps, and what is done between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ansatz_core::{Batch, Error, OpenData, Part, Result};
use ansatz_data::{Balance, Loader, Order as BatchOrder};
use ansatz_run::{Experiment, Plan, RunFolder, Summary, Taken};
use burn::tensor::Device;

use crate::TrainConfig;
use crate::checkpoint::Recipe;
use crate::checkpoints::Checkpoints;
use crate::config::Keep;
use crate::evaluate::Judge;
use crate::metrics::Metrics;
use crate::pace::Pace;
use crate::progress::{Event, Listener, StepFigures};
use crate::readings::{NotFinite, Reading, Readings};
use crate::schedule::ScheduleConfig;
use crate::state::State;
use crate::step::{Learner, Order};

/// Everything about a run but its tensors.
pub(crate) struct Session<'a> {
    pub experiment: &'a Experiment,
    pub folder: &'a RunFolder,
    pub config: TrainConfig,
    pub plan: Plan,
    pub data: Arc<dyn OpenData>,
    /// What epochs are drawn from, where each example does not come once.
    pub balance: Option<Balance>,
    /// What batches are made by, where examples of one length keep together.
    pub lengths: Option<Vec<usize>>,
    pub pace: Pace,
    pub total_steps: u64,
    /// Trainable values.
    pub parameters: usize,
    /// With autodiff.
    pub device: Device,
    pub device_name: &'a str,
    pub stop: Arc<AtomicBool>,
    pub listeners: Vec<Box<dyn Listener>>,
    pub metrics: Metrics,
    pub checkpoints: Checkpoints,
    pub recipe: Recipe,
    /// What came from another run.
    pub taken: Option<Taken>,
    pub state: State,
    /// The step of the newest checkpoint.
    pub saved: Option<u64>,
    pub readings: Readings,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Finished,
    StoppedEarly,
    Interrupted,
}

impl Ended {
    /// As summaries and listeners have it.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::StoppedEarly => "stopped early",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The clocks of this sitting.
struct Clocks {
    /// Seconds of all sittings before.
    before: f64,
    /// When this one began.
    sitting: Instant,
    /// When step time was last booked, or began to run again behind an evaluation.
    steps: Instant,
    /// Examples learned from since.
    examples: usize,
}

impl Session<'_> {
    /// Trains to the end.
    pub(crate) fn run(mut self, learner: Learner) -> Result<Summary> {
        self.tell(&Event::Started {
            title: self.experiment.title.clone(),
            run: self.folder.path().to_owned(),
            device: self.device_name.to_owned(),
            parameters: self.parameters,
            examples: self.pace.examples,
            step: self.state.step,
            steps_per_epoch: self.pace.steps_per_epoch(),
            total_steps: self.total_steps,
        })?;
        for text in self.data.notes() {
            self.tell(&Event::Noted { text })?;
        }
        let now = Instant::now();
        let mut clocks = Clocks { before: self.state.seconds, sitting: now, steps: now, examples: 0 };
        let (learner, ended) = self.learn(learner, &mut clocks)?;
        self.state.seconds = clocks.before + clocks.sitting.elapsed().as_secs_f64();
        self.finish(learner, ended)
    }

    fn learn(&mut self, mut learner: Learner, clocks: &mut Clocks) -> Result<(Learner, Ended)> {
        let order = BatchOrder::Shuffled { seed: self.experiment.seed.into() };
        let loading = self.config.loader(self.config.batch_size);
        let loader = Loader::new(Arc::clone(&self.data), Part::Train, order, &loading);
        let loader = match &self.balance {
            Some(balance) => loader.balanced(balance.clone()),
            None => loader,
        };
        let loader = match &self.lengths {
            Some(lengths) => loader.by_length(lengths.clone()),
            None => loader,
        };
        // A run that was stopped inside an evaluation makes up for it.
        if let Some(ended) = self.take_stock(&learner, clocks)? {
            return Ok((learner, ended));
        }
        loop {
            let epoch = self.state.epoch;
            let mut batches = loader.epoch(epoch, self.state.batch)?;
            while self.state.epoch == epoch {
                learner = self.step(learner, &mut batches, clocks)?;
                if let Some(ended) = self.take_stock(&learner, clocks)? {
                    return Ok((learner, ended));
                }
            }
        }
    }

    fn step(
        &mut self,
        learner: Learner,
        batches: &mut dyn Iterator<Item = Result<Batch>>,
        clocks: &mut Clocks,
    ) -> Result<Learner> {
        let (count, examples) = self.pace.step_from(self.state.batch);
        let factor = self.config.schedule.factor(self.state.step, self.total_steps);
        let rate = self.config.optimizer.learning_rate() * factor * self.state.patience.factor;
        self.state.advance(count, examples, &self.pace);
        let step = self.state.step;
        let log = step.is_multiple_of(self.config.log_every) || step == self.total_steps;
        let order = Order {
            step,
            seed: self.experiment.seed.into(),
            batches: count,
            examples,
            rate,
            clip_norm: self.config.clip_norm,
            // Nothing is judged or saved unless loss and gradients are known to be finite.
            norm_wanted: log
                || self.state.checkpoint_due(&self.config)
                || self.state.evaluation_due(&self.config, self.total_steps),
        };
        let (learner, result) = learner.step(batches, &order, &self.device)?;
        self.readings.take_in(step, rate, result);
        clocks.examples += examples;
        if log {
            self.log(rate, clocks)?;
        }
        Ok(learner)
    }

    fn log(&mut self, learning_rate: f64, clocks: &mut Clocks) -> Result<()> {
        let Some(Reading { loss, gradient_norm }) = self.read()? else { return Ok(()) };
        let examples_per_second = self.book_step_time(clocks);
        self.tell(&Event::Step(StepFigures {
            step: self.state.step,
            epoch: self.state.epochs(&self.pace),
            loss,
            learning_rate,
            gradient_norm: gradient_norm.unwrap_or(f64::NAN),
            examples_per_second,
        }))
    }

    /// Books the time since the last booking as step time; gives examples per second in it.
    fn book_step_time(&mut self, clocks: &mut Clocks) -> f64 {
        let seconds = clocks.steps.elapsed().as_secs_f64();
        let examples = std::mem::take(&mut clocks.examples) as f64;
        self.state.step_seconds += seconds;
        clocks.steps = Instant::now();
        if seconds > 0.0 { examples / seconds } else { 0.0 }
    }

    /// What is due behind a step: judging, saving, ending.
    fn take_stock(&mut self, learner: &Learner, clocks: &mut Clocks) -> Result<Option<Ended>> {
        let mut interrupted = false;
        let mut best = false;
        if self.data.examples(Part::Validation) > 0
            && self.state.evaluation_due(&self.config, self.total_steps)
        {
            self.read()?;
            self.book_step_time(clocks);
            match self.judge(learner)? {
                Some(is_best) => best = is_best,
                None => interrupted = true,
            }
            clocks.steps = Instant::now();
        }
        let patience = self.config.early_stopping.patience;
        let ended = if interrupted {
            Some(Ended::Interrupted)
        } else if self.state.step >= self.total_steps {
            Some(Ended::Finished)
        } else if patience > 0 && self.state.evaluations_since_best >= patience {
            Some(Ended::StoppedEarly)
        } else {
            self.stop.load(Ordering::Relaxed).then_some(Ended::Interrupted)
        };
        let due = self.state.checkpoint_due(&self.config)
            || (best && self.config.keep == Keep::Best)
            || ended == Some(Ended::Interrupted);
        if due && self.saved != Some(self.state.step) {
            self.read()?;
            self.book_step_time(clocks);
            self.save(learner, clocks)?;
            clocks.steps = Instant::now();
        }
        Ok(ended)
    }

    /// Judges the validation part; says whether it is the best so far, or nothing if it was called off.
    fn judge(&mut self, learner: &Learner) -> Result<Option<bool>> {
        let stop = Arc::clone(&self.stop);
        let device = self.device.clone().inner();
        let stopped = || stop.load(Ordering::Relaxed);
        let scores = self.judging(&device).run(&learner.judged(), Part::Validation, &stopped, |_, _| {})?;
        let Some(scores) = scores else { return Ok(None) };
        if let ScheduleConfig::Plateau(plateau) = &self.config.schedule {
            self.state.patience.take_in(scores.values.get("loss").copied(), plateau);
        }
        let step = self.state.step;
        let counts = learner.gradual.as_ref().is_none_or(|gradual| gradual.has_ended(step));
        let best = self.state.take_in(&scores, counts);
        let epoch = self.state.epochs(&self.pace);
        self.tell(&Event::Evaluated { part: Part::Validation, step, epoch, scores, best })?;
        Ok(Some(best))
    }

    /// How this run judges; `device` is its device without autodiff.
    pub(crate) fn judging<'s>(&'s self, device: &'s Device) -> Judge<'s> {
        Judge {
            data: Arc::clone(&self.data),
            task: &*self.plan.task,
            loading: self.config.loader(self.config.evaluation.batch_size),
            device,
        }
    }

    fn save(&mut self, learner: &Learner, clocks: &Clocks) -> Result<()> {
        self.state.seconds = clocks.before + clocks.sitting.elapsed().as_secs_f64();
        let checkpoint = self.checkpoints.at(self.state.step);
        checkpoint.write(&self.recipe, &self.state, learner)?;
        self.checkpoints.prune(self.config.checkpoint.keep_last)?;
        self.saved = Some(self.state.step);
        self.tell(&Event::Saved { step: self.state.step, path: checkpoint.path().to_owned() })
    }

    /// Reads the figures that still lie on the device; of the last step if there was any since.
    fn read(&mut self) -> Result<Option<Reading>> {
        match self.readings.read()? {
            Some(Ok(reading)) => Ok(Some(reading)),
            Some(Err(not_finite)) => Err(self.diverged(not_finite)?),
            None => Ok(None),
        }
    }

    fn diverged(&self, NotFinite { figure, value, step, rate }: NotFinite) -> Result<Error> {
        let last = match self.checkpoints.steps()?.last() {
            Some(step) => {
                format!("the last good checkpoint is {}", self.checkpoints.at(*step).path().display())
            }
            None => "there is no checkpoint yet".to_owned(),
        };
        Ok(Error::Failed(format!(
            "training: the {figure} is {value} at step {step}, with a learning rate of {rate}; {last}\n  \
             expected: a finite number\n  to do: train anew with a lower train.optimizer.learning_rate, a \
             longer warm-up, or train.clip_norm = 1"
        )))
    }

    /// Tells all listeners, and the metrics file.
    pub(crate) fn tell(&mut self, event: &Event) -> Result<()> {
        for listener in &mut self.listeners {
            listener.hear(event);
        }
        self.metrics.add(event)
    }
}
