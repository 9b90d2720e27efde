//! What a forecast is learned from.

use ansatz_core::{ConfigError, Error, Result, Targets};
use burn::tensor::{Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The mean error over all observed values.
///
/// ```text
/// mse: (y − x)²    mae: |y − x|    quantiles: mean over q of max(q (x − y_q), (q − 1) (x − y_q))
/// ```
///
/// The last is the pinball loss (Koenker and Bassett 1978), least where a share q of the values lies below
/// y_q.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForecastLoss {
    /// The squared error.
    #[default]
    Mse,
    /// The absolute error.
    Mae,
    /// The pinball loss of these quantiles, above 0 and below 1, rising. The forecast that other figures
    /// judge is the one nearest to the median.
    Quantiles(Vec<f64>),
}

impl ForecastLoss {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let Self::Quantiles(quantiles) = self else { return Ok(()) };
        if quantiles.is_empty() {
            return Err(ConfigError::value("quantiles", "an empty list", "at least one quantile"));
        }
        let mut before = 0.0;
        for (index, quantile) in quantiles.iter().enumerate() {
            if !(*quantile > before && *quantile < 1.0) {
                let expected = format!("above {before} and below 1");
                return Err(ConfigError::value(
                    format!("quantiles[{index}]"),
                    quantile.to_string(),
                    expected,
                ));
            }
            before = *quantile;
        }
        Ok(())
    }

    /// The quantiles; none for a forecast of one value.
    pub fn quantiles(&self) -> &[f64] {
        match self {
            Self::Quantiles(quantiles) => quantiles,
            Self::Mse | Self::Mae => &[],
        }
    }

    /// Values that a forecast has for each step and channel.
    pub fn each(&self) -> usize {
        self.quantiles().len().max(1)
    }

    /// Which of these stands for the forecast as a whole.
    pub(super) fn middle(&self) -> usize {
        let distance = |index: &usize| (self.quantiles()[*index] - 0.5).abs();
        (0..self.quantiles().len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
    }

    /// The mean loss, `[1]`, of `outputs` `[batch, horizon, channels × each]`. Values that were not observed
    /// do not count; the loss of a batch without any is 0.
    ///
    /// # Errors
    /// When `targets` are no series of the same size.
    pub(super) fn apply(&self, outputs: Tensor<3>, targets: &Targets) -> Result<Tensor<1>> {
        let [batch, horizon, width] = outputs.dims();
        let channels = width / self.each();
        let (values, observed) = series(targets, [batch, horizon, channels])?;
        let (device, dtype) = (outputs.device(), outputs.dtype());
        let on_device = |values: Vec<f32>| {
            Tensor::<4>::from_data(TensorData::new(values, [batch, horizon, channels, 1]), (&device, dtype))
        };
        let wanted = on_device(values.to_vec());
        let forecast = outputs.reshape([batch, horizon, channels, self.each()]);
        let short = wanted.expand([batch, horizon, channels, self.each()]) - forecast;
        let errors = match self {
            Self::Mse => short.clone() * short,
            Self::Mae => short.abs(),
            Self::Quantiles(quantiles) => {
                let levels: Vec<f32> = quantiles.iter().map(|quantile| *quantile as f32).collect();
                let levels = TensorData::new(levels, [1, 1, 1, self.each()]);
                let levels = Tensor::<4>::from_data(levels, (&device, dtype));
                (short.clone() * levels.clone()).max_pair(short * (levels - 1.0))
            }
        };
        Ok(match observed {
            None => errors.mean(),
            Some(observed) => {
                let count = observed.iter().filter(|observed| **observed).count() * self.each();
                let weights = observed.iter().map(|observed| f32::from(u8::from(*observed))).collect();
                (errors * on_device(weights)).sum() / count.max(1) as f64
            }
        })
    }
}

