//! Training that leaves out more and more weights.

use std::sync::Arc;

use crate::synthetic::{Begin, Heard, alone, experiment, registry, run, train};
use ansatz_core::Part;
use ansatz_run::{Masks, Trained, weights};
use ansatz_train::progress::Event;

/// The share of zeros among all prunable values, and whether they are those that the masks name.
fn zeros(folder: &std::path::Path) -> (f64, bool) {
    let trained = Trained::load(folder, &registry(), &ansatz_device::open("cpu").unwrap()).unwrap();
    let masks = Masks::read(&trained.folder.masks()).unwrap();
    let (mut zeros, mut count, mut same) = (0, 0, true);
    for weight in weights(&trained.model) {
        let kept = &masks.get(&weight.name).unwrap().kept;
        zeros += weight.values.iter().filter(|value| **value == 0.0).count();
        count += weight.values.len();
        same &= weight.values.iter().zip(kept).all(|(value, kept)| (*value != 0.0) == *kept);
    }
    (f64::from(zeros as u32) / f64::from(count as u32), same)
}

#[test]
fn the_share_is_left_out_in_the_end_and_the_best_has_all_of_it() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    // Four epochs of seven steps; the whole share is left out behind step 14.
    let settings = [
        "train.epochs=4",
        "train.optimizer.learning_rate=0.01",
        "train.average.decay=0.9",
        "train.prune={ ratio = 0.75, until = 0.5, every = 3 }",
    ];
    let heard = Heard::default();
    let begin = Begin::New(&experiment(&settings));
    let summary = run(begin, &folder, &Arc::default(), vec![Box::new(heard.clone())]).unwrap();
    let (share, same) = zeros(&folder);
    assert!((share - 0.75).abs() < 0.005, "{share}");
    assert!(same, "other values are zero than the masks say");
    assert!(summary.best_step >= 14, "{summary:?}");
    for event in heard.events() {
        if let Event::Evaluated { part: Part::Validation, step, best, .. } = event {
            assert!(!best || step >= 14, "{step}");
        }
    }
}

#[test]
fn what_was_pruned_before_stays_so_and_counts() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let (first, second) = (place.path().join("first"), place.path().join("second"));
    train(&experiment(&["train.prune.ratio=0.5"]), &first).unwrap();
    let from = format!("init.from={}", first.display());
    train(&experiment(&[&from, "train.prune={ ratio = 0.8, scope = 'layer' }"]), &second).unwrap();
    let (share, same) = zeros(&second);
    assert!((share - 0.8).abs() < 0.02 && same, "{share}");
    let masks = |folder: &std::path::Path| Masks::read(&folder.join("masks.safetensors")).unwrap();
    let (before, after) = (masks(&first), masks(&second));
    for (name, mask) in before.iter() {
        let later = &after.get(name).unwrap().kept;
        assert!(mask.kept.iter().zip(later).all(|(before, after)| *before || !after), "{name} came back");
    }
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_made() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let first = place.path().join("first");
    train(&experiment(&["train.epochs=1"]), &first).unwrap();
    let from = format!("init.from={}", first.display());
    for (settings, problem) in [
        (&["train.prune={ only = ['backbon'] }"][..], "did you mean `backbone`"),
        (&[&from, "init.freeze=['stem']", "train.prune.ratio=0.5"], "train.prune"),
    ] {
        let folder = place.path().join("refused");
        let message = train(&experiment(settings), &folder).unwrap_err().to_string();
        assert!(message.contains(problem), "{message}");
        assert!(!folder.exists());
    }
}
