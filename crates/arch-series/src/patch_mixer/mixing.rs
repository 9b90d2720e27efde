//! The parts of a block.

use ansatz_core::{BoxedMixer, Context};
use ansatz_ops::{Activation, Linear, LinearConfig, Norm, dropout};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor, activation};

use super::PatchMixerConfig;

/// `f(x W₁ + b₁) W₂ + b₂` over the last dimension, f the GELU.
#[derive(Module, Debug)]
pub struct Mlp {
    /// W₁ `[width, hidden]`.
    pub expand: Linear,
    /// W₂ `[hidden, width]`.
    pub contract: Linear,
    dropout: Dropout,
}

impl Mlp {
    pub(super) fn new(width: usize, config: &PatchMixerConfig, device: &Device) -> Self {
        let hidden = width * config.expansion;
        Self {
            expand: LinearConfig::new(width, hidden).init(device),
            contract: LinearConfig::new(hidden, width).init(device),
            dropout: DropoutConfig::new(config.dropout).init(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let hidden = dropout(&self.dropout, Activation::Gelu.apply(self.expand.forward(x)));
        dropout(&self.dropout, self.contract.forward(hidden))
    }

    /// Floating-point operations for one vector.
    fn flops(&self) -> u64 {
        4 * self.expand.weight.lazy_shape().num_elements() as u64
    }
}

/// `x ⊙ softmax(x W + b)` over the last dimension (Ekambaram et al. 2023, section 3.2.4).
#[derive(Module, Debug)]
pub struct Gate {
    /// W `[width, width]`.
    pub linear: Linear,
}

impl Gate {
    pub(super) fn new(width: usize, config: &PatchMixerConfig, device: &Device) -> Option<Self> {
        config.gated.then(|| Self { linear: LinearConfig::new(width, width).init(device) })
    }

    fn flops(&self) -> u64 {
        2 * self.linear.weight.lazy_shape().num_elements() as u64
    }
}

/// `x`, gated where there is a gate.
fn gated(gate: Option<&Gate>, x: Tensor<4>) -> Tensor<4> {
    match gate {
        Some(gate) => x.clone() * activation::softmax(gate.linear.forward(x), 3),
        None => x,
    }
}

/// `x + (mlp(gate(norm(x)ᵀ)))ᵀ` along the channels.
///
/// # Shapes
/// `[batch, channels, patches, width]` → the same.
#[derive(Module, Debug)]
pub struct ChannelMixing {
    /// Of each token.
    pub norm: Norm,
    /// Before the MLP, where wanted.
    pub gate: Option<Gate>,
    /// Over the channels.
    pub mlp: Mlp,
}

impl ChannelMixing {
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let turned = self.norm.forward(x.clone()).swap_dims(1, 3);
        x + self.mlp.forward(gated(self.gate.as_ref(), turned)).swap_dims(1, 3)
    }

    /// Floating-point operations for one example of `[channels, patches, width]`.
    pub(super) fn flops(&self, [channels, patches, width]: [usize; 3]) -> u64 {
        let vector = self.mlp.flops() + self.gate.as_ref().map_or(0, Gate::flops);
        vector * (patches * width) as u64 + self.norm.flops() * (channels * patches) as u64
    }
}

/// `x + gate(mlp(norm(x)ᵀ))ᵀ` along the patches; with a mixer beside,
/// `x + norm(gate(mlp(norm(x)ᵀ))ᵀ + mixer(norm(x)))`.
///
/// # Shapes
/// `[batch, channels, patches, width]` → the same.
#[derive(Module, Debug)]
pub struct PatchMixing {
    /// Of each token.
    pub norm: Norm,
    /// Over the patches.
    pub mlp: Mlp,
    /// Behind the MLP, where wanted.
    pub gate: Option<Gate>,
    /// Over the patches of each channel, where wanted.
    pub mixer: Option<BoxedMixer>,
    /// Of the sum of both.
    pub mixer_norm: Option<Norm>,
}

impl PatchMixing {
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, patches, width] = x.dims();
        let normed = self.norm.forward(x.clone());
        let mixed = self.mlp.forward(normed.clone().swap_dims(2, 3));
        let mixed = gated(self.gate.as_ref(), mixed).swap_dims(2, 3);
        let mixed = match (&self.mixer, &self.mixer_norm) {
            (Some(mixer), Some(norm)) => {
                let rows = normed.reshape([batch * channels, patches, width]);
                let beside = mixer.forward(rows, &Context::default());
                norm.forward(mixed + beside.reshape([batch, channels, patches, width]))
            }
            _ => mixed,
        };
        x + mixed
    }

    /// Floating-point operations for one example of `[channels, patches, width]`.
    pub(super) fn flops(&self, [channels, patches, width]: [usize; 3]) -> u64 {
        let vector = self.mlp.flops() + self.gate.as_ref().map_or(0, Gate::flops);
        let mixer = self.mixer.as_ref().map_or(0, |mixer| mixer.flops(patches)) * channels as u64;
        let norms: u64 = std::iter::once(&self.norm).chain(&self.mixer_norm).map(Norm::flops).sum();
        vector * (channels * width) as u64 + norms * (channels * patches) as u64 + mixer
    }
}

/// `x + gate(mlp(norm(x)))` along the values of each token.
///
/// # Shapes
/// `[batch, channels, patches, width]` → the same.
#[derive(Module, Debug)]
pub struct FeatureMixing {
    /// Of each token.
    pub norm: Norm,
    /// Over the values.
    pub mlp: Mlp,
    /// Behind the MLP, where wanted.
    pub gate: Option<Gate>,
}

impl FeatureMixing {
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x.clone() + gated(self.gate.as_ref(), self.mlp.forward(self.norm.forward(x)))
    }

    /// Floating-point operations for one example of `[channels, patches, width]`.
    pub(super) fn flops(&self, [channels, patches, _]: [usize; 3]) -> u64 {
        let token = self.mlp.flops() + self.gate.as_ref().map_or(0, Gate::flops) + self.norm.flops();
        token * (channels * patches) as u64
    }
}
