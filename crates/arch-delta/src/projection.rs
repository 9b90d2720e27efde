//! Queries, keys and values: projected, and convolved with the few tokens before.

use ansatz_core::State;
use ansatz_ops::{CausalConvolution, Linear};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::low_rank::{flops, linear};

/// A linear map of the tokens, and a short causal convolution of what it makes of them.
///
/// # Shapes
/// `[batch, length, inputs]` → `[batch, length, outputs]`.
#[derive(Module, Debug)]
pub struct Projection {
    /// W `[inputs, outputs]`.
    pub linear: Linear,
    /// `[outputs, width]`; none where the tokens before take no part.
    pub convolution: Option<CausalConvolution>,
}

impl Projection {
    /// `taps` tokens are convolved with each other; 0 leaves the convolution out.
    pub(crate) fn new([inputs, outputs]: [usize; 2], taps: usize, bias: bool, device: &Device) -> Self {
        let convolution = (taps > 0).then(|| CausalConvolution::new(outputs, taps, bias, device));
        Self { linear: linear(inputs, outputs, device), convolution }
    }

    /// Goes on from the window that `state` holds under `name`, and leaves the next one there.
    pub(crate) fn forward(&self, tokens: Tensor<3>, name: &str, state: Option<&mut State>) -> Tensor<3> {
        let projected = self.linear.forward(tokens);
        let Some(convolution) = &self.convolution else { return projected };
        let Some(state) = state else { return convolution.forward(projected, None).0 };
        let (convolved, window) = convolution.forward(projected, state.take::<3>(name));
        if let Some(window) = window {
            state.set(name, window);
        }
        convolved
    }

    /// Puts the window before the first token into `state`.
    pub(crate) fn begin(&self, name: &str, batch: usize, state: &mut State, device: &Device) {
        if let Some(window) = self.convolution.as_ref().and_then(|short| short.window(batch, device)) {
            state.set(name, window);
        }
    }

    /// Floating-point operations for one token.
    pub(crate) fn flops(&self) -> u64 {
        flops(&self.linear) + self.convolution.as_ref().map_or(0, CausalConvolution::flops)
    }
}
