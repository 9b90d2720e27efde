//! Backbones: the body of a network, features in and features out.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::build::Build;
use crate::component::AnyConfig;
use crate::erased::Boxed;
use crate::{Blocks, FeatureSpec, Features, Layer, Recurrent, Result};

/// Maps features to features.
pub trait Backbone: std::fmt::Debug + Send + Sync {
    /// All tokens at once. The result may have another length and width: see [`Backbone::output`].
    fn forward(&self, features: Features) -> Features;

    /// The shape of what [`Backbone::forward`] makes of `input`.
    fn output(&self, input: &FeatureSpec) -> FeatureSpec;

    /// The rows of the table of layers for one example of shape `input`.
    fn layers(&self, input: &FeatureSpec) -> Vec<Layer>;

    /// Whether it reads the source that a stem may leave apart from the features, see [`Shared::SOURCE`].
    ///
    /// [`Shared::SOURCE`]: crate::Shared::SOURCE
    fn reads_source(&self) -> bool {
        false
    }

    /// The recurrent form, where every part has one: what generating and streaming need.
    fn recurrent(&self) -> Option<&dyn Recurrent> {
        None
    }

    /// The same, block by block, where it is made of blocks that follow each other.
    fn blocks(&self) -> Option<&dyn Blocks> {
        None
    }

    /// The tokens along the depth, `[batch, length, width]` each: before the first block, behind every block, and
    /// the result of [`Backbone::forward`], which may have passed a last norm. Empty where the backbone has no such
    /// reading.
    fn hidden(&self, _features: Features) -> Vec<Tensor<3>> {
        Vec::new()
    }

    /// What flows between the stages of a backbone that changes the grid along the depth: into the first stage, and
    /// behind the last block of each, before any norm that ends it. Empty where there are no such stages.
    fn stages(&self, _features: Features) -> Vec<Features> {
        Vec::new()
    }

    /// The most tokens that the backbone can take; `None` when there is no limit.
    fn limit(&self) -> Option<usize> {
        None
    }

    /// What each layer's tokens took from each other, `(layer, [batch, heads, to, from])`, for the layers
    /// that can say.
    fn influence(&self, _features: Features) -> Vec<(String, Tensor<4>)> {
        Vec::new()
    }
}

/// A backbone of any kind, as a module.
pub type BoxedBackbone = Boxed<dyn Backbone>;

impl Boxed<dyn Backbone> {
    /// Boxes a backbone.
    pub fn new<M: Backbone + Module + Sync + 'static>(backbone: M) -> Self {
        Self::erase(backbone, |backbone| backbone)
    }
}

/// The typed config of a backbone.
pub trait BackboneConfig: AnyConfig {
    /// The width of tokens the backbone wants from the stem; `None`: it takes what comes.
    fn width(&self) -> Option<usize> {
        None
    }

    /// Builds the backbone for features of shape `input`.
    ///
    /// # Errors
    /// When the config does not fit the input, e.g. a convolution over features that are no picture.
    fn init(&self, input: &FeatureSpec, build: &Build) -> Result<BoxedBackbone>;
}
