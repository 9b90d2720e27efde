//! The basic residual block.

use ansatz_ops::{ConvNorm, ConvNormConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// The convolutions of a [`ResidualBlock`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockPlan {
    pub(crate) first: ConvNormConfig,
    pub(crate) second: ConvNormConfig,
    pub(crate) shortcut: Option<ConvNormConfig>,
}

impl BlockPlan {
    pub(crate) fn new(inputs: usize, outputs: usize, stride: usize) -> Self {
        let changes = inputs != outputs || stride != 1;
        Self {
            first: ConvNormConfig::same([inputs, outputs], 3, stride),
            second: ConvNormConfig::same([outputs, outputs], 3, 1),
            shortcut: changes.then(|| ConvNormConfig::same([inputs, outputs], 1, stride).linear()),
        }
    }

    pub(crate) fn init(&self, device: &Device) -> ResidualBlock {
        ResidualBlock {
            first: self.first.init(device),
            second: self.second.init(device),
            shortcut: self.shortcut.map(|shortcut| shortcut.init(device)),
        }
    }
}

/// Two 3 × 3 convolutions around which the input passes (He et al. 2016, figure 3, option B):
/// `y = relu(norm(w₂ ∗ relu(norm(w₁ ∗ x))) + shortcut(x))`.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    /// w₁, with the block's stride.
    pub first: ConvNorm,
    /// w₂, normalised, added to the shortcut and rectified.
    pub second: ConvNorm,
    /// A 1 × 1 convolution where the shape changes; the input itself where it does not.
    pub shortcut: Option<ConvNorm>,
}

impl ResidualBlock {
    /// `[batch, inputs, height, width]` → `[batch, outputs, height / stride, width / stride]`, rounded up.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let beside = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x.clone()),
            None => x.clone(),
        };
        self.second.forward_sum(self.first.forward(x), beside)
    }
}
