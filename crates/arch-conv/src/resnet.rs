//! The residual network.

use ansatz_core::{
    Backbone, BackboneConfig, Blocks, BoxedBackbone, Build, Component, ConfigError, FeatureSpec, Features,
    Layer, Registry, Result,
};
use ansatz_ops::{Activation, ConvNorm, ConvNormConfig, max_pool};
use burn::module::Module;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::picture::{from_features, size, spec};
use crate::residual::{BlockPlan, ResidualBlock, ResidualKind, activated, apply};
use crate::table::row;

/// A stem and stages of residual blocks, each stage but the first at half the size of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResNetConfig {
    /// Channels behind the first convolution.
    #[schemars(range(min = 1))]
    pub stem: usize,
    /// Side of the first convolution's square kernel in pixels, odd: 7 for photographs.
    #[schemars(range(min = 1))]
    pub stem_kernel: usize,
    /// Pixels from one output of the first convolution to the next: 2 for photographs.
    #[schemars(range(min = 1))]
    pub stem_stride: usize,
    /// Whether the maximum of 3 × 3 pixels, every second one, ends the stem, as for photographs.
    pub stem_pool: bool,
    /// Channels of each stage; at least one stage.
    pub stages: Vec<usize>,
    /// Residual blocks in each stage.
    #[schemars(range(min = 1))]
    pub blocks: usize,
    /// Residual blocks of each stage, one number a stage, in the place of `blocks`; none: as `blocks` says.
    pub depths: Vec<usize>,
    /// Which convolutions stand in a block.
    pub block: ResidualKind,
    /// How many times fewer channels the inner convolutions of a bottleneck have; at most the channels of a stage.
    #[schemars(range(min = 1))]
    pub reduction: usize,
    /// Pixels from one output of the first stage to the next, 1 or 2.
    #[schemars(range(min = 1, max = 2))]
    pub first_stride: usize,
    /// Whether a bottleneck that halves the picture does so in its first convolution instead of its second.
    pub early_stride: bool,
    /// The function behind the stem and behind the sum of each block.
    pub activation: Activation,
    /// The function between the convolutions of a block.
    pub inner_activation: Activation,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self {
            stem: 24,
            stem_kernel: 3,
            stem_stride: 1,
            stem_pool: false,
            stages: vec![24, 48, 96],
            blocks: 1,
            depths: Vec::new(),
            block: ResidualKind::Basic,
            reduction: 4,
            first_stride: 1,
            early_stride: false,
            activation: Activation::Relu,
            inner_activation: Activation::Relu,
        }
    }
}

impl Component for ResNetConfig {
    const KIND: &'static str = "resnet";
    const ABOUT: &'static str =
        "residual blocks of two or three convolutions, halving the picture from stage to stage";
    const CITATION: &'static str =
        "He et al., Deep residual learning for image recognition, 2016, arXiv:1512.03385";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if self.stages.is_empty() || self.stages.contains(&0) {
            let problem = format!("{:?} is not a list of channels", self.stages);
            return Err(ConfigError::value("stages", problem, "numbers above 0, at least one"));
        }
        for (path, value) in [
            ("stem", self.stem),
            ("stem_kernel", self.stem_kernel),
            ("stem_stride", self.stem_stride),
            ("blocks", self.blocks),
            ("reduction", self.reduction),
        ] {
            if value == 0 {
                return Err(ConfigError::value(path, "0 is not enough", "1 or more"));
            }
        }
        if self.stem_kernel.is_multiple_of(2) {
            let problem = format!("{} is even", self.stem_kernel);
            return Err(ConfigError::value("stem_kernel", problem, "an odd number"));
        }
        if !(1..=2).contains(&self.first_stride) {
            return Err(ConfigError::value("first_stride", self.first_stride.to_string(), "1 or 2"));
        }
        if !self.depths.is_empty() && (self.depths.len() != self.stages.len() || self.depths.contains(&0)) {
            let problem = format!("{:?} for {} stages", self.depths, self.stages.len());
            return Err(ConfigError::value("depths", problem, "a number above 0 for each stage, or []"));
        }
        if self.block == ResidualKind::Basic {
            return Ok(());
        }
        match self.stages.iter().min() {
            Some(narrowest) if *narrowest < self.reduction => Err(ConfigError::value(
                "reduction",
                format!("{} leaves nothing of {narrowest} channels", self.reduction),
                format!("1 up to {narrowest}"),
            )),
            _ => Ok(()),
        }
    }
}

impl ResNetConfig {
    fn stem(&self, input: &FeatureSpec) -> ConvNormConfig {
        let convolution = ConvNormConfig::same([input.width, self.stem], self.stem_kernel, self.stem_stride);
        activated(convolution, self.activation)
    }

    /// What the maximum that may end the stem makes of a picture's size.
    fn pooled(&self, size: [usize; 2]) -> [usize; 2] {
        if self.stem_pool { size.map(|side| side.div_ceil(2)) } else { size }
    }

