//! The whole road: train, look, judge, predict.

use crate::program::Program;

#[test]
fn from_a_config_to_a_prediction() {
    let program = Program::new();
    program.train_small("run", &[]);

    let summary = program.read_json("run/summary.json");
    for key in ["parameters", "seconds", "peak_memory_bytes", "seed", "device"] {
        assert!(!summary[key].is_null(), "summary.json lacks {key}");
    }
    assert_eq!(summary["seed"], 7);
    assert_eq!(summary["device"], "cpu");
    let accuracy = summary["test"]["accuracy"].as_f64().expect("a test accuracy");
    assert!(accuracy > 0.3, "accuracy {accuracy}");
    for name in ["config.toml", "model.safetensors", "preparation.json", "metrics.jsonl", "report.html"] {
        assert!(program.path("run").join(name).is_file(), "the run lacks {name}");
    }

    // The run folder alone gives the same scores, however the part is cut into batches.
    for size in ["7", "500"] {
        let again = program.succeed(&["evaluate", "run", "--json", "--batch-size", size]);
        let again: serde_json::Value = serde_json::from_str(&again).expect("JSON");
        assert_eq!(again["examples"], summary["test"]["examples"]);
        assert_eq!(again["values"]["accuracy"].as_f64(), Some(accuracy));
    }

    let sheet = program.succeed(&["data", "show", "digits", "--each", "1", "--out", "sheet.png"]);
    assert_eq!(sheet.trim(), "sheet.png");
    let answers = program.succeed(&["predict", "run", "sheet.png", "--top", "2", "--json"]);
    let answers: serde_json::Value = serde_json::from_str(&answers).expect("JSON");
    let answers = answers["predictions"].as_array().expect("answers").clone();
    assert_eq!(answers.len(), 2);
    assert!(answers[0][1].as_f64() >= answers[1][1].as_f64());

    // Several files at a time, one of them no picture: each answer is that of the file alone.
    program.write("notes.txt", "no picture");
    program.succeed(&["data", "show", "digits", "--each", "2", "--out", "other.png"]);
    let together = program.run(&["predict", "run", "sheet.png", "notes.txt", "other.png", "--json"]);
    assert_eq!(together.code, 2);
    assert!(together.err.contains("notes.txt"), "{}", together.err);
    let answer = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let best = &line["predictions"][0];
        (line["file"].clone(), best[0].clone(), (best[1].as_f64().expect("a share") * 1e4).round())
    };
    let alone = ["sheet.png", "other.png"].map(|file| program.succeed(&["predict", "run", file, "--json"]));
    let together: Vec<_> = together.out.lines().map(answer).collect();
    assert_eq!(together, alone.each_ref().map(|line| answer(line)));
}

#[test]
fn inspect_shows_the_same_network_for_a_config_and_its_run() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=1"]);
    let of_config = program.inspect("small.toml");
    let of_run = program.inspect("run");
    assert_eq!(of_run["layers"], of_config["layers"]);
    assert_eq!(of_config["parameters"], program.read_json("run/summary.json")["parameters"]);
    // A run's weights have a size on disk as well; float32 in memory takes as much as was foretold.
    assert_eq!(of_run["weight_bytes"], of_config["weight_bytes"]);
    assert_eq!(of_run["disk_bytes"], program.read("run/model.safetensors").len());
    assert!(of_config["disk_bytes"].is_null());
}

#[test]
fn one_seed_gives_one_network() {
    let program = Program::new();
    program.train_small("one", &["train.epochs=1"]);
    program.train_small("two", &["train.epochs=1"]);
    program.train_small("other", &["train.epochs=1", "seed=8"]);
    assert_eq!(program.read("one/model.safetensors"), program.read("two/model.safetensors"));
    assert_ne!(program.read("one/model.safetensors"), program.read("other/model.safetensors"));
}

#[test]
fn events_are_json_lines() {
    let program = Program::new();
    program.write("small.toml", crate::program::SMALL);
    let out = program.succeed(&["train", "small.toml", "--out", "run", "--json", "--set", "train.epochs=1"]);
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!(lines[0]["event"], "started");
    assert!(lines.iter().any(|line| line["event"] == "evaluated" && line["part"] == "test"));
    assert!(lines.last().is_some_and(|summary| summary["test"]["accuracy"].is_number()));
}
