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
