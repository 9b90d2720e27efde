//! The stack block by block.

use ansatz_core::{Blocks, Features};
use burn::tensor::Tensor;

use crate::Stack;

impl Blocks for Stack {
    fn count(&self) -> usize {
        self.blocks.len()
    }

    fn enter(&self, features: Features) -> Features {
        let context = features.context();
        features.with_tokens(Stack::enter(self, features.tokens.clone(), 0, &context))
    }

    fn block(&self, index: usize, features: Features) -> Features {
        let context = features.context();
        let tokens = features.tokens.clone();
        features.with_tokens(self.blocks[index].whole(tokens, &context))
    }

    fn influence_in(&self, index: usize, features: &Features) -> Option<Tensor<4>> {
        self.blocks[index].influence(features.tokens.clone(), &features.context())
    }

    fn leave(&self, features: Features) -> Features {
        let context = features.context();
        features.with_tokens(Stack::leave(self, features.tokens.clone(), &context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::tests::ARRANGEMENTS;
    use crate::{Arrangement, NormOver, StackConfig};
    use ansatz_arch_attention::AttentionConfig;
    use ansatz_arch_channel::MlpConfig;
    use ansatz_core::{Backbone, Build, FeatureSpec, Registry};
    use burn::tensor::{Device, Distribution};

    fn stack(arrangement: Arrangement, device: &Device) -> Stack {
        let registry = Registry::default().mixer::<AttentionConfig>().channel::<MlpConfig>();
        let config = StackConfig {
            width: 8,
            depth: 3,
            arrangement,
            first_norm: true,
            norm_over: if arrangement == Arrangement::Pre { NormOver::Example } else { NormOver::Token },
            ..StackConfig::default()
        };
        config.build(&FeatureSpec::row(5, 8), &Build::new(&registry, device)).unwrap()
    }

    #[test]
    fn block_by_block_is_all_at_once_and_so_are_their_readings() {
        let device = ansatz_device::open("cpu").unwrap();
        for arrangement in ARRANGEMENTS {
            let stack = stack(arrangement, &device);
            let tokens = Tensor::random([2, 5, 8], Distribution::Normal(0.5, 2.0), &device);
            let features = Features::row(tokens);
            let blocks: &dyn Blocks = stack.blocks().expect("a stack has blocks");
            let readings = stack.influence(features.clone());
            assert_eq!((blocks.count(), readings.len()), (3, 3));
            let mut reached = blocks.enter(features.clone());
            for (index, (_, reading)) in readings.into_iter().enumerate() {
                let found = blocks.influence_in(index, &reached).expect("attention has a reading");
                found.into_data().assert_eq(&reading.into_data(), true);
                reached = blocks.block(index, reached);
            }
            let left = blocks.leave(reached).tokens.into_data();
            left.assert_eq(&stack.forward(features).tokens.into_data(), true);
        }
    }
}
