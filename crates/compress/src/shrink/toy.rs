//! A network of an architecture that nobody else knows, with units that lie in every way.

use std::path::{Path, PathBuf};

use ansatz_core::{
    Backbone, BackboneConfig, Batch, BoxedBackbone, BoxedHead, BoxedStem, Build, Component, DataModel,
    Encoder, Error, FeatureSpec, Features, FileBatches, Head, Inputs, Layer, OpenData, Places, Preparation,
    Registry, Result, Scorer, Stem, Target, Targets, TaskConfig,
};
use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::{relu, sigmoid, softmax};
use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const WIDTH: usize = 5;
pub(super) const LENGTH: usize = 3;

/// Branches that add what they make of the tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Branches {
    /// Residual blocks of a hidden layer with a batch norm.
    pub depth: usize,
    /// Units of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<usize>,
    /// Gated units, gates and values side by side in one matrix.
    pub gated: usize,
    /// Heads, each of `head` values that go through a softmax.
    pub heads: usize,
    /// Values of a head.
    pub head: usize,
    /// Units that a layer norm spans.
    pub normed: usize,
    /// Values that come out.
    pub outputs: usize,
}

impl Default for Branches {
    fn default() -> Self {
        Self { depth: 3, hidden: None, gated: 6, heads: 4, head: 2, normed: 6, outputs: 3 }
    }
}

impl Component for Branches {
    const KIND: &'static str = "branches";
    const ABOUT: &'static str = "branches";
    const CITATION: &'static str = "";
}

impl BackboneConfig for Branches {
    fn init(&self, _input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(build.device);
        let hidden = self.hidden.unwrap_or(8);
        let block = |_| Block {
            first: linear(WIDTH, hidden),
            norm: BatchNormConfig::new(hidden).init(build.device),
            second: linear(hidden, WIDTH),
        };
        Ok(BoxedBackbone::new(Body {
            blocks: (0..self.depth).map(block).collect(),
            gate: linear(WIDTH, 2 * self.gated),
            ungate: linear(self.gated, WIDTH),
            split: linear(WIDTH, self.heads * self.head),
            scale: Param::from_tensor(Tensor::random(
                [self.heads],
                burn::tensor::Distribution::Uniform(0.5, 2.0),
                build.device,
            )),
            join: linear(self.heads * self.head, WIDTH),
            rise: linear(WIDTH, self.normed),
            norm: LayerNormConfig::new(self.normed).init(build.device),
            fall: linear(self.normed, WIDTH),
            last: linear(WIDTH, self.outputs),
        }))
    }
}

#[derive(Module, Debug)]
struct Block {
    first: Linear,
    norm: BatchNorm,
    second: Linear,
}

#[derive(Module, Debug)]
struct Body {
    blocks: Vec<Block>,
    gate: Linear,
    ungate: Linear,
    split: Linear,
    scale: Param<Tensor<1>>,
    join: Linear,
    rise: Linear,
    norm: LayerNorm,
    fall: Linear,
    last: Linear,
}

impl Backbone for Body {
    fn forward(&self, features: Features) -> Features {
        let mut x = features.tokens.clone();
        let [batch, length, width] = x.dims();
        for block in &self.blocks {
            let hidden = block.norm.forward(block.first.forward(x.clone()).swap_dims(1, 2)).swap_dims(1, 2);
            x = x + block.second.forward(relu(hidden));
        }
        let gated = self.gate.forward(x.clone());
        let [units, _] = self.ungate.weight.dims();
        let (gates, values) = (gated.clone().narrow(2, 0, units), gated.narrow(2, units, units));
        x = x + self.ungate.forward(sigmoid(gates) * values);
        let [heads] = self.scale.dims();
        let split = self.split.forward(x.clone());
        let all = split.dims()[2];
        let split = split.reshape([batch, length, heads, all / heads]);
        let mixed = softmax(split.clone(), 3) * split * self.scale.val().reshape([1, 1, heads, 1]);
        x = x + self.join.forward(mixed.reshape([batch, length, all]));
        x = x.clone() + self.fall.forward(self.norm.forward(self.rise.forward(x)));
        assert_eq!(x.dims(), [batch, length, width]);
        features.with_tokens(self.last.forward(x))
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        input.with_width(self.last.weight.dims()[1])
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let flops = 2 * (input.length * self.num_params()) as u64;
        vec![Layer {
            name: String::new(),
            output: input.to_string(),
            parameters: self.num_params(),
            flops,
            activations: 0,
        }]
    }
}

/// What comes out of the backbone is the answer; the loss is how large it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Say {}

impl Component for Say {
    const KIND: &'static str = "say";
    const ABOUT: &'static str = "what comes out";
    const CITATION: &'static str = "";
}

impl TaskConfig for Say {
    fn head(&self, _features: &FeatureSpec, _target: &Target, _device: &Device) -> Result<BoxedHead> {
        Ok(BoxedHead::new(Saying {}))
    }
    fn scorer(&self, _target: &Target) -> Result<Box<dyn Scorer>> {
        Err(Error::Failed("it is not judged".to_owned()))
    }
}

#[derive(Module, Debug)]
struct Saying {}

impl Head for Saying {
    fn forward(&self, features: Features) -> Tensor<3> {
        features.tokens
    }
    fn loss(&self, outputs: Tensor<3>, _targets: &Targets) -> Result<Tensor<1>> {
        Ok((outputs.clone() * outputs).mean())
    }
    fn layers(&self, _input: &FeatureSpec) -> Vec<Layer> {
        Vec::new()
    }
}

/// Rows of points.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Points {}

impl Component for Points {
    const KIND: &'static str = "points";
    const ABOUT: &'static str = "points";
    const CITATION: &'static str = "";
}

impl DataModel for Points {
    fn open(&self, _places: &Places) -> Result<Box<dyn OpenData>> {
        Err(Error::Failed("there is nothing to open".to_owned()))
    }
    fn restore(&self, _preparation: &Preparation) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(PointEncoder(Target::Classes { names: Vec::new() })))
    }
}

pub(super) struct PointEncoder(pub Target);

impl Encoder for PointEncoder {
    fn target(&self) -> &Target {
        &self.0
    }
    fn preparation(&self) -> Result<Preparation> {
        Ok(Preparation::Null)
    }
    fn stem(&self, _width: Option<usize>, _build: &Build) -> Result<BoxedStem> {
        Ok(BoxedStem::new(Reading {}))
    }
    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        Ok(vec![path.to_owned()])
    }
    fn encode(&self, _path: &Path) -> Result<FileBatches<'_>> {
        Err(Error::Failed("points are not read".to_owned()))
    }
}

#[derive(Module, Debug)]
struct Reading {}

impl Stem for Reading {
    fn forward(&self, inputs: &Inputs) -> Result<Features> {
        Ok(Features::row(inputs.float::<3>("points")?))
    }
    fn output(&self) -> FeatureSpec {
        FeatureSpec::row(LENGTH, WIDTH)
    }
    fn layers(&self) -> Vec<Layer> {
        Vec::new()
    }
}

pub(super) fn registry() -> Registry {
    Registry::default().data_model::<Points>().backbone::<Branches>().task::<Say>()
}

/// Sixteen examples.
pub(super) fn batch() -> Batch {
    let values: Vec<f32> =
        (0..16 * LENGTH * WIDTH).map(|index| ((index * 37 % 101) as f32 / 50.0) - 1.0).collect();
    let data = TensorData::new(values, [16, LENGTH, WIDTH]);
    Batch { examples: 16, inputs: vec![("points".to_owned(), data)], targets: Targets::Unknown }
}