    /// The blocks of each stage.
    fn plan(&self) -> Vec<Vec<BlockPlan>> {
        let mut channels = self.stem;
        let stages = self.stages.iter().enumerate().map(|(stage, &width)| {
            let first = if stage > 0 { 2 } else { self.first_stride };
            let blocks = (0..self.depths.get(stage).copied().unwrap_or(self.blocks)).map(|block| {
                let stride = if block == 0 { first } else { 1 };
                BlockPlan::new(self, std::mem::replace(&mut channels, width), width, stride)
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
        self.clone().complete(&Registry::default())?;
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

/// A residual network: a convolution and perhaps a maximum, then stages of [`ResidualBlock`]s, the first block of
/// every stage but the first with stride 2.
///
/// # Shapes
/// A picture of `height × width` tokens → one of `height / 2ˢ × width / 2ˢ` tokens, rounded up, s one less
/// than the number of stages and one more for each stride of 2 before; as wide as the last stage.
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
        self.stages.iter().fold(self.enter(picture), |picture, stage| through(stage, picture))
    }

    /// What the stem makes of a picture.
    fn enter(&self, picture: Tensor<4>) -> Tensor<4> {
        let picture = apply(self.config.activation, self.stem.forward(picture));
        if !self.config.stem_pool {
            return picture;
        }
        let windows = MaxPoolOptions {
            kernel_size: [3; 2],
            stride: [2; 2],
            padding: [(1, 1); 2],
            dilation: [1; 2],
            ceil_mode: false,
        };
        max_pool(picture, windows)
    }
}

/// What the blocks of a stage make of a picture.
fn through(stage: &[ResidualBlock], picture: Tensor<4>) -> Tensor<4> {
    stage.iter().fold(picture, |picture, block| block.forward(picture))
}

impl Backbone for ResNet {
    fn forward(&self, features: Features) -> Features {
        Features::of_picture(self.forward_picture(from_features(features)))
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        let Ok(size) = size(ResNetConfig::KIND, input) else { return *input };
        let size = self.config.pooled(self.config.stem(input).output(size));
        let blocks = self.config.plan();
        let size = blocks.iter().flatten().fold(size, |size, block| block.output(size));
        spec(size, self.config.stages.last().copied().unwrap_or(self.config.stem))
    }

    fn blocks(&self) -> Option<&dyn Blocks> {
        Some(self)
    }

    fn stages(&self, features: Features) -> Vec<Features> {
        let mut pictures = vec![self.enter(from_features(features))];
        for stage in &self.stages {
            pictures.push(through(stage, pictures[pictures.len() - 1].clone()));
        }
        pictures.into_iter().map(Features::of_picture).collect()
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let Ok(mut size) = size(ResNetConfig::KIND, input) else { return Vec::new() };
        let stem = self.config.stem(input);
        let mut rows = vec![row("stem".to_owned(), &stem, size)];
        size = self.config.pooled(stem.output(size));
        for (stage, blocks) in self.config.plan().iter().enumerate() {
            for (index, block) in blocks.iter().enumerate() {
                let name = |part: &str| format!("stages.{stage}.{index}.{part}");
                rows.push(row(name("first"), &block.first, size));
                rows.extend(block.shortcut.map(|shortcut| row(name("shortcut"), &shortcut, size)));
                size = block.first.output(size);
                rows.push(row(name("second"), &block.second, size));
                size = block.second.output(size);
                rows.extend(block.third.map(|third| row(name("third"), &third, size)));
            }
        }
        rows
    }
}

/// Its stages are the blocks.
impl Blocks for ResNet {
    fn count(&self) -> usize {
        self.stages.len()
    }

    fn enter(&self, features: Features) -> Features {
        Features::of_picture(ResNet::enter(self, from_features(features)))
    }

    fn block(&self, index: usize, features: Features) -> Features {
        Features::of_picture(through(&self.stages[index], from_features(features)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Grid;
    use burn::tensor::Distribution;

    /// A stem for photographs, bottlenecks and other functions.
    fn deep() -> ResNetConfig {
        ResNetConfig {
            stem: 6,
            stem_kernel: 7,
            stem_stride: 2,
            stem_pool: true,
            stages: vec![8, 12],
            depths: vec![1, 2],
            block: ResidualKind::Bottleneck,
            first_stride: 2,
            activation: Activation::Silu,
            inner_activation: Activation::Gelu,
            ..ResNetConfig::default()
        }
    }

    #[test]
    fn the_output_and_the_table_are_what_they_say() {
        let device = ansatz_device::open("cpu").unwrap();
        for (height, width, channels, config) in [
            (28, 28, 1, ResNetConfig::default()),
            (9, 14, 3, ResNetConfig { blocks: 2, ..ResNetConfig::default() }),
            (29, 31, 3, deep()),
            (16, 17, 2, ResNetConfig { early_stride: true, stem_pool: false, ..deep() }),
        ] {
            let input = FeatureSpec::picture(Grid { height, width }, channels);
            let backbone = config.build(&input, &device).unwrap();
            let tokens = Tensor::random([2, input.length, input.width], Distribution::Default, &device);
            let features = Features { grid: input.grid, ..Features::row(tokens) };
            let output = backbone.forward(features.clone());
            let spec = backbone.output(&input);
            assert_eq!(output.tokens.dims(), [2, spec.length, spec.width]);
            assert_eq!(output.grid, spec.grid);
            let blocks = backbone.blocks().expect("stages");
            let entered = blocks.enter(features.clone());
            let staged = (0..blocks.count()).fold(entered, |features, index| blocks.block(index, features));
            staged.tokens.into_data().assert_eq(&output.tokens.to_data(), true);
            let layers = backbone.layers(&input);
            assert_eq!(layers.last().map(|layer| layer.output.clone()), Some(spec.to_string()));
            // The running mean and variance are counted by the module and are not trained.
            let trained: usize = layers.iter().map(|layer| layer.parameters).sum();
            let outputs = |part: &ConvNorm| 2 * part.norm.beta.dims()[0];
            let blocks = backbone.stages.iter().flatten();
            let blocks = blocks.flat_map(|block| {
                [Some(&block.first), Some(&block.second), block.third.as_ref(), block.shortcut.as_ref()]
            });
            let statistics: usize = blocks.flatten().chain([&backbone.stem]).map(outputs).sum();
            assert_eq!(trained, backbone.num_params() - statistics);
            let stages = Backbone::stages(&backbone, features);
            assert_eq!(stages.len(), backbone.stages.len() + 1);
            let last = stages[stages.len() - 1].clone().tokens.into_data();
            last.assert_eq(&output.tokens.into_data(), true);
        }
    }

    #[test]
    fn bottlenecks_conform() {
        let device = ansatz_device::open("cpu").unwrap();
        for config in [deep(), ResNetConfig { early_stride: true, first_stride: 1, ..deep() }] {
            let build =
                |input: &FeatureSpec, device: &Device| Ok(BoxedBackbone::new(config.build(input, device)?));
            let inputs = [FeatureSpec::picture(Grid { height: 13, width: 18 }, 3)];
            let checked = ansatz_conformance::backbone(build).inputs(inputs).check(&device);
            checked.unwrap_or_else(|failure| panic!("{config:?}: {failure}"));
        }
    }

    #[test]
    fn the_stem_keeps_the_largest_of_its_neighbours() {
        let device = ansatz_device::open("cpu").unwrap();
        let input = FeatureSpec::picture(Grid { height: 5, width: 4 }, 1);
        let picture = Tensor::<4>::random([1, 1, 5, 4], Distribution::Default, &device);
        let config = ResNetConfig { stem_pool: true, ..ResNetConfig::default() };
        let pooled = config.build(&input, &device).unwrap();
        let plain = ResNet { config: ResNetConfig::default(), ..pooled.clone() };
        let values = |x: Tensor<4>| x.into_data().try_to_vec::<f32>().unwrap();
        let (found, all) = (values(pooled.enter(picture.clone())), values(plain.enter(picture)));
        for channel in 0..24 {
            for (row, column) in [(0usize, 0usize), (1, 1), (2, 0), (2, 1)] {
                let around = |centre: usize, side: usize| centre.saturating_sub(1)..(centre + 2).min(side);
                let inside = around(2 * row, 5).flat_map(|y| around(2 * column, 4).map(move |x| (y, x)));
                let largest = inside.map(|(y, x)| all[(channel * 5 + y) * 4 + x]).fold(f32::MIN, f32::max);
                assert_eq!(found[(channel * 3 + row) * 2 + column], largest);
            }
        }
    }

    #[test]
    fn every_parameter_is_trained() {
        let device = ansatz_device::open("cpu").unwrap().autodiff();
        let input = FeatureSpec::picture(Grid { height: 6, width: 5 }, 2);
        let config = ResNetConfig { stem: 3, stages: vec![3, 4], ..ResNetConfig::default() };
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
        let default = ResNetConfig::default;
        for (config, path) in [
            (ResNetConfig { stem: 0, ..default() }, "`stem`"),
            (ResNetConfig { stages: vec![], ..default() }, "`stages`"),
            (ResNetConfig { stages: vec![8, 0], ..default() }, "`stages`"),
            (ResNetConfig { blocks: 0, ..default() }, "`blocks`"),
            (ResNetConfig { stem_kernel: 4, ..default() }, "`stem_kernel`"),
            (ResNetConfig { stem_stride: 0, ..default() }, "`stem_stride`"),
            (ResNetConfig { first_stride: 3, ..default() }, "`first_stride`"),
            (ResNetConfig { depths: vec![1, 2], ..default() }, "`depths`"),
            (ResNetConfig { depths: vec![1, 0, 2], ..default() }, "`depths`"),
            (ResNetConfig { reduction: 0, ..default() }, "`reduction`"),
            (
                ResNetConfig { reduction: 25, block: ResidualKind::Bottleneck, ..default() },
                "`reduction`: 25 leaves nothing of 24 channels",
            ),
        ] {
            let error = config.clone().complete(&Registry::default()).unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
    }
}
