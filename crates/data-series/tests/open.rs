//! Series as examples: parts, scale, gaps, what is kept, and the stems.

use ansatz_core::{DataModel, Exhibit, OpenData, Part, Places, Shared, Target, Targets};
use ansatz_data_series::{
    Calendar, FileSource, InstanceNorm, Layout, MARKS, PatchesConfig, SeriesConfig, SeriesShape, Source,
    StemConfig, VALUES,
};
use burn::tensor::TensorData;

fn places() -> Places {
    Places { data: std::path::PathBuf::new() }
}

fn floats(data: &TensorData) -> Vec<f32> {
    data.clone().try_to_vec().expect("floats")
}

/// 40 hours of a line with a gap of two hours and one of eight.
fn table(folder: &tempfile::TempDir) -> Source {
    let mut text = String::from("when,level\n");
    for hour in (0..40).filter(|hour| ![5, 6].contains(hour) && !(26..34).contains(hour)) {
        text += &format!("2021-03-0{} {:02}:00:00,{}\n", hour / 24 + 1, hour % 24, hour * 10);
    }
    let path = folder.path().join("level.csv");
    std::fs::write(&path, text).expect("a file");
    Source::File(FileSource { path, columns: Vec::new(), time: Some("when".to_owned()) })
}

#[test]
fn windows_scale_and_gaps_are_those_of_the_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let config = SeriesConfig { source: table(&folder), length: 3, horizon: 2, ..SeriesConfig::default() };
    let data = config.open_series(&places()).unwrap();
    // 24 hours for training, of which 22 were observed; 8 for validation, which the long gap takes but two
    // hours of.
    assert_eq!([Part::Train, Part::Validation, Part::Test].map(|part| data.examples(part)), [20, 1, 2]);
    let observed: Vec<f64> =
        (0..24).filter(|hour| ![5, 6].contains(hour)).map(|hour| f64::from(hour * 10)).collect();
    let mean = observed.iter().sum::<f64>() / 22.0;
    let variance = observed.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 22.0;
    assert!((data.scaling().mean[0] - mean).abs() < 1e-9);
    assert!((data.scaling().deviation[0] - variance.sqrt()).abs() < 1e-9);
    // The third window foretells the hours 5 and 6, which were not observed, and so do not count.
    let batch = data.batch(Part::Train, &[0, 2], None).unwrap();
    let Targets::Series { values, observed } = batch.targets else { unreachable!() };
    assert_eq!(observed, Some(vec![true, true, false, false]));
    let scaled = |hour: i32| ((f64::from(hour * 10) - mean) / variance.sqrt()) as f32;
    for (found, hour) in values.iter().zip([3, 4, 5, 6]) {
        assert!((found - scaled(hour)).abs() < 1e-5, "a gap lies on the line");
    }
    assert_eq!(floats(&batch.inputs[0].1), [0, 1, 2, 2, 3, 4].map(scaled));
    let Exhibit::Text(text) = data.exhibit(Part::Validation, 0).unwrap() else { unreachable!() };
    assert_eq!(
        text,
        "2021-03-02 00:00 to 2021-03-02 01:00 foretold, 2021-03-01 21:00 to 2021-03-01 23:00 read"
    );
}

#[test]
fn what_is_kept_restores_the_encoder_and_forecasts_have_units() {
    let folder = tempfile::tempdir().unwrap();
    let source = table(&folder);
    let Source::File(FileSource { path, .. }) = &source else { unreachable!() };
    let path = path.clone();
    let calendar = vec![Calendar::HourOfDay];
    let config = SeriesConfig { source, length: 4, horizon: 2, calendar, ..SeriesConfig::default() };
    let data = config.open(&places()).unwrap();
    let kept = data.encoder().preparation().unwrap();
    let restored = config.restore(&kept).unwrap();
    assert_eq!(restored.target(), data.encoder().target());
    let batch = restored.encode(&path).unwrap().next().expect("a batch").unwrap();
    assert_eq!((batch.examples, batch.targets), (1, Targets::Unknown));
    let scaling = data_scaling(&config);
    let levels: Vec<f64> = floats(&batch.inputs[0].1).iter().map(|value| scaling.undo(*value, 0)).collect();
    for (found, expected) in levels.iter().zip([360.0, 370.0, 380.0, 390.0]) {
        assert!((found - expected).abs() < 1e-3);
    }
    assert_eq!(batch.inputs[1].0, MARKS);
    let outputs = [scaling.apply(400.0, 0), scaling.apply(410.0, 0)];
    let forecast = restored.forecast(&path, &outputs, &[]).unwrap().expect("a series has a future");
    assert_eq!(forecast.steps, ["2021-03-02 16:00", "2021-03-02 17:00"]);
    assert_eq!(forecast.columns, ["level"]);
    assert!((forecast.values[1][0] - 410.0).abs() < 1e-3);
    let quantiles = restored.forecast(&path, &[0.0; 4], &[0.1, 0.9]).unwrap().expect("a series has a future");
    assert_eq!(quantiles.columns, ["level 10 %", "level 90 %"]);
    assert!(restored.forecast(&path, &[0.0; 3], &[]).is_err());
    let other = serde_json::json!({ "vocabulary": 7 });
    let message = config.restore(&other).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("the run's preparation"), "{message}");
}

