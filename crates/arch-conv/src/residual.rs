//! The residual blocks.

use ansatz_ops::{Activation, ConvNorm, ConvNormConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ResNetConfig;

/// Which convolutions stand in a residual block (He et al. 2016, figure 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResidualKind {
    /// Two of 3 × 3 pixels.
    #[default]
    Basic,
    /// One of 1 × 1, one of 3 × 3 over fewer channels, one of 1 × 1.
    Bottleneck,
}

/// The convolutions of a [`ResidualBlock`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockPlan {
    pub(crate) first: ConvNormConfig,
    pub(crate) second: ConvNormConfig,
    pub(crate) third: Option<ConvNormConfig>,
    pub(crate) shortcut: Option<ConvNormConfig>,
    inner: Activation,
    last: Activation,
}

impl BlockPlan {
    pub(crate) fn new(config: &ResNetConfig, inputs: usize, outputs: usize, stride: usize) -> Self {
        let (inner, last) = (config.inner_activation, config.activation);
        let convolution = |channels: [usize; 2], kernel: usize, stride: usize, function: Activation| {
            activated(ConvNormConfig::same(channels, kernel, stride), function)
        };
        let (first, second, third) = match config.block {
            ResidualKind::Basic => (
                convolution([inputs, outputs], 3, stride, inner),
                convolution([outputs; 2], 3, 1, last),
                None,
            ),
            ResidualKind::Bottleneck => {
                let middle = outputs / config.reduction;
                let [early, late] = if config.early_stride { [stride, 1] } else { [1, stride] };
                (
                    convolution([inputs, middle], 1, early, inner),
                    convolution([middle; 2], 3, late, inner),
                    Some(convolution([middle, outputs], 1, 1, last)),
                )
            }
        };
        let changes = inputs != outputs || stride != 1;
        Self {
            first,
            second,
            third,
            shortcut: changes.then(|| ConvNormConfig::same([inputs, outputs], 1, stride).linear()),
            inner,
            last,
        }
    }

    pub(crate) fn init(&self, device: &Device) -> ResidualBlock {
        ResidualBlock {
            first: self.first.init(device),
            second: self.second.init(device),
            third: self.third.map(|third| third.init(device)),
            shortcut: self.shortcut.map(|shortcut| shortcut.init(device)),
            inner: self.inner,
            last: self.last,
        }
    }

    /// Height and width of what becomes of a picture.
    pub(crate) fn output(&self, size: [usize; 2]) -> [usize; 2] {
        self.second.output(self.first.output(size))
    }
}

/// The rectifier is part of a convolution; other functions come behind it.
pub(crate) fn activated(convolution: ConvNormConfig, function: Activation) -> ConvNormConfig {
    ConvNormConfig { rectify: function == Activation::Relu, ..convolution }
}

/// `function` of what left an [`activated`] convolution.
pub(crate) fn apply(function: Activation, x: Tensor<4>) -> Tensor<4> {
    if function == Activation::Relu { x } else { function.apply(x) }
}

/// Convolutions around which the input passes (He et al. 2016, figures 3, option B, and 5):
/// `y = f(norm(w₂ ∗ g(norm(w₁ ∗ x))) + shortcut(x))`, and with a bottleneck
/// `y = f(norm(w₃ ∗ g(norm(w₂ ∗ g(norm(w₁ ∗ x))))) + shortcut(x))`; f and g are rectifiers unless the config says
/// otherwise.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    /// w₁; has the stride of a basic block.
    pub first: ConvNorm,
    /// w₂.
    pub second: ConvNorm,
    /// w₃ of a bottleneck.
    pub third: Option<ConvNorm>,
    /// A 1 × 1 convolution where the shape changes; the input itself where it does not.
    pub shortcut: Option<ConvNorm>,
    #[module(skip)]
    inner: Activation,
    #[module(skip)]
    last: Activation,
}

impl ResidualBlock {
    /// `[batch, inputs, height, width]` → `[batch, outputs, height / stride, width / stride]`, rounded up.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let beside = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x.clone()),
            None => x.clone(),
        };
        let x = apply(self.inner, self.first.forward(x));
        let sum = match &self.third {
            Some(third) => third.forward_sum(apply(self.inner, self.second.forward(x)), beside),
            None => self.second.forward_sum(x, beside),
        };
        apply(self.last, sum)
    }
}
