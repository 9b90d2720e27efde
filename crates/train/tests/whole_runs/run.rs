//! What a whole run leaves behind.

use std::fs;
use std::sync::Arc;

use crate::synthetic::{Begin, Heard, alone, experiment, registry, run, train};
use ansatz_core::Part;
use ansatz_run::Trained;
use ansatz_train::progress::Event;
use serde_json::Value;

fn metrics(folder: &std::path::Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_run_learns_and_leaves_all_its_files() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    let heard = Heard::default();
    let experiment = experiment(&["train.epochs=25", "train.optimizer.learning_rate=0.01"]);
    let summary =
        run(Begin::New(&experiment), &folder, &Arc::default(), vec![Box::new(heard.clone())]).unwrap();
    assert_eq!((summary.ended.as_str(), summary.steps, summary.epochs), ("finished", 175, 25.0));
    let (validation, test) = (summary.validation.unwrap(), summary.test.unwrap());
    assert_eq!((validation.examples, test.examples), (21, 30));
    assert!(test.values["accuracy"] > 0.8, "{test:?}");
    for file in ["config.toml", "preparation.json", "layers.json", "model.safetensors", "summary.json"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let lines = metrics(&folder);
    assert_eq!(lines.iter().filter(|line| line["event"] == "step").count(), 175);
    assert_eq!(lines.iter().filter(|line| line["part"] == "validation").count(), 25);
    assert_eq!(lines.iter().filter(|line| line["part"] == "test").count(), 1);
    let events = heard.events();
    assert!(matches!(
        events.first(),
        Some(Event::Started { step: 0, steps_per_epoch: 7, total_steps: 175, .. })
    ));
    assert!(matches!(events.last(), Some(Event::Ended { step: 175, .. })));
}

#[test]
fn the_kept_weights_score_what_the_summary_says() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    let settings = ["train.epochs=6", "train.average.decay=0.9", "train.optimizer.learning_rate=0.01"];
    let summary = train(&experiment(&settings), &folder).unwrap();
    let device = ansatz_device::open("cpu").unwrap();
    let trained = Trained::load(&folder, &registry(), &device).unwrap();
    let places = ansatz_core::Places { data: place.path().to_owned() };
    for (part, figures) in [(Part::Validation, summary.validation), (Part::Test, summary.test)] {
        let data = trained.plan.data.open(&places).unwrap();
        let batch_size = std::num::NonZeroUsize::new(4).unwrap();
        let evaluation = ansatz_train::evaluate(&trained, data.into(), part, batch_size, &device).unwrap();
        let figures = figures.unwrap();
        assert_eq!(evaluation.outcomes.len(), figures.examples);
        assert_eq!(evaluation.scores.values["accuracy"], figures.values["accuracy"], "{part}");
        let distance = evaluation.scores.values["loss"] - figures.values["loss"];
        assert!(distance.abs() < 1e-5, "{part}: {distance}");
    }
}

#[test]
fn mistakes_fall_by_loss_and_are_shown() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    let summary = train(&experiment(&["train.epochs=1"]), &folder).unwrap();
    let text = fs::read_to_string(folder.join("mistakes.json")).unwrap();
    let mistakes: Vec<Value> = serde_json::from_str(&text).unwrap();
    let wrong = (1.0 - summary.test.unwrap().values["accuracy"]) * 30.0;
    assert_eq!(mistakes.len(), (wrong.round() as usize).min(24));
    let losses: Vec<f64> = mistakes.iter().map(|mistake| mistake["loss"].as_f64().unwrap()).collect();
    assert!(losses.is_sorted_by(|a, b| a >= b), "{losses:?}");
    for mistake in &mistakes {
        let shown = fs::read_to_string(folder.join(mistake["exhibit"].as_str().unwrap())).unwrap();
        assert_eq!(shown, format!("test {}", mistake["index"]));
        assert_ne!(mistake["predictions"][0][0], mistake["target"]);
    }
}

#[test]
fn figures_that_are_not_finite_end_the_run_by_name() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    for (scale, figure) in [("1e300", "the loss is NaN"), ("1e25", "the norm of the gradients is inf")] {
        let folder = place.path().join(scale);
        let scale = format!("data.scale={scale}");
        let settings = [&scale, "train.log_every=5", "train.checkpoint.every_steps=2"];
        let error = train(&experiment(&settings), &folder).unwrap_err().to_string();
        assert!(error.contains(figure) && error.contains("learning rate of"), "{error}");
        // Found before anything was saved.
        assert!(error.contains("at step 1,") || error.contains("at step 2,"), "{error}");
        assert!(error.contains("there is no checkpoint yet"), "{error}");
        assert!(!folder.join("model.safetensors").exists() && !folder.join("checkpoints").exists());
    }
}

#[test]
fn without_a_validation_part_the_last_weights_are_kept() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    let summary = train(&experiment(&["data.validation=0"]), &folder).unwrap();
    assert_eq!((summary.best_step, summary.validation), (14, None));
    for setting in ["train.schedule.kind=plateau", "train.early_stopping.patience=2"] {
        let folder = place.path().join("refused");
        let error = train(&experiment(&["data.validation=0", setting]), &folder).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("no validation part"), "{error}");
        assert!(!folder.exists());
    }
}

#[test]
fn early_stopping_counts_evaluations() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    // So small a rate changes no prediction: the first evaluation stays the best.
    let settings =
        ["train.epochs=9", "train.early_stopping.patience=2", "train.optimizer.learning_rate=1e-12"];
    let experiment = experiment(&settings);
    let summary = train(&experiment, &folder).unwrap();
    assert_eq!((summary.ended.as_str(), summary.epochs, summary.best_step), ("stopped early", 3.0, 7));
}

#[test]
fn accumulating_batches_equals_one_large_batch() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    // Without what depends on the batch: dropout and batch statistics.
    let loss = |name: &str, settings: &[&str]| {
        let folder = place.path().join(name);
        let all: Vec<&str> = ["backbone.dropout=0", "backbone.norm=false", "train.clip_norm=0.5"]
            .iter()
            .chain(settings)
            .copied()
            .collect();
        train(&experiment(&all), &folder).unwrap().test.unwrap().values["loss"]
    };
    let large = loss("large", &["train.batch_size=24"]);
    let small = loss("small", &["train.batch_size=8", "train.accumulation=3"]);
    assert!((large - small).abs() < 1e-5, "{large} {small}");
}
