//! Components small enough to see through, for the tests of this crate.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Backbone, BackboneConfig, BoxedBackbone, BoxedMixer, Build, Choice, Component, ConfigError, Context,
    FeatureSpec, Features, Layer, Mixer, MixerConfig, Recurrent, Registry, Result, State, role,
};

/// A running sum, scaled.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SumConfig {
    /// At least 1.
    pub(crate) heads: usize,
    /// Any number.
    pub(crate) scale: f64,
}

impl Default for SumConfig {
    fn default() -> Self {
        Self { heads: 2, scale: 0.5 }
    }
}

impl Component for SumConfig {
    const KIND: &'static str = "sum";
    const ABOUT: &'static str = "a running sum";
    const CITATION: &'static str = "";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.heads == 0 {
            return Err(ConfigError::value("heads", "0 heads", "at least 1"));
        }
        Ok(())
    }
}

impl MixerConfig for SumConfig {
    fn init(&self, width: usize, build: &Build) -> Result<BoxedMixer> {
        Ok(BoxedMixer::new(Sum::new(self.scale, width, build.device)))
    }
}

/// A running sum times a scale per channel.
#[derive(Module, Debug)]
pub(crate) struct Sum {
    pub(crate) scale: Param<Tensor<1>>,
    pub(crate) unused: Vec<Param<Tensor<2>>>,
}

impl Sum {
    pub(crate) fn new(scale: f64, width: usize, device: &Device) -> Self {
        let unused = (1..3).map(|rows| Param::from_tensor(Tensor::ones([rows, width], device))).collect();
        Self { scale: Param::from_tensor(Tensor::full([width], scale, device)), unused }
    }
}

impl Mixer for Sum {
    fn forward(&self, tokens: Tensor<3>, _context: &Context) -> Tensor<3> {
        tokens.cumsum(1) * self.scale.val().unsqueeze()
    }
    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }
    fn flops(&self, length: usize) -> u64 {
        length as u64
    }
}

impl Recurrent for Sum {
    fn state(&self, batch: usize, device: &Device) -> State {
        let [width] = self.scale.dims();
        State::new().with("sum", Tensor::<3>::zeros([batch, 1, width], device))
    }
    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let sums = tokens.cumsum(1) + state.take::<3>("sum").expect("the state of a sum");
        state.set("sum", sums.clone().narrow(1, length - 1, 1));
        state.position += length;
        sums * self.scale.val().unsqueeze()
    }
    fn constant_state(&self) -> bool {
        true
    }
}

/// Mixers one after the other.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PileConfig {
    /// The mixers.
    pub(crate) pattern: Vec<Choice<role::Mixer>>,
    /// A table inside.
    pub(crate) inner: Inner,
}

/// A table inside.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Inner {
    /// Any number.
    pub(crate) rate: f64,
}

impl Component for PileConfig {
    const KIND: &'static str = "pile";
    const ABOUT: &'static str = "mixers one after the other";
    const CITATION: &'static str = "";

    fn complete(&mut self, registry: &Registry) -> Result<(), ConfigError> {
        for (index, mixer) in self.pattern.iter_mut().enumerate() {
            mixer.complete(&format!("pattern[{index}]"), registry)?;
        }
        Ok(())
    }
}

#[derive(Module, Debug)]
struct Pile {
    mixers: Vec<BoxedMixer>,
}

impl Backbone for Pile {
    fn forward(&self, features: Features) -> Features {
        let context = features.context();
        let start = features.tokens.clone();
        features.with_tokens(self.mixers.iter().fold(start, |tokens, mixer| mixer.forward(tokens, &context)))
    }
    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        *input
    }
    fn layers(&self, _input: &FeatureSpec) -> Vec<Layer> {
        Vec::new()
    }
}

impl BackboneConfig for PileConfig {
    fn init(&self, input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        let mixers = self.pattern.iter().enumerate().map(|(index, choice)| {
            choice.resolve(&format!("pattern[{index}]"), build.registry)?.init(input.width, build)
        });
        Ok(BoxedBackbone::new(Pile { mixers: mixers.collect::<Result<_>>()? }))
    }
}

/// A registry of these.
pub(crate) fn registry() -> Registry {
    Registry::default().mixer::<SumConfig>().backbone::<PileConfig>()
}
