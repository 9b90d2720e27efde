//! The hierarchy: stacks over a picture that becomes coarser from stage to stage.

use ansatz_core::{
    Backbone, BackboneConfig, Blocks, BoxedBackbone, Build, Component, ConfigError, FeatureSpec, Features,
    Layer, Registry, Result,
};
use burn::module::Module;
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Embedding, EmbeddingConfig, PositionKind, Stack, StackConfig};

/// Stages of residual blocks over a picture, each behind a coarser embedding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HierarchyConfig {
    /// The stages, from the picture on; at least one.
    pub stages: Vec<HierarchyStage>,
}

/// One stage of a [`HierarchyConfig`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HierarchyStage {
    /// How the picture becomes coarser in front of the stage.
    pub embedding: EmbeddingConfig,
    /// The blocks of the stage. Their `width` is that of the stage, their `stochastic_depth` begins anew at its first
    /// block.
    pub stack: StackConfig,
}

impl Default for HierarchyStage {
    fn default() -> Self {
        let stack = StackConfig { depth: 2, positions: PositionKind::None, ..StackConfig::default() };
        Self { embedding: EmbeddingConfig::default(), stack }
    }
}

impl Default for HierarchyConfig {
    fn default() -> Self {
        let stage = |width: usize| {
            let stage = HierarchyStage::default();
            HierarchyStage { stack: StackConfig { width, ..stage.stack }, ..stage }
        };
        Self { stages: vec![stage(24), stage(48)] }
    }
}

impl Component for HierarchyConfig {
    const KIND: &'static str = "hierarchy";
    const ABOUT: &'static str =
        "stages of residual blocks over a picture that becomes coarser from stage to stage, with any mixers";
    const CITATION: &'static str = "Yu et al., MetaFormer Is Actually What You Need for Vision, 2022, \
        arXiv:2111.11418; Liu et al., A ConvNet for the 2020s, 2022, arXiv:2201.03545";

    fn complete(&mut self, registry: &Registry) -> Result<(), ConfigError> {
        if self.stages.is_empty() {
            return Err(ConfigError::value("stages", "there are none", "at least one stage"));
        }
        for (index, stage) in self.stages.iter_mut().enumerate() {
            let under = |part: &str, error: ConfigError| error.under(&format!("stages[{index}].{part}"));
            stage.embedding.check().map_err(|error| under("embedding", error))?;
            stage.stack.complete(registry).map_err(|error| under("stack", error))?;
        }
        Ok(())
    }
}

impl HierarchyConfig {
    /// The shape of the features in every stage.
    ///
    /// # Errors
    /// When the features are no picture, or too small a one.
    fn plan(&self, input: &FeatureSpec) -> Result<Vec<FeatureSpec>> {
        let mut grid = input.grid_for(Self::KIND)?;
        let stages = self.stages.iter().enumerate().map(|(index, stage)| {
            let path = format!("stages[{index}].embedding");
            grid = stage.embedding.output(grid).map_err(|error| error.under(&path))?;
            Ok(FeatureSpec::picture(grid, stage.stack.width))
        });
        stages.collect()
    }

    /// Builds the hierarchy for features of shape `input`.
    ///
    /// # Errors
    /// When a value is out of range, the features are no picture, too small a one, or a mixer does not fit it.
    pub fn build(&self, input: &FeatureSpec, build: &Build) -> Result<Hierarchy> {
        self.clone().complete(build.registry)?;
        let mut width = input.width;
        let stages = self.stages.iter().zip(self.plan(input)?).enumerate().map(|(index, (stage, spec))| {
            let stack = stage.stack.build(&spec, build);
            let stack = stack.map_err(|error| error.under(&format!("stages[{index}].stack")))?;
            let widths = [std::mem::replace(&mut width, spec.width), spec.width];
            Ok(Stage { embedding: stage.embedding.init(widths, build.device), stack })
        });
        Ok(Hierarchy { stages: stages.collect::<Result<_>>()?, config: self.clone() })
    }
}

