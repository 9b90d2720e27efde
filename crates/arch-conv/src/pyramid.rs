//! The plain convolutional pyramid.

use ansatz_core::{
    Backbone, BackboneConfig, Blocks, BoxedBackbone, Build, Component, ConfigError, Error, FeatureSpec,
    Features, Layer, Registry, Result,
};
use ansatz_ops::{ConvNorm, ConvNormConfig, ConvStage, conv_stages};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::picture::{from_features, size, spec};
use crate::table::row;

/// Stages of convolutions, each followed by pooling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConvPyramidConfig {
    /// The stages, from the picture on; at least one.
    pub stages: Vec<PyramidStage>,
    /// Side of the square kernels in pixels, odd.
    #[schemars(range(min = 1))]
    pub kernel: usize,
}

/// One stage of a [`ConvPyramidConfig`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PyramidStage {
    /// Channels behind each of the stage's convolutions; at least one convolution.
    pub widths: Vec<usize>,
    /// Side in pixels of the squares whose maximum ends the stage; 1: no pooling.
    #[schemars(range(min = 1))]
    pub pool: usize,
}

impl Default for PyramidStage {
    fn default() -> Self {
        Self { widths: vec![32], pool: 1 }
    }
}

impl Default for ConvPyramidConfig {
    fn default() -> Self {
        let stage = |widths: &[usize], pool| PyramidStage { widths: widths.to_vec(), pool };
        Self { stages: vec![stage(&[24, 24], 2), stage(&[48, 48], 2), stage(&[96], 1)], kernel: 3 }
    }
}

impl Component for ConvPyramidConfig {
    const KIND: &'static str = "conv-pyramid";
    const ABOUT: &'static str =
        "convolutions, batch normalisation and rectifiers, with pooling between stages";
    const CITATION: &'static str = "LeCun et al., Gradient-based learning applied to document recognition, 1998, \
         doi:10.1109/5.726791; Simonyan and Zisserman, Very deep convolutional networks, 2015, arXiv:1409.1556; \
         Ioffe and Szegedy, Batch normalization, 2015, arXiv:1502.03167";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.kernel.is_multiple_of(2) {
            return Err(ConfigError::value("kernel", format!("{} is even", self.kernel), "an odd number"));
        }
        if self.stages.is_empty() {
            return Err(ConfigError::value("stages", "there are none", "at least one stage"));
        }
        for (index, stage) in self.stages.iter().enumerate() {
            let path = |key: &str| format!("stages[{index}].{key}");
            if stage.widths.is_empty() || stage.widths.contains(&0) {
                let problem = format!("{:?} is not a list of channels", stage.widths);
                return Err(ConfigError::value(path("widths"), problem, "numbers above 0, at least one"));
            }
            if stage.pool == 0 {
                return Err(ConfigError::value(path("pool"), "0 pixels cannot be pooled", "1 or more"));
            }
        }
        Ok(())
    }
}

impl ConvPyramidConfig {
    /// The convolutions of each stage, with the size of the picture each of them sees, and what comes out.
    fn plan(&self, input: &FeatureSpec) -> Result<Plan> {
        let mut size = size(Self::KIND, input)?;
        let mut channels = input.width;
        let mut stages = Vec::with_capacity(self.stages.len());
        for (index, stage) in self.stages.iter().enumerate() {
            let convolution = |&width: &usize| {
                let config =
                    ConvNormConfig::same([std::mem::replace(&mut channels, width), width], self.kernel, 1);
                (config, size)
            };
            stages.push(stage.widths.iter().map(convolution).collect());
            if size.iter().any(|&side| side < stage.pool) {
                return Err(Error::from(ConfigError::value(
                    format!("stages[{index}].pool"),
                    format!(
                        "{} pixels are pooled where the picture has {} × {}",
                        stage.pool, size[0], size[1]
                    ),
                    "squares that the picture holds",
                )));
            }
            size = size.map(|side| side / stage.pool);
        }
        Ok(Plan { stages, output: spec(size, channels) })
    }

    /// Builds the backbone for features of shape `input`.
    ///
    /// # Errors
    /// When the features are no picture, or the pooling leaves nothing of it.
    pub fn build(&self, input: &FeatureSpec, device: &Device) -> Result<ConvPyramid> {
        let plan = self.plan(input)?;
        let stage = |stage: &Vec<(ConvNormConfig, [usize; 2])>| {
            stage.iter().map(|(config, _)| config.init(device)).collect()
        };
        Ok(ConvPyramid { stages: plan.stages.iter().map(stage).collect(), config: self.clone() })
    }
}

impl BackboneConfig for ConvPyramidConfig {
    fn init(&self, input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        Ok(BoxedBackbone::new(self.build(input, build.device)?))
    }
}

/// The layers of a pyramid over a given picture.
struct Plan {
    stages: Vec<Vec<(ConvNormConfig, [usize; 2])>>,
    output: FeatureSpec,
}

