//! One block: a sequence mixer and a channel mixer, each on a residual branch.

use ansatz_core::{BoxedChannel, BoxedMixer};
use burn::module::Module;
use burn::tensor::Tensor;

use crate::{Norm, Residual};

/// One pre-norm block (Xiong et al. 2020, table 1, right).
///
/// ```text
/// x ← x + mixer(norm(x))
/// x ← x + channel(norm(x))
/// ```
#[derive(Module, Debug)]
pub struct Block {
    /// Before the sequence mixer.
    pub mixer_norm: Norm,
    /// Tokens learn of each other.
    pub mixer: BoxedMixer,
    /// Before the channel mixer.
    pub channel_norm: Norm,
    /// Each token for itself.
    pub channel: BoxedChannel,
    /// What happens to both branches while training.
    pub residual: Residual,
}

impl Block {
    /// `[batch, length, width]` → the same; `mix` is the sequence mixer in one of its forms.
    pub(crate) fn forward(
        &self,
        tokens: Tensor<3>,
        mix: impl FnOnce(&BoxedMixer, Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let mixed = mix(&self.mixer, self.mixer_norm.forward(tokens.clone()));
        let tokens = tokens + self.residual.forward(mixed);
        let changed = self.channel.forward(self.channel_norm.forward(tokens.clone()));
        tokens + self.residual.forward(changed)
    }
}
