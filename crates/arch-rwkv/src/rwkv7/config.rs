//! The typed config of RWKV-7's time mixing.

use ansatz_core::{BoxedMixer, Build, Component, ConfigError, MixerConfig, Registry, Result};
use burn::nn::Initializer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Mixtures, Rwkv7};
use crate::draw::{along, falling, linear, rising, vector};
use crate::low_rank::{Between, LowRank};
use crate::norm::HeadNorm;

/// The time mixing of RWKV-7.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rwkv7Config {
    /// Heads, at least 1, a divisor of the width.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Values of each head's value, at least 1. Left out: the width divided by `heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub head_value_width: Option<usize>,
    /// Values through which the decay is made, at least 1.
    #[schemars(range(min = 1))]
    pub decay_rank: usize,
    /// Values through which the rate of replacing is made, at least 1.
    #[schemars(range(min = 1))]
    pub rate_rank: usize,
    /// Values through which the share of the first layer's value is made, at least 1.
    #[schemars(range(min = 1))]
    pub value_rank: usize,
    /// Values through which the gate is made, at least 1.
    #[schemars(range(min = 1))]
    pub gate_rank: usize,
    /// Added to the variance of each head's output, above 0 up to 1. Left out: 1e-5 times the values of a head's
    /// key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1.0))]
    pub epsilon: Option<f64>,
}

impl Default for Rwkv7Config {
    fn default() -> Self {
        Self {
            heads: 4,
            head_value_width: None,
            decay_rank: 64,
            rate_rank: 64,
            value_rank: 16,
            gate_rank: 128,
            epsilon: None,
        }
    }
}

impl Component for Rwkv7Config {
    const KIND: &'static str = "rwkv-7";
    const ABOUT: &'static str = "RWKV-7 time mixing: for each head a matrix of values by their keys, which decays, and \
        in which new values replace old ones";
    const CITATION: &'static str =
        "Peng et al., RWKV-7 \"Goose\" with Expressive Dynamic State Evolution, 2025, arXiv:2503.14456";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        let counts = [
            ("heads", Some(self.heads)),
            ("head_value_width", self.head_value_width),
            ("decay_rank", Some(self.decay_rank)),
            ("rate_rank", Some(self.rate_rank)),
            ("value_rank", Some(self.value_rank)),
            ("gate_rank", Some(self.gate_rank)),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == Some(0)) {
            return Err(ConfigError::value(key, "0", "at least 1"));
        }
        match self.epsilon {
            Some(epsilon) if !(epsilon > 0.0 && epsilon <= 1.0) => {
                Err(ConfigError::value("epsilon", epsilon.to_string(), "above 0 up to 1"))
            }
            _ => Ok(()),
        }
    }
}

impl Rwkv7Config {
    /// Builds the mixer for tokens of `width` values.
    ///
    /// # Errors
    /// When a value is out of range, or the heads do not divide the width.
    pub fn build(&self, width: usize, build: &Build) -> Result<Rwkv7, ConfigError> {
        self.clone().complete(build.registry)?;
        if !width.is_multiple_of(self.heads) {
            let problem = format!("{} heads do not divide a width of {width}", self.heads);
            return Err(ConfigError::value("heads", problem, format!("a divisor of {width}")));
        }
        let (device, depth) = (build.device, build.depth);
        let key = width / self.heads;
        let values = self.heads * self.head_value_width.unwrap_or(key);
        let (rising, falling) = (rising(depth), falling(depth));

        // Inside a head from −1 to 1, and most channels near 0; over all channels from −½ to ½.
        let zigzag = |channel: usize| {
            let place = 2.0 * along(channel % key, key) - 1.0;
            place * place.abs()
        };
        let line = |channel: usize, count: usize| along(channel, count) - 0.5;
        let decay = |channel: usize| {
            -5.5 + 6.0 * along(channel, width).powf(1.0 + rising.powf(0.3)) + 2.5 * zigzag(channel)
        };
        let rate = |channel: usize| -0.19 + 0.3 * zigzag(channel) + 0.4 * line(channel, width);
        let first = |channel: usize| 0.73 - 0.4 * line(channel, values);
        let low_rank = |rank: usize, outputs: usize, between: Between, bias| {
            LowRank::new([width, rank, outputs], between, bias, device)
        };
        let mix = |power: f64| {
            vector(width, |channel| 1.0 - (channel as f64 / width as f64).powf(power * falling), device)
        };
        let map = |shape, gain| linear(shape, &Initializer::Orthogonal { gain }, device);
        let scale = ((depth.index + 1) as f64 / depth.blocks as f64).powf(0.7);
        let epsilon = self.epsilon.unwrap_or(1e-5 * key as f64);
        Ok(Rwkv7 {
            mixtures: Mixtures {
                receptance: mix(0.2),
                decay: mix(0.9),
                key: mix(0.7),
                value: mix(0.7),
                rate: mix(0.9),
                gate: mix(0.2),
            },
            receptance: map([width, width], 1.0),
            decay: low_rank(self.decay_rank, width, Between::Tanh, Some(vector(width, decay, device))),
            key: map([width, width], 0.1),
            value: map([width, values], 1.0),
            first_value: (depth.index > 0).then(|| {
                let bias = Some(vector(values, first, device));
                low_rank(self.value_rank, values, Between::Nothing, bias)
            }),
            rate: low_rank(self.rate_rank, width, Between::Nothing, Some(vector(width, rate, device))),
            gate: low_rank(self.gate_rank, values, Between::Sigmoid, None),
            removal: vector(width, |channel| 0.71 - 0.1 * line(channel, width), device),
            replacement: Initializer::Constant { value: 1.02 }.init([width], device),
            bonus: Initializer::Constant { value: -0.04 }.init([self.heads, key], device),
            norm: HeadNorm::new(values, self.heads, epsilon, scale, device),
            // A fresh block changes nothing.
            output: linear([values, width], &Initializer::Zeros, device),
        })
    }
}

impl MixerConfig for Rwkv7Config {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(self.build(width, build)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let default = Rwkv7Config::default();
        for (config, path) in [
            (Rwkv7Config { heads: 0, ..default.clone() }, "`heads`"),
            (Rwkv7Config { gate_rank: 0, ..default.clone() }, "`gate_rank`"),
            (Rwkv7Config { epsilon: Some(2.0), ..default }, "`epsilon`"),
        ] {
            let message = config.clone().complete(&Registry::default()).unwrap_err().to_string();
            assert!(message.contains(path), "{message}");
        }
        let device = ansatz_device::open("cpu").unwrap();
        let message =
            Rwkv7Config::default().build(10, &Build::new(&Registry::default(), &device)).unwrap_err();
        assert!(message.to_string().contains("4 heads do not divide a width of 10"), "{message}");
    }

    #[test]
    fn the_first_block_alone_has_no_share_of_the_first_value() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        for index in 0..3 {
            let build = Build::new(&registry, &device).at(index, 3);
            let mixer = Rwkv7Config::default().build(8, &build).unwrap();
            assert_eq!(mixer.first_value.is_some(), index > 0);
        }
    }
}
