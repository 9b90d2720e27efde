//! Checking mixers.

use ansatz_core::{BoxedMixer, FeatureSpec, Grid, Result as Built};
use burn::tensor::Device;

use crate::{Check, Failure, Report};

/// Checks the mixer that `build` makes for tokens of a width.
pub fn mixer<F: Fn(usize, &Device) -> Built<BoxedMixer>>(build: F) -> MixerCheck<F> {
    Check::new("mixer", build, Rows::default())
}

/// What is checked of a mixer; see [`mixer()`].
pub type MixerCheck<F> = Check<F, Rows>;

/// Checks the mixer that `build` makes for features of a shape, which it must know: how many tokens there are, or
/// that they are a picture.
pub fn mixer_over<F: Fn(&FeatureSpec, &Device) -> Built<BoxedMixer>>(build: F) -> MixerOverCheck<F> {
    Check::new("mixer", build, Shapes(Rows::default().specs().collect()))
}

/// What is checked of a mixer that knows the shape of its features; see [`mixer_over()`].
pub type MixerOverCheck<F> = Check<F, Shapes>;

/// Shapes of features.
#[derive(Debug, Clone)]
pub struct Shapes(Vec<FeatureSpec>);

/// Pictures of tokens of a width, down to a single one.
pub fn grids(width: usize) -> Vec<FeatureSpec> {
    let sides = [[3, 4], [1, 1], [5, 2]];
    sides.map(|[height, across]| FeatureSpec::picture(Grid { height, width: across }, width)).into()
}

impl<F: Fn(&FeatureSpec, &Device) -> Built<BoxedMixer>> MixerOverCheck<F> {
    /// The shapes; rows of the widths and lengths of [`mixer()`] unless given.
    pub fn inputs(mut self, inputs: impl Into<Vec<FeatureSpec>>) -> Self {
        self.shapes = Shapes(inputs.into());
        self
    }

    /// Checks on `device`, with and without autodiff.
    ///
    /// # Errors
    /// With the first property that does not hold, the shape, and by how much.
    pub fn check(&self, device: &Device) -> Result<Report, Failure> {
        self.run(batches(self.shapes.0.iter().copied()), &self.build, device)
    }
}

/// Rows of tokens, of each width and each length.
#[derive(Debug, Clone)]
pub struct Rows {
    widths: Vec<usize>,
    lengths: Vec<usize>,
}

impl Default for Rows {
    fn default() -> Self {
        // One token, odd lengths, and one beyond the usual chunk.
        Self { widths: vec![8, 12], lengths: vec![1, 2, 7, 33] }
    }
}

impl Rows {
    pub(crate) fn specs(&self) -> impl Iterator<Item = FeatureSpec> {
        let lengths = &self.lengths;
        self.widths
            .iter()
            .flat_map(move |width| lengths.iter().map(|length| FeatureSpec::row(*length, *width)))
    }

    pub(crate) fn of_widths(widths: Vec<usize>) -> Self {
        Self { widths, ..Self::default() }
    }
}

/// Shapes with the number of examples of each.
fn batches(shapes: impl Iterator<Item = FeatureSpec>) -> impl Iterator<Item = (usize, FeatureSpec)> {
    shapes.enumerate().map(|(number, input)| (1 + number % 3, input))
}

impl<F: Fn(usize, &Device) -> Built<BoxedMixer>> MixerCheck<F> {
    /// The widths of tokens; 8 and 12 unless given.
    pub fn widths(mut self, widths: impl Into<Vec<usize>>) -> Self {
        self.shapes.widths = widths.into();
        self
    }

    /// The lengths; 1, 2, 7 and 33 unless given.
    pub fn lengths(mut self, lengths: impl Into<Vec<usize>>) -> Self {
        self.shapes.lengths = lengths.into();
        self
    }

    /// Checks on `device`, with and without autodiff.
    ///
    /// # Errors
    /// With the first property that does not hold, the shape, and by how much.
    pub fn check(&self, device: &Device) -> Result<Report, Failure> {
        self.run(batches(self.shapes.specs()), &|input, device| (self.build)(input.width, device), device)
    }
}
