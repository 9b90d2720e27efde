//! How good forecasts are.

use std::collections::BTreeMap;

use ansatz_core::{
    Contribution, Error, ForecastErrors, HostOutputs, Outcome, Result, Scorer, Scores, Targets,
};

use super::ForecastLoss;
use super::loss::series;

/// Errors added up, and of how many values.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    squared: f64,
    absolute: f64,
    count: u64,
}

impl Sums {
    fn add(&mut self, error: f64) {
        self.squared += error * error;
        self.absolute += error.abs();
        self.count += 1;
    }

    fn of(&self, sum: f64) -> Option<f64> {
        (self.count > 0).then(|| sum / self.count as f64)
    }

    fn squared(&self) -> Option<f64> {
        self.of(self.squared)
    }

    fn absolute(&self) -> Option<f64> {
        self.of(self.absolute)
    }
}

/// Adds up the errors of forecasts in float64: the mean over all windows, steps and channels that were
/// observed, on the scale of the training part, where 1 is the deviation of a channel. Where it is known what the naive
/// forecast errs on the training part, the absolute error in units of that, too (`mase`: Hyndman and Koehler 2006,
/// "Another look at measures of forecast accuracy", section 3).
#[derive(Debug, Clone)]
pub struct ForecastScorer {
    channels: Vec<String>,
    loss: ForecastLoss,
    of_steps: Vec<Sums>,
    of_channels: Vec<Sums>,
    pinball: f64,
    within: u64,
    /// What the naive forecast errs in each channel; empty where it is not known.
    naive: Vec<f64>,
    /// Absolute errors in units of that, and of how many values.
    scaled: (f64, u64),
    examples: usize,
    /// Of each `horizon` windows together: windows that follow each other share most of their steps, and are no
    /// independent examples (blocks: Künsch 1989, "The jackknife and the bootstrap for general stationary
    /// observations").
    blocks: Vec<Contribution>,
}

impl ForecastScorer {
    /// An empty account for forecasts of `horizon` steps of these channels.
    pub fn new(channels: Vec<String>, horizon: usize, loss: ForecastLoss) -> Self {
        Self {
            of_steps: vec![Sums::default(); horizon],
            of_channels: vec![Sums::default(); channels.len()],
            channels,
            loss,
            pinball: 0.0,
            within: 0,
            naive: Vec::new(),
            scaled: (0.0, 0),
            examples: 0,
            blocks: Vec::new(),
        }
    }

    /// The same where the naive forecast errs so much in each channel on the training part. A channel in which it never
    /// errs has no scaled error.
    pub fn with_naive(self, naive: &[f64]) -> Self {
        Self { naive: naive.to_vec(), ..self }
    }

    /// The loss of one value, of which `forecast` holds each quantile.
    fn pinball(&self, value: f64, forecast: &[f32]) -> f64 {
        let quantiles = self.loss.quantiles();
        let each = quantiles.iter().zip(forecast).map(|(quantile, forecast)| {
            let short = value - f64::from(*forecast);
            (quantile * short).max((quantile - 1.0) * short)
        });
        each.sum::<f64>() / quantiles.len() as f64
    }

    /// Takes in one window; the sum of its losses, and of how many values.
    fn add_window(&mut self, outputs: &[f32], values: &[f32], observed: Option<&[bool]>) -> Contribution {
        let (each, middle) = (self.loss.each(), self.loss.middle());
        let channels = self.channels.len();
        let (mut sum, mut count) = (0.0, 0u64);
        for (at, (value, forecast)) in values.iter().zip(outputs.chunks(each)).enumerate() {
            if observed.is_some_and(|observed| !observed[at]) {
                continue;
            }
            let value = f64::from(*value);
            let error = f64::from(forecast[middle]) - value;
            self.of_steps[at / channels].add(error);
            self.of_channels[at % channels].add(error);
            if let Some(naive) = self.naive.get(at % channels).filter(|naive| **naive > 0.0) {
                self.scaled.0 += error.abs() / naive;
                self.scaled.1 += 1;
            }
            count += 1;
            sum += match self.loss {
                ForecastLoss::Mse => error * error,
                ForecastLoss::Mae => error.abs(),
                ForecastLoss::Quantiles(_) => {
                    let pinball = self.pinball(value, forecast);
                    let between = f64::from(forecast[0]) <= value && value <= f64::from(forecast[each - 1]);
                    self.within += u64::from(between);
                    self.pinball += pinball;
                    pinball
                }
            };
        }
        Contribution { sum, weight: count as f64 }
    }
}

