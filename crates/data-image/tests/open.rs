//! The digits from the program to batches, as the training loop sees them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use ansatz_core::{Batch, DataModel, Exhibit, OpenData, Part, Places, Target, Targets, Variation};
use ansatz_data::{Loader, LoaderConfig, Order, Share};
use ansatz_data_image::augment::{Augment, Erase, Mix, RandAugment};
use ansatz_data_image::preparation::Normalise;
use ansatz_data_image::source::{Noise, Source};
use ansatz_data_image::{ImageConfig, contact_sheet, sample_sheet};

fn nowhere() -> Places {
    Places { data: PathBuf::from("/nonexistent") }
}

fn open(config: &ImageConfig) -> Box<dyn OpenData> {
    config.open(&nowhere()).unwrap()
}

fn values(batch: &Batch) -> Vec<f32> {
    batch.inputs[0].1.try_to_vec().unwrap()
}

fn strong() -> Augment {
    Augment {
        flip: 0.5,
        shift: 1,
        rotate: 10.0,
        scale: 0.1,
        shear: 5.0,
        rand_augment: RandAugment { operations: 2, magnitude: 9.0 },
        crop: 1,
        erase: Erase { probability: 0.5, size: 3 },
        mix: Mix { mixup: 0.2, cutmix: 1.0 },
        fill: 0.0,
    }
}

const FIRST: Option<Variation> = Some(Variation { seed: 7, epoch: 0 });

#[test]
fn parts_have_their_sizes_and_share_no_example() {
    let data = open(&ImageConfig::default());
    let parts = [Part::Train, Part::Validation, Part::Test];
    assert_eq!(parts.map(|part| data.examples(part)), [1294, 144, 359]);
    let all = open(&ImageConfig { validation: Share::Count(0), ..ImageConfig::default() });
    assert_eq!(parts.map(|part| all.examples(part)), [1438, 0, 359]);
    // The test part is the same whatever else is chosen.
    let test = |data: &dyn OpenData| values(&data.batch(Part::Test, &[0, 100, 358], None).unwrap()).len();
    assert_eq!(test(&*data), test(&*all));
    let Target::Classes { names } = data.encoder().target() else { unreachable!() };
    assert_eq!(names.len(), 10);
}

#[test]
fn a_mirror_image_is_another_view() {
    let colour = Source::Noise(Noise { height: 2, width: 3, channels: 3, classes: 2 });
    for source in [Source::Digits, colour] {
        let plain = open(&ImageConfig { source: source.clone(), ..ImageConfig::default() });
        let batch = plain.batch(Part::Test, &[0, 5], None).unwrap();
        assert!(plain.encoder().views(&batch).unwrap().is_empty());
        let mirrored = open(&ImageConfig { source, mirror: true, ..ImageConfig::default() });
        let once = mirrored.encoder().views(&batch).unwrap().remove(0);
        let twice = mirrored.encoder().views(&once).unwrap().remove(0);
        assert_eq!((&twice.inputs, &twice.targets), (&batch.inputs, &batch.targets));
        let [_, _, width, channels] = batch.inputs[0].1.shape()[..] else { unreachable!() };
        let (before, after) = (values(&batch), values(&once));
        assert_eq!(after[..channels], before[(width - 1) * channels..width * channels]);
        assert_ne!(after, before);
    }
}

#[test]
fn batches_are_channels_last_and_normalised_on_the_training_part() {
    let data = open(&ImageConfig::default());
    let indices: Vec<usize> = (0..data.examples(Part::Train)).collect();
    let batch = data.batch(Part::Train, &indices, None).unwrap();
    assert_eq!(batch.examples, 1294);
    assert_eq!(batch.inputs[0].0, "pixels");
    assert_eq!(batch.inputs[0].1.shape().to_vec(), [1294, 8, 8, 1]);
    let values: Vec<f64> = values(&batch).into_iter().map(f64::from).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-5, "mean {mean}, variance {variance}");
}

