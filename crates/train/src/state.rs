//! Where a run stands: everything besides tensors that its next step follows from.

use ansatz_core::Scores;
use serde::{Deserialize, Serialize};

use crate::TrainConfig;
use crate::pace::Pace;
use crate::plateau::Patience;

/// Where a run stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Optimizer steps done.
    pub step: u64,
    /// Epochs begun and ended.
    pub epoch: u64,
    /// Batches done of the epoch that is going on.
    pub batch: usize,
    /// Seconds of training, validation included, over all sittings.
    pub seconds: f64,
    /// Of these, seconds of optimizer steps.
    pub step_seconds: f64,
    /// Examples learned from, each as often as it was seen.
    pub examples: u64,
    /// What the validation loss has made of the learning rate.
    pub patience: Patience,
    /// The last evaluation.
    pub last: Option<Judged>,
    /// The best evaluation.
    pub best: Option<Judged>,
    /// Evaluations since the best.
    pub evaluations_since_best: u64,
}

/// The scores of the validation part behind a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    /// Optimizer steps done.
    pub step: u64,
    /// The scores.
    pub scores: Scores,
}

impl State {
    /// Epochs done, fractions included.
    pub(crate) fn epochs(&self, pace: &Pace) -> f64 {
        self.epoch as f64 + self.batch as f64 / pace.batches().max(1) as f64
    }

    /// Moves behind a step of `batches` batches and `examples` examples.
    pub(crate) fn advance(&mut self, batches: usize, examples: usize, pace: &Pace) {
        self.step += 1;
        self.examples += examples as u64;
        self.batch += batches;
        if self.batch >= pace.batches() {
            self.batch = 0;
            self.epoch += 1;
        }
    }

    /// Takes in an evaluation; says whether it is the best so far. One that `counts` for nothing, because the network is
    /// not yet what it is to be, is never the best.
    pub(crate) fn take_in(&mut self, scores: &Scores, counts: bool) -> bool {
        let judged = Judged { step: self.step, scores: scores.clone() };
        if !counts {
            self.last = Some(judged);
            return false;
        }
        let best = match &self.best {
            Some(best) => scores.better_than(best.scores.primary_value()),
            None => scores.primary_value().is_finite(),
        };
        self.last = Some(judged.clone());
        if best {
            self.best = Some(judged);
            self.evaluations_since_best = 0;
        } else {
            self.evaluations_since_best += 1;
        }
        best
    }

    /// Whether the validation part is to be judged here, and has not been yet.
    pub(crate) fn evaluation_due(&self, config: &TrainConfig, total_steps: u64) -> bool {
        let judged = self.last.as_ref().is_some_and(|last| last.step == self.step);
        let wanted = self.due(config.evaluation.every_epochs, config.evaluation.every_steps);
        !judged && self.step > 0 && (wanted || self.step >= total_steps)
    }

    /// Whether a checkpoint is to be written here.
    pub(crate) fn checkpoint_due(&self, config: &TrainConfig) -> bool {
        self.due(config.checkpoint.every_epochs, config.checkpoint.every_steps)
    }

    fn due(&self, every_epochs: u64, every_steps: u64) -> bool {
        let epoch = self.batch == 0 && every_epochs > 0 && self.epoch.is_multiple_of(every_epochs);
        let step = every_steps > 0 && self.step.is_multiple_of(every_steps);
        self.step > 0 && (epoch || step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn scores(accuracy: f64) -> Scores {
        Scores::rising(10, "accuracy", BTreeMap::from([("accuracy".to_owned(), accuracy)]))
    }

    #[test]
    fn only_what_is_better_is_best() {
        let mut state = State::default();
        let best = [0.5, 0.4, 0.5, f64::NAN, 0.6].map(|accuracy| state.take_in(&scores(accuracy), true));
        assert_eq!(best, [true, false, false, false, true]);
        assert_eq!(state.evaluations_since_best, 0);
        assert!(!state.take_in(&scores(0.7), false));
        assert_eq!((state.evaluations_since_best, state.last.clone().unwrap().scores), (0, scores(0.7)));
        assert!(!State::default().take_in(&scores(f64::NAN), true));
    }

    #[test]
    fn a_state_comes_back_from_json_to_the_bit() {
        let mut state = State { seconds: 0.1 + 0.2, step: 7, ..State::default() };
        state.take_in(&scores(1.0 / 3.0), true);
        state.patience.factor = 0.1 * 0.3 * 0.7;
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }

    #[test]
    fn evaluations_are_due_once() {
        let config = TrainConfig { batch_size: 10, ..TrainConfig::default() };
        let pace = Pace::new(&config, 35);
        let mut state = State::default();
        assert!(!state.evaluation_due(&config, 8));
        let mut due = Vec::new();
        for _ in 0..6 {
            let (batches, examples) = pace.step_from(state.batch);
            state.advance(batches, examples, &pace);
            due.push(state.evaluation_due(&config, 6));
        }
        assert_eq!(due, [false, false, false, true, false, true]);
        assert_eq!((state.examples, state.epochs(&pace)), (55, 1.5));
        state.take_in(&scores(0.5), true);
        assert!(!state.evaluation_due(&config, 6));
    }
}
