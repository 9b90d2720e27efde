//! From batches to tokens.

use ansatz_core::{Batch, Grid, Targets};
use ansatz_data_image::PictureSize;
use ansatz_data_image::stem::{PatchesConfig, StemConfig};
use burn::tensor::{Device, TensorData};

const SIZE: PictureSize = PictureSize { height: 4, width: 6, channels: 2 };

fn device() -> Device {
    ansatz_device::open("cpu").unwrap()
}

/// Values count upwards, so that each tells its place.
fn batch(size: PictureSize) -> Batch {
    let values: Vec<f32> = (0..2 * size.values()).map(|index| index as f32).collect();
    let pixels = TensorData::new(values, [2, size.height, size.width, size.channels]);
    Batch { examples: 2, inputs: vec![("pixels".to_owned(), pixels)], targets: Targets::Unknown }
}

fn patches(size: usize) -> StemConfig {
    StemConfig::Patches(PatchesConfig { size, ..PatchesConfig::default() })
}

#[test]
fn pixels_are_read_row_by_row() {
    let stem = StemConfig::Pixels.init(SIZE, None, &device()).unwrap();
    let features = stem.forward(&batch(SIZE).inputs(&device())).unwrap();
    assert_eq!(features.tokens.dims(), [2, 24, 2]);
    assert_eq!(features.grid, Some(Grid { height: 4, width: 6 }));
    assert_eq!(stem.output().to_string(), "4×6 tokens of 2");
    let tokens: Vec<f32> = features.tokens.to_data().try_to_vec().unwrap();
    assert_eq!(tokens, (0..96).map(|index| index as f32).collect::<Vec<_>>());
    assert!(stem.layers().is_empty());
}

#[test]
fn patches_are_flattened_row_by_row() {
    let stem = patches(2).init(SIZE, None, &device()).unwrap();
    let features = stem.forward(&batch(SIZE).inputs(&device())).unwrap();
    assert_eq!(features.tokens.dims(), [2, 6, 8]);
    assert_eq!(features.grid, Some(Grid { height: 2, width: 3 }));
    let tokens: Vec<f32> = features.tokens.to_data().try_to_vec().unwrap();
    // The second patch begins at column 2, the fourth at row 2; a row of pixels is 12 values.
    assert_eq!(tokens[8..16], [4.0, 5.0, 6.0, 7.0, 16.0, 17.0, 18.0, 19.0]);
    assert_eq!(tokens[24..32], [24.0, 25.0, 26.0, 27.0, 36.0, 37.0, 38.0, 39.0]);
}

#[test]
fn tokens_are_projected_to_the_width_that_is_wanted() {
    for (config, tokens, values) in [(StemConfig::Pixels, 24, 2), (patches(2), 6, 8)] {
        let stem = config.init(SIZE, Some(16), &device()).unwrap();
        let features = stem.forward(&batch(SIZE).inputs(&device())).unwrap();
        assert_eq!(features.tokens.dims(), [2, tokens, 16]);
        assert_eq!(stem.output().width, 16);
        let layers = stem.layers();
        assert_eq!(
            (layers[0].parameters, layers[0].flops),
            (values * 16 + 16, (2 * tokens * values * 16) as u64)
        );
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let message = patches(3).init(SIZE, None, &device()).unwrap_err().to_string();
    assert!(
        message.contains("patches of 3 pixels do not divide pictures of 4×6\n  expected: one of 1, 2"),
        "{message}"
    );
    let stem = StemConfig::Pixels.init(SIZE, None, &device()).unwrap();
    let other = batch(PictureSize { height: 6, ..SIZE });
    let message = stem.forward(&other.inputs(&device())).unwrap_err().to_string();
    assert!(message.contains("6×6×2 values each\n  expected: 4×6×2, the trained size"), "{message}");
}
