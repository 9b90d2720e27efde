//! Mixer and backbone as what they have in common: features in, features out.

use ansatz_core::{BoxedBackbone, BoxedMixer, FeatureSpec, Features, Layer, Recurrent};
use burn::module::Module;
use burn::tensor::Tensor;

/// A module that the properties can be checked on.
pub(crate) trait Network: Module {
    fn forward(&self, features: Features) -> Features;
    fn output(&self, input: &FeatureSpec) -> FeatureSpec;
    fn recurrent(&self) -> Option<&dyn Recurrent>;
    fn influence(&self, features: Features) -> Vec<(String, Tensor<4>)>;
    /// `None` for what has no table of layers.
    fn layers(&self, input: &FeatureSpec) -> Option<Vec<Layer>>;
    /// Whether any number of tokens may come.
    fn any_length(&self) -> bool;
}

impl Network for BoxedMixer {
    fn forward(&self, features: Features) -> Features {
        let context = features.context();
        features.with_tokens((**self).forward(features.tokens.clone(), &context))
    }
    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        *input
    }
    fn recurrent(&self) -> Option<&dyn Recurrent> {
        (**self).recurrent()
    }
    fn influence(&self, features: Features) -> Vec<(String, Tensor<4>)> {
        let context = features.context();
        let reading = (**self).influence(features.tokens, &context);
        reading.map(|reading| ("mixer".to_owned(), reading)).into_iter().collect()
    }
    fn layers(&self, _input: &FeatureSpec) -> Option<Vec<Layer>> {
        None
    }
    fn any_length(&self) -> bool {
        self.limit().is_none()
    }
}

impl Network for BoxedBackbone {
    fn forward(&self, features: Features) -> Features {
        (**self).forward(features)
    }
    fn output(&self, input: &FeatureSpec) -> FeatureSpec {
        (**self).output(input)
    }
    fn recurrent(&self) -> Option<&dyn Recurrent> {
        (**self).recurrent()
    }
    fn influence(&self, features: Features) -> Vec<(String, Tensor<4>)> {
        (**self).influence(features)
    }
    fn layers(&self, input: &FeatureSpec) -> Option<Vec<Layer>> {
        Some((**self).layers(input))
    }
    fn any_length(&self) -> bool {
        false
    }
}
