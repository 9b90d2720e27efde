//! Pictures at the border of a convolution.

use ansatz_core::{Context, FeatureSpec, Features, Grid, Result};
use burn::tensor::Tensor;

/// `[batch, height × width, channels]` → `[batch, channels, height, width]`.
///
/// # Panics
/// When the features have no grid: the config that built the backbone was given another shape.
pub(crate) fn from_features(features: Features) -> Tensor<4> {
    let grid = features.grid.expect("a convolutional backbone is built for pictures only");
    grid.picture(features.tokens)
}

/// What `work` makes of the picture that `tokens` are, as tokens.
///
/// # Panics
/// When there is no grid: the mixer was built for another shape.
pub(crate) fn on_grid(
    tokens: Tensor<3>,
    context: &Context,
    work: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Tensor<3> {
    let grid = context.grid.expect("a mixer over pictures is built for pictures only");
    Features::of_picture(work(grid.picture(tokens))).tokens
}

/// Height and width of what the backbone `kind` is built for.
///
/// # Errors
/// When the features are no picture.
pub(crate) fn size(kind: &str, input: &FeatureSpec) -> Result<[usize; 2]> {
    let Grid { height, width } = input.grid_for(kind)?;
    Ok([height, width])
}

/// The shape of features with the given width and size.
pub(crate) fn spec([height, width]: [usize; 2], channels: usize) -> FeatureSpec {
    FeatureSpec::picture(Grid { height, width }, channels)
}
