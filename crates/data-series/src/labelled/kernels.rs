//! Series as responses to kernels that nobody trains: what is left to learn is linear, and few examples are enough for it.

mod config;
mod hydra;
mod mini_rocket;
mod scale;

use std::iter;

use ansatz_core::{Error, Result};
use serde::{Deserialize, Serialize};

pub use config::{HydraConfig, KernelsConfig, MiniRocketConfig};
use hydra::Hydra;
use mini_rocket::MiniRocket;
use scale::{Scale, ScaleFit};

/// Steps that a kernel sees.
pub(super) const TAPS: usize = 9;

/// What is learned from the training part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fitted {
    /// Of each response of MiniRocket; none without it.
    thresholds: Vec<f32>,
    /// Of all responses.
    scale: Scale,
}

/// The kernels for series of one shape.
#[derive(Debug, Clone)]
pub(super) struct Kernels {
    mini_rocket: Option<MiniRocket>,
    hydra: Option<Hydra>,
}

impl Kernels {
    /// For series of `length` steps and `channels` channels.
    ///
    /// # Errors
    /// When a series is shorter than a kernel.
    pub(super) fn new(config: &KernelsConfig, length: usize, channels: usize) -> Result<Self> {
        if length < TAPS {
            let problem = format!("they have {length} steps at the most, and a kernel sees {TAPS}");
            let remedy = "leave out data.kernels";
            return Err(Error::input("the series", problem, format!("at least {TAPS} steps"), remedy));
        }
        let shape = [length, channels];
        Ok(Self {
            mini_rocket: config.mini_rocket.as_ref().map(|config| MiniRocket::new(config, shape)),
            hydra: config.hydra.as_ref().map(|config| Hydra::new(config, shape)),
        })
    }

    /// The same with the thresholds that a run kept.
    ///
    /// # Errors
    /// With the numbers that do not fit.
    pub(super) fn with(mut self, fitted: &Fitted) -> Result<Self, String> {
        let [wanted, known] = [self.count(), fitted.scale.len()];
        if wanted != known {
            return Err(format!("a scale of {known} responses, of which there are {wanted}"));
        }
        if let Some(mini_rocket) = &mut self.mini_rocket {
            mini_rocket.set_thresholds(&fitted.thresholds)?;
        }
        Ok(self)
    }

    /// How many responses a series has.
    pub(super) fn count(&self) -> usize {
        self.mini_rocket.as_ref().map_or(0, MiniRocket::count) + self.hydra.as_ref().map_or(0, Hydra::count)
    }

    /// Learns the thresholds from some of `examples` training series, each of which `series` reads as
    /// `[steps × channels]`.
    pub(super) fn fit(&mut self, examples: usize, series: impl Fn(usize) -> Result<Vec<f32>>) -> Result<()> {
        self.mini_rocket.as_mut().map_or(Ok(()), |mini_rocket| mini_rocket.fit(examples, series))
    }

    /// The responses of a series `[steps × channels]`, each on its own scale.
    pub(super) fn respond(&self, values: &[f32]) -> Vec<f32> {
        let mut responses = Vec::with_capacity(self.count());
        if let Some(mini_rocket) = &self.mini_rocket {
            mini_rocket.respond(values, &mut responses);
        }
        if let Some(hydra) = &self.hydra {
            hydra.respond(values, &mut responses);
        }
        responses
    }

    /// What a run keeps, from the responses of the training part.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn fitted<R>(&self, responses: impl Fn() -> R) -> Result<Fitted>
    where
        R: Iterator<Item = Result<Vec<f32>>>,
    {
        let shares = self.mini_rocket.as_ref().map_or(0, MiniRocket::count);
        let mut fit = ScaleFit::new(shares, self.count());
        for row in responses() {
            fit.add(&row?);
        }
        let mut fit = fit.with_means();
        for row in responses() {
            fit.add(&row?);
        }
        let thresholds = self.mini_rocket.as_ref().map_or(Vec::new(), |known| known.thresholds().to_vec());
        Ok(Fitted { thresholds, scale: fit.finish() })
    }
}