/// The values of `targets` and which of them were observed.
///
/// # Errors
/// When they are no series of the size `[batch, horizon, channels]`.
pub(super) fn series(
    targets: &Targets,
    [batch, horizon, channels]: [usize; 3],
) -> Result<(&[f32], Option<&[bool]>)> {
    let size = batch * horizon * channels;
    match targets {
        Targets::Series { values, observed }
            if values.len() == size && observed.as_ref().is_none_or(|observed| observed.len() == size) =>
        {
            Ok((values, observed.as_deref()))
        }
        Targets::Series { values, .. } => Err(Error::Failed(format!(
            "{} values of a series, expected {batch} × {horizon} steps of {channels}",
            values.len()
        ))),
        _ => Err(Error::Failed("labels that are no series".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUTS: [f32; 8] = [1.0, 2.0, 0.5, -1.0, 0.0, 3.0, 2.5, 2.0];

    /// Two examples, two steps, one channel of two quantiles, or two channels.
    fn naive(loss: &ForecastLoss, values: &[f32], observed: &[bool]) -> f64 {
        let each = loss.each();
        let (mut sum, mut count) = (0.0, 0);
        for (at, output) in OUTPUTS.iter().enumerate() {
            if !observed[at / each] {
                continue;
            }
            let short = f64::from(values[at / each]) - f64::from(*output);
            count += 1;
            sum += match loss {
                ForecastLoss::Mse => short * short,
                ForecastLoss::Mae => short.abs(),
                ForecastLoss::Quantiles(quantiles) => {
                    let quantile = quantiles[at % each];
                    if short > 0.0 { quantile * short } else { (quantile - 1.0) * short }
                }
            };
        }
        sum / f64::from(count)
    }

    #[test]
    fn the_loss_is_the_definition_and_counts_what_was_observed() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let pinball = ForecastLoss::Quantiles(vec![0.1, 0.9]);
        for loss in [ForecastLoss::Mse, ForecastLoss::Mae, pinball] {
            let size = OUTPUTS.len() / loss.each();
            let values: Vec<f32> = (0..size).map(|at| at as f32 * 0.7 - 1.1).collect();
            for hidden in [None, Some(1)] {
                let mut observed = vec![true; size];
                hidden.into_iter().for_each(|at: usize| observed[at] = false);
                let outputs = Tensor::<3>::from_data(TensorData::new(OUTPUTS.to_vec(), [2, 2, 2]), &device);
                let outputs = outputs.require_grad();
                let targets =
                    Targets::Series { values: values.clone(), observed: hidden.map(|_| observed.clone()) };
                let found = loss.apply(outputs.clone(), &targets).unwrap();
                let gradients = found.backward();
                let gradient: Vec<f32> =
                    outputs.grad(&gradients).expect("tracked").into_data().try_to_vec().unwrap();
                let found = f64::from(found.into_scalar::<f32>());
                assert!((found - naive(&loss, &values, &observed)).abs() < 1e-6, "{loss:?}");
                for (at, gradient) in gradient.iter().enumerate() {
                    assert_eq!(*gradient == 0.0, !observed[at / loss.each()], "{loss:?} {at}");
                }
            }
        }
    }

    #[test]
    fn a_batch_without_an_observed_value_costs_nothing() {
        let device = ansatz_device::open("cpu").unwrap();
        let targets = Targets::Series { values: vec![f32::MAX; 4], observed: Some(vec![false; 4]) };
        let outputs = Tensor::<3>::zeros([2, 2, 1], &device);
        assert_eq!(ForecastLoss::Mae.apply(outputs, &targets).unwrap().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn the_middle_is_nearest_to_the_median() {
        assert_eq!(ForecastLoss::Quantiles(vec![0.1, 0.4, 0.9]).middle(), 1);
        assert_eq!(ForecastLoss::Mse.middle(), 0);
    }

    #[test]
    fn labels_that_do_not_match_are_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        for targets in [Targets::Unknown, Targets::Series { values: vec![0.0; 3], observed: None }] {
            assert!(ForecastLoss::Mse.apply(Tensor::zeros([2, 2, 1], &device), &targets).is_err());
        }
    }
}
