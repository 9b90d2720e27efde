//! The scale that the network works on.

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
        let of_channel = |channel: usize| {
            let pairs = values.iter().zip(observed).skip(channel).step_by(channels);
            pairs.filter(|(_, observed)| **observed).map(|(value, _)| *value)
        };
        let mean_and_deviation = |channel: usize| {
            let count = (of_channel(channel).count().max(1)) as f64;
            let mean = of_channel(channel).sum::<f64>() / count;
            let variance = of_channel(channel).map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
        };
        let (mean, deviation) = (0..channels).map(mean_and_deviation).unzip();
        Self { mean, deviation }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_observed_does_not_count() {
        let values = [1.0, 5.0, 100.0, 5.0, 3.0, 5.0];
        let scaling = Scaling::fit(&values, &[true, true, false, true, true, true], 2);
        assert_eq!(scaling, Scaling { mean: vec![2.0, 5.0], deviation: vec![1.0, 1.0] });
        assert_eq!(scaling.apply(4.5, 0), 2.5);
        assert_eq!(scaling.undo(2.5, 0), 4.5);
        assert!(scaling.fits(2) && !scaling.fits(1));
        assert_eq!(Scaling::fit(&[f64::NAN], &[false], 1), Scaling { mean: vec![0.0], deviation: vec![1.0] });
    }
}
