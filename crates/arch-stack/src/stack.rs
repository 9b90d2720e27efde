//! The stack as a backbone.

use ansatz_core::{Backbone, Blocks, Context, FeatureSpec, Features, Layer, Recurrent};
use ansatz_ops::Norm;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, assert_shape};

use crate::{Block, NormOver, Positions};

/// Positions, blocks and norms at both ends.
///
/// # Shapes
/// `[batch, length, width]` → the same; mask and grid are kept.
#[derive(Module, Debug)]
pub struct Stack {
    /// Where tokens stand.
    pub positions: Positions,
    /// Before the first block, where wanted.
    pub first_norm: Option<Norm>,
    /// From the first to the last.
    pub blocks: Vec<Block>,
    /// Behind the last block, where wanted.
    pub norm: Option<Norm>,
    #[module(skip)]
    pub(crate) norm_over: NormOver,
}

impl Stack {
    /// What happens before the first block, to tokens of which the first stands at position `first`.
    pub(crate) fn enter(&self, tokens: Tensor<3>, first: usize, context: &Context) -> Tensor<3> {
        let tokens = self.positions.forward(tokens, first);
        self.scaled(&self.first_norm, tokens, context)
    }

    /// What all blocks make of tokens that have entered.
    pub(crate) fn pass(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        self.blocks.iter().fold(tokens, |tokens, block| block.whole(tokens, context))
    }

    /// What happens behind the last block.
    pub(crate) fn leave(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        self.scaled(&self.norm, tokens, context)
    }

    /// The tokens brought to one scale, where there is a norm.
    fn scaled(&self, norm: &Option<Norm>, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        match norm {
            Some(norm) => self.norm_over.apply(norm, tokens, context.mask.as_ref()),
            None => tokens,
        }
    }
}

impl Backbone for Stack {
    fn forward(&self, features: Features) -> Features {
        let [batch, length, width] = features.tokens.dims();
        let context = features.context();
        let tokens = self.pass(self.enter(features.tokens.clone(), 0, &context), &context);
        let tokens = self.leave(tokens, &context);
        assert_shape!(tokens, [batch, length, width]);
        features.with_tokens(tokens)
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        *input
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        let over_tokens = self.norm_over == NormOver::Token;
        (over_tokens && self.blocks.iter().all(Block::is_recurrent)).then_some(self)
    }

    fn blocks(&self) -> Option<&dyn Blocks> {
        Some(self)
    }

    fn limit(&self) -> Option<usize> {
        let mixers = self.blocks.iter().filter_map(|block| block.mixer.limit());
        mixers.chain(self.positions.known()).min()
    }

    fn hidden(&self, features: Features) -> Vec<Tensor<3>> {
        let context = features.context();
        let mut hidden = vec![self.enter(features.tokens, 0, &context)];
        for block in &self.blocks {
            let tokens = hidden[hidden.len() - 1].clone();
            hidden.push(block.whole(tokens, &context));
        }
        let last = hidden[hidden.len() - 1].clone();
        hidden.push(self.leave(last, &context));
        hidden
    }

