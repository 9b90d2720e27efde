//! A backbone that joins all tokens into one.

use ansatz_core::{
    Backbone, BackboneConfig, BoxedBackbone, Build, Component, ConfigError, FeatureSpec, Features, Layer,
    Registry, Result,
};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::gelu;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All tokens in one row, one hidden layer, one token out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FlatConfig {
    /// Width of the hidden layer and of the token that leaves; at least 1.
    pub width: usize,
}

impl Default for FlatConfig {
    fn default() -> Self {
        Self { width: 64 }
    }
}

impl Component for FlatConfig {
    const KIND: &'static str = "flat";
    const ABOUT: &'static str = "All tokens joined into one, one hidden layer.";
    const CITATION: &'static str = "";

    fn complete(&mut self, _registry: &Registry) -> std::result::Result<(), ConfigError> {
        if self.width > 0 { Ok(()) } else { Err(ConfigError::value("width", "0", "at least 1")) }
    }
}

impl BackboneConfig for FlatConfig {
    fn init(&self, input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        let inner = LinearConfig::new(input.length * input.width, self.width).init(build.device);
        let outer = LinearConfig::new(self.width, self.width).init(build.device);
        Ok(BoxedBackbone::new(Flat { inner, outer }))
    }
}

/// y = W₂ gelu(W₁ \[x₁ … x_L\] + b₁) + b₂.
#[derive(Module, Debug)]
pub struct Flat {
    inner: Linear,
    outer: Linear,
}

impl Backbone for Flat {
    fn forward(&self, features: Features) -> Features {
        let [batch, length, width] = features.tokens.dims();
        let joined = features.tokens.reshape([batch, 1, length * width]);
        Features::row(self.outer.forward(gelu(self.inner.forward(joined))))
    }

    fn output(&self, _input: &FeatureSpec) -> FeatureSpec {
        let [_, width] = self.outer.weight.dims();
        FeatureSpec::row(1, width)
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let output = self.output(input);
        let layer = |name: &str, linear: &Linear| {
            let [inputs, outputs] = linear.weight.dims();
            Layer {
                name: name.to_owned(),
                output: output.to_string(),
                parameters: linear.num_params(),
                flops: 2 * (inputs * outputs) as u64,
                activations: outputs,
            }
        };
        vec![layer("inner", &self.inner), layer("outer", &self.outer)]
    }
}
