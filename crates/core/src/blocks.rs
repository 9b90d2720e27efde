//! A backbone block by block.

use burn::tensor::Tensor;

use crate::Features;

/// A backbone whose blocks follow each other, each of which can be run by itself: what teaching one network by the
/// insides of another needs.
///
/// ```text
/// Backbone::forward = leave ∘ block(count − 1) ∘ … ∘ block(0) ∘ enter
/// ```
pub trait Blocks {
    /// How many there are.
    fn count(&self) -> usize;

    /// What reaches the first block.
    fn enter(&self, features: Features) -> Features;

    /// What block `index`, below [`Blocks::count`], makes of what reaches it.
    fn block(&self, index: usize, features: Features) -> Features;

    /// How much each position took from each other in block `index`, `[batch, heads, to, from]`, of what reaches the block;
    /// `None` where it has no such reading.
    fn influence_in(&self, _index: usize, _features: &Features) -> Option<Tensor<4>> {
        None
    }

    /// What becomes of what leaves the last block.
    fn leave(&self, features: Features) -> Features {
        features
    }
}