    fn influence(&self, features: Features) -> Vec<(String, Tensor<4>)> {
        let context = features.context();
        let mut tokens = self.enter(features.tokens, 0, &context);
        let mut readings = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            tokens = block.forward(tokens, &context, |mixer, tokens| {
                let reading = mixer.influence(tokens.clone(), &context);
                readings.extend(reading.map(|reading| (format!("blocks.{index}.mixer"), reading)));
                mixer.forward(tokens, &context)
            });
        }
        readings
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let row = |name: String, parameters: usize, flops: u64| Layer {
            name,
            output: input.to_string(),
            parameters,
            flops,
            activations: input.length * input.width,
        };
        let tokens = input.length as u64;
        // Each residual branch ends in an addition.
        let addition = tokens * input.width as u64;
        let norm = |name: String, norm: &Norm| row(name, norm.num_trainable(), tokens * norm.flops());
        let scaling = |name: String, factors: &Option<Param<Tensor<1>>>| {
            factors.as_ref().map(|_| row(name, input.width, addition))
        };
        let positions = tokens * self.positions.flops(input.width);
        let mut layers = vec![row("positions".to_owned(), self.positions.num_params(), positions)];
        layers.extend(self.first_norm.as_ref().map(|first| norm("first_norm".to_owned(), first)));
        for (index, block) in self.blocks.iter().enumerate() {
            let name = |part: &str| format!("blocks.{index}.{part}");
            let normed =
                |part: &str, found: &Option<Norm>| found.as_ref().map(|found| norm(name(part), found));
            let mixing = block.mixer.flops(input.length) + addition;
            layers.extend(normed("mixer_norm", &block.mixer_norm));
            layers.push(row(name("mixer"), block.mixer.num_params(), mixing));
            layers.extend(scaling(name("mixer_layer_scale"), &block.mixer_layer_scale));
            layers.extend(normed("mixer_second_norm", &block.mixer_second_norm));
            layers.extend(normed("channel_norm", &block.channel_norm));
            layers.extend(block.channel.as_ref().map(|channel| {
                row(name("channel"), channel.num_params(), tokens * channel.flops() + addition)
            }));
            layers.extend(scaling(name("channel_layer_scale"), &block.channel_layer_scale));
            layers.extend(normed("channel_second_norm", &block.channel_second_norm));
        }
        layers.extend(self.norm.as_ref().map(|last| norm("norm".to_owned(), last)));
        layers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arrangement, NormOver, PositionKind, Scales, StackConfig};
    use ansatz_arch_attention::AttentionConfig;
    use ansatz_arch_channel::{GatedMlpConfig, MlpConfig, NoneConfig};
    use ansatz_conformance::Property;
    use ansatz_core::{BoxedBackbone, Build, Choice, Registry};
    use burn::tensor::{Bool, Device, Distribution};

    fn registry() -> Registry {
        Registry::default()
            .mixer::<AttentionConfig>()
            .channel::<MlpConfig>()
            .channel::<GatedMlpConfig>()
            .channel::<NoneConfig>()
    }

    fn attention(causal: bool, heads: usize) -> Choice<ansatz_core::role::Mixer> {
        Choice::typed(&AttentionConfig { causal, heads, ..AttentionConfig::default() }).unwrap()
    }

    fn build(config: &StackConfig, input: &FeatureSpec, device: &Device) -> ansatz_core::Result<Stack> {
        config.build(input, &Build::new(&registry(), device))
    }

    #[test]
    fn stacks_conform() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = StackConfig { width: 8, depth: 3, ..StackConfig::default() };
        let causal = vec![attention(true, 2), attention(true, 4)];
        let configs = [
            StackConfig {
                norm: ansatz_ops::NormConfig::rms(1e-6),
                positions: PositionKind::None,
                arrangement: Arrangement::Sandwich,
                ..default.clone()
            },
            StackConfig { pattern: causal.clone(), ..default.clone() },
            StackConfig {
                pattern: causal.clone(),
                arrangement: Arrangement::Carried,
                first_norm: true,
                first_mixer_norm: false,
                last_norm: false,
                mixer_scales: vec![Scales { skip: 0.5, branch: 1.5 }],
                ..default.clone()
            },
            StackConfig {
                pattern: causal,
                positions: PositionKind::Sinusoidal,
                channels: vec![Choice::of("gated-mlp"), Choice::of("none")],
                ..default.clone()
            },
            StackConfig { pattern: vec![attention(true, 2), attention(false, 2)], ..default.clone() },
            StackConfig {
                pattern: vec![attention(true, 2)],
                arrangement: Arrangement::Single,
                layer_scale: Some(0.5),
                channels: vec![Choice::of("mlp"), Choice::of("none")],
                ..default.clone()
            },
            StackConfig {
                pattern: vec![attention(true, 2)],
                norm_over: NormOver::Example,
                first_norm: true,
                layer_scale: Some(0.5),
                ..default
            },
        ];
        for (config, recurrent) in configs.iter().zip([false, true, true, true, false, true, false]) {
            let build =
                |input: &FeatureSpec, device: &Device| Ok(BoxedBackbone::new(build(config, input, device)?));
            let checked = ansatz_conformance::backbone(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert_eq!(report.covers(Property::Recurrence), recurrent);
        }
    }

    #[test]
    fn patterns_begin_again_where_they_end() {
        let device = ansatz_device::open("cpu").unwrap();
        let pattern = vec![attention(false, 1), attention(false, 2)];
        let config = StackConfig { width: 4, depth: 5, pattern, ..StackConfig::default() };
        let input = FeatureSpec::row(3, 4);
        let stack = build(&config, &input, &device).unwrap();
        let tokens = Tensor::<3>::random([2, 3, 4], Distribution::Default, &device);
        let readings = stack.influence(Features::row(tokens));
        let heads: Vec<_> =
            readings.iter().map(|(name, reading)| (name.as_str(), reading.dims()[1])).collect();
        let expected = [1, 2, 1, 2, 1];
        let names: Vec<_> = (0..5).map(|index| format!("blocks.{index}.mixer")).collect();
        assert_eq!(heads, names.iter().map(String::as_str).zip(expected).collect::<Vec<_>>());
    }

    #[test]
    fn mask_and_grid_are_kept() {
        let device = ansatz_device::open("cpu").unwrap();
        let grid = ansatz_core::Grid { height: 2, width: 3 };
        let config = StackConfig { width: 4, depth: 1, ..StackConfig::default() };
        let stack = build(&config, &FeatureSpec::picture(grid, 4), &device).unwrap();
        let mask = Tensor::<2, Bool>::from_data([[true, true, false, true, true, true]], &device);
        let tokens = Tensor::<3>::random([1, 6, 4], Distribution::Default, &device);
        let features = Features { mask: Some(mask.clone()), grid: Some(grid), ..Features::row(tokens) };
        let output = stack.forward(features);
        assert_eq!(output.grid, Some(grid));
        output.mask.expect("the mask").into_data().assert_eq(&mask.into_data(), true);
    }

    #[test]
    fn hidden_tokens_end_in_the_output() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = StackConfig { width: 8, depth: 2, ..StackConfig::default() };
        let stack = build(&config, &FeatureSpec::row(5, 8), &device).unwrap();
        let features = Features::row(Tensor::random([2, 5, 8], Distribution::Default, &device));
        let hidden = stack.hidden(features.clone());
        assert_eq!(hidden.len(), 4, "before the first block, behind each of two, and behind the last norm");
        hidden[3].to_data().assert_eq(&stack.forward(features).tokens.into_data(), true);
        let normed = stack.norm.as_ref().expect("a last norm").forward(hidden[2].clone());
        normed.into_data().assert_eq(&hidden[3].to_data(), true);
        assert_eq!(stack.limit(), Some(5));
    }

    #[test]
    fn the_closing_norm_may_be_another() {
        let device = ansatz_device::open("cpu").unwrap();
        let batch = ansatz_ops::NormConfig { kind: ansatz_ops::NormKind::Batch, ..Default::default() };
        let config = StackConfig { width: 8, depth: 1, closing_norm: Some(batch), ..StackConfig::default() };
        let stack = build(&config, &FeatureSpec::row(5, 8), &device).unwrap();
        assert!(stack.norm.as_ref().is_some_and(|norm| norm.running.is_some()));
        assert!(stack.blocks[0].mixer_norm.as_ref().is_some_and(|norm| norm.running.is_none()));
        let counted: usize = stack.layers(&FeatureSpec::row(5, 8)).iter().map(|layer| layer.parameters).sum();
        assert_eq!(counted, stack.num_params() - 2 * 8);
    }

    #[test]
    fn layers_count_what_the_blocks_hold_and_cost() {
        let device = ansatz_device::open("cpu").unwrap();
        let config = StackConfig { width: 8, depth: 2, ..StackConfig::default() };
        let input = FeatureSpec::row(5, 8);
        let stack = build(&config, &input, &device).unwrap();
        let layers = stack.layers(&input);
        assert_eq!(layers.iter().map(|layer| layer.parameters).sum::<usize>(), stack.num_params());
        let mixer = layers.iter().find(|layer| layer.name == "blocks.1.mixer").unwrap();
        assert_eq!(mixer.parameters, 4 * (64 + 8));
        assert_eq!(mixer.flops, stack.blocks[1].mixer.flops(5) + 40);
        assert_eq!(layers.len(), 1 + 2 * 4 + 1);
    }
}
