//! Checking backbones.

use ansatz_core::{BoxedBackbone, FeatureSpec, Result as Built};
use burn::tensor::Device;

use crate::{Check, Failure, Report};

/// Checks the backbone that `build` makes for features of a shape.
pub fn backbone<F: Fn(&FeatureSpec, &Device) -> Built<BoxedBackbone>>(build: F) -> BackboneCheck<F> {
    Check::new("backbone", build, vec![FeatureSpec::row(5, 8), FeatureSpec::row(12, 8)])
}

/// What is checked of a backbone; see [`backbone()`].
pub type BackboneCheck<F> = Check<F, Vec<FeatureSpec>>;

impl<F: Fn(&FeatureSpec, &Device) -> Built<BoxedBackbone>> BackboneCheck<F> {
    /// The shapes of features; rows of 5 and 12 tokens of 8 unless given.
    pub fn inputs(mut self, inputs: impl Into<Vec<FeatureSpec>>) -> Self {
        self.shapes = inputs.into();
        self
    }

    /// Checks on `device`, with and without autodiff.
    ///
    /// # Errors
    /// With the first property that does not hold, the shape, and by how much.
    pub fn check(&self, device: &Device) -> Result<Report, Failure> {
        let inputs = self.shapes.iter().map(|input| (2, *input));
        self.run(inputs, &|input, device| (self.build)(input, device), device)
    }
}
