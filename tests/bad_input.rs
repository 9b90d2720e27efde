//! What bad input gets: one clear message, exit code 2, no panic, nothing overwritten.

use crate::program::{Program, SMALL, Said};

/// The message of a command that must refuse its input.
fn refused(program: &Program, arguments: &[&str]) -> String {
    let Said { code, out, err } = program.run(arguments);
    assert_eq!(code, 2, "{arguments:?} said\n{out}\n{err}");
    assert!(!err.contains("panicked") && !err.contains("backtrace"), "{arguments:?} panicked:\n{err}");
    assert_eq!(
        err.lines().filter(|line| line.starts_with("error:")).count(),
        1,
        "{arguments:?} gave more than one message:\n{err}"
    );
    err
}

/// The message that a setting put over the small config gets.
fn refused_setting(setting: &str) -> String {
    let program = Program::new();
    program.write("small.toml", SMALL);
    let message = refused(&program, &["train", "small.toml", "--out", "run", "--set", setting]);
    assert!(!program.path("run").exists(), "{setting} left a run behind");
    message
}

macro_rules! refused_settings {
    ($($name:ident: $setting:literal,)*) => {
        $(
            #[test]
            fn $name() {
                insta::assert_snapshot!(refused_setting($setting));
            }
        )*
    };
}

refused_settings! {
    a_misspelt_key: "train.epoch=3",
    a_misspelt_key_inside_a_component: "backbone.pattern.0.heds=2",
    a_misspelt_key_at_the_top: "sead=3",
    a_wrong_type: "train.epochs=\"three\"",
    a_value_out_of_range: "backbone.dropout=1.5",
    heads_that_do_not_divide: "backbone.pattern.0.heads=3",
    an_unknown_component: "backbone.pattern.0.kind=attenton",
    an_unknown_data_model: "data.kind=picture",
    an_unknown_optimizer: "train.optimizer.kind=adam",
    patches_that_do_not_divide: "data.stem.patches.size=3",
    a_data_set_that_is_not_there_yet: "data.source=mnist",
}

#[test]
fn usage() {
    let program = Program::new();
    program.write("small.toml", SMALL);
    for arguments in
        [&["trian"][..], &["train"], &["train", "small.toml", "--set", "epochs"], &["predict", "run"]]
    {
        let said = program.run(arguments);
        assert_eq!(said.code, 2, "{arguments:?}");
        assert!(said.err.contains("error:"), "{}", said.err);
    }
}

#[test]
fn files_that_are_not_there_or_not_configs() {
    let program = Program::new();
    program.write("picture.toml", [0xff, 0xd8, 0xff, 0x00]);
    program.write("broken.toml", "[data\nkind = 3");
    insta::assert_snapshot!("no_config", refused(&program, &["train", "nowhere.toml"]));
    insta::assert_snapshot!("config_not_text", refused(&program, &["train", "picture.toml"]));
    insta::assert_snapshot!("config_not_toml", refused(&program, &["train", "broken.toml"]));
    insta::assert_snapshot!("no_run", refused(&program, &["evaluate", "nowhere"]));
    insta::assert_snapshot!("nothing_to_resume", refused(&program, &["train", "--resume", "nowhere"]));
}

#[test]
fn devices() {
    let program = Program::new();
    program.write("small.toml", SMALL);
    let unknown = refused(&program, &["train", "small.toml", "--device", "gpu"]);
    insta::assert_snapshot!("unknown_device", unknown);
    if !ansatz_device::available().contains(&"cuda") {
        let missing = refused(&program, &["train", "small.toml", "--device", "cuda"]);
        assert!(missing.contains("--features cuda"), "{missing}");
    }
}

#[test]
fn a_folder_that_is_taken_is_left_alone() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=1"]);
    let before = program.read("run/model.safetensors");
    insta::assert_snapshot!("a_run_is_there", refused(&program, &["train", "small.toml", "--out", "run"]));
    assert_eq!(program.read("run/model.safetensors"), before);
    program.write("mine/letter.txt", "dear all");
    insta::assert_snapshot!("not_empty", refused(&program, &["train", "small.toml", "--out", "mine"]));
}

#[test]
fn pictures_to_predict() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=1"]);
    program.write("corrupt.png", b"\x89PNG\r\n\x1a\nand then nothing");
    program.write("notes.txt", "not a picture");
    program.write("empty/.keep", "");
    insta::assert_snapshot!("corrupt_picture", refused_first(&program, &["predict", "run", "corrupt.png"]));
    insta::assert_snapshot!("not_a_picture", refused_first(&program, &["predict", "run", "notes.txt"]));
    insta::assert_snapshot!("empty_folder", refused(&program, &["predict", "run", "empty"]));
    insta::assert_snapshot!("no_picture", refused_first(&program, &["predict", "run", "nowhere.png"]));
}

/// Like [`refused`], for commands that report each file and then count.
fn refused_first(program: &Program, arguments: &[&str]) -> String {
    let Said { code, err, .. } = program.run(arguments);
    assert_eq!(code, 2, "{err}");
    assert!(!err.contains("panicked"), "{err}");
    err
}

#[test]
fn weights_of_another_network() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=1"]);
    program.train_small("wide", &["train.epochs=1", "backbone.width=24"]);
    program.write("run/model.safetensors", program.read("wide/model.safetensors"));
    let message = refused(&program, &["evaluate", "run"]);
    assert!(message.contains("the weights do not fit the network"), "{message}");
    program.write("run/model.safetensors", b"not weights at all");
    let message = refused(&program, &["evaluate", "run"]);
    assert!(message.contains("model.safetensors"), "{message}");
}

#[test]
fn checkpoints_of_another_network() {
    let program = Program::new();
    let settings = ["train.epochs=1", "train.checkpoint.every_steps=4"];
    program.train_small("run", &settings);
    program.train_small("wide", &[settings[0], settings[1], "backbone.width=24"]);
    // As if it had been stopped before its end.
    std::fs::remove_file(program.path("run/model.safetensors")).expect("the weights");
    std::fs::remove_file(program.path("run/summary.json")).expect("the figures");
    std::fs::remove_dir_all(program.path("run/checkpoints")).expect("the checkpoints");
    std::fs::rename(program.path("wide/checkpoints"), program.path("run/checkpoints")).expect("moved");
    let message = refused(&program, &["train", "--resume", "run"]);
    assert!(message.contains("checkpoint"), "{message}");
}

#[test]
fn idx_files_that_are_not_what_they_say() {
    let program = Program::new();
    let config = SMALL.replace("source = 'digits'", "source = 'mnist'");
    program.write("mnist.toml", config);
    let message = refused(&program, &["train", "mnist.toml"]);
    assert!(message.contains("ansatz data get mnist"), "{message}");
    program.write("there/train-images-idx3-ubyte", [0, 0, 8, 3, 0, 0]);
    let message = refused(&program, &["data", "get", "mnist", "--from", "there"]);
    assert!(message.contains("to do:"), "{message}");
    assert!(!program.path("data/mnist").exists());
    let message = refused(&program, &["data", "get", "mnits"]);
    assert!(message.contains("mnist"), "{message}");
}