fn data_scaling(config: &SeriesConfig) -> ansatz_data_series::Scaling {
    config.open_series(&places()).unwrap().scaling().clone()
}

/// Two windows of three channels, `window × 100 + step × 10 + channel`.
fn batch(length: usize) -> ansatz_core::Batch {
    let value = |at: usize| (at / (length * 3) * 100 + at / 3 % length * 10 + at % 3) as f32;
    let values = TensorData::new((0..2 * length * 3).map(value).collect::<Vec<_>>(), [2, length, 3]);
    ansatz_core::Batch { examples: 2, inputs: vec![(VALUES.to_owned(), values)], targets: Targets::Unknown }
}

#[test]
fn stems_without_a_map_hold_the_values_where_they_belong() {
    let device = ansatz_device::open("cpu").unwrap();
    let shape = SeriesShape { length: 5, channels: 3, marks: 0 };
    let run = |stem: &StemConfig| {
        let stem = stem.init(shape, InstanceNorm::None, None, &device).unwrap();
        let features = stem.forward(&batch(5).inputs(&device)).unwrap();
        let spec = stem.output();
        let [rows, length, width] = features.tokens.dims();
        assert_eq!([rows, length, width], [2 * stem.rows(), spec.length, spec.width]);
        assert_eq!(features.grid, spec.grid);
        floats(&features.tokens.into_data())
    };
    assert_eq!(run(&StemConfig::Steps)[..6], [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
    assert_eq!(run(&StemConfig::Channels)[5..10], [1.0, 11.0, 21.0, 31.0, 41.0]);
    let patches = |layout, padding| {
        let patches = PatchesConfig { length: 2, stride: 2, padding, layout, ..PatchesConfig::default() };
        StemConfig::Patches(patches)
    };
    // Five steps hold two patches of two, the oldest step is left out.
    let apart = run(&patches(Layout::Apart, 0));
    assert_eq!(apart[..8], [10.0, 20.0, 30.0, 40.0, 11.0, 21.0, 31.0, 41.0]);
    assert_eq!(run(&patches(Layout::Grid, 0)), apart);
    let padded = run(&patches(Layout::Apart, 1));
    assert_eq!(padded[6..12], [1.0, 11.0, 21.0, 31.0, 41.0, 41.0]);
}

#[test]
fn stems_project_and_leave_what_they_took_off() {
    let device = ansatz_device::open("cpu").unwrap();
    let shape = SeriesShape { length: 5, channels: 3, marks: 0 };
    let patches = PatchesConfig { length: 2, stride: 1, class_token: true, ..PatchesConfig::default() };
    for (stem, tokens) in
        [(StemConfig::Steps, 5), (StemConfig::Channels, 3), (StemConfig::Patches(patches.clone()), 5)]
    {
        let stem = stem.init(shape, InstanceNorm::Last, Some(7), &device).unwrap();
        let features = stem.forward(&batch(5).inputs(&device)).unwrap();
        assert_eq!(features.tokens.dims(), [2 * stem.rows(), tokens, 7]);
        let last = features.shared.find::<3>(Shared::SERIES_LOCATION).expect("it was left");
        assert_eq!(floats(&last.into_data()), [40.0, 41.0, 42.0, 140.0, 141.0, 142.0]);
        let counted: usize = stem.layers().iter().map(|layer| layer.parameters).sum();
        assert_eq!(counted, burn::module::Module::num_params(&stem));
        assert!(stem.forward(&batch(4).inputs(&device)).is_err());
    }
    assert!(StemConfig::Patches(patches).init(shape, InstanceNorm::None, None, &device).is_err());
}

#[test]
fn made_up_waves_are_always_the_same_and_a_missing_set_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let places = Places { data: folder.path().to_owned() };
    let config =
        SeriesConfig { source: Source::Waves(400), length: 24, horizon: 3, ..SeriesConfig::default() };
    let [one, other] = [(); 2].map(|()| config.open(&places).unwrap());
    let batches = [&one, &other].map(|data| data.batch(Part::Test, &[0, 5], None).unwrap());
    assert_eq!(batches[0].inputs, batches[1].inputs);
    let Target::Series { channels, horizon, apart, naive } = one.encoder().target() else { unreachable!() };
    assert_eq!((channels.len(), *horizon, *apart), (2, 3, false));
    assert!(naive.len() == 2 && naive.iter().all(|error| *error > 0.0), "{naive:?}");
    for (source, name) in [
        (Source::ApplianceEnergy, "appliance-energy"),
        (Source::InterstateTraffic, "interstate-traffic"),
        (Source::Electricity, "electricity"),
        (Source::SanFranciscoTraffic, "san-francisco-traffic"),
    ] {
        let config = SeriesConfig { source, ..SeriesConfig::default() };
        let message = config.open(&places).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains(&format!("ansatz data get {name}")), "{message}");
    }
}
