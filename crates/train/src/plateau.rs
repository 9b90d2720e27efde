//! What the validation loss makes of the learning rate.

use serde::{Deserialize, Serialize};

use crate::schedule::Plateau;

/// How long the validation loss has not become better, and what that has done to the learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Patience {
    /// What the learning rate is multiplied by, in 0–1.
    pub factor: f64,
    /// The lowest loss so far.
    best: Option<f64>,
    /// Evaluations since.
    waited: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { factor: 1.0, best: None, waited: 0 }
    }
}

impl Patience {
    /// Takes in the loss of an evaluation; one that is not known is no better than any.
    pub(crate) fn take_in(&mut self, loss: Option<f64>, plateau: &Plateau) {
        let loss = loss.unwrap_or(f64::INFINITY);
        // A negative loss (a log-density) becomes better by growing away from 0.
        let enough = |best: f64| loss < best - plateau.threshold * best.abs();
        if self.best.map_or(loss.is_finite(), enough) {
            self.best = Some(loss);
            self.waited = 0;
            return;
        }
        self.waited += 1;
        if self.waited > plateau.patience {
            self.factor = (self.factor * plateau.factor).max(plateau.minimum).min(self.factor);
            self.waited = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(losses: &[f64], plateau: &Plateau) -> Vec<f64> {
        let mut patience = Patience::default();
        let factor = |loss: &f64| {
            patience.take_in(Some(*loss), plateau);
            patience.factor
        };
        losses.iter().map(factor).collect()
    }

    #[test]
    fn the_rate_falls_behind_more_than_patience_and_no_further_than_the_minimum() {
        let plateau = Plateau { factor: 0.5, patience: 1, minimum: 0.2, ..Plateau::default() };
        let losses = [1.0, 0.9, 0.95, 0.9, 0.8, 0.85, 0.8, 0.8, 0.8, 0.8, 0.8];
        assert_eq!(factors(&losses, &plateau), [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]);
    }

    #[test]
    fn too_little_better_is_not_better() {
        let plateau = Plateau { patience: 0, threshold: 0.1, ..Plateau::default() };
        assert_eq!(factors(&[1.0, 0.91], &plateau), [1.0, 0.1]);
        assert_eq!(factors(&[1.0, 0.89], &plateau), [1.0, 1.0]);
        assert_eq!(factors(&[-1.0, -1.05, -1.2], &plateau), [1.0, 0.1, 0.1]);
    }

    #[test]
    fn an_unknown_loss_is_no_better() {
        let plateau = Plateau { patience: 0, ..Plateau::default() };
        let mut patience = Patience::default();
        patience.take_in(None, &plateau);
        assert_eq!(patience.factor, 0.1);
    }
}
