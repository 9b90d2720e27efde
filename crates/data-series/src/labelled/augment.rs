//! Varying training series, so that a network sees none twice in the same form.
//!
//! Every draw follows from (seed, epoch, index of the example): see [`ansatz_data::random`].

use ansatz_core::ConfigError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How training series are varied, on the scale of the network. Everything is off by default.
///
/// The steps are applied in the order of these fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesAugment {
    /// The share of its steps that is kept of a series, above 0 up to 1: a piece of this length is cut out at a random
    /// place and stretched to the old length (Le Guennec et al., Data Augmentation for Time Series Classification
    /// using Convolutional Neural Networks, 2016, section 2.2). Like `warp` it reads between steps on straight lines, which
    /// smooths what changes from step to step: not for classes that differ in that.
    pub slice: f64,
    /// How much time runs faster and slower along a series, 0 up to 0.5: the deviation of its speed, whose mean is 1
    /// (Um et al., Data Augmentation of Wearable Sensor Data, 2017, arXiv:1706.00527, section 3.2).
    pub warp: f64,
    /// Deviation of the factor that each channel is multiplied by, 0 up to 1; its mean is 1.
    pub scaling: f64,
    /// Deviation of the noise that is added to each value, 0 up to 10.
    pub jitter: f64,
}

impl Default for SeriesAugment {
    fn default() -> Self {
        Self { slice: 1.0, warp: 0.0, scaling: 0.0, jitter: 0.0 }
    }
}

/// Places along a series at which its speed is drawn; between them it changes linearly.
const KNOTS: usize = 5;

/// No time runs slower than this.
const SLOWEST: f64 = 0.1;

impl SeriesAugment {
    /// Checks the ranges.
    ///
    /// # Errors
    /// With the key, what it says and its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(self.slice > 0.0 && self.slice <= 1.0) {
            return Err(ConfigError::value("slice", format!("a share of {}", self.slice), "above 0 up to 1"));
        }
        for (key, value, most) in
            [("warp", self.warp, 0.5), ("scaling", self.scaling, 1.0), ("jitter", self.jitter, 10.0)]
        {
            if !(0.0..=most).contains(&value) {
                return Err(ConfigError::value(
                    key,
                    format!("a deviation of {value}"),
                    format!("0 to {most}"),
                ));
            }
        }
        Ok(())
    }

    /// Varies the values `[steps × channels]` of a series, and moves with them what says which were observed.
    pub(super) fn apply(
        &self,
        values: &mut Vec<f32>,
        observed: &mut Vec<bool>,
        channels: usize,
        random: &mut ChaCha8Rng,
    ) {
        if let Some(times) = self.draw_times(values.len() / channels, random) {
            *values = resample(values, &times, channels);
            *observed = times
                .iter()
                .flat_map(|time| row(observed, time.round() as usize, channels))
                .copied()
                .collect();
        }
        let mut normal = || -> f32 { StandardNormal.sample(random) };
        if self.scaling > 0.0 {
            let factors: Vec<f32> = (0..channels).map(|_| 1.0 + self.scaling as f32 * normal()).collect();
            for (at, value) in values.iter_mut().enumerate() {
                *value *= factors[at % channels];
            }
        }
        if self.jitter > 0.0 {
            for value in values {
                *value += self.jitter as f32 * normal();
            }
        }
    }

    /// The time in the old series, in steps from its first on, that each step of the new one shows; `None` where it is
    /// the same.
    fn draw_times(&self, steps: usize, random: &mut ChaCha8Rng) -> Option<Vec<f64>> {
        if steps < 2 || (self.slice == 1.0 && self.warp == 0.0) {
            return None;
        }
        let last = (steps - 1) as f64;
        let kept = last * self.slice;
        let first = if self.slice < 1.0 { random.random_range(0.0..last - kept) } else { 0.0 };
        let speeds: Vec<f64> = (0..KNOTS)
            .map(|_| {
                let draw: f64 = StandardNormal.sample(random);
                (1.0 + self.warp * draw).max(SLOWEST)
            })
            .collect();
        let speed = |step: usize| {
            let place = step as f64 / last * (KNOTS - 1) as f64;
            let knot = (place as usize).min(KNOTS - 2);
            let share = place - knot as f64;
            speeds[knot] * (1.0 - share) + speeds[knot + 1] * share
        };
        // Time is the sum of the speeds before a step, and ends where the piece ends.
        let passed: Vec<f64> = std::iter::once(0.0)
            .chain((1..steps).scan(0.0, |time, step| {
                *time += speed(step);
                Some(*time)
            }))
            .collect();
        let whole = passed[steps - 1];
        Some(passed.into_iter().map(|time| (first + time / whole * kept).min(last)).collect())
    }
}

