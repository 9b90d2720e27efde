//! Errors of numbers, added up.

use std::collections::BTreeMap;

/// Adds up errors in float64: `mse`, its root `rmse`, `mae`, and `r2 = 1 − Σ (x − y)² / Σ (x − x̄)²` about the mean x̄ of
/// what was judged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Errors {
    count: u64,
    squared: f64,
    absolute: f64,
    mean: f64,
    /// Σ (x − x̄)² so far.
    spread: f64,
}

impl Errors {
    /// Takes in an error, and the value that was wanted.
    pub(crate) fn add(&mut self, wanted: f64, error: f64) {
        self.count += 1;
        self.squared += error * error;
        self.absolute += error.abs();
        // Welford 1962: the spread about the mean of all so far, without losing digits.
        let before = wanted - self.mean;
        self.mean += before / self.count as f64;
        self.spread += before * (wanted - self.mean);
    }

    /// The figures by name; NaN where nothing was taken in.
    pub(crate) fn figures(&self) -> BTreeMap<String, f64> {
        let mse = self.squared / self.count as f64;
        let figures = [
            ("mse", mse),
            ("rmse", mse.sqrt()),
            ("mae", self.absolute / self.count as f64),
            ("r2", 1.0 - self.squared / self.spread),
        ];
        BTreeMap::from(figures.map(|(name, value)| (name.to_owned(), value)))
    }
}
