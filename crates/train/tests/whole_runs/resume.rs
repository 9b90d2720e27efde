//! A run that was killed ends with the bytes it would have ended with.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::synthetic::{Begin, End, Heard, alone, experiment, resume, run, train, train_and_kill};
use ansatz_train::progress::{Event, Listener};
use serde_json::Value;

/// Everything the run was to leave, with what depends on the clock taken out.
fn remains(folder: &Path) -> (Vec<u8>, Vec<Value>, String) {
    let mut weights = fs::read(folder.join("model.safetensors")).unwrap();
    weights.extend(fs::read(folder.join("masks.safetensors")).unwrap_or_default());
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        value.as_object_mut().unwrap().remove("examples_per_second");
        value
    });
    (weights, lines.collect(), fs::read_to_string(folder.join("mistakes.json")).unwrap())
}

fn assert_same(whole: &Path, resumed: &Path, about: &str) {
    let (whole, resumed) = (remains(whole), remains(resumed));
    assert_eq!(whole.1, resumed.1, "{about}: metrics");
    assert_eq!(whole.2, resumed.2, "{about}: mistakes");
    assert!(whole.0 == resumed.0, "{about}: weights differ");
}

/// Kills a run behind each of `steps`, goes on, and compares with an undisturbed one.
fn killed_run_ends_the_same(settings: &[&str], steps: &[u64]) {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    let experiment = experiment(settings);
    train(&experiment, &whole).unwrap();
    for &step in steps {
        let folder = place.path().join(format!("killed-{step}"));
        train_and_kill(&experiment, &folder, step);
        resume(&folder).unwrap();
        assert_same(&whole, &folder, &format!("{settings:?} killed behind step {step}"));
    }
}

const OFTEN: [&str; 2] = ["train.checkpoint.every_steps=3", "train.optimizer.learning_rate=0.01"];

fn with<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    OFTEN.iter().chain(settings).copied().collect()
}

#[test]
fn adamw_with_average_dropout_accumulation_and_clipping() {
    let settings =
        with(&["train.average.decay=0.9", "train.accumulation=2", "train.clip_norm=1", "train.epochs=3"]);
    // Behind the first step; on, before and behind checkpoints; in every epoch.
    killed_run_ends_the_same(&settings, &[1, 3, 5, 7, 10, 12]);
}

#[test]
fn weights_and_activations_that_are_seen_rounded() {
    let settings = with(&[
        "train.average.decay=0.9",
        "train.fake_quantization.bits=3",
        "train.fake_quantization.activations=true",
    ]);
    killed_run_ends_the_same(&settings, &[1, 4, 9]);
}

#[test]
fn pruning_that_goes_on_while_it_learns() {
    let settings = with(&[
        "train.prune={ ratio = 0.8, initial = 0.2, from = 0.1, until = 0.8, every = 2 }",
        "train.average.decay=0.9",
        "train.epochs=3",
        "train.evaluation.every_steps=3",
    ]);
    // Before the first masks, between two choices, on one, and behind the last.
    killed_run_ends_the_same(&settings, &[1, 4, 6, 13, 19]);
}

#[test]
fn sgd() {
    killed_run_ends_the_same(&with(&["train.optimizer.kind=sgd"]), &[2, 4, 8, 13]);
}

#[test]
fn muon() {
    killed_run_ends_the_same(&with(&["train.optimizer.kind=muon"]), &[4, 11]);
}

#[test]
fn lion() {
    killed_run_ends_the_same(&with(&["train.optimizer.kind=lion"]), &[4, 11]);
}

#[test]
fn plateau_and_early_stopping() {
    let settings = with(&[
        "train.schedule.kind=plateau",
        "train.schedule.patience=0",
        "train.schedule.factor=0.3",
        "train.schedule.threshold=0.2",
        "train.early_stopping.patience=4",
        "train.evaluation.every_steps=2",
        "train.epochs=4",
    ]);
    killed_run_ends_the_same(&settings, &[4, 7, 10]);
}

#[test]
fn other_schedules_and_prefetching() {
    killed_run_ends_the_same(&with(&["train.schedule.kind=one-cycle", "train.loading.workers=3"]), &[5]);
    killed_run_ends_the_same(
        &with(&["train.schedule.kind=warmup-stable-decay", "train.loading.workers=0"]),
        &[9],
    );
}

/// Where [`a_process_that_dies_goes_on`] lets its child train.
const DIE_IN: &str = "ANSATZ_TEST_DIE_IN";

/// Aborts the whole process behind a step: nothing is unwound, no buffer is written.
struct Abort(u64);

impl Listener for Abort {
    fn hear(&mut self, event: &Event) {
        if matches!(event, Event::Step(figures) if figures.step == self.0) {
            std::process::abort();
        }
    }
}

