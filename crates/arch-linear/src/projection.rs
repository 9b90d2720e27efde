//! From tokens to queries, keys and values.

use ansatz_core::State;
use ansatz_ops::{CausalConvolution, Linear, silu};
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

/// A linear map, then a short causal convolution where wanted, then `x σ(x)` where wanted.
///
/// # Shapes
/// `[batch, length, width]` → `[batch, length, outputs]`.
#[derive(Module, Debug)]
pub struct Projection {
    /// `[width, outputs]`.
    pub linear: Linear,
    /// Over the tokens, each channel for itself.
    pub convolution: Option<CausalConvolution>,
    silu: bool,
}

/// A linear map drawn Glorot uniform, with a bias of zeros where wanted.
pub(crate) fn linear([inputs, outputs]: [usize; 2], bias: bool, device: &Device) -> Linear {
    let weight = Initializer::XavierUniform { gain: 1.0 };
    Linear {
        weight: weight.init_with([inputs, outputs], Some(inputs), Some(outputs), device),
        bias: bias.then(|| Initializer::Zeros.init([outputs], device)),
    }
}

/// Floating-point operations of a linear map for one token.
pub(crate) fn linear_flops(linear: &Linear) -> u64 {
    2 * linear.weight.lazy_shape().num_elements() as u64
}

impl Projection {
    pub(crate) fn new(shape: [usize; 2], bias: bool, device: &Device) -> Self {
        Self { linear: linear(shape, bias, device), convolution: None, silu: false }
    }

    /// With a convolution of `width` tokens, unless that is 0.
    pub(crate) fn convolved(self, width: usize, device: &Device) -> Self {
        let [_, outputs] = self.linear.weight.dims();
        let convolution = (width > 0).then(|| CausalConvolution::new(outputs, width, false, device));
        Self { convolution, ..self }
    }

    /// With an activation at the end.
    pub(crate) fn activated(self, silu: bool) -> Self {
        Self { silu, ..self }
    }

    /// Puts what it carries from token to token under `name`.
    pub(crate) fn enter(&self, name: &str, batch: usize, device: &Device, state: &mut State) {
        if let Some(window) = self.convolution.as_ref().and_then(|found| found.window(batch, device)) {
            state.set(name, window);
        }
    }

    /// The next tokens behind what `state` holds under `name`.
    pub(crate) fn advance(&self, tokens: Tensor<3>, name: &str, state: &mut State) -> Tensor<3> {
        let mut tokens = self.linear.forward(tokens);
        if let Some(convolution) = &self.convolution {
            let (convolved, window) = convolution.forward(tokens, state.take::<3>(name));
            tokens = convolved;
            if let Some(window) = window {
                state.set(name, window);
            }
        }
        if self.silu { silu(tokens) } else { tokens }
    }

    pub(crate) fn flops(&self) -> u64 {
        linear_flops(&self.linear) + self.convolution.as_ref().map_or(0, CausalConvolution::flops)
    }
}