impl BackboneConfig for HierarchyConfig {
    fn init(&self, input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone> {
        Ok(BoxedBackbone::new(self.build(input, build)?))
    }
}

/// One stage of a [`Hierarchy`].
#[derive(Module, Debug)]
pub struct Stage {
    /// Makes the picture coarser.
    pub embedding: Embedding,
    /// The blocks.
    pub stack: Stack,
}

/// Stages over a picture: in each an [`Embedding`] of patches, and a [`Stack`] over what it makes.
///
/// # Shapes
/// A picture of tokens → a coarser one, see [`Embedding`]; as wide as the last stage.
#[derive(Module, Debug)]
pub struct Hierarchy {
    /// From the first to the last.
    pub stages: Vec<Stage>,
    #[module(skip)]
    config: HierarchyConfig,
}

impl Hierarchy {
    /// The features behind the last stage; `read` sees those that enter the blocks of each stage, and those that leave
    /// them.
    fn pass(&self, features: Features, mut read: impl FnMut(usize, &Features, &Features)) -> Features {
        self.stages.iter().enumerate().fold(features, |features, (index, stage)| {
            let features = stage.embedding.forward(features);
            let context = features.context();
            let entered = features.with_tokens(stage.stack.enter(features.tokens.clone(), 0, &context));
            let behind = entered.with_tokens(stage.stack.pass(entered.tokens.clone(), &context));
            read(index, &entered, &behind);
            behind.with_tokens(stage.stack.leave(behind.tokens.clone(), &context))
        })
    }
}

impl Backbone for Hierarchy {
    fn forward(&self, features: Features) -> Features {
        self.pass(features, |_, _, _| {})
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        self.config.plan(input).ok().and_then(|stages| stages.last().copied()).unwrap_or(*input)
    }

    fn blocks(&self) -> Option<&dyn Blocks> {
        Some(self)
    }

    fn stages(&self, features: Features) -> Vec<Features> {
        let mut stages = Vec::new();
        self.pass(features, |index, entered, behind| {
            stages.extend((index == 0).then(|| entered.clone()));
            stages.push(behind.clone());
        });
        stages
    }

    fn influence(&self, features: Features) -> Vec<(String, Tensor<4>)> {
        let mut readings = Vec::new();
        let mut features = features;
        for (index, stage) in self.stages.iter().enumerate() {
            features = stage.embedding.forward(features);
            let found = stage.stack.influence(features.clone());
            readings
                .extend(found.into_iter().map(|(name, reading)| (format!("stages.{index}.{name}"), reading)));
            features = stage.stack.forward(features);
        }
        readings
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let stages = self.stages.iter().zip(self.config.plan(input).unwrap_or_default()).enumerate();
        let rows = stages.flat_map(|(index, (stage, spec))| {
            let embedding = stage.embedding.layer(spec.to_string(), spec.length);
            let rows = std::iter::once(embedding).chain(stage.stack.layers(&spec));
            rows.map(move |row| row.under(&format!("stages.{index}")))
        });
        rows.collect()
    }
}

/// Its stages are the blocks.
impl Blocks for Hierarchy {
    fn count(&self) -> usize {
        self.stages.len()
    }

    fn enter(&self, features: Features) -> Features {
        features
    }

    fn block(&self, index: usize, features: Features) -> Features {
        let Stage { embedding, stack } = &self.stages[index];
        stack.forward(embedding.forward(features))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arrangement, NormOver};
    use ansatz_arch_attention::AttentionConfig;
    use ansatz_arch_channel::MlpConfig;
    use ansatz_core::{Choice, Grid};
    use ansatz_ops::convolution;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution, Tolerance};

    fn registry() -> Registry {
        Registry::default().mixer::<AttentionConfig>().channel::<MlpConfig>().backbone::<HierarchyConfig>()
    }

    fn stage(width: usize, depth: usize, embedding: [usize; 3]) -> HierarchyStage {
        let [kernel, stride, padding] = embedding;
        let pattern =
            vec![Choice::typed(&AttentionConfig { heads: 2, ..AttentionConfig::default() }).unwrap()];
        let stack = StackConfig {
            width,
            depth,
            pattern,
            positions: PositionKind::None,
            norm_over: NormOver::Example,
            layer_scale: Some(0.5),
            ..StackConfig::default()
        };
        HierarchyStage { embedding: EmbeddingConfig { kernel, stride, padding }, stack }
    }

    fn config() -> HierarchyConfig {
        let mut second = stage(6, 2, [3, 2, 1]);
        second.stack.arrangement = Arrangement::Single;
        second.stack.first_norm = true;
        HierarchyConfig { stages: vec![stage(4, 1, [3, 2, 2]), second] }
    }

    fn picture(height: usize, width: usize) -> FeatureSpec {
        FeatureSpec::picture(Grid { height, width }, 3)
    }

