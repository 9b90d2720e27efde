//! PatchTSMixer as a backbone.

use ansatz_core::{Backbone, FeatureSpec, Features, Grid, Layer};
use ansatz_ops::Norm;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, assert_shape};

use super::MixerBlock;

/// Blocks one behind the other, over a picture whose rows are channels and whose columns are patches
/// (Ekambaram et al. 2023, section 3).
///
/// # Shapes
/// `[batch, channels × patches, width]` → the same; the grid is kept.
#[derive(Module, Debug)]
pub struct PatchMixer {
    /// Added to the patches of each channel, `[patches, width]`, where wanted.
    pub positions: Option<Param<Tensor<2>>>,
    /// From the first to the last.
    pub blocks: Vec<MixerBlock>,
    pub(super) channels: usize,
}

impl PatchMixer {
    /// `[batch, channels, patches, width]`, before the first block.
    fn enter(&self, tokens: Tensor<3>) -> Tensor<4> {
        let [batch, length, width] = tokens.dims();
        let channels = self.channels;
        assert_shape!(tokens, [batch, length, width]);
        let picture = tokens.reshape([batch, channels, length / channels, width]);
        match &self.positions {
            Some(positions) => picture + positions.val().unsqueeze(),
            None => picture,
        }
    }
}

/// Channels and patches one behind the other.
fn flat(picture: Tensor<4>) -> Tensor<3> {
    let [batch, channels, patches, width] = picture.dims();
    picture.reshape([batch, channels * patches, width])
}

impl Backbone for PatchMixer {
    fn forward(&self, features: Features) -> Features {
        let mut picture = self.enter(features.tokens.clone());
        for block in &self.blocks {
            picture = block.forward(picture);
        }
        features.with_tokens(flat(picture))
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        *input
    }

    fn hidden(&self, features: Features) -> Vec<Tensor<3>> {
        let mut picture = self.enter(features.tokens);
        let mut hidden = vec![flat(picture.clone())];
        for block in &self.blocks {
            picture = block.forward(picture);
            hidden.push(flat(picture.clone()));
        }
        // Nothing stands behind the last block.
        hidden.push(flat(picture));
        hidden
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let Some(Grid { height, width }) = input.grid else { return Vec::new() };
        let size = [height, width, input.width];
        let row = |name: String, parameters: usize, flops: u64| Layer {
            name,
            output: input.to_string(),
            parameters,
            flops,
            activations: input.length * input.width,
        };
        let mut layers = Vec::new();
        layers.extend(self.positions.as_ref().map(|positions| {
            let added = (input.length * input.width) as u64;
            row("positions".to_owned(), positions.lazy_shape().num_elements(), added)
        }));
        for (index, block) in self.blocks.iter().enumerate() {
            let name = |part: &str| format!("blocks.{index}.{part}");
            layers.extend(
                block
                    .channels
                    .as_ref()
                    .map(|part| row(name("channels"), trainable(part, [&part.norm]), part.flops(size))),
            );
            let part = &block.patches;
            let norms = std::iter::once(&part.norm).chain(&part.mixer_norm);
            layers.push(row(name("patches"), trainable(part, norms), part.flops(size)));
            let part = &block.values;
            layers.push(row(name("values"), trainable(part, [&part.norm]), part.flops(size)));
        }
        layers
    }
}

/// Trainable values of a part with these norms, whose running statistics are none.
fn trainable<'a>(part: &impl Module, norms: impl IntoIterator<Item = &'a Norm>) -> usize {
    let running = |norm: &Norm| norm.num_params() - norm.num_trainable();
    part.num_params() - norms.into_iter().map(running).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PatchMixerConfig;
    use ansatz_arch_attention::AttentionConfig;
    use ansatz_core::{BoxedBackbone, Build, Choice, Registry};
    use burn::tensor::{Device, Distribution};

    fn registry() -> Registry {
        Registry::default().mixer::<AttentionConfig>()
    }

    fn configs() -> [PatchMixerConfig; 3] {
        let default = PatchMixerConfig { width: 4, depth: 2, ..PatchMixerConfig::default() };
        let attention = AttentionConfig { heads: 2, ..AttentionConfig::default() };
        [
            PatchMixerConfig { gated: false, ..default.clone() },
            PatchMixerConfig { mix_channels: true, positions: true, ..default.clone() },
            PatchMixerConfig { mixer: Some(Choice::typed(&attention).unwrap()), ..default },
        ]
    }

    #[test]
    fn networks_conform() {
        let device = ansatz_device::open("cpu").unwrap();
        let inputs = [[2, 3], [3, 5]].map(|[height, width]| FeatureSpec::picture(Grid { height, width }, 4));
        for config in configs() {
            let build = |input: &FeatureSpec, device: &Device| {
                Ok(BoxedBackbone::new(config.build(input, &Build::new(&registry(), device))?))
            };
            let check = ansatz_conformance::backbone(build).named(format!("{config:?}")).inputs(inputs);
            check.check(&device).unwrap_or_else(|failure| panic!("{failure}"));
        }
    }

    #[test]
    fn channels_see_each_other_only_where_they_are_mixed() {
        let device = ansatz_device::open("cpu").unwrap();
        let grid = Grid { height: 2, width: 3 };
        let input = FeatureSpec::picture(grid, 4);
        for config in configs() {
            let network = config.build(&input, &Build::new(&registry(), &device)).unwrap();
            let tokens = Tensor::<3>::random([1, 6, 4], Distribution::Default, &device);
            let other =
                Tensor::cat(vec![tokens.clone().narrow(1, 0, 3), tokens.clone().narrow(1, 3, 3) * 2.0], 1);
            let first = |tokens: Tensor<3>| {
                let features = Features { grid: Some(grid), ..Features::row(tokens) };
                network.forward(features).tokens.narrow(1, 0, 3).into_data()
            };
            let changed = first(tokens) != first(other);
            assert_eq!(changed, config.mix_channels);
        }
    }

    #[test]
    fn hidden_tokens_end_in_the_output() {
        let device = ansatz_device::open("cpu").unwrap();
        let grid = Grid { height: 2, width: 3 };
        let input = FeatureSpec::picture(grid, 4);
        let network = configs()[1].build(&input, &Build::new(&registry(), &device)).unwrap();
        let tokens = Tensor::<3>::random([1, 6, 4], Distribution::Default, &device);
        let features = Features { grid: Some(grid), ..Features::row(tokens) };
        let hidden = network.hidden(features.clone());
        assert_eq!(hidden.len(), 4);
        hidden[3].to_data().assert_eq(&network.forward(features).tokens.into_data(), true);
    }
}
