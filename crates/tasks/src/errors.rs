//! Errors of numbers, added up.

use std::collections::BTreeMap;

use ansatz_core::{Contribution, Scores};

use crate::RegressLoss;

/// Adds up errors in float64: `mse`, its root `rmse`, `mae`, and `r2 = 1 − Σ (x − y)² / Σ (x − x̄)²` about the mean x̄ of
/// what was judged. That of the loss decides.
#[derive(Debug, Clone)]
pub(crate) struct Errors {
    loss: RegressLoss,
    count: u64,
    squared: f64,
    absolute: f64,
    mean: f64,
    /// Σ (x − x̄)² so far.
    spread: f64,
    contributions: Vec<Contribution>,
}

impl Errors {
    /// An empty account.
    pub(crate) fn new(loss: RegressLoss) -> Self {
        let contributions = Vec::new();
        Self { loss, count: 0, squared: 0.0, absolute: 0.0, mean: 0.0, spread: 0.0, contributions }
    }

    /// Takes in an example: each value that was wanted, and the error of what was told. Its mean loss; 0 of none.
    pub(crate) fn add(&mut self, example: impl IntoIterator<Item = (f64, f64)>) -> f64 {
        let mut own = Contribution { sum: 0.0, weight: 0.0 };
        for (wanted, error) in example {
            self.count += 1;
            self.squared += error * error;
            self.absolute += error.abs();
            // Welford 1962: the spread about the mean of all so far, without losing digits.
            let before = wanted - self.mean;
            self.mean += before / self.count as f64;
            self.spread += before * (wanted - self.mean);
            own.sum += self.loss.of(error);
            own.weight += 1.0;
        }
        self.contributions.push(own);
        own.sum / own.weight.max(1.0)
    }

    /// What each example adds to the figure that decides.
    pub(crate) fn contributions(&self) -> &[Contribution] {
        &self.contributions
    }

    /// The figures; NaN where nothing was taken in.
    pub(crate) fn scores(&self) -> Scores {
        let mse = self.squared / self.count as f64;
        let figures = [
            ("mse", mse),
            ("rmse", mse.sqrt()),
            ("mae", self.absolute / self.count as f64),
            ("r2", 1.0 - self.squared / self.spread),
        ];
        let values = BTreeMap::from(figures.map(|(name, value)| (name.to_owned(), value)));
        Scores::falling(self.contributions.len(), self.loss.figure(), values)
    }
}