impl Scorer for ForecastScorer {
    fn add(&mut self, outputs: &HostOutputs, targets: &Targets) -> Result<Vec<Outcome>> {
        let [batch, horizon, width] = outputs.dims;
        let channels = self.channels.len();
        if [horizon, width] != [self.of_steps.len(), channels * self.loss.each()] {
            return Err(Error::Failed(format!(
                "scoring forecasts: {horizon} steps of {width} values, expected {} of {}",
                self.of_steps.len(),
                channels * self.loss.each()
            )));
        }
        if *targets == Targets::Unknown {
            return Ok(vec![Outcome::with_loss(f64::NAN); batch]);
        }
        let (values, observed) = series(targets, [batch, horizon, channels])?;
        let size = horizon * channels;
        let outcomes = (0..batch).map(|example| {
            let range = example * size..(example + 1) * size;
            let observed = observed.map(|observed| &observed[range.clone()]);
            let window = self.add_window(outputs.example(example), &values[range], observed);
            if self.examples.is_multiple_of(horizon) {
                self.blocks.push(Contribution { sum: 0.0, weight: 0.0 });
            }
            if let Some(block) = self.blocks.last_mut() {
                block.sum += window.sum;
                block.weight += window.weight;
            }
            self.examples += 1;
            Outcome::with_loss(window.sum / window.weight.max(1.0))
        });
        Ok(outcomes.collect())
    }

    fn contributions(&self) -> &[Contribution] {
        &self.blocks
    }

