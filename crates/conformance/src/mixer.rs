//! Checking mixers.

use ansatz_core::{BoxedMixer, FeatureSpec, Result as Built};
use burn::tensor::Device;

use crate::{Check, Failure, Report};

/// Checks the mixer that `build` makes for tokens of a width.
pub fn mixer<F: Fn(usize, &Device) -> Built<BoxedMixer>>(build: F) -> MixerCheck<F> {
    // One token, odd lengths, and one beyond the usual chunk.
    Check::new("mixer", build, Rows { widths: vec![8, 12], lengths: vec![1, 2, 7, 33] })
}

/// What is checked of a mixer; see [`mixer()`].
pub type MixerCheck<F> = Check<F, Rows>;

/// Rows of tokens, of each width and each length.
#[derive(Debug, Clone)]
pub struct Rows {
    widths: Vec<usize>,
    lengths: Vec<usize>,
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
        let Rows { widths, lengths } = &self.shapes;
        let rows =
            widths.iter().flat_map(|width| lengths.iter().map(|length| FeatureSpec::row(*length, *width)));
        let inputs = rows.enumerate().map(|(number, input)| (1 + number % 3, input));
        self.run(inputs, &|input, device| (self.build)(input.width, device), device)
    }
}
