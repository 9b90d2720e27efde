//! `[train.schedule]`: the learning rate over the steps, as a part of the optimizer's.

use std::f64::consts::PI;

use ansatz_core::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::choice::choice;
use crate::config::require;

choice! {
    /// The learning rate over the steps, as a part of the optimizer's.
    ScheduleConfig, "schedule":
    /// Falls along half a cosine.
    "cosine" => Cosine(Cosine),
    /// Stays.
    "constant" => Constant(Constant),
    /// Stays, then falls linearly.
    "warmup-stable-decay" => WarmupStableDecay(WarmupStableDecay),
    /// Rises from 0, then falls to 0 along half a cosine.
    "one-cycle" => OneCycle(OneCycle),
    /// Falls whenever the validation loss no longer does.
    "plateau" => Plateau(Plateau),
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Cosine(Cosine::default())
    }
}

impl ScheduleConfig {
    /// The part of the optimizer's learning rate, in 0–1, for the step behind `done` of `total` steps.
    ///
    /// For "plateau" this is the warm-up alone, without what the validation loss makes of the rate.
    pub fn factor(&self, done: u64, total: u64) -> f64 {
        match self {
            Self::Constant(schedule) => warm_up(done, total, schedule.warmup).unwrap_or(1.0),
            Self::Cosine(schedule) => schedule.factor(done, total),
            Self::WarmupStableDecay(schedule) => schedule.factor(done, total),
            Self::OneCycle(schedule) => schedule.factor(done, total),
            Self::Plateau(schedule) => warm_up(done, total, schedule.warmup).unwrap_or(1.0),
        }
    }
}

/// Stays at the optimizer's learning rate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Constant {
    /// The part of all steps in which the rate rises linearly, in 0–1 without 1.
    pub warmup: f64,
}

impl Constant {
    fn check(&self) -> Result<(), ConfigError> {
        check_warm_up(self.warmup)
    }
}

/// Rises linearly, then falls along half a cosine.
///
/// Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, equation 5, without
/// restarts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// The part of all steps in which the rate rises linearly, in 0–1 without 1.
    pub warmup: f64,
    /// Where the rate ends, as a part of the optimizer's, in 0–1.
    pub minimum: f64,
}

impl Default for Cosine {
    fn default() -> Self {
        Self { warmup: 0.05, minimum: 0.0 }
    }
}

impl Cosine {
    fn check(&self) -> Result<(), ConfigError> {
        check_warm_up(self.warmup)?;
        check_minimum(self.minimum)
    }

    fn factor(&self, done: u64, total: u64) -> f64 {
        warm_up(done, total, self.warmup).unwrap_or_else(|| {
            let progress = progress(done, steps(self.warmup, total), total);
            self.minimum + (1.0 - self.minimum) * half_cosine(progress)
        })
    }
}

/// Rises linearly, stays, then falls linearly.
///
/// Hu et al., "MiniCPM: unveiling the potential of small language models", 2024, equation 1; the linear
/// fall as in Hägele et al., "Scaling laws and compute-optimal training beyond fixed training durations", 2024.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WarmupStableDecay {
    /// The part of all steps in which the rate rises, in 0–1 without 1.
    pub warmup: f64,
    /// The part of all steps in which the rate falls, in 0–1; with the warm-up at most 1.
    pub decay: f64,
    /// Where the rate ends, as a part of the optimizer's, in 0–1.
    pub minimum: f64,
}

impl Default for WarmupStableDecay {
    fn default() -> Self {
        Self { warmup: 0.05, decay: 0.2, minimum: 0.0 }
    }
}

impl WarmupStableDecay {
    fn check(&self) -> Result<(), ConfigError> {
        check_warm_up(self.warmup)?;
        check_minimum(self.minimum)?;
        require(
            "decay",
            self.decay,
            (0.0..=1.0 - self.warmup).contains(&self.decay),
            "a part of all steps from 0 to 1, with the warm-up at most 1",
        )
    }

