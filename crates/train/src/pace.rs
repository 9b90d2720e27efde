//! How many batches make a step and how many steps an epoch.

use crate::TrainConfig;

/// How many batches make a step and how many steps an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Examples of the training part.
    pub examples: usize,
    batch_size: usize,
    accumulation: usize,
    epochs: u64,
    max_steps: u64,
}

impl Pace {
    pub(crate) fn new(config: &TrainConfig, examples: usize) -> Self {
        Self {
            examples,
            batch_size: config.batch_size,
            accumulation: config.accumulation,
            epochs: config.epochs,
            max_steps: config.max_steps,
        }
    }

    /// Batches in an epoch, the smaller last one included.
    pub(crate) fn batches(&self) -> usize {
        self.examples.div_ceil(self.batch_size)
    }

    /// Steps in an epoch; the last may have fewer batches.
    pub(crate) fn steps_per_epoch(&self) -> u64 {
        self.batches().div_ceil(self.accumulation) as u64
    }

    /// Steps in all.
    pub(crate) fn total_steps(&self) -> u64 {
        let steps = self.epochs.saturating_mul(self.steps_per_epoch());
        if self.max_steps == 0 { steps } else { steps.min(self.max_steps) }
    }

    /// Batches and examples of the step that begins with batch `first` of an epoch.
    pub(crate) fn step_from(&self, first: usize) -> (usize, usize) {
        let batches = self.accumulation.min(self.batches().saturating_sub(first));
        let seen = first * self.batch_size;
        let examples = (batches * self.batch_size).min(self.examples.saturating_sub(seen));
        (batches, examples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_steps_of_an_epoch_see_every_example_once(
            examples in 1_usize..500, batch_size in 1_usize..50, accumulation in 1_usize..6,
        ) {
            let config = TrainConfig { batch_size, accumulation, epochs: 3, ..TrainConfig::default() };
            let pace = Pace::new(&config, examples);
            let (mut batch, mut seen, mut steps) = (0, 0, 0);
            while batch < pace.batches() {
                let (batches, examples) = pace.step_from(batch);
                prop_assert!(batches > 0 && examples > 0);
                batch += batches;
                seen += examples;
                steps += 1;
            }
            prop_assert_eq!((seen, steps), (examples, pace.steps_per_epoch()));
            prop_assert_eq!(pace.total_steps(), 3 * steps);
        }
    }

    #[test]
    fn a_limit_of_steps_ends_training_early() {
        let config = TrainConfig { max_steps: 5, batch_size: 10, ..TrainConfig::default() };
        assert_eq!(Pace::new(&config, 1000).total_steps(), 5);
        assert_eq!(Pace::new(&config, 2).total_steps(), 5);
        let config = TrainConfig { max_steps: 50, ..config };
        assert_eq!(Pace::new(&config, 2).total_steps(), 10);
    }
}
