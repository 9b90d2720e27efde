//! Linear maps through a narrow middle.

use ansatz_ops::{Linear, LinearConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// A linear map, or two in a row with fewer values between them: `x W_down W_up + b`.
///
/// # Shapes
/// `[batch, length, inputs]` → `[batch, length, outputs]`.
#[derive(Module, Debug)]
pub struct LowRank {
    /// W_down `[inputs, rank]`, where the map has a narrow middle.
    pub down: Option<Linear>,
    /// W_up `[rank or inputs, outputs]` and b.
    pub up: Linear,
}

impl LowRank {
    pub(crate) fn new(
        [inputs, outputs]: [usize; 2],
        rank: Option<usize>,
        bias: bool,
        device: &Device,
    ) -> Self {
        Self {
            down: rank.map(|rank| linear(inputs, rank, device)),
            up: LinearConfig::new(rank.unwrap_or(inputs), outputs).with_bias(bias).init(device),
        }
    }

    pub(crate) fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let tokens = match &self.down {
            Some(down) => down.forward(tokens),
            None => tokens,
        };
        self.up.forward(tokens)
    }

    /// Floating-point operations for one token.
    pub(crate) fn flops(&self) -> u64 {
        self.down.as_ref().map_or(0, flops) + flops(&self.up)
    }
}

/// A linear map without bias.
pub(crate) fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).with_bias(false).init(device)
}

/// Floating-point operations of a linear map for one token.
pub(crate) fn flops(linear: &Linear) -> u64 {
    2 * linear.weight.lazy_shape().num_elements() as u64
}
