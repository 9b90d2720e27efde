//! Every token beside the one before it.

use ansatz_core::State;
use ansatz_ops::token_shift;
use burn::tensor::{Device, Tensor};

/// The last token seen, `[batch, 1, width]`.
const BEFORE: &str = "before";

/// Every token beside the one before it: what all projections of RWKV begin with.
pub(crate) struct Shifted {
    tokens: Tensor<3>,
    /// From each token to the one before it.
    difference: Tensor<3>,
}

impl Shifted {
    /// `tokens` `[batch, length, width]` from the first on.
    pub(crate) fn new(tokens: Tensor<3>) -> Self {
        Self::behind(tokens, None)
    }

    fn behind(tokens: Tensor<3>, before: Option<Tensor<3>>) -> Self {
        let difference = token_shift(tokens.clone(), before) - tokens.clone();
        Self { tokens, difference }
    }

    /// The next tokens behind `state`, which moves on.
    pub(crate) fn step(tokens: Tensor<3>, state: &mut State) -> Self {
        let [_, length, _] = tokens.dims();
        let before = state.take::<3>(BEFORE);
        state.set(BEFORE, tokens.clone().narrow(1, length - 1, 1));
        state.position += length;
        Self::behind(tokens, before)
    }

    /// The state before the first token.
    pub(crate) fn state(batch: usize, width: usize, device: &Device) -> State {
        State::new().with(BEFORE, Tensor::<3>::zeros([batch, 1, width], device))
    }

    /// `x_t + (x_{t−1} − x_t) ⊙ share`: `share` of the token before and the rest of the token itself, where `share`
    /// is one for all tokens `[1, 1, width]` or one for each `[batch, length, width]`.
    pub(crate) fn toward(&self, share: Tensor<3>) -> Tensor<3> {
        self.tokens.clone() + self.difference.clone() * share
    }
}
