//! What checks of all kinds have in common.

use ansatz_core::{FeatureSpec, Result as Built};
use burn::tensor::Device;

use crate::case::Case;
use crate::network::Network;
use crate::run::Run;
use crate::{Failure, Property, Report};

/// What is checked of a component that `build` makes, on inputs of the shapes `S`; see
/// [`mixer()`](crate::mixer()) and [`backbone()`](crate::backbone()).
#[derive(Debug, Clone)]
pub struct Check<F, S> {
    pub(crate) build: F,
    pub(crate) shapes: S,
    name: String,
    seed: u64,
    properties: Vec<Property>,
}

impl<F, S> Check<F, S> {
    /// All properties, with the seed 1.
    pub(crate) fn new(name: &str, build: F, shapes: S) -> Self {
        Self { build, shapes, name: name.to_owned(), seed: 1, properties: Property::ALL.to_vec() }
    }

    /// What messages call the component.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
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

    /// Checks on inputs of the given numbers of examples and shapes.
    pub(crate) fn run<N: Network>(
        &self,
        inputs: impl IntoIterator<Item = (usize, FeatureSpec)>,
        build: &dyn Fn(&FeatureSpec, &Device) -> Built<N>,
        device: &Device,
    ) -> Result<Report, Failure> {
        let case = |(number, (batch, input))| Case {
            batch,
            input,
            seed: self.seed.wrapping_mul(1000) + number as u64,
        };
        let cases: Vec<Case> = inputs.into_iter().enumerate().map(case).collect();
        let run = Run { subject: &self.name, properties: &self.properties, cases: &cases, build };
        run.check(device)
    }
}
