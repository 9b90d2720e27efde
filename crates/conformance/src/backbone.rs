//! Checking backbones.

use ansatz_core::{BoxedBackbone, FeatureSpec, Result as Built};
use burn::tensor::Device;

use crate::case::Case;
use crate::run::Run;
use crate::{Failure, Property, Report};

/// Checks the backbone that `build` makes for features of a shape.
pub fn backbone<F: Fn(&FeatureSpec, &Device) -> Built<BoxedBackbone>>(build: F) -> BackboneCheck<F> {
    BackboneCheck {
        build,
        name: "backbone".to_owned(),
        inputs: vec![FeatureSpec::row(5, 8), FeatureSpec::row(12, 8)],
        seed: 1,
        properties: Property::ALL.to_vec(),
    }
}

/// What is checked of a backbone; see [`backbone()`].
#[derive(Debug, Clone)]
pub struct BackboneCheck<F> {
    build: F,
    name: String,
    inputs: Vec<FeatureSpec>,
    seed: u64,
    properties: Vec<Property>,
}

impl<F: Fn(&FeatureSpec, &Device) -> Built<BoxedBackbone>> BackboneCheck<F> {
    /// What messages call the backbone.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The shapes of features; rows of 5 and 12 tokens of 8 unless given.
    pub fn inputs(mut self, inputs: impl Into<Vec<FeatureSpec>>) -> Self {
        self.inputs = inputs.into();
        self
    }

    /// The seed of parameters, inputs and split points; 1 unless given.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// These properties instead of all.
    pub fn only(mut self, properties: impl Into<Vec<Property>>) -> Self {
        self.properties = properties.into();
        self
    }

    /// Checks on `device`, with and without autodiff.
    ///
    /// # Errors
    /// With the first property that does not hold, the shape, and by how much.
    pub fn check(&self, device: &Device) -> Result<Report, Failure> {
        let case = |(number, input): (usize, &FeatureSpec)| {
            let seed = self.seed.wrapping_mul(1000) + number as u64;
            Case { batch: 2, input: *input, seed }
        };
        let cases: Vec<Case> = self.inputs.iter().enumerate().map(case).collect();
        let build = |input: &FeatureSpec, device: &Device| (self.build)(input, device);
        let run = Run { subject: &self.name, properties: &self.properties, cases: &cases, build: &build };
        run.check(device)
    }
}