#[test]
fn a_process_that_dies_goes_on() {
    let _alone = alone();
    let experiment = experiment(&with(&["train.average.decay=0.9"]));
    if let Some(folder) = std::env::var_os(DIE_IN) {
        run(Begin::New(&experiment), Path::new(&folder), &Arc::default(), vec![Box::new(Abort(8))]).unwrap();
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (whole, folder) = (place.path().join("whole"), place.path().join("died"));
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    let child =
        child.args(["--exact", "resume::a_process_that_dies_goes_on"]).env(DIE_IN, &folder).output().unwrap();
    assert!(!child.status.success(), "{child:?}");
    train(&experiment, &whole).unwrap();
    resume(&folder).unwrap();
    assert_same(&whole, &folder, "its process died");
}

#[test]
fn a_run_asked_to_stop_saves_and_goes_on() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let (whole, folder) = (place.path().join("whole"), place.path().join("stopped"));
    let experiment = experiment(&["train.average.decay=0.9"]);
    train(&experiment, &whole).unwrap();
    // Step 7 ends an epoch: the flag is seen inside its evaluation, which is made up for.
    for step in [4, 7, 14] {
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Heard::default();
        let listeners: Vec<Box<dyn Listener>> =
            vec![Box::new(End::Asked(step, Arc::clone(&stop))), Box::new(heard.clone())];
        let summary = run(Begin::New(&experiment), &folder, &stop, listeners).unwrap();
        assert_eq!((summary.ended.as_str(), summary.steps), ("interrupted", step));
        assert!(!folder.join("summary.json").exists());
        assert!(folder.join(format!("checkpoints/step-{step:07}")).is_dir());
        assert!(
            matches!(heard.events().last(), Some(Event::Ended { reason, .. }) if reason == "interrupted")
        );
        resume(&folder).unwrap();
        assert_same(&whole, &folder, &format!("stopped behind step {step}"));
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn an_ended_run_is_not_gone_on_with() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    train(&experiment(&["train.epochs=1"]), &folder).unwrap();
    let error = resume(&folder).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("the run has ended"), "{error}");
}

#[test]
fn a_damaged_checkpoint_is_passed_over_aloud() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let (whole, folder) = (place.path().join("whole"), place.path().join("damaged"));
    let experiment = experiment(&OFTEN);
    train(&experiment, &whole).unwrap();
    train_and_kill(&experiment, &folder, 8);
    let model = folder.join("checkpoints/step-0000007/model.bpk");
    let mut bytes = fs::read(&model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&model, bytes).unwrap();
    fs::create_dir(folder.join("checkpoints/.partial-abc")).unwrap();
    let heard = Heard::default();
    run(Begin::Resumed, &folder, &Arc::default(), vec![Box::new(heard.clone())]).unwrap();
    let noted = heard.events().iter().any(
        |event| matches!(event, Event::Noted { text } if text.contains("step-0000007") && text.contains("from step 6")),
    );
    assert!(noted, "{:?}", heard.events().first());
    assert!(!folder.join("checkpoints/.partial-abc").exists());
    assert_same(&whole, &folder, "with a damaged checkpoint");
}

#[test]
fn when_all_checkpoints_are_damaged_nothing_is_guessed() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    train_and_kill(&experiment(&OFTEN), &folder, 8);
    for entry in fs::read_dir(folder.join("checkpoints")).unwrap() {
        fs::write(entry.unwrap().path().join("state.json"), "{").unwrap();
    }
    let error = resume(&folder).unwrap_err();
    assert!(error.to_string().contains("step-0000007: the checkpoint is damaged"), "{error}");
}

#[test]
fn a_checkpoint_of_another_network_is_refused() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    train_and_kill(&experiment(&OFTEN), &folder, 8);
    let config = fs::read_to_string(folder.join("config.toml")).unwrap();
    for (from, to, problem) in [
        ("width = 8", "width = 9", "another network"),
        ("kind = \"adamw\"", "kind = \"lion\"", "other settings"),
        ("batch_size = 8", "batch_size = 9", "other settings"),
    ] {
        assert!(config.contains(from), "{from} in {config}");
        let mut changed = config.replace(from, to);
        if to.contains("lion") {
            changed = changed.replace("epsilon = 1e-8\n", "").replace("epsilon = 0.00000001\n", "");
        }
        fs::write(folder.join("config.toml"), changed).unwrap();
        let error = resume(&folder).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn the_newest_and_the_best_checkpoints_stay() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    // The first evaluation stays the best.
    let settings = ["train.checkpoint.every_steps=1", "train.optimizer.learning_rate=1e-12"];
    let summary = train(&experiment(&settings), &folder).unwrap();
    assert_eq!(summary.best_step, 7);
    let mut names: Vec<_> = fs::read_dir(folder.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["step-0000007", "step-0000013", "step-0000014"]);
}