    #[test]
    fn hierarchies_conform() {
        let device = ansatz_device::open("cpu").unwrap();
        let build =
            |input: &FeatureSpec, device: &Device| config().init(input, &Build::new(&registry(), device));
        let inputs = [picture(9, 6), picture(1, 1)];
        let checked = ansatz_conformance::backbone(build).inputs(inputs).check(&device);
        checked.unwrap_or_else(|failure| panic!("{failure}"));
    }

    #[test]
    fn stages_follow_each_other_and_are_read_before_their_last_norm() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = registry();
        let input = picture(9, 6);
        let hierarchy = config().build(&input, &Build::new(&registry, &device)).unwrap();
        let tokens = Tensor::<3>::random([2, 54, 3], Distribution::Default, &device);
        let features = Features { grid: input.grid, ..Features::row(tokens) };
        let stages = Backbone::stages(&hierarchy, features.clone());
        // (9 + 4 − 3) / 2 + 1 and (6 + 4 − 3) / 2 + 1, then (6 + 2 − 3) / 2 + 1 and (4 + 2 − 3) / 2 + 1.
        let grids: Vec<Grid> = stages.iter().map(|stage| stage.grid.expect("a picture")).collect();
        let grid = |height, width| Grid { height, width };
        assert_eq!(grids, [grid(6, 4), grid(6, 4), grid(3, 2)]);
        assert_eq!(hierarchy.output(&input), FeatureSpec::picture(grid(3, 2), 6));
        let [first, second] = &hierarchy.stages[..] else { unreachable!() };
        let embed = |stage: &Stage, features: &Features, padding: usize| {
            let picture = features.grid.expect("a picture").picture(features.tokens.clone());
            let bias = stage.embedding.convolution.bias.as_ref().map(|bias| bias.val());
            let options = ConvOptions::new([2; 2], [padding; 2], [1; 2], 1);
            Features::of_picture(convolution(
                picture,
                stage.embedding.convolution.weight.val(),
                bias,
                options,
            ))
        };
        let behind = first.stack.forward(embed(first, &features, 2));
        let expected = second.stack.forward(embed(second, &behind, 1));
        let blocks = hierarchy.blocks().expect("stages");
        let staged = (0..blocks.count()).fold(features.clone(), |staged, index| blocks.block(index, staged));
        let found = hierarchy.forward(features);
        staged.tokens.into_data().assert_eq(&found.tokens.to_data(), true);
        let close = |found: Tensor<3>, expected: Tensor<3>| {
            found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
        };
        close(found.tokens, expected.tokens);
        let norm = first.stack.norm.as_ref().expect("a last norm");
        close(norm.over_example(stages[1].tokens.clone(), None), behind.tokens);
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_whole_path() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = registry();
        let build = |config: &HierarchyConfig, input: FeatureSpec| {
            config.build(&input, &Build::new(&registry, &device)).unwrap_err().to_string()
        };
        let message = build(&config(), FeatureSpec::row(9, 3));
        assert!(message.contains("hierarchy: its input is a row of 9 tokens of 3"), "{message}");
        let unpadded = HierarchyConfig { stages: vec![stage(4, 1, [3, 2, 0])] };
        let message = build(&unpadded, picture(2, 9));
        assert!(message.contains("`stages[0].embedding.kernel`: patches of 3 tokens"), "{message}");
        for (settings, path) in [
            ("stages = []", "backbone.stages"),
            ("stages = [{ embedding = { kernel = 0 } }]", "backbone.stages[0].embedding.kernel"),
            ("stages = [{ embedding = { stride = 0 } }]", "backbone.stages[0].embedding.stride"),
            ("stages = [{}, { embedding = { padding = -1 } }]", "backbone.stages[1].embedding.padding"),
            ("stages = [{ stack = { depth = 0 } }]", "backbone.stages[0].stack.depth"),
            (
                "stages = [{ stack = { pattern = [{ kind = \"pool\" }] } }]",
                "backbone.stages[0].stack.pattern[0].kind",
            ),
        ] {
            let choice: Choice<ansatz_core::role::Backbone> =
                Choice::with("hierarchy", settings.parse().expect("valid TOML"));
            let message = choice.resolve("backbone", &registry).unwrap_err().to_string();
            assert!(message.contains(&format!("`{path}`")), "{settings}: {message}");
        }
    }

    #[test]
    fn the_registry_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        ansatz_conformance::registry(&registry(), &device).unwrap_or_else(|failure| panic!("{failure}"));
    }
}
