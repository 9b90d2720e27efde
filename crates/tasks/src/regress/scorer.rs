//! How good numbers are.

use ansatz_core::{Contribution, Error, HostOutputs, Outcome, Result, Scorer, Scores, Targets};

use super::RegressLoss;
use super::loss::numbers;
use crate::errors::Errors;

/// Adds up errors in the number's own unit: `mse`, `rmse`, `mae`, `r2`.
#[derive(Debug, Clone)]
pub struct RegressScorer {
    name: String,
    scale: [f64; 2],
    errors: Errors,
}

impl RegressScorer {
    /// An empty account for a number whose `[mean, deviation]` over the training part is `scale`.
    pub fn new(name: &str, scale: [f64; 2], loss: RegressLoss) -> Self {
        Self { name: name.to_owned(), scale, errors: Errors::new(loss) }
    }

    /// A value of the network's scale in the number's own unit.
    fn undo(&self, value: f32) -> f64 {
        let [mean, deviation] = self.scale;
        f64::from(value) * deviation + mean
    }
}

impl Scorer for RegressScorer {
    fn add(&mut self, outputs: &HostOutputs, targets: &Targets) -> Result<Vec<Outcome>> {
        let [batch, positions, values] = outputs.dims;
        if [positions, values] != [1, 1] {
            let problem = format!("scoring numbers: {positions} positions of {values} values, expected one");
            return Err(Error::Failed(problem));
        }
        let wanted = match targets {
            Targets::Unknown => None,
            known => Some(numbers(known, batch)?),
        };
        let outcome = |index: usize| {
            let number = self.undo(outputs.values[index]);
            let wanted = wanted.map(|wanted| self.undo(wanted[index]));
            let loss = wanted.map_or(f64::NAN, |wanted| self.errors.add([(wanted, number - wanted)]));
            // A number is never simply right or wrong, so no outcome is a mistake.
            Outcome {
                predictions: Vec::new(),
                target: wanted.map_or(String::new(), |wanted| format!("{} {wanted}", self.name)),
                loss: loss as f32,
                correct: true,
                number: Some(number),
            }
        };
        Ok((0..batch).map(outcome).collect())
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
    fn figures_are_those_counted_by_hand_in_the_numbers_own_unit() {
        let mut scorer = RegressScorer::new("age", [10.0, 2.0], RegressLoss::Mse);
        for (outputs, wanted) in [(vec![0.0, 1.0], vec![0.5, 1.0]), (vec![-1.0], vec![1.0])] {
            let outputs = HostOutputs { dims: [outputs.len(), 1, 1], values: outputs };
            let outcomes = scorer.add(&outputs, &Targets::Numbers(wanted)).unwrap();
            assert!(outcomes.iter().all(|outcome| outcome.correct));
            assert_eq!(outcomes[0].number, Some(10.0 + 2.0 * f64::from(outputs.values[0])));
        }
        // Wanted 11, 12, 12; said 10, 12, 8.
        let scores = scorer.scores();
        assert_eq!(scores.examples, 3);
        assert!((scores.primary_value() - 17.0 / 3.0).abs() < 1e-12);
        assert!((scores.values["mae"] - 5.0 / 3.0).abs() < 1e-12);
        assert!((scores.values["rmse"] - (17.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((scores.values["r2"] - (1.0 - 17.0 / (2.0 / 3.0))).abs() < 1e-9);
    }

    #[test]
    fn what_is_not_known_is_said_but_not_counted() {
        let mut scorer = RegressScorer::new("age", [0.0, 1.0], RegressLoss::Mae);
        let outputs = HostOutputs { dims: [1, 1, 1], values: vec![2.5] };
        let outcome = scorer.add(&outputs, &Targets::Unknown).unwrap().remove(0);
        assert!(outcome.loss.is_nan() && outcome.number == Some(2.5));
        assert!(scorer.scores().primary_value().is_nan());
        assert!(scorer.add(&outputs, &Targets::Classes(vec![0])).is_err());
        let wide = HostOutputs { dims: [1, 1, 2], values: vec![0.0; 2] };
        assert!(scorer.add(&wide, &Targets::Unknown).is_err());
    }
}