impl Fitted {
    /// Responses on the scale of the network.
    pub(super) fn scaled(&self, responses: &[f32]) -> Vec<f32> {
        self.scale.apply(responses)
    }
}

/// Channels apart: `[steps × channels]` → `[channels][steps]`, zeros behind what is shorter than `length`.
fn channels_apart(values: &[f32], length: usize, channels: usize) -> Vec<Vec<f32>> {
    let channel = |channel: usize| {
        let steps = values.iter().skip(channel).step_by(channels).copied();
        steps.chain(iter::repeat(0.0)).take(length).collect()
    };
    (0..channels).map(channel).collect()
}

/// `y[t] = Σ_j w_j x[t + (j − 4) d]` with zeros outside: a kernel of nine taps, d steps apart, over every step.
fn slide(x: &[f32], taps: &[f32; TAPS], dilation: usize, y: &mut [f32]) {
    y.fill(0.0);
    for (tap, weight) in taps.iter().enumerate() {
        let (to, from) = overlap(x.len(), tap, dilation);
        for (y, x) in y[to].iter_mut().zip(&x[from]) {
            *y += weight * x;
        }
    }
}

/// The steps t, and those t + (tap − 4) d that the tap sees from them, as far as both are inside `length` steps.
fn overlap(length: usize, tap: usize, dilation: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    let middle = TAPS / 2;
    let ahead = tap.saturating_sub(middle) * dilation;
    let behind = middle.saturating_sub(tap) * dilation;
    let whole = length.saturating_sub(ahead.max(behind));
    (behind.min(length)..behind.min(length) + whole, ahead.min(length)..ahead.min(length) + whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_slides_over_every_step() {
        let x: Vec<f32> = (0..23).map(|step| ((step * step) % 7) as f32 - 3.0).collect();
        let taps: [f32; TAPS] = std::array::from_fn(|tap| tap as f32 * 0.5 - 1.0);
        for dilation in [1, 2, 5, 6, 40] {
            let mut y = vec![1.0; x.len()];
            slide(&x, &taps, dilation, &mut y);
            for (step, found) in y.iter().enumerate() {
                let tap = |tap: usize| {
                    let at = step as i64 + (tap as i64 - 4) * dilation as i64;
                    usize::try_from(at).ok().and_then(|at| x.get(at)).map_or(0.0, |x| taps[tap] * x)
                };
                let expected: f32 = (0..TAPS).map(tap).sum();
                assert!(
                    (found - expected).abs() < 1e-5,
                    "step {step} of {dilation}: {found}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn channels_are_told_apart_and_what_is_short_is_filled() {
        assert_eq!(channels_apart(&[1.0, 2.0, 3.0, 4.0], 3, 2), [[1.0, 3.0, 0.0], [2.0, 4.0, 0.0]]);
    }

    #[test]
    fn kernels_that_were_kept_respond_as_before() {
        let config = KernelsConfig {
            mini_rocket: Some(MiniRocketConfig { features: 168, ..MiniRocketConfig::default() }),
            hydra: Some(HydraConfig { groups: 4, kernels: 3 }),
        };
        let series = |index: usize| -> Result<Vec<f32>> {
            Ok((0..40).map(|at| ((at * (index + 3)) % 11) as f32 - 5.0).collect())
        };
        let mut kernels = Kernels::new(&config, 20, 2).unwrap();
        kernels.fit(5, series).unwrap();
        let rows = || (0..5).map(|index| Ok(kernels.respond(&series(index)?)));
        let fitted = kernels.fitted(rows).unwrap();
        let kept: Fitted = serde_json::from_value(serde_json::to_value(&fitted).unwrap()).unwrap();
        let restored = Kernels::new(&config, 20, 2).unwrap().with(&kept).unwrap();
        for index in 0..5 {
            let [before, after] = [&kernels, &restored].map(|known| known.respond(&series(index).unwrap()));
            assert_eq!(before.len(), kernels.count());
            assert_eq!(fitted.scaled(&before), kept.scaled(&after));
        }
        assert!(Kernels::new(&config, 40, 2).unwrap().with(&kept).is_err());
        assert!(Kernels::new(&config, 8, 2).unwrap_err().to_string().contains("at least 9 steps"));
    }
}
