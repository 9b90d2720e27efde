//! The basic residual network.

use ansatz_core::{
    Backbone, BackboneConfig, BoxedBackbone, Build, Component, ConfigError, FeatureSpec, Features, Layer,
    Registry, Result,
};
use ansatz_ops::{ConvNorm, ConvNormConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::picture::{from_features, into_features, size, spec};
use crate::residual::{BlockPlan, ResidualBlock};
use crate::table::row;

/// A stem and stages of residual blocks, each stage but the first at half the size of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResNetConfig {
    /// Channels behind the first convolution.
    #[schemars(range(min = 1))]
    pub stem: usize,
    /// Channels of each stage; at least one stage.
    pub stages: Vec<usize>,
    /// Residual blocks in each stage.
    #[schemars(range(min = 1))]
    pub blocks: usize,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self { stem: 24, stages: vec![24, 48, 96], blocks: 1 }
    }
}

impl Component for ResNetConfig {
    const KIND: &'static str = "resnet";
    const ABOUT: &'static str =
        "residual blocks of two convolutions, halving the picture from stage to stage";
    const CITATION: &'static str =
        "He et al., Deep residual learning for image recognition, 2016, arXiv:1512.03385";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.stages.is_empty() || self.stages.contains(&0) {
            let problem = format!("{:?} is not a list of channels", self.stages);
            return Err(ConfigError::value("stages", problem, "numbers above 0, at least one"));
        }
        for (path, value) in [("stem", self.stem), ("blocks", self.blocks)] {
            if value == 0 {
                return Err(ConfigError::value(path, "0 is not enough", "1 or more"));
            }
        }
        Ok(())
    }
}

impl ResNetConfig {
    fn stem(&self, input: &FeatureSpec) -> ConvNormConfig {
        ConvNormConfig::same([input.width, self.stem], 3, 1)
    }

    /// The blocks of each stage.
    fn plan(&self) -> Vec<Vec<BlockPlan>> {
        let mut channels = self.stem;
        let stages = self.stages.iter().enumerate().map(|(stage, &width)| {
            let blocks = (0..self.blocks).map(|block| {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                BlockPlan::new(std::mem::replace(&mut channels, width), width, stride)
            });
            blocks.collect()
        });
        stages.collect()
    }

    /// Builds the backbone for features of shape `input`.
    ///
    /// # Errors
    /// When the features are no picture.
    pub fn build(&self, input: &FeatureSpec, device: &Device) -> Result<ResNet> {
        size(Self::KIND, input)?;
        let stage = |blocks: &Vec<BlockPlan>| blocks.iter().map(|block| block.init(device)).collect();
        Ok(ResNet {
            stem: self.stem(input).init(device),
            stages: self.plan().iter().map(stage).collect(),
            config: self.clone(),
        })
    }
}

impl BackboneConfig for ResNetConfig {
    fn init(&self, input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        Ok(BoxedBackbone::new(self.build(input, build.device)?))
    }
}

/// A residual network of basic blocks: a 3 × 3 convolution, then stages of [`ResidualBlock`]s, the first
/// block of every stage but the first with stride 2.
///
/// # Shapes
/// A picture of `height × width` tokens → one of `height / 2ˢ × width / 2ˢ` tokens, rounded up, s one less
/// than the number of stages; as wide as the last stage.
#[derive(Module, Debug)]
pub struct ResNet {
    /// The first convolution.
    pub stem: ConvNorm,
    /// The blocks of each stage.
    pub stages: Vec<Vec<ResidualBlock>>,
    #[module(skip)]
    config: ResNetConfig,
}

impl ResNet {
    /// `[batch, channels, height, width]` → the same with the last stage's channels and size.
    pub fn forward_picture(&self, picture: Tensor<4>) -> Tensor<4> {
        self.stages.iter().flatten().fold(self.stem.forward(picture), |picture, block| block.forward(picture))
    }
}

