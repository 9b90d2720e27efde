//! Tokens of a grid as a picture of channels, and back.

use ansatz_core::{Error, FeatureSpec, Features, Grid, Result};
use burn::tensor::Tensor;

/// `[batch, height × width, channels]` → `[batch, channels, height, width]`.
///
/// # Panics
/// When the features have no grid: the config that built the backbone was given another shape.
pub(crate) fn from_features(features: Features) -> Tensor<4> {
    let grid = features.grid.expect("a convolutional backbone is built for pictures only");
    let [batch, _, channels] = features.tokens.dims();
    // A picture of one channel lies in memory as its tokens do.
    match channels {
        1 => features.tokens.reshape([batch, 1, grid.height, grid.width]),
        _ => features.tokens.swap_dims(1, 2).reshape([batch, channels, grid.height, grid.width]),
    }
}

/// `[batch, channels, height, width]` → `[batch, height × width, channels]`.
///
/// Every token of a picture is real, so there is no mask.
pub(crate) fn into_features(picture: Tensor<4>) -> Features {
    let [batch, channels, height, width] = picture.dims();
    let tokens = picture.reshape([batch, channels, height * width]).swap_dims(1, 2);
    Features { grid: Some(Grid { height, width }), ..Features::row(tokens) }
}

/// Height and width of what a backbone is built for.
///
/// # Errors
/// When the features are no picture.
pub(crate) fn size(kind: &str, input: &FeatureSpec) -> Result<[usize; 2]> {
    match input.grid {
        Some(Grid { height, width }) => Ok([height, width]),
        None => Err(Error::input(
            kind,
            format!("its input is a row of {input}, not a picture"),
            "features with a height and a width",
            "choose a data model of pictures, or a backbone for rows such as `stack`",
        )),
    }
}

/// The shape of features with the given width and size.
pub(crate) fn spec([height, width]: [usize; 2], channels: usize) -> FeatureSpec {
    FeatureSpec::picture(Grid { height, width }, channels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData};

    #[test]
    fn tokens_become_a_picture_and_come_back() {
        let device = ansatz_device::open("cpu").unwrap();
        for channels in [1, 3] {
            let shape = [2, 12, channels];
            let tokens = Tensor::<3>::random(shape, Distribution::Default, &device);
            let grid = Some(Grid { height: 3, width: 4 });
            let picture = from_features(Features { grid, ..Features::row(tokens.clone()) });
            assert_eq!(picture.dims(), [2, channels, 3, 4]);
            let at = |picture: TensorData| picture.try_to_vec::<f32>().unwrap();
            let pixel = picture.clone().slice([1..2, channels - 1..channels, 2..3, 1..2]);
            let token = tokens.clone().slice([1..2, 9..10, channels - 1..channels]);
            assert_eq!(at(pixel.into_data()), at(token.into_data()));
            let back = into_features(picture);
            assert_eq!(back.grid, grid);
            back.tokens.into_data().assert_eq(&tokens.into_data(), true);
        }
    }
}
