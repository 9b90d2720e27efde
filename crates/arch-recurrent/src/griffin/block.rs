//! Griffin's recurrent block: a gated branch beside a convolution and the recurrence.

use ansatz_core::{Build, Context, Mixer, Recurrent, State};
use ansatz_ops::{CausalConvolution, Linear, gelu_tanh, without_padding};
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, assert_shape};

use super::{GatedRecurrence, RgLruConfig};

/// Griffin's recurrent block (De et al. 2024, arXiv:2402.19427, figure 2c).
///
/// ```text
/// y = (RG-LRU(conv(x W_x + b_x)) ⊙ gelu(x W_y + b_y)) W_out + b_out
/// ```
///
/// # Shapes
/// `[batch, length, width]` → the same.
#[derive(Module, Debug)]
pub struct RgLru {
    /// W_x, b_x `[width, inner]`.
    pub input: Linear,
    /// W_y, b_y `[width, inner]`.
    pub gate: Linear,
    /// Over the tokens before, each value for itself.
    pub convolution: CausalConvolution,
    /// Carries the state.
    pub recurrence: GatedRecurrence,
    /// W_out, b_out `[inner, width]`.
    pub output: Linear,
}

/// Names of the state's tensors: the last inputs of the convolution, `[batch, convolution − 1, inner]`, and the state
/// of the recurrence, `[batch, inner]`.
const WINDOW: &str = "window";
const HIDDEN: &str = "hidden";

impl RgLru {
    /// Drawn as the published networks are: normal, with a variance of 1 / inputs, and of 2 / (blocks · inputs) for
    /// the map back to the tokens; biases zero.
    pub(super) fn new([width, inner]: [usize; 2], config: &RgLruConfig, build: &Build) -> Self {
        let device = build.device;
        let linear = |inputs: usize, outputs: usize, scale: f64| Linear {
            weight: Initializer::Normal { mean: 0.0, std: (scale / inputs as f64).sqrt() }
                .init([inputs, outputs], device),
            bias: Some(Initializer::Zeros.init([outputs], device)),
        };
        Self {
            input: linear(width, inner, 1.0),
            gate: linear(width, inner, 1.0),
            convolution: CausalConvolution::new(inner, config.convolution, true, device),
            recurrence: GatedRecurrence::new([config.heads, inner / config.heads], device),
            output: linear(inner, width, 2.0 / build.depth.blocks as f64),
        }
    }

    /// Real tokens behind `window` and `hidden`, and what both are behind them.
    fn run(
        &self,
        tokens: Tensor<3>,
        window: Option<Tensor<3>>,
        hidden: Option<Tensor<2>>,
    ) -> (Tensor<3>, Option<Tensor<3>>, Tensor<2>) {
        let [batch, length, width] = tokens.dims();
        let (inputs, window) = self.convolution.forward(self.input.forward(tokens.clone()), window);
        let (states, hidden) = self.recurrence.forward(inputs, hidden);
        let gate = gelu_tanh(self.gate.forward(tokens));
        let output = self.output.forward(states * gate);
        assert_shape!(output, [batch, length, width]);
        (output, window, hidden)
    }
}

impl Mixer for RgLru {
    fn forward(&self, tokens: Tensor<3>, context: &Context) -> Tensor<3> {
        without_padding(tokens, context.mask.as_ref(), |tokens| self.run(tokens, None, None).0)
    }

    fn recurrent(&self) -> Option<&dyn Recurrent> {
        Some(self)
    }

    fn flops(&self, length: usize) -> u64 {
        let linears = [&self.input, &self.gate, &self.output];
        let projections: usize =
            linears.iter().map(|linear| 2 * linear.weight.lazy_shape().num_elements()).sum();
        length as u64 * (projections as u64 + self.convolution.flops() + self.recurrence.flops())
    }
}

impl Recurrent for RgLru {
    fn state(&self, batch: usize, device: &Device) -> State {
        let [_, inner] = self.input.weight.lazy_shape().dims();
        let options = (device, self.input.dtype());
        let state = State::new().with(HIDDEN, Tensor::<2>::zeros([batch, inner], options));
        match self.convolution.window(batch, device) {
            Some(window) => state.with(WINDOW, window),
            None => state,
        }
    }

    fn step(&self, tokens: Tensor<3>, state: &mut State, _context: &Context) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        // The first token of all is weighted otherwise, so that zeros are not the same as no state.
        let hidden = state.take(HIDDEN).filter(|_| state.position > 0);
        let (output, window, hidden) = self.run(tokens, state.take(WINDOW), hidden);
        state.set(HIDDEN, hidden);
        if let Some(window) = window {
            state.set(WINDOW, window);
        }
        state.position += length;
        output
    }

    fn constant_state(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_conformance::Property;
    use ansatz_core::{MixerConfig, Registry};

    #[test]
    fn the_block_conforms() {
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        for config in [
            RgLruConfig::default(),
            RgLruConfig { inner: Some(15), heads: 3, convolution: 2 },
            RgLruConfig { inner: Some(6), heads: 1, convolution: 1 },
        ] {
            let build = |width: usize, device: &Device| config.init(width, &Build::new(&registry, device));
            let checked = ansatz_conformance::mixer(build).named(format!("{config:?}")).check(&device);
            let report = checked.unwrap_or_else(|failure| panic!("{failure}"));
            assert!(report.covers(Property::Recurrence));
        }
    }
}