/// The values of a step.
fn row<T>(values: &[T], step: usize, channels: usize) -> &[T] {
    &values[step * channels..(step + 1) * channels]
}

/// The series at `times`, each in 0..=steps − 1, on straight lines between its steps.
fn resample(values: &[f32], times: &[f64], channels: usize) -> Vec<f32> {
    let last = values.len() / channels - 1;
    let at = |time: &f64| {
        let before = (*time as usize).min(last);
        let share = (time - before as f64) as f32;
        let (before, behind) = (row(values, before, channels), row(values, (before + 1).min(last), channels));
        before.iter().zip(behind).map(move |(before, behind)| before + share * (behind - before))
    };
    times.iter().flat_map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_data::{Purpose, stream};

    fn vary(augment: &SeriesAugment, values: &[f32], epoch: u64) -> (Vec<f32>, Vec<bool>) {
        let (mut values, mut observed) = (values.to_vec(), vec![true; values.len()]);
        observed[0] = false;
        augment.apply(&mut values, &mut observed, 2, &mut stream(1, Purpose::Example, epoch, 0));
        (values, observed)
    }

    /// Two channels: the step, and its negative.
    fn ramp(steps: usize) -> Vec<f32> {
        (0..steps).flat_map(|step| [step as f32, -(step as f32)]).collect()
    }

    #[test]
    fn nothing_changes_by_default_and_draws_follow_from_the_epoch() {
        let series = ramp(40);
        assert_eq!(vary(&SeriesAugment::default(), &series, 0).0, series);
        let all = SeriesAugment { slice: 0.8, warp: 0.2, scaling: 0.1, jitter: 0.1 };
        assert_eq!(vary(&all, &series, 3), vary(&all, &series, 3));
        assert_ne!(vary(&all, &series, 3).0, vary(&all, &series, 4).0);
    }

    #[test]
    fn time_never_runs_backwards_and_stays_inside() {
        let augment = SeriesAugment { slice: 0.5, warp: 0.5, ..SeriesAugment::default() };
        for epoch in 0..50 {
            let (values, observed) = vary(&augment, &ramp(41), epoch);
            let first: Vec<f32> = values.iter().copied().step_by(2).collect();
            assert!(first.is_sorted(), "{first:?}");
            // A half of it: from its first to its last step 20 have passed.
            let span = first[40] - first[0];
            assert!((span - 20.0).abs() < 1e-3 && first[0] >= 0.0 && first[40] <= 40.0, "{span}");
            assert!(values.chunks(2).all(|step| step[0] == -step[1]));
            assert_eq!(observed.len(), values.len());
        }
        // A warp alone keeps both ends.
        let (values, observed) = vary(&SeriesAugment { warp: 0.3, ..SeriesAugment::default() }, &ramp(10), 0);
        assert!(values[0] == 0.0 && (values[18] - 9.0).abs() < 1e-4, "{values:?}");
        assert!(!observed[0] && observed[18]);
    }

    #[test]
    fn a_factor_goes_for_a_channel_and_noise_for_a_value() {
        let series = vec![1.0; 400];
        let scaled = vary(&SeriesAugment { scaling: 0.5, ..SeriesAugment::default() }, &series, 0).0;
        assert!(scaled.chunks(2).all(|step| step == &scaled[..2]) && scaled[0] != scaled[1]);
        let noisy = vary(&SeriesAugment { jitter: 0.1, ..SeriesAugment::default() }, &series, 0).0;
        let deviation = (noisy.iter().map(|value| (value - 1.0).powi(2)).sum::<f32>() / 400.0).sqrt();
        assert!((0.08..0.12).contains(&deviation), "{deviation}");
    }
}