    fn factor(&self, done: u64, total: u64) -> f64 {
        warm_up(done, total, self.warmup).unwrap_or_else(|| {
            let start = total - steps(self.decay, total).min(total - steps(self.warmup, total));
            1.0 - (1.0 - self.minimum) * progress(done, start, total)
        })
    }
}

/// Rises linearly from 0, then falls to 0 along half a cosine: no warm-up beside it.
///
/// Smith, Topin, "Super-convergence: very fast training of neural networks using large learning rates",
/// 2019, with a cosine in place of the second line and no cycle of the momentum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OneCycle {
    /// The part of all steps in which the rate rises, above 0 and below 1.
    pub rise: f64,
}

impl Default for OneCycle {
    fn default() -> Self {
        Self { rise: 0.2 }
    }
}

impl OneCycle {
    fn check(&self) -> Result<(), ConfigError> {
        require("rise", self.rise, self.rise > 0.0 && self.rise < 1.0, "a number above 0 and below 1")
    }

    fn factor(&self, done: u64, total: u64) -> f64 {
        let progress = progress(done, 0, total);
        if progress < self.rise {
            progress / self.rise
        } else {
            half_cosine((progress - self.rise) / (1.0 - self.rise))
        }
    }
}

/// Stays until the validation loss has not become better for a while, then falls by a factor, as PyTorch's
/// `ReduceLROnPlateau` does. Needs a validation part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Plateau {
    /// The part of all steps in which the rate rises linearly, in 0–1 without 1.
    pub warmup: f64,
    /// What the rate is multiplied by, above 0 and below 1.
    pub factor: f64,
    /// Evaluations without a better loss that are borne; the next one makes the rate fall.
    pub patience: u64,
    /// How much better, as a part of the loss, counts as better; in 0–1 without 1.
    pub threshold: f64,
    /// The rate falls no further than this part of the optimizer's, in 0–1.
    pub minimum: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Self { warmup: 0.0, factor: 0.1, patience: 3, threshold: 1e-4, minimum: 0.0 }
    }
}

impl Plateau {
    fn check(&self) -> Result<(), ConfigError> {
        check_warm_up(self.warmup)?;
        check_minimum(self.minimum)?;
        let factor = self.factor;
        require("factor", factor, factor > 0.0 && factor < 1.0, "a number above 0 and below 1")?;
        let threshold = self.threshold;
        require(
            "threshold",
            threshold,
            (0.0..1.0).contains(&threshold),
            "a part of the loss from 0 to 1, without 1",
        )
    }
}

/// The factor while the rate rises: at the first step above 0, behind the last one 1.
fn warm_up(done: u64, total: u64, fraction: f64) -> Option<f64> {
    let steps = steps(fraction, total);
    (done < steps).then(|| (done + 1) as f64 / (steps + 1) as f64)
}

/// A part of all steps, in whole steps.
fn steps(fraction: f64, total: u64) -> u64 {
    ((fraction * total as f64).round() as u64).min(total)
}

/// How far `done` is on the way from `start` to `end`, in 0–1.
fn progress(done: u64, start: u64, end: u64) -> f64 {
    if done <= start {
        return 0.0;
    }
    ((done - start) as f64 / (end.max(start + 1) - start) as f64).min(1.0)
}

/// 1 at 0, 0 at 1.
fn half_cosine(progress: f64) -> f64 {
    0.5 * (1.0 + (PI * progress).cos())
}

fn check_warm_up(warmup: f64) -> Result<(), ConfigError> {
    require("warmup", warmup, (0.0..1.0).contains(&warmup), "a part of all steps from 0 to 1, without 1")
}

