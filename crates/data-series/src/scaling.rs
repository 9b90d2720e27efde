//! The scale that the network works on.

use ansatz_core::Result;
use serde::{Deserialize, Serialize};

/// Mean and deviation of each channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Subtracted from each channel.
    pub mean: Vec<f64>,
    /// Divides each channel after that; above 0.
    pub deviation: Vec<f64>,
}

impl Scaling {
    /// Population mean and deviation of `channels` channels over the observed of `values`,
    /// `[steps × channels]`. Where a channel never varies, its deviation is taken as 1; of a channel without
    /// a value the mean as 0.
    pub fn fit(values: &[f64], observed: &[bool], channels: usize) -> Self {
        let known = || {
            let values = values.iter().zip(observed).enumerate();
            values.filter(|(_, (_, observed))| **observed).map(|(at, (value, _))| (at % channels, *value))
        };
        let mean = Sums::of(known(), channels).mean();
        let variance = Sums::of(squares(known(), &mean), channels).mean();
        Self::new(mean, variance)
    }

    /// The same over series that are read twice, one behind the other; NaN is what was not observed.
    ///
    /// # Errors
    /// When a series cannot be read.
    pub(crate) fn over<S>(channels: usize, series: impl Fn() -> S) -> Result<Self>
    where
        S: Iterator<Item = Result<Vec<f64>>>,
    {
        let (mut sums, mut spread) = (Sums::new(channels), Sums::new(channels));
        for values in series() {
            sums.add(observed(&values?, channels));
        }
        let mean = sums.mean();
        for values in series() {
            spread.add(squares(observed(&values?, channels), &mean));
        }
        Ok(Self::new(mean, spread.mean()))
    }

    fn new(mean: Vec<f64>, variance: Vec<f64>) -> Self {
        let deviation = |variance: f64| if variance > 0.0 { variance.sqrt() } else { 1.0 };
        Self { mean, deviation: variance.into_iter().map(deviation).collect() }
    }

    /// One value of `channel` on the network's scale.
    pub fn apply(&self, value: f64, channel: usize) -> f32 {
        ((value - self.mean[channel]) / self.deviation[channel]) as f32
    }

    /// A value on the network's scale in the units of `channel`.
    pub fn undo(&self, value: f32, channel: usize) -> f64 {
        f64::from(value) * self.deviation[channel] + self.mean[channel]
    }

    /// Whether these are figures for `channels` channels.
    pub(crate) fn fits(&self, channels: usize) -> bool {
        let finite =
            |values: &[f64]| values.len() == channels && values.iter().all(|value| value.is_finite());
        finite(&self.mean) && finite(&self.deviation) && self.deviation.iter().all(|value| *value > 0.0)
    }
}

/// The values `[steps × channels]` that are not missing, with their channels.
fn observed(values: &[f64], channels: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
    let values = values.iter().enumerate().filter(|(_, value)| !value.is_nan());
    values.map(move |(at, value)| (at % channels, *value))
}

/// Squared distances from the means of their channels.
fn squares(values: impl Iterator<Item = (usize, f64)>, mean: &[f64]) -> impl Iterator<Item = (usize, f64)> {
    values.map(|(channel, value)| (channel, (value - mean[channel]).powi(2)))
}

/// Sums of channels, and how many values are in each.
struct Sums {
    total: Vec<f64>,
    count: Vec<usize>,
}

impl Sums {
    fn new(channels: usize) -> Self {
        Self { total: vec![0.0; channels], count: vec![0; channels] }
    }

    fn of(values: impl Iterator<Item = (usize, f64)>, channels: usize) -> Self {
        let mut sums = Self::new(channels);
        sums.add(values);
        sums
    }

    fn add(&mut self, values: impl Iterator<Item = (usize, f64)>) {
        for (channel, value) in values {
            self.total[channel] += value;
            self.count[channel] += 1;
        }
    }

    /// 0 where there is no value.
    fn mean(&self) -> Vec<f64> {
        self.total.iter().zip(&self.count).map(|(total, count)| total / (*count).max(1) as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use ansatz_core::Error;

    use super::*;

    #[test]
    fn what_was_not_observed_does_not_count() {
        let values = [1.0, 5.0, 100.0, 5.0, 3.0, 5.0];
        let scaling = Scaling::fit(&values, &[true, true, false, true, true, true], 2);
        assert_eq!(scaling, Scaling { mean: vec![2.0, 5.0], deviation: vec![1.0, 1.0] });
        assert_eq!(scaling.apply(4.5, 0), 2.5);
        assert_eq!(scaling.undo(2.5, 0), 4.5);
        assert!(scaling.fits(2) && !scaling.fits(1));
        let pieces = [vec![1.0, 5.0], vec![f64::NAN, 5.0, 3.0, 5.0]];
        assert_eq!(Scaling::over(2, || pieces.clone().into_iter().map(Ok)).unwrap(), scaling);
        assert!(Scaling::over(1, || std::iter::once(Err(Error::Failed(String::new())))).is_err());
        assert_eq!(Scaling::fit(&[f64::NAN], &[false], 1), Scaling { mean: vec![0.0], deviation: vec![1.0] });
    }
}
