//! Figures of quality: which way they are better, and how they are written.

use serde::Deserialize;
use serde_json::Value;

use crate::workspace::Error;

/// A figure of a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Figure {
    Accuracy,
    MacroF1,
    Bits,
    Loss,
    Mse,
    Mae,
}

impl Figure {
    /// As a summary calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::MacroF1 => "macro_f1",
            Self::Bits => "bits",
            Self::Loss => "loss",
            Self::Mse => "mse",
            Self::Mae => "mae",
        }
    }

    /// Shares of what is right are better where they are more, errors where they are less.
    fn is_share(self) -> bool {
        matches!(self, Self::Accuracy | Self::MacroF1)
    }

    pub(super) fn is_better_or_equal(self, own: f64, other: f64) -> bool {
        if self.is_share() { own >= other } else { own <= other }
    }

    /// By how much `after` is worse than `before`, in points of a share, in the figure's own unit otherwise.
    pub(super) fn lost(self, before: f64, after: f64) -> f64 {
        if self.is_share() { (before - after) * 100.0 } else { after - before }
    }

    pub(super) fn show(self, value: f64) -> String {
        if self.is_share() { format!("{:.2} %", value * 100.0) } else { format!("{value:.4}") }
    }

    /// A difference as [`Figure::lost`] gives it.
    pub(super) fn show_lost(self, lost: f64) -> String {
        if self.is_share() { format!("{lost:.2}") } else { format!("{lost:.4}") }
    }

    /// The mean, and where there are several the deviation around it.
    pub(super) fn with_spread(self, values: &[f64]) -> String {
        let (mean, deviation) = moments(values);
        match (values.len(), self.is_share()) {
            // A single seed says nothing of others.
            (1, _) => self.show(mean),
            (_, true) => format!("{} ± {:.2}", self.show(mean), deviation * 100.0),
            (_, false) => format!("{} ± {deviation:.4}", self.show(mean)),
        }
    }
}

/// The mean, and the standard deviation around it (0 of a single value).
pub(super) fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

/// The number at `path` of a document.
pub(super) fn number(document: &Value, path: &[&str]) -> Result<f64, Error> {
    let found = path.iter().fold(document, |at, key| &at[*key]);
    found.as_f64().ok_or_else(|| Error::Wrong(format!("a run has no number `{}`", path.join("."))))
}
