//! One block: two convolutions on a residual branch.

use ansatz_ops::{Activation, Linear, LinearConfig, Norm, NormConfig, NormKind, dropout, sigmoid};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};

use super::{ConvolutionNorm, TcnConfig, TemporalConvolution};

/// ```text
/// h = f(norm(c₁ x)), or σ(b) a of [a, b] = norm(c₁ x) where it is gated
/// h = f(norm(c₂ h))
/// y = f(h + x W)                       W only where the width changes
/// ```
///
/// Bai et al. 2018, section 3.3 and figure 1; the gate: Dauphin et al. 2017, arXiv:1612.08083, equation 1.
///
/// # Shapes
/// `[batch, length, inputs]` → `[batch, length, outputs]`
#[derive(Module, Debug)]
pub struct TcnBlock {
    /// c₁ and c₂.
    pub convolutions: [TemporalConvolution; 2],
    /// The norms behind them, where outputs are normalised.
    pub norms: Option<[Norm; 2]>,
    /// W and its bias.
    pub shortcut: Option<Linear>,
    dropout: Dropout,
    #[module(skip)]
    activation: Activation,
    gated: bool,
}

/// What leaves a block.
pub(crate) struct Left {
    /// Behind the residual sum.
    pub(crate) tokens: Tensor<3>,
    /// What was added to the tokens.
    pub(crate) added: Tensor<3>,
}

impl TcnBlock {
    pub(crate) fn new(
        [input, output]: [usize; 2],
        dilation: usize,
        config: &TcnConfig,
        device: &Device,
    ) -> Self {
        let first = if config.gated { 2 * output } else { output };
        let gained = config.norm == ConvolutionNorm::Weight;
        let convolution = |channels| {
            TemporalConvolution::new(channels, config.kernel, dilation, config.causal, gained, device)
        };
        let norm = |kind| {
            let config = NormConfig { kind, ..NormConfig::layer(1e-5) };
            [config.init(first, device), config.init(output, device)]
        };
        Self {
            convolutions: [convolution([input, first]), convolution([output, output])],
            norms: match config.norm {
                ConvolutionNorm::Weight | ConvolutionNorm::None => None,
                ConvolutionNorm::Batch => Some(norm(NormKind::Batch)),
                ConvolutionNorm::Layer => Some(norm(NormKind::Layer)),
            },
            shortcut: (input != output).then(|| LinearConfig::new(input, output).init(device)),
            dropout: DropoutConfig::new(config.dropout).init(),
            activation: config.activation,
            gated: config.gated,
        }
    }

    /// `slide` is each of the two convolutions, by number, in the form it is wanted:
    /// `[batch, channels, length]` → the same.
    pub(crate) fn forward(
        &self,
        tokens: Tensor<3>,
        mut slide: impl FnMut(usize, &TemporalConvolution, Tensor<3>) -> Tensor<3>,
    ) -> Left {
        let mut hidden = tokens.clone();
        for (index, convolution) in self.convolutions.iter().enumerate() {
            hidden = slide(index, convolution, hidden.swap_dims(1, 2)).swap_dims(1, 2);
            if let Some(norms) = &self.norms {
                hidden = norms[index].forward(hidden);
            }
            hidden = if index == 0 && self.gated {
                let half = hidden.dims()[2] / 2;
                hidden.clone().narrow(2, 0, half) * sigmoid(hidden.narrow(2, half, half))
            } else {
                self.activation.apply(hidden)
            };
            hidden = dropout(&self.dropout, hidden);
        }
        let kept = match &self.shortcut {
            Some(shortcut) => shortcut.forward(tokens),
            None => tokens,
        };
        Left { tokens: self.activation.apply(hidden.clone() + kept), added: hidden }
    }

    /// Values per token behind the block.
    pub(crate) fn width(&self) -> usize {
        self.convolutions[1].channels()[1]
    }

    /// Floating-point operations for one token.
    pub(crate) fn flops(&self) -> u64 {
        let convolutions: u64 = self.convolutions.iter().map(TemporalConvolution::flops).sum();
        let norms: u64 = self.norms.iter().flatten().map(Norm::flops).sum();
        let shortcut = |shortcut: &Linear| 2 * shortcut.weight.lazy_shape().num_elements() as u64;
        convolutions + norms + self.shortcut.as_ref().map_or(0, shortcut) + self.width() as u64
    }
}