#[test]
fn without_strength_nothing_is_varied() {
    let data = open(&ImageConfig::default());
    let batch = |variation| data.batch(Part::Train, &[5, 3, 9], variation).unwrap();
    assert_eq!(values(&batch(FIRST)), values(&batch(None)));
    assert_eq!(batch(FIRST).targets, batch(None).targets);
}

#[test]
fn variation_follows_from_seed_epoch_and_example_alone() {
    let data =
        open(&ImageConfig { augment: Augment { mix: Mix::default(), ..strong() }, ..Default::default() });
    let of = |indices: &[usize], variation| values(&data.batch(Part::Train, indices, variation).unwrap());
    let together = of(&[5, 3, 9], FIRST);
    assert_eq!(together, [of(&[5], FIRST), of(&[3], FIRST), of(&[9], FIRST)].concat());
    assert_ne!(together, of(&[5, 3, 9], Some(Variation { seed: 7, epoch: 1 })));
    assert_ne!(together, of(&[5, 3, 9], Some(Variation { seed: 8, epoch: 0 })));
    assert_ne!(together, of(&[5, 3, 9], None));
    let Targets::Classes(_) = data.batch(Part::Train, &[1], FIRST).unwrap().targets else {
        panic!("labels stay classes where nothing is mixed")
    };
}

#[test]
fn threads_and_resuming_change_no_bit() {
    let data: Arc<dyn OpenData> = Arc::from(open(&ImageConfig { augment: strong(), ..Default::default() }));
    let batches = |workers, start| -> Vec<(Vec<f32>, Targets)> {
        let config = LoaderConfig { batch_size: NonZeroUsize::new(100).unwrap(), workers, prefetch: 3 };
        let loader = Loader::new(Arc::clone(&data), Part::Train, Order::Shuffled { seed: 3 }, &config);
        let batches = loader.epoch(2, start).unwrap().map(Result::unwrap);
        batches.map(|batch| (values(&batch), batch.targets)).collect()
    };
    let alone = batches(0, 0);
    assert_eq!(alone.len(), 13);
    assert_eq!(alone[12].0.len(), 94 * 64);
    assert_eq!(batches(1, 0), alone);
    assert_eq!(batches(3, 0), alone);
    assert_eq!(batches(2, 9), alone[9..]);
}

#[test]
fn a_stored_run_prepares_files_as_the_data_was_prepared() {
    let config = ImageConfig { normalise: Normalise::Fitted, ..Default::default() };
    let data = open(&config);
    let stored = data.encoder().preparation().unwrap();
    let text = serde_json::to_string_pretty(&stored).unwrap();
    let encoder = config.restore(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(encoder.preparation().unwrap(), stored);

    // The first test digit as a picture file: 16 shades are exact in 255 but for rounding.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digit.png");
    let Exhibit::Png(shown) = data.exhibit(Part::Test, 0).unwrap() else {
        panic!("pictures are shown as PNG")
    };
    let small =
        image::load_from_memory(&shown).unwrap().resize_exact(8, 8, image::imageops::FilterType::Nearest);
    small.save(&path).unwrap();
    let encoded = encoder.encode(&path).unwrap().next().unwrap().unwrap();
    assert_eq!(encoded.targets, Targets::Unknown);
    let expected = values(&data.batch(Part::Test, &[0], None).unwrap());
    for (given, expected) in values(&encoded).into_iter().zip(expected) {
        assert!((given - expected).abs() < 2.0 / 255.0 / 0.3, "{given} instead of {expected}");
    }
    assert_eq!(encoder.files(folder.path()).unwrap(), [path]);
}

#[test]
fn sheets_show_a_row_per_class() {
    let data = open(&ImageConfig::default());
    let png = sample_sheet(&*data, Part::Train, 4, 0).unwrap();
    let sheet = image::load_from_memory(&png).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (4 * 104 + 8, 10 * 116 + 8));
    assert_eq!(png, sample_sheet(&*data, Part::Train, 4, 0).unwrap());
    assert_ne!(png, sample_sheet(&*data, Part::Train, 4, 1).unwrap());
    assert!(contact_sheet(&[], 3).unwrap_err().to_string().starts_with("a contact sheet: no pictures"));
}
