//! What users read: help, lists and rendered configs, as snapshots; and how programs read us.

use crate::program::Program;

#[test]
fn help() {
    let program = Program::new();
    let commands = [
        "",
        "train",
        "evaluate",
        "predict",
        "compress",
        "measure",
        "inspect",
        "bench",
        "list",
        "config",
        "data",
        "generate",
        "embed",
        "import",
        "export",
        "verify",
        "completions",
    ];
    for command in commands {
        let mut command_line: Vec<&str> = command.split_whitespace().collect();
        command_line.push("--help");
        let name = if command.is_empty() { "help".to_owned() } else { format!("help-{command}") };
        insta::assert_snapshot!(name, program.succeed(&command_line));
    }
}

#[test]
fn list() {
    insta::assert_snapshot!(Program::new().succeed(&["list"]));
}

#[test]
fn a_rendered_config() {
    let program = Program::new();
    program.write("small.toml", crate::program::SMALL);
    insta::assert_snapshot!(program.succeed(&["config", "render", "small.toml"]));
}

#[test]
fn every_answer_is_json_where_asked() {
    let program = Program::new();
    program.write("small.toml", crate::program::SMALL);
    let commands: [&[&str]; 6] = [
        &["list", "--json"],
        &["data", "list", "--json"],
        &["config", "schema"],
        &["config", "schema", "--recipe"],
        &["config", "render", "small.toml", "--json"],
        &["inspect", "small.toml", "--json"],
    ];
    for command in commands {
        let out = program.succeed(command);
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{command:?} printed {out}");
    }
}

#[test]
fn completions_come_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(Program::new().succeed(&["completions", shell]).contains("ansatz"));
    }
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    use std::process::Stdio;
    let program = Program::new();
    let mut child = program
        .command(&["config", "schema"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
