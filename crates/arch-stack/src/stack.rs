//! The stack as a backbone.

use ansatz_core::{Backbone, FeatureSpec, Features, Layer, Recurrent};
use burn::module::Module;
use burn::tensor::{Tensor, assert_shape};

use crate::{Block, Norm, Positions};

/// Positions, blocks and a last norm.
///
/// # Shapes
/// `[batch, length, width]` → the same; mask and grid are kept.
#[derive(Module, Debug)]
pub struct Stack {
    /// Where tokens stand.
    pub positions: Positions,
    /// From the first to the last.
    pub blocks: Vec<Block>,
    /// At the end.
    pub norm: Norm,
}

impl Backbone for Stack {
    fn forward(&self, features: Features) -> Features {
        let [batch, length, width] = features.tokens.dims();
        let context = features.context();
        let mut tokens = self.positions.forward(features.tokens.clone(), 0);
        for block in &self.blocks {
            tokens = block.forward(tokens, |mixer, tokens| mixer.forward(tokens, &context));
        }
        let tokens = self.norm.forward(tokens);
        assert_shape!(tokens, [batch, length, width]);
        features.with_tokens(tokens)
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        *input
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        self.blocks.iter().all(|block| block.mixer.recurrent().is_some()).then_some(self)
    }

    fn influence(&self, features: Features) -> Vec<(String, Tensor<4>)> {
        let context = features.context();
        let mut tokens = self.positions.forward(features.tokens, 0);
        let mut readings = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            tokens = block.forward(tokens, |mixer, tokens| {
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
        let norm = |name: String, norm: &Norm| row(name, norm.num_params(), tokens * norm.flops());
        let positions = tokens * self.positions.flops(input.width);
        let mut layers = vec![row("positions".to_owned(), self.positions.num_params(), positions)];
        for (index, block) in self.blocks.iter().enumerate() {
            let name = |part: &str| format!("blocks.{index}.{part}");
            let mixing = block.mixer.flops(input.length) + addition;
            let changing = tokens * block.channel.flops() + addition;
            layers.push(norm(name("mixer_norm"), &block.mixer_norm));
            layers.push(row(name("mixer"), block.mixer.num_params(), mixing));
            layers.push(norm(name("channel_norm"), &block.channel_norm));
            layers.push(row(name("channel"), block.channel.num_params(), changing));
        }
        layers.push(norm("norm".to_owned(), &self.norm));
        layers
    }
}
