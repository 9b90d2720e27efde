//! Training that imitates what leaves a teacher's blocks.

use std::path::Path;

use ansatz_run::RunFolder;

use crate::synthetic::{alone, experiment, losses, resume, train, train_and_kill};

/// A teacher of width 8 in `place`, and settings of a student of width 6 that it teaches.
fn taught(place: &Path) -> Vec<String> {
    let teacher = place.join("teacher");
    train(&experiment(&["train.epochs=4", "train.optimizer.learning_rate=0.01"]), &teacher).unwrap();
    let settings = ["backbone.width=6", "train.teacher.hidden.weight=0.5", "train.checkpoint.every_steps=3"];
    let run = format!("train.teacher.run={}", teacher.display());
    settings.into_iter().map(str::to_owned).chain([run]).collect()
}

fn with(settings: &[String], more: &[&str]) -> ansatz_run::Experiment {
    let settings: Vec<&str> = settings.iter().map(String::as_str).chain(more.iter().copied()).collect();
    experiment(&settings)
}

fn weights(folder: &Path) -> Vec<u8> {
    std::fs::read(RunFolder::open(folder).unwrap().weights()).unwrap()
}

#[test]
fn a_student_learns_what_its_teacher_hides_and_a_killed_run_ends_with_the_same_bits() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let settings = taught(place.path());
    let (whole, killed) = (place.path().join("whole"), place.path().join("killed"));
    train(&with(&settings, &[]), &whole).unwrap();
    train_and_kill(&with(&settings, &[]), &killed, 8);
    resume(&killed).unwrap();
    assert_eq!(weights(&killed), weights(&whole));
    // Another teacher of answers alone gives another student, and one that hides nothing needs no maps.
    let answers = place.path().join("answers");
    let without: Vec<String> =
        settings.iter().filter(|setting| !setting.contains("hidden")).cloned().collect();
    train(&with(&without, &[]), &answers).unwrap();
    assert_ne!(weights(&answers), weights(&whole));
    let maps = |run: &Path| {
        let checkpoints = std::fs::read_dir(run.join("checkpoints")).unwrap();
        checkpoints.filter(|entry| entry.as_ref().unwrap().path().join("projections.bpk").exists()).count()
    };
    assert!(maps(&whole) > 0);
    assert_eq!(maps(&answers), 0);
}

#[test]
fn blocks_come_nearer_to_the_blocks_that_they_imitate() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let settings = taught(place.path());
    let settled = ["train.teacher.outputs=0", "train.epochs=40", "train.optimizer.learning_rate=0.02"];
    let common = [&settled[..], &["train.keep=last", "backbone.dropout=0.0"]].concat();
    // Through a map from width 6 to width 8, and each block with its teacher's tokens, which needs the width of these.
    for (run, more) in
        [("own", &[][..]), ("lent", &["train.teacher.hidden.inputs=teacher", "backbone.width=8"])]
    {
        let folder = place.path().join(run);
        train(&with(&settings, &[&common[..], more].concat()), &folder).unwrap();
        let losses = losses(&folder);
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.3 * first && first.is_finite(), "{run}: {first} {last}");
    }
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_is_made() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let settings = taught(place.path());
    for (more, path, problem) in [
        ("train.teacher.hidden.layers=[[0, 1]]", "hidden.layers[0]", "the teacher has no block 1"),
        ("train.teacher.hidden.layers=[[2, 0]]", "hidden.layers[0]", "the student has no block 2"),
        ("train.teacher.hidden.inputs=teacher", "hidden.inputs", "takes tokens of 6 values"),
        ("train.teacher.influence.weight=1.0", "influence.layers", "does not say how it mixes tokens"),
    ] {
        let folder = place.path().join("refused");
        let message = train(&with(&settings, &[more]), &folder).unwrap_err().to_string();
        assert!(message.contains(&format!("`train.teacher.{path}`")), "{message}");
        assert!(message.contains(problem), "{message}");
        assert!(!folder.exists());
    }
}
