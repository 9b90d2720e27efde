//! The temporal convolutional network as a backbone.

use ansatz_core::{Backbone, Context, FeatureSpec, Features, Layer, Recurrent, State};
use ansatz_ops::{Activation, Linear};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

use super::{TcnBlock, TemporalConvolution};

/// Blocks one behind the other (Bai et al. 2018, section 3). With skips, the output is f of the sum of what
/// every block but the last added, each brought to the last width, and of what left the last.
///
/// # Shapes
/// `[batch, length, inputs]` → `[batch, length, outputs]`; the mask is kept, and padding counts as zeros.
#[derive(Module, Debug)]
pub struct Tcn {
    /// From the first to the last.
    pub blocks: Vec<TcnBlock>,
    /// The map of what each block added, where it has another width than the last.
    pub skips: Vec<Option<Linear>>,
    /// Behind the last block, where wanted.
    pub output: Option<Linear>,
    pub(super) skipping: bool,
    pub(super) causal: bool,
    #[module(skip)]
    pub(super) activation: Activation,
    #[module(skip)]
    pub(super) output_activation: Option<Activation>,
}

/// Where the window of a convolution stands in the state.
fn window(block: usize, convolution: usize) -> String {
    format!("blocks.{block}.convolutions.{convolution}")
}

/// `[batch, channels, length]`, zeros where `real`, `[batch, length]`, is false.
fn without_padding(x: Tensor<3>, real: Option<&Tensor<2, Bool>>) -> Tensor<3> {
    let Some(real) = real else { return x };
    let padding = real.clone().bool_not().unsqueeze_dim::<3>(1).expand(x.dims());
    x.mask_fill(padding, 0.0)
}

impl Tcn {
    /// All blocks, with each convolution in the form that `slide` gives it, by block and number.
    fn run(
        &self,
        mut tokens: Tensor<3>,
        mut slide: impl FnMut([usize; 2], &TemporalConvolution, Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let mut skipped: Option<Tensor<3>> = None;
        for (index, block) in self.blocks.iter().enumerate() {
            let left = block.forward(tokens, |number, convolution, x| slide([index, number], convolution, x));
            tokens = left.tokens;
            if self.skipping && index + 1 < self.blocks.len() {
                let added = match &self.skips[index] {
                    Some(map) => map.forward(left.added),
                    None => left.added,
                };
                skipped = Some(match skipped {
                    Some(sum) => sum + added,
                    None => added,
                });
            }
        }
        if self.skipping {
            let sum = match skipped {
                Some(skipped) => tokens + skipped,
                None => tokens,
            };
            tokens = self.activation.apply(sum);
        }
        if let Some(output) = &self.output {
            tokens = output.forward(tokens);
        }
        match self.output_activation {
            Some(activation) => activation.apply(tokens),
            None => tokens,
        }
    }

    fn width(&self) -> usize {
        let last = self.blocks.last().map_or(0, TcnBlock::width);
        self.output.as_ref().map_or(last, |output| output.weight.lazy_shape()[1])
    }
}

impl Backbone for Tcn {
    fn forward(&self, features: Features) -> Features {
        let mask = features.mask.as_ref();
        let tokens = self
            .run(features.tokens.clone(), |_, convolution, x| convolution.forward(without_padding(x, mask)));
        features.with_tokens(tokens)
    }

    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        input.with_width(self.width())
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        self.causal.then_some(self)
    }

    fn layers(&self, input: &FeatureSpec) -> Vec<Layer> {
        let tokens = input.length;
        let row = |name: String, parameters: usize, flops: u64, width: usize| Layer {
            name,
            output: input.with_width(width).to_string(),
            parameters,
            flops: flops * tokens as u64,
            activations: tokens * width,
        };
        let map = |name: String, map: &Linear| {
            let [from, to] = map.weight.lazy_shape().dims();
            row(name, map.num_params(), (2 * from * to) as u64, to)
        };
        let mut layers = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            layers.push(row(format!("blocks.{index}"), trainable(block), block.flops(), block.width()));
        }
        for (index, skip) in self.skips.iter().enumerate() {
            layers.extend(skip.as_ref().map(|skip| map(format!("skips.{index}"), skip)));
        }
        layers.extend(self.output.as_ref().map(|output| map("output".to_owned(), output)));
        layers
    }
}

/// Trainable values of a block: running statistics are none.
fn trainable(block: &TcnBlock) -> usize {
    let norms = block.norms.iter().flatten().map(ansatz_ops::Norm::num_trainable).sum::<usize>();
    let convolutions = block.convolutions.iter().map(Module::num_params).sum::<usize>();
    norms + convolutions + block.shortcut.as_ref().map_or(0, Module::num_params)
}

impl Recurrent for Tcn {
    fn state(&self, batch: usize, device: &Device) -> State {
        let mut state = State::new();
        for (index, block) in self.blocks.iter().enumerate() {
            for (number, convolution) in block.convolutions.iter().enumerate() {
                if let Some(zeros) = convolution.window(batch, device) {
                    state.set(&window(index, number), zeros);
                }
            }
        }
        state
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [batch, length, _] = tokens.dims();
        let device = tokens.device();
        let tokens = self.run(tokens, |[index, number], convolution, x| {
            let name = window(index, number);
            let seen = state.take(&name).or_else(|| convolution.window(batch, &device));
            let (y, behind) = convolution.step(x, seen);
            if let Some(behind) = behind {
                state.set(&name, behind);
            }
            y
        });
        state.position += length;
        tokens
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConvolutionNorm, TcnConfig};
    use ansatz_conformance::Property;
    use ansatz_core::BoxedBackbone;

    #[test]
    fn networks_conform() {
        let device = ansatz_device::open("cpu").unwrap();
        let default = TcnConfig { widths: vec![4, 6, 6], ..TcnConfig::default() };
        let smooth = Activation::Gelu;
        for config in [
            TcnConfig { activation: smooth, ..default.clone() },
            TcnConfig { activation: smooth, causal: false, kernel: 4, ..default.clone() },
            TcnConfig {
                norm: ConvolutionNorm::Layer,
                gated: true,
                activation: Activation::Tanh,
                ..default.clone()
            },
            TcnConfig {
                norm: ConvolutionNorm::None,
                skips: true,
                activation: smooth,
                output: Some(3),
                output_activation: Some(Activation::Sigmoid),
                dilations: vec![1, 3, 1],
                kernel: 2,
                ..default.clone()
            },
            TcnConfig { kernel: 1, widths: vec![8], skips: true, activation: Activation::Elu, ..default },
        ] {
            let build = |input: &FeatureSpec, device: &Device| {
                Ok(BoxedBackbone::new(config.build(input.width, device)?))
            };
            let checked = ansatz_conformance::backbone(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert_eq!(report.covers(Property::Recurrence), config.causal);
        }
    }
}