fn check_minimum(minimum: f64) -> Result<(), ConfigError> {
    require("minimum", minimum, (0.0..=1.0).contains(&minimum), "a part of the rate from 0 to 1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_schedule() -> impl Strategy<Value = ScheduleConfig> {
        (0..5, 0.0..0.5_f64, 0.0..0.5_f64, 0.0..=1.0_f64, 0.01..0.99_f64).prop_map(
            |(kind, warmup, decay, minimum, rise)| match kind {
                0 => ScheduleConfig::Cosine(Cosine { warmup, minimum }),
                1 => ScheduleConfig::Constant(Constant { warmup }),
                2 => ScheduleConfig::WarmupStableDecay(WarmupStableDecay { warmup, decay, minimum }),
                3 => ScheduleConfig::OneCycle(OneCycle { rise }),
                _ => ScheduleConfig::Plateau(Plateau { warmup, ..Plateau::default() }),
            },
        )
    }

    /// The fewest steps in which the schedule goes from one end of its range to the other.
    fn shortest_way(schedule: &ScheduleConfig, total: u64) -> f64 {
        let parts = match schedule {
            ScheduleConfig::Cosine(schedule) => vec![schedule.warmup, 1.0 - schedule.warmup],
            ScheduleConfig::Constant(schedule) => vec![schedule.warmup],
            ScheduleConfig::WarmupStableDecay(schedule) => vec![schedule.warmup, schedule.decay],
            ScheduleConfig::OneCycle(schedule) => vec![schedule.rise, 1.0 - schedule.rise],
            ScheduleConfig::Plateau(schedule) => vec![schedule.warmup],
        };
        let steps = parts.iter().map(|part| part * total as f64 - 1.0);
        steps.fold(f64::INFINITY, f64::min).max(1.0)
    }

    proptest! {
        #[test]
        fn rates_are_in_range_and_make_no_leaps(schedule in any_schedule(), total in 1_u64..500) {
            prop_assert!(schedule.check().is_ok(), "{:?}", schedule);
            let factors: Vec<f64> = (0..=total).map(|done| schedule.factor(done, total)).collect();
            for factor in &factors {
                prop_assert!((0.0..=1.0).contains(factor), "{factor}");
            }
            let leap = PI / 2.0 / shortest_way(&schedule, total);
            for pair in factors.windows(2) {
                prop_assert!((pair[1] - pair[0]).abs() <= leap + 1e-9, "{pair:?} {leap}");
            }
        }

        #[test]
        fn rates_end_at_the_minimum(
            warmup in 0.0..0.5_f64,
            decay in 0.1..0.5_f64,
            minimum in 0.0..=1.0_f64,
            total in 10_u64..500,
        ) {
            let cosine = Cosine { warmup, minimum }.factor(total, total);
            let stable = WarmupStableDecay { warmup, decay, minimum }.factor(total, total);
            prop_assert!((cosine - minimum).abs() < 1e-9 && (stable - minimum).abs() < 1e-9);
            let one_cycle = OneCycle { rise: decay }.factor(total, total);
            prop_assert!(one_cycle.abs() < 1e-9);
        }
    }

    #[test]
    fn one_cycle_is_that_of_the_protocols() {
        // Linear 0 → 1 over the first 20 % of steps, then a cosine to 0.
        let (total, schedule) = (1000, OneCycle::default());
        for done in 0..total {
            let part = done as f64 / total as f64;
            let expected =
                if part < 0.2 { part / 0.2 } else { 0.5 * (1.0 + (PI * (part - 0.2) / 0.8).cos()) };
            assert!((schedule.factor(done, total) - expected).abs() < 1e-12, "{done}");
        }
        assert_eq!((schedule.factor(0, total), schedule.factor(200, total)), (0.0, 1.0));
    }

    #[test]
    fn warm_up_and_cosine_are_those_of_the_protocols() {
        // 2000 steps: 1e-3 (i + 1) / 101 for i < 100, then a cosine to 1e-4.
        let schedule = Cosine { warmup: 0.05, minimum: 0.1 };
        for done in [0_u64, 1, 50, 99] {
            assert!((schedule.factor(done, 2000) - (done + 1) as f64 / 101.0).abs() < 1e-12);
        }
        assert_eq!(schedule.factor(100, 2000), 1.0);
        assert!((schedule.factor(1050, 2000) - 0.55).abs() < 1e-12);
        assert!((schedule.factor(2000, 2000) - 0.1).abs() < 1e-12);
    }
}
