//! What is done when training has ended: the kept weights, the test part, the figures.

use ansatz_core::{Model, Part, Result, Scores};
use ansatz_run::{Environment, Figures, Summary, peak_memory_bytes, save_weights};
use burn::module::Module;

use crate::config::Keep;
use crate::mistakes::Mistakes;
use crate::progress::Event;
use crate::restored;
use crate::session::{Ended, Session};
use crate::state::Judged;
use crate::step::Learner;

impl Session<'_> {
    /// Keeps the weights, judges them on the test part, and writes the figures. An interrupted run has
    /// nothing to keep yet: its checkpoint is all it leaves.
    pub(crate) fn finish(mut self, learner: Learner, ended: Ended) -> Result<Summary> {
        let kept = match self.config.keep {
            Keep::Best => self.state.best.clone(),
            Keep::Last => self.state.last.clone().filter(|last| last.step == self.state.step),
        };
        let kept_step = kept.as_ref().map_or(self.state.step, |kept| kept.step);
        let mut summary = self.summary(ended, kept_step, kept);
        if ended != Ended::Interrupted {
            if let Some(gradual) = &learner.gradual {
                // Chosen before any weights that are kept.
                gradual.masks.write(&self.folder.masks())?;
            }
            // What was learned beside matrices becomes part of them.
            let model = self.kept_model(learner, kept_step)?.materialize();
            save_weights(&model, &self.folder.weights())?;
            summary.test = self.last_judgement(&model)?.as_ref().map(Figures::from);
            summary.peak_memory_bytes = peak_memory_bytes();
            self.folder.write_summary(&summary)?;
        }
        let (step, seconds) = (self.state.step, self.state.seconds);
        self.tell(&Event::Ended { reason: ended.reason().to_owned(), step, seconds })?;
        Ok(summary)
    }

    /// The network behind `step`, without autodiff.
    fn kept_model(&self, learner: Learner, step: u64) -> Result<Model> {
        let model = learner.judged();
        drop(learner);
        if step == self.state.step {
            return Ok(model);
        }
        self.checkpoints.at(step).load_judged(model, self.recipe.averaged)
    }

    /// Judges the test part, this once, and writes the worst mistakes; those of the validation part where
    /// there is no test part.
    fn last_judgement(&mut self, model: &Model) -> Result<Option<Scores>> {
        let parts = [Part::Test, Part::Validation];
        let Some(part) = parts.into_iter().find(|part| self.data.examples(*part) > 0) else {
            return Ok(None);
        };
        let mut mistakes = Mistakes::default();
        let device = self.device.clone().inner();
        let hear = |first, outcomes| mistakes.take_in(first, outcomes);
        let scores = self.judging(&device).run(model, part, &|| false, hear)?;
        mistakes.write(self.folder, &*self.data, part)?;
        restored::draw(self.folder, &*self.data, part, model, &device)?;
        let Some(scores) = scores.filter(|_| part == Part::Test) else { return Ok(None) };
        let (step, epoch) = (self.state.step, self.state.epochs(&self.pace));
        self.tell(&Event::Evaluated { part, step, epoch, scores: scores.clone(), best: false })?;
        Ok(Some(scores))
    }

    fn summary(&self, ended: Ended, best_step: u64, kept: Option<Judged>) -> Summary {
        let state = &self.state;
        let speed = state.examples as f64 / state.step_seconds;
        Summary {
            title: self.experiment.title.clone(),
            seed: self.experiment.seed,
            device: self.device_name.to_owned(),
            parameters: self.parameters,
            epochs: state.epochs(&self.pace),
            steps: state.step,
            seconds: state.seconds,
            examples_per_second: if speed.is_finite() { speed } else { 0.0 },
            peak_memory_bytes: peak_memory_bytes(),
            ended: ended.reason().to_owned(),
            best_step,
            validation: kept.map(|kept| Figures::from(&kept.scores)),
            test: None,
            compression: Vec::new(),
            init: self.taken.clone(),
            environment: Environment::observe(),
        }
    }
}
