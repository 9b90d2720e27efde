//! A mixer that is one decaying average per channel.

use ansatz_core::{
    BoxedMixer, Build, Component, ConfigError, Context, Mixer, MixerConfig, Recurrent, Registry, Result,
    State,
};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An exponentially decaying average of the projected tokens.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MovingAverageConfig {
    /// How much of the average is kept from token to token; above 0, below 1.
    pub decay: f64,
}

impl Default for MovingAverageConfig {
    fn default() -> Self {
        Self { decay: 0.8 }
    }
}

impl Component for MovingAverageConfig {
    const KIND: &'static str = "moving-average";
    const ABOUT: &'static str = "A decaying average of the tokens so far, one decay for all channels.";
    const CITATION: &'static str = "";

    fn complete(&mut self, _registry: &Registry) -> std::result::Result<(), ConfigError> {
        if self.decay > 0.0 && self.decay < 1.0 {
            return Ok(());
        }
        Err(ConfigError::value("decay", format!("{}", self.decay), "above 0 and below 1"))
    }
}

impl MixerConfig for MovingAverageConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        let project = LinearConfig::new(width, width).init(build.device);
        Ok(BoxedMixer::new(MovingAverage { project, decay: self.decay }))
    }
}

/// s_t = a s_{t−1} + (1 − a) W x_t, and the output is s_t.
#[derive(Module, Debug)]
pub struct MovingAverage {
    project: Linear,
    #[module(skip)]
    decay: f64,
}

impl Mixer for MovingAverage {
    /// All positions at once: s = A (W x) with A_{ts} = (1 − a) a^{t−s} for s ≤ t.
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let device = tokens.device();
        let mut projected = self.project.forward(tokens);
        if let Some(mask) = &context.mask {
            projected = projected.mask_fill(mask.clone().bool_not().unsqueeze_dim::<3>(2), 0.0);
        }
        let weights: Vec<f32> = (0..length * length)
            .map(|index| (index / length, index % length))
            .map(|(to, from)| if from > to { 0.0 } else { self.weight(to - from) })
            .collect();
        let weights = Tensor::<1>::from_floats(weights.as_slice(), &device).cast(projected.dtype());
        weights.reshape([1, length, length]).matmul(projected)
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let [inputs, outputs] = self.project.weight.dims();
        (2 * length * inputs * outputs + 2 * length * length * outputs) as u64
    }
}

impl MovingAverage {
    fn weight(&self, distance: usize) -> f32 {
        ((1.0 - self.decay) * self.decay.powi(distance as i32)) as f32
    }
}

impl Recurrent for MovingAverage {
    fn state(&self, batch: usize, device: &Device) -> State {
        let [_, width] = self.project.weight.dims();
        State::new().with("average", Tensor::<2>::zeros([batch, width], device))
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [batch, length, _] = tokens.dims();
        let projected = self.project.forward(tokens);
        let [_, _, width] = projected.dims();
        let mut average =
            state.take::<2>("average").unwrap_or_else(|| Tensor::zeros([batch, width], &projected.device()));
        let mut outputs = Vec::with_capacity(length);
        for position in 0..length {
            let token = projected.clone().narrow(1, position, 1).squeeze_dim::<2>(1);
            average = average.mul_scalar(self.decay) + token.mul_scalar(1.0 - self.decay);
            outputs.push(average.clone().unsqueeze_dim::<3>(1));
        }
        state.set("average", average);
        state.position += length;
        Tensor::cat(outputs, 1)
    }

    fn constant_state(&self) -> bool {
        true
    }
}
