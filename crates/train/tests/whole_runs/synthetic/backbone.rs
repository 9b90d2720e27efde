//! One residual block with all that makes resuming hard: dropout, and running statistics.

use ansatz_core::{
    Backbone, BackboneConfig, Blocks, BoxedBackbone, Build, Component, FeatureSpec, Features, Layer, Result,
};
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::gelu;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One residual block: x + W₂ dropout(gelu(batch-norm(W₁ x))).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Block {
    pub(crate) width: usize,
    pub(crate) dropout: f64,
    pub(crate) norm: bool,
}

impl Default for Block {
    fn default() -> Self {
        Self { width: 8, dropout: 0.2, norm: true }
    }
}

impl Component for Block {
    const KIND: &'static str = "block";
    const ABOUT: &'static str = "one residual block";
    const CITATION: &'static str = "";
}

impl BackboneConfig for Block {
    fn width(&self) -> Option<usize> {
        Some(self.width)
    }

    fn init(&self, _input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        let width = self.width;
        Ok(BoxedBackbone::new(BlockModule {
            first: LinearConfig::new(width, 2 * width).init(build.device),
            norm: self.norm.then(|| BatchNormConfig::new(2 * width).init(build.device)),
            dropout: DropoutConfig::new(self.dropout).init(),
            second: LinearConfig::new(2 * width, width).init(build.device),
        }))
    }
}

#[derive(Module, Debug)]
struct BlockModule {
    first: Linear,
    norm: Option<BatchNorm>,
    dropout: Dropout,
    second: Linear,
}

impl Backbone for BlockModule {
    fn forward(&self, features: Features) -> Features {
        let tokens = features.tokens.clone();
        let hidden = self.first.forward(tokens.clone());
        let hidden = match &self.norm {
            Some(norm) => norm.forward(hidden.swap_dims(1, 2)).swap_dims(1, 2),
            None => hidden,
        };
        let hidden = self.second.forward(self.dropout.forward(gelu(hidden)));
        features.with_tokens(tokens + hidden)
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        *input
    }

    fn blocks(&self) -> Option<&dyn Blocks> {
        Some(self)
    }

    fn layers(&self, _input: &FeatureSpec) -> Vec<Layer> {
        Vec::new()
    }
}

impl Blocks for BlockModule {
    fn count(&self) -> usize {
        1
    }

    fn enter(&self, features: Features) -> Features {
        features
    }

    fn block(&self, _index: usize, features: Features) -> Features {
        self.forward(features)
    }
}
