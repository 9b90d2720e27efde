//! Checking mixers.

use ansatz_core::{BoxedMixer, FeatureSpec, Result as Built};
use burn::tensor::Device;

use crate::case::Case;
use crate::run::Run;
use crate::{Failure, Property, Report};

/// Checks the mixer that `build` makes for tokens of a width.
pub fn mixer<F: Fn(usize, &Device) -> Built<BoxedMixer>>(build: F) -> MixerCheck<F> {
    MixerCheck {
        build,
        name: "mixer".to_owned(),
        widths: vec![8, 12],
        // One token, odd lengths, and one beyond the usual chunk.
        lengths: vec![1, 2, 7, 33],
        seed: 1,
        properties: Property::ALL.to_vec(),
    }
}

/// What is checked of a mixer; see [`mixer()`].
#[derive(Debug, Clone)]
pub struct MixerCheck<F> {
    build: F,
    name: String,
    widths: Vec<usize>,
    lengths: Vec<usize>,
    seed: u64,
    properties: Vec<Property>,
}

impl<F: Fn(usize, &Device) -> Built<BoxedMixer>> MixerCheck<F> {
    /// What messages call the mixer.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The widths of tokens; 8 and 12 unless given.
    pub fn widths(mut self, widths: impl Into<Vec<usize>>) -> Self {
        self.widths = widths.into();
        self
    }

    /// The lengths; 1, 2, 7 and 33 unless given.
    pub fn lengths(mut self, lengths: impl Into<Vec<usize>>) -> Self {
        self.lengths = lengths.into();
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
        let mut cases = Vec::new();
        for &width in &self.widths {
            for &length in &self.lengths {
                let number = cases.len();
                let seed = self.seed.wrapping_mul(1000) + number as u64;
                cases.push(Case { batch: 1 + number % 3, input: FeatureSpec::row(length, width), seed });
            }
        }
        let build = |input: &FeatureSpec, device: &Device| (self.build)(input.width, device);
        let run = Run { subject: &self.name, properties: &self.properties, cases: &cases, build: &build };
        run.check(device)
    }
}