    fn scores(&self) -> Scores {
        let mut whole = Sums::default();
        for sums in &self.of_channels {
            whole.squared += sums.squared;
            whole.absolute += sums.absolute;
            whole.count += sums.count;
        }
        let figure = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let mut values = BTreeMap::from([
            ("mse".to_owned(), figure(whole.squared())),
            ("mae".to_owned(), figure(whole.absolute())),
        ]);
        if !self.loss.quantiles().is_empty() {
            values.insert("pinball".to_owned(), figure(whole.of(self.pinball)));
            values.insert("coverage".to_owned(), figure(whole.of(self.within as f64)));
        }
        let (scaled, count) = self.scaled;
        if count > 0 {
            values.insert("mase".to_owned(), scaled / count as f64);
        }
        let primary = match self.loss {
            ForecastLoss::Mse => "mse",
            ForecastLoss::Mae => "mae",
            ForecastLoss::Quantiles(_) => "pinball",
        };
        Scores {
            errors: Some(ForecastErrors {
                steps: self.of_steps.iter().map(Sums::squared).collect(),
                names: self.channels.clone(),
                squared: self.of_channels.iter().map(Sums::squared).collect(),
                absolute: self.of_channels.iter().map(Sums::absolute).collect(),
            }),
            ..Scores::falling(self.examples, primary, values)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scorer(loss: ForecastLoss) -> ForecastScorer {
        ForecastScorer::new(vec!["a".to_owned(), "b".to_owned()], 2, loss)
    }

    #[test]
    fn figures_are_those_counted_by_hand() {
        let mut scorer = scorer(ForecastLoss::Mse);
        let outputs = HostOutputs { dims: [2, 2, 2], values: vec![1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 4.0] };
        let observed = vec![true, true, true, true, true, true, true, false];
        let targets = Targets::Series {
            values: vec![0.0, 0.0, 0.0, 3.0, -1.0, 0.0, 0.0, 0.0],
            observed: Some(observed),
        };
        let outcomes = scorer.add(&outputs, &targets).unwrap();
        assert_eq!(outcomes[0].loss, (1.0 + 4.0 + 9.0) / 4.0);
        assert!(outcomes.iter().all(|outcome| outcome.correct));
        let scores = scorer.scores();
        assert_eq!(scores.examples, 2);
        assert_eq!(scores.primary_value(), 15.0 / 7.0);
        assert_eq!(scores.values["mae"], 1.0);
        let errors = scores.errors.expect("errors");
        assert_eq!(errors.steps, [Some(0.5), Some(13.0 / 3.0)]);
        assert_eq!(errors.squared, [Some(1.5), Some(3.0)]);
        assert_eq!(errors.absolute, [Some(1.0), Some(1.0)]);
        assert!(!scores.values.contains_key("mase"), "nobody said what the naive forecast errs");
    }

    #[test]
    fn errors_are_scaled_by_those_of_the_naive_forecast() {
        let mut scorer = scorer(ForecastLoss::Mse).with_naive(&[0.5, 2.0]);
        let outputs = HostOutputs { dims: [1, 2, 2], values: vec![1.0, 0.0, 2.0, 0.0] };
        let targets = Targets::Series {
            values: vec![0.0, 3.0, 0.0, 0.0],
            observed: Some(vec![true, true, true, false]),
        };
        scorer.add(&outputs, &targets).unwrap();
        assert_eq!(scorer.scores().values["mase"], (1.0 / 0.5 + 3.0 / 2.0 + 2.0 / 0.5) / 3.0);
        let mut flat = super::tests::scorer(ForecastLoss::Mse).with_naive(&[0.0, 2.0]);
        flat.add(&outputs, &targets).unwrap();
        assert_eq!(flat.scores().values["mase"], 3.0 / 2.0, "a flat channel has no scaled error");
    }

    #[test]
    fn quantiles_are_judged_by_pinball_and_coverage() {
        let mut scorer = scorer(ForecastLoss::Quantiles(vec![0.25, 0.5, 0.75]));
        let values = [[-1.0f32, 0.0, 1.0], [2.0, 3.0, 4.0], [0.0, 0.0, 0.0], [-2.0, 1.0, 2.0]].concat();
        let outputs = HostOutputs { dims: [1, 2, 6], values };
        let targets = Targets::Series { values: vec![0.5, 0.0, 0.0, 1.0], observed: None };
        scorer.add(&outputs, &targets).unwrap();
        let scores = scorer.scores();
        assert_eq!(scores.primary, "pinball");
        assert_eq!(scores.values["mae"], (0.5 + 3.0) / 4.0);
        assert_eq!(scores.values["coverage"], 0.75);
        let of = |value: f64, forecast: [f64; 3]| {
            let each = [0.25, 0.5, 0.75].into_iter().zip(forecast).map(|(quantile, forecast)| {
                if value > forecast {
                    quantile * (value - forecast)
                } else {
                    (1.0 - quantile) * (forecast - value)
                }
            });
            each.sum::<f64>() / 3.0
        };
        let expected = of(0.5, [-1.0, 0.0, 1.0]) + of(0.0, [2.0, 3.0, 4.0]) + of(1.0, [-2.0, 1.0, 2.0]);
        assert!((scores.values["pinball"] - expected / 4.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_known_is_not_counted() {
        let mut scorer = scorer(ForecastLoss::Mse);
        let outputs = HostOutputs { dims: [1, 2, 2], values: vec![0.0; 4] };
        assert!(scorer.add(&outputs, &Targets::Unknown).unwrap()[0].loss.is_nan());
        assert!(scorer.scores().primary_value().is_nan());
        assert_eq!(scorer.scores().errors.expect("errors").steps, [None, None]);
        assert!(scorer.add(&outputs, &Targets::Classes(vec![0])).is_err());
        let other = HostOutputs { dims: [1, 4, 1], values: vec![0.0; 4] };
        assert!(scorer.add(&other, &Targets::Unknown).is_err());
    }
}