impl Backbone for ResNet {
    fn forward(&self, features: Features) -> Features {
        into_features(self.forward_picture(from_features(features)))
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        let Ok(input_size) = size(ResNetConfig::KIND, input) else { return *input };
        let blocks = self.config.plan();
        let size = blocks.iter().flatten().fold(input_size, |size, block| block.first.output(size));
        spec(size, self.config.stages.last().copied().unwrap_or(self.config.stem))
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let Ok(mut size) = size(ResNetConfig::KIND, input) else { return Vec::new() };
        let mut rows = vec![row("stem".to_owned(), &self.config.stem(input), size)];
        for (stage, blocks) in self.config.plan().iter().enumerate() {
            for (index, block) in blocks.iter().enumerate() {
                let name = |part: &str| format!("stages.{stage}.{index}.{part}");
                rows.push(row(name("first"), &block.first, size));
                rows.extend(block.shortcut.map(|shortcut| row(name("shortcut"), &shortcut, size)));
                size = block.first.output(size);
                rows.push(row(name("second"), &block.second, size));
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Grid;
    use burn::tensor::Distribution;

    #[test]
    fn the_output_and_the_table_are_what_they_say() {
        let device = ansatz_device::open("cpu").unwrap();
        for (height, width, channels, blocks) in [(28, 28, 1, 1), (9, 14, 3, 2)] {
            let input = FeatureSpec::picture(Grid { height, width }, channels);
            let config = ResNetConfig { blocks, ..ResNetConfig::default() };
            let backbone = config.build(&input, &device).unwrap();
            let tokens = Tensor::random([2, input.length, input.width], Distribution::Default, &device);
            let output = backbone.forward(Features { grid: input.grid, ..Features::row(tokens) });
            let spec = backbone.output(&input);
            assert_eq!(output.tokens.dims(), [2, spec.length, spec.width]);
            assert_eq!(output.grid, spec.grid);
            let layers = backbone.layers(&input);
            assert_eq!(layers.last().map(|layer| layer.output.clone()), Some(spec.to_string()));
            // The running mean and variance are counted by the module and are not trained.
            let trained: usize = layers.iter().map(|layer| layer.parameters).sum();
            let outputs = |part: &ConvNorm| 2 * part.norm.beta.dims()[0];
            let blocks = backbone.stages.iter().flatten();
            let blocks =
                blocks.flat_map(|block| [Some(&block.first), Some(&block.second), block.shortcut.as_ref()]);
            let statistics: usize = blocks.flatten().chain([&backbone.stem]).map(outputs).sum();
            assert_eq!(trained, backbone.num_params() - statistics);
        }
    }

    #[test]
    fn every_parameter_is_trained() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let input = FeatureSpec::picture(Grid { height: 6, width: 5 }, 2);
        let config = ResNetConfig { stem: 3, stages: vec![3, 4], blocks: 1 };
        let backbone = config.build(&input, &device).unwrap();
        let tokens = Tensor::random([2, 30, 2], Distribution::Default, &device);
        let output = backbone.forward(Features { grid: input.grid, ..Features::row(tokens) }).tokens;
        let grads = output.powi_scalar(2).sum().backward();
        for part in [&backbone.stem, &backbone.stages[0][0].second, &backbone.stages[1][0].first] {
            let gradient = part.conv.weight.val().grad(&grads).unwrap();
            assert!(gradient.abs().sum().into_scalar::<f32>() > 0.0);
        }
    }

    #[test]
    fn a_row_of_tokens_is_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        let error = ResNetConfig::default().build(&FeatureSpec::row(28, 1), &device).unwrap_err();
        assert!(error.to_string().contains("not a picture"), "{error}");
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (stem, stages, blocks, path) in [
            (0, vec![8], 1, "`stem`"),
            (8, vec![], 1, "`stages`"),
            (8, vec![8, 0], 1, "`stages`"),
            (8, vec![8], 0, "`blocks`"),
        ] {
            let error = ResNetConfig { stem, stages, blocks }.complete(&Registry::default()).unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
