//! Training that begins with another run's weights, holds what was pruned of them, or imitates a teacher.

use std::path::Path;

use crate::synthetic::{alone, experiment, losses, registry, resume, train, train_and_kill};
use ansatz_core::Model;
use ansatz_run::{Mask, Masks, RunFolder, Trained, save_weights};

const WEIGHT: &str = "backbone.first.weight";

fn trained(folder: &Path) -> Trained {
    Trained::load(folder, &registry(), &ansatz_device::open("cpu").unwrap()).unwrap()
}

/// The values of the weight that is pruned here, `[8, 16]`.
fn weight(model: &Model) -> Vec<f32> {
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::Tensor;
    #[derive(Default)]
    struct Read(Vec<String>, Vec<f32>);
    impl ModuleVisitor for Read {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.0.join(".") == WEIGHT {
                self.1 = param.val().into_data().try_to_vec().unwrap();
            }
        }
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.0.pop();
        }
    }
    let mut read = Read::default();
    model.visit(&mut read);
    assert_eq!(read.1.len(), 8 * 16);
    read.1
}

/// A run of one epoch of which every second value of a weight was pruned.
fn pruned(folder: &Path) -> Masks {
    train(&experiment(&["train.epochs=1"]), folder).unwrap();
    let trained = trained(folder);
    let mut masks = Masks::default();
    masks.add(WEIGHT, Mask { shape: vec![8, 16], kept: (0..8 * 16).map(|index| index % 2 == 0).collect() });
    let model = masks.on(&ansatz_device::open("cpu").unwrap()).hold(trained.model);
    save_weights(&model, &trained.folder.weights()).unwrap();
    masks.write(&trained.folder.masks()).unwrap();
    masks
}

#[test]
fn training_begins_where_the_other_run_ended() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let first = place.path().join("first");
    train(&experiment(&["train.epochs=1"]), &first).unwrap();
    let start = format!("init.from={}", first.display());
    // A rate this small moves no float32 weight.
    let settings =
        [&start[..], "train.max_steps=1", "train.keep=last", "train.optimizer.learning_rate=1e-30"];
    let second = place.path().join("second");
    train(&experiment(&settings), &second).unwrap();
    assert_eq!(weight(&trained(&second).model), weight(&trained(&first).model));
    let wide = [&start[..], "backbone.width=9"];
    let message = train(&experiment(&wide), &place.path().join("wide")).unwrap_err().to_string();
    assert!(message.contains("nothing of its backbone fits"), "{message}");
    assert!(!place.path().join("wide").exists());
}

#[test]
fn what_was_pruned_stays_zero_through_training_saving_and_resuming() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let first = place.path().join("first");
    let masks = pruned(&first);
    let start = format!("init.from={}", first.display());
    let settings = [&start[..], "train.checkpoint.every_steps=3", "train.average.decay=0.9"];
    let whole = place.path().join("whole");
    train(&experiment(&settings), &whole).unwrap();
    let after = weight(&trained(&whole).model);
    for (index, value) in after.iter().enumerate() {
        assert_eq!(*value == 0.0, index % 2 == 1, "{index}: {value}");
    }
    assert_ne!(after, weight(&trained(&first).model), "it learned nothing");
    assert_eq!(Masks::read(&RunFolder::open(&whole).unwrap().masks()).unwrap(), masks);
    // The run it began with is not asked any more for what was pruned.
    let killed = place.path().join("killed");
    train_and_kill(&experiment(&settings), &killed, 8);
    std::fs::remove_file(first.join("masks.safetensors")).unwrap();
    resume(&killed).unwrap();
    assert_eq!(weight(&trained(&killed).model), after);
}

#[test]
fn a_student_comes_nearer_to_its_teacher() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let teacher = place.path().join("teacher");
    train(&experiment(&["train.epochs=20", "train.optimizer.learning_rate=0.01"]), &teacher).unwrap();
    let named = format!("train.teacher.run={}", teacher.display());
    // The same network and seed, and nothing but the teacher to learn from.
    let distance = |run: &str, epochs: &str| {
        let folder = place.path().join(run);
        let epochs = format!("train.epochs={epochs}");
        let settings = [
            &named[..],
            &epochs,
            "train.teacher.share=1.0",
            "train.optimizer.learning_rate=0.01",
            "train.keep=last",
        ];
        let settings = [&settings[..], &["backbone.dropout=0.0"]].concat();
        train(&experiment(&settings), &folder).unwrap();
        let losses = losses(&folder);
        (losses[0], losses[losses.len() - 1])
    };
    let (first, last) = distance("student", "20");
    assert!(first > 0.1 && last < 0.3 * first, "{first} {last}");
}

#[test]
fn a_teacher_that_is_no_run_is_refused_before_anything_is_made() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let named = format!("train.teacher.run={}", place.path().join("nobody").display());
    let message = train(&experiment(&[&named]), &place.path().join("run")).unwrap_err().to_string();
    assert!(message.contains("there is no such folder"), "{message}");
    assert!(!place.path().join("run").exists());
}
