//! Stems: the first layer of a network, from a batch's inputs to features.

use burn::module::Module;

use crate::erased::Boxed;
use crate::{FeatureSpec, Features, Inputs, Layer, Result};

/// Turns the inputs of a batch into [`Features`]. Each data model owns its stems.
pub trait Stem: std::fmt::Debug + Send + Sync {
    /// The features of a whole batch, on the device of the stem's own parameters or, if it has none, on
    /// that of `inputs`.
    ///
    /// # Errors
    /// When `inputs` lack a tensor that the stem reads, or it has another shape.
    fn forward(&self, inputs: &Inputs) -> Result<Features>;

    /// The shape of the features.
    fn output(&self) -> FeatureSpec;

    /// The shape of the source that it leaves apart from the features, see [`Shared::SOURCE`]; `None` where it
    /// leaves none.
    ///
    /// [`Shared::SOURCE`]: crate::Shared::SOURCE
    fn source(&self) -> Option<FeatureSpec> {
        None
    }

    /// Rows of features that one example becomes: more than 1 where its channels pass the network one by one.
    fn rows(&self) -> usize {
        1
    }

    /// The rows of the table of layers for one example.
    fn layers(&self) -> Vec<Layer>;
}

/// A stem of any kind, as a module.
pub type BoxedStem = Boxed<dyn Stem>;

impl Boxed<dyn Stem> {
    /// Boxes a stem.
    pub fn new<M: Stem + Module + Sync + 'static>(stem: M) -> Self {
        Self::erase(stem, |stem| stem)
    }
}
