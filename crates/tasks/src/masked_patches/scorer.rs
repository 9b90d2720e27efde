//! How well hidden values were told.

use ansatz_core::{Contribution, Error, HostOutputs, Outcome, Result, Scorer, Scores, Targets};

use super::loss::hidden_values;
use crate::RegressLoss;
use crate::errors::Errors;

/// Adds up the errors of hidden values, on the scale that the network works with: `mse`, `rmse`, `mae`, `r2`.
#[derive(Debug, Clone)]
pub struct MaskedPatchesScorer {
    size: [usize; 3],
    errors: Errors,
}

impl MaskedPatchesScorer {
    /// An empty account for examples of `[rows, columns, channels]`.
    pub fn new(size: [usize; 3], loss: RegressLoss) -> Self {
        Self { size, errors: Errors::new(loss) }
    }
}

impl Scorer for MaskedPatchesScorer {
    fn add(&mut self, outputs: &HostOutputs, targets: &Targets) -> Result<Vec<Outcome>> {
        let [batch, positions, each] = outputs.dims;
        let [rows, columns, channels] = self.size;
        if [positions, each] != [rows * columns, channels] {
            return Err(Error::Failed(format!(
                "scoring hidden values: {positions} positions of {each} values, expected {} of {channels}",
                rows * columns
            )));
        }
        if *targets == Targets::Unknown {
            return Ok(vec![Outcome::with_loss(f64::NAN); batch]);
        }
        let size = positions * each;
        let (values, hidden) = hidden_values(targets, batch * size)?;
        let outcomes = (0..batch).map(|example| {
            let range = example * size..(example + 1) * size;
            let told = outputs.example(example).iter().zip(&values[range.clone()]).zip(&hidden[range]);
            let asked = told.filter(|(_, hidden)| **hidden);
            Outcome::with_loss(self.errors.add(asked.map(|((output, value), _)| {
                let wanted = f64::from(*value);
                (wanted, f64::from(*output) - wanted)
            })))
        });
        Ok(outcomes.collect())
    }

    fn contributions(&self) -> &[Contribution] {
        self.errors.contributions()
    }

    fn scores(&self) -> Scores {
        self.errors.scores()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_counted_by_hand() {
        let mut scorer = MaskedPatchesScorer::new([1, 2, 1], RegressLoss::Mse);
        let outputs = HostOutputs { dims: [2, 2, 1], values: vec![1.0, 5.0, 0.0, 2.0] };
        let targets =
            Targets::HiddenValues { values: vec![0.0, 0.0, 3.0, 3.0], hidden: vec![true, false, true, true] };
        let outcomes = scorer.add(&outputs, &targets).unwrap();
        assert_eq!(outcomes.iter().map(|outcome| outcome.loss).collect::<Vec<_>>(), [1.0, 5.0]);
        let scores = scorer.scores();
        // Wanted 0, 3, 3; said 1, 0, 2.
        assert_eq!((scores.examples, scores.primary.as_str()), (2, "mse"));
        assert!((scores.primary_value() - 11.0 / 3.0).abs() < 1e-12);
        assert!((scores.values["mae"] - 5.0 / 3.0).abs() < 1e-12);
        assert!((scores.values["r2"] - (1.0 - 11.0 / 6.0)).abs() < 1e-12);
        assert_eq!(scorer.contributions().iter().map(|one| one.weight).sum::<f64>(), 3.0);
    }

    #[test]
    fn what_is_not_known_is_not_counted() {
        let mut scorer = MaskedPatchesScorer::new([1, 2, 1], RegressLoss::Mae);
        let outputs = HostOutputs { dims: [1, 2, 1], values: vec![0.0; 2] };
        assert!(scorer.add(&outputs, &Targets::Unknown).unwrap()[0].loss.is_nan());
        assert!(scorer.scores().primary_value().is_nan());
        assert!(scorer.add(&outputs, &Targets::Classes(vec![0])).is_err());
        let other = HostOutputs { dims: [1, 1, 2], values: vec![0.0; 2] };
        assert!(scorer.add(&other, &Targets::Unknown).is_err());
    }
}