/// A plain convolutional pyramid: in each stage convolutions of stride 1 that keep the size, each with batch
/// normalisation and a rectifier, then the maximum over squares.
///
/// # Shapes
/// A picture of `height × width` tokens → one of `height / p × width / p` tokens, p the product of the
/// stages' `pool`, rounded down stage by stage; as wide as the last convolution.
#[derive(Module, Debug)]
pub struct ConvPyramid {
    /// The convolutions of each stage.
    pub stages: Vec<Vec<ConvNorm>>,
    #[module(skip)]
    config: ConvPyramidConfig,
}

impl ConvPyramid {
    /// `[batch, channels, height, width]` → the same with the last stage's channels and size.
    pub fn forward_picture(&self, picture: Tensor<4>) -> Tensor<4> {
        conv_stages(picture, &self.chain())
    }

    /// What stage `index` makes of a picture.
    fn stage(&self, index: usize, picture: Tensor<4>) -> Tensor<4> {
        conv_stages(picture, &self.chain()[index..=index])
    }

    fn chain(&self) -> Vec<ConvStage<'_>> {
        let stages = self.stages.iter().zip(&self.config.stages);
        stages.map(|(layers, stage)| (&layers[..], stage.pool)).collect()
    }
}

impl Backbone for ConvPyramid {
    fn forward(&self, features: Features) -> Features {
        Features::of_picture(self.forward_picture(from_features(features)))
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        self.config.plan(input).map_or(*input, |plan| plan.output)
    }

    fn blocks(&self) -> Option<&dyn Blocks> {
        Some(self)
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let stages = self.config.plan(input).map_or(Vec::new(), |plan| plan.stages);
        let name = |stage: usize, layer: usize| format!("stages.{stage}.{layer}");
        let rows = stages.iter().enumerate().flat_map(|(stage, layers)| {
            let layers = layers.iter().enumerate();
            layers.map(move |(layer, (config, size))| row(name(stage, layer), config, *size))
        });
        rows.collect()
    }
}

/// Its stages are the blocks.
impl Blocks for ConvPyramid {
    fn count(&self) -> usize {
        self.stages.len()
    }

    fn enter(&self, features: Features) -> Features {
        features
    }

    fn block(&self, index: usize, features: Features) -> Features {
        Features::of_picture(self.stage(index, from_features(features)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Grid;
    use burn::tensor::Distribution;

    fn picture(height: usize, width: usize, channels: usize) -> FeatureSpec {
        FeatureSpec::picture(Grid { height, width }, channels)
    }

    #[test]
    fn the_output_and_the_table_are_what_they_say() {
        let device = ansatz_device::open("cpu").unwrap();
        for input in [picture(28, 28, 1), picture(9, 14, 3)] {
            let backbone = ConvPyramidConfig::default().build(&input, &device).unwrap();
            let tokens = Tensor::random([2, input.length, input.width], Distribution::Default, &device);
            let features = Features { grid: input.grid, ..Features::row(tokens) };
            let output = backbone.forward(features.clone());
            let spec = backbone.output(&input);
            assert_eq!(output.tokens.dims(), [2, spec.length, spec.width]);
            assert_eq!(output.grid, spec.grid);
            let blocks = backbone.blocks().expect("stages");
            let staged = (0..blocks.count()).fold(features, |features, index| blocks.block(index, features));
            staged.tokens.into_data().assert_eq(&output.tokens.into_data(), true);
            let parameters: usize = backbone.layers(&input).iter().map(|layer| layer.parameters).sum();
            // The running mean and variance are counted by the module and are not trained.
            let statistics: usize = backbone.stages.iter().flatten().map(|l| 2 * l.norm.beta.dims()[0]).sum();
            assert_eq!(parameters, backbone.num_params() - statistics);
        }
    }

    #[test]
    fn a_row_of_tokens_is_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        let error = ConvPyramidConfig::default().build(&FeatureSpec::row(28, 1), &device).unwrap_err();
        assert!(error.to_string().contains("not a picture"), "{error}");
    }

    #[test]
    fn pooling_that_leaves_nothing_is_refused() {
        let device = ansatz_device::open("cpu").unwrap();
        let error = ConvPyramidConfig::default().build(&picture(3, 3, 1), &device).unwrap_err();
        assert!(error.to_string().contains("stages[1].pool"), "{error}");
    }

    #[test]
    fn values_out_of_range_are_named() {
        let stage = |widths: Vec<usize>, pool| PyramidStage { widths, pool };
        for (stages, kernel, path) in [
            (vec![], 3, "`stages`"),
            (vec![stage(vec![4, 0], 1)], 3, "`stages[0].widths`"),
            (vec![stage(vec![4], 0)], 3, "`stages[0].pool`"),
            (vec![stage(vec![4], 1)], 2, "`kernel`"),
        ] {
            let mut config = ConvPyramidConfig { stages, kernel };
            let error = config.complete(&Registry::default()).unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
