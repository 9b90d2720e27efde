//! A run that was killed goes on exactly where it was.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::program::{Program, SMALL};

/// Starts training, kills it behind `steps` steps, goes on, and gives the weights.
pub(crate) fn killed_and_resumed(program: &Program, run: &str, steps: u64, settings: &[&str]) -> Vec<u8> {
    let mut arguments = vec!["train", "small.toml", "--out", run, "--json"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
    let mut child = program.command(&arguments).stdout(Stdio::piped()).spawn().expect("the program starts");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    for line in lines.map_while(Result::ok) {
        let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        if event["event"] == "step" && event["step"].as_u64() >= Some(steps) {
            break;
        }
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert!(!program.path(run).join("model.safetensors").exists(), "it ended before it was killed");
    program.succeed(&["train", "--resume", run, "--quiet"]);
    program.read(&format!("{run}/model.safetensors"))
}

#[test]
fn a_killed_run_ends_with_the_same_bits() {
    let program = Program::new();
    program.write("small.toml", SMALL);
    let settings = ["train.checkpoint.every_steps=4", "train.log_every=1", "train.average.decay=0.9"];
    program.train_small("whole", &settings);
    let whole = program.read("whole/model.safetensors");
    // Before the first checkpoint, between two, and in the second epoch.
    for steps in [2, 10, 25] {
        let resumed = killed_and_resumed(&program, &format!("killed-{steps}"), steps, &settings);
        assert!(resumed == whole, "the weights differ after a kill behind step {steps}");
    }
}

#[test]
fn the_log_of_a_resumed_run_holds_each_step_once() {
    let program = Program::new();
    program.write("small.toml", SMALL);
    let settings = ["train.checkpoint.every_steps=4", "train.log_every=1"];
    killed_and_resumed(&program, "run", 10, &settings);
    let log = String::from_utf8(program.read("run/metrics.jsonl")).expect("text");
    let steps: Vec<u64> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|event| event["event"] == "step")
        .filter_map(|event| event["step"].as_u64())
        .collect();
    let expected: Vec<u64> = (1..=steps.last().copied().unwrap_or(0)).collect();
    assert_eq!(steps, expected);
}
