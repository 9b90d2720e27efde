//! The gate of Mamba-2's outputs, with its norm.

use ansatz_ops::{root_mean_square, silu};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::{Gating, Mamba2Config};
use crate::parts::ones;

/// Gates outputs, and brings the channels of each group to mean square 1, then by γ to a learned scale; see
/// [`Gating`].
///
/// # Shapes
/// `[batch, length, channels]` → the same.
#[derive(Module, Debug)]
pub struct Gate {
    /// γ `[channels]`, where there is a norm.
    pub scale: Option<Param<Tensor<1>>>,
    #[module(skip)]
    gating: Gating,
    groups: usize,
    epsilon: f64,
}

impl Gate {
    pub(super) fn new(channels: usize, config: &Mamba2Config, device: &Device) -> Self {
        Self {
            scale: (config.gating != Gating::Plain).then(|| ones(channels, device)),
            gating: config.gating,
            groups: config.groups,
            epsilon: config.epsilon,
        }
    }

    pub(super) fn forward(&self, y: Tensor<3>, gate: Tensor<3>) -> Tensor<3> {
        match self.gating {
            Gating::NormBehind => self.normed(y * silu(gate)),
            Gating::NormBefore => self.normed(y) * silu(gate),
            Gating::Plain => y * silu(gate),
        }
    }

    fn normed(&self, y: Tensor<3>) -> Tensor<3> {
        let [batch, length, channels] = y.dims();
        let grouped = y.reshape([batch, length, self.groups, channels / self.groups]);
        let normed = root_mean_square(grouped, self.epsilon).reshape([batch, length, channels]);
        match &self.scale {
            Some(scale) => normed * scale.val().unsqueeze(),
            None => normed,
        }
    }
}
