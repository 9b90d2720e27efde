//! Positions as learned vectors.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// A vector for each position, added to the token that stands there. Drawn from a normal distribution of
/// deviation 0.02.
#[derive(Module, Debug)]
pub struct LearnedPositions {
    /// `[unread + positions, width]`.
    pub table: Param<Tensor<2>>,
    pub(crate) unread: usize,
}

impl LearnedPositions {
    /// `[batch, length, width]` → the same, for tokens from position `first` on.
    ///
    /// # Panics
    /// When there are fewer positions than tokens.
    pub fn forward(&self, tokens: Tensor<3>, first: usize) -> Tensor<3> {
        let [_, length, _] = tokens.dims();
        let known = self.count();
        assert!(first + length <= known, "{} tokens, but {known} learned positions", first + length);
        tokens + self.table.val().narrow(0, self.unread + first, length).unsqueeze()
    }

    /// How many positions there are.
    pub(crate) fn count(&self) -> usize {
        self.table.lazy_shape()[0] - self.unread
    }
}
