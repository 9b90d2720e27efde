//! `ansatz bench`: it times what it is asked to, without data.

use crate::program::{Program, json};

/// Made-up bytes and a mixer whose state does not grow.
const TEXT: &str = "
title = 'made up'
data = { kind = 'text', source = { noise = 600 }, length = 8 }
backbone = { kind = 'stack', width = 8, depth = 1, positions = 'none', pattern = [{ kind = 'gated-linear-attention', heads = 2 }] }
task = { kind = 'language-model' }
[train]
batch_size = 4
";

/// The same with as many positions as a training example has tokens.
const BOUNDED: &str = "
data = { kind = 'text', source = { noise = 600 }, length = 8 }
backbone = { kind = 'stack', width = 8, depth = 1, positions = 'learned', pattern = [{ kind = 'gated-linear-attention', heads = 2 }] }
task = { kind = 'language-model' }
";

const PICTURES: &str = "
data = { kind = 'image', source = { noise = { height = 8, width = 8 } }, stem = { patches = { size = 4 } } }
backbone = { kind = 'stack', width = 8, depth = 1, pattern = [{ kind = 'attention', heads = 2 }] }
task = { kind = 'classify' }
";

fn times(program: &Program, arguments: &[&str]) -> serde_json::Value {
    json(&program.succeed(&[arguments, &["--json", "--seconds", "0"]].concat()))
}

#[test]
fn steps_and_tokens_are_timed() {
    let program = Program::new();
    program.write("text.toml", TEXT);
    let times = times(&program, &["bench", "text.toml", "--contexts", "3,300", "--tokens", "2"]);
    assert_eq!(times["step"]["examples"], 4);
    assert_eq!(times["step"]["steps"], 5);
    assert_eq!(times["step"]["parameters"], times["parameters"]);
    assert!(times["step"]["milliseconds"].as_f64().expect("a time") > 0.0);
    let tokens = times["tokens"].as_array().expect("a list");
    assert_eq!([&tokens[0]["context"], &tokens[1]["context"]], [3, 300]);
    assert_eq!(tokens[0]["state_bytes"], tokens[1]["state_bytes"]);
    let said = program.succeed(&["bench", "text.toml", "--seconds", "0", "--only", "train"]);
    assert!(
        said.contains("made up") && said.contains("training step") && !said.contains("token behind"),
        "{said}"
    );
}

#[test]
fn pictures_have_steps_alone() {
    let program = Program::new();
    program.write("pictures.toml", PICTURES);
    let times = times(&program, &["bench", "pictures.toml"]);
    assert!(times["step"]["parameters"].as_u64().expect("a number") > 0 && times["tokens"].is_null());
    let said = program.run(&["bench", "pictures.toml", "--only", "decode"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("does not write token by token"), "{}", said.err);
}

#[test]
fn a_run_decodes_with_its_weights_as_they_are() {
    let program = Program::new();
    program.write("text.toml", TEXT);
    program.succeed(&["train", "text.toml", "--quiet", "--out", "run", "--set", "train.max_steps=2"]);
    program.write("int8.toml", "step = [{ kind = 'quantize', mapping = 'affine' }]");
    program.succeed(&["compress", "run", "--recipe", "int8.toml", "--out", "small"]);
    for run in ["run", "small"] {
        let times = times(&program, &["bench", run, "--tokens", "2"]);
        assert!(times["step"].is_null() && times["parameters"].as_u64().expect("a number") > 0);
        assert_eq!(times["tokens"][0]["context"], 256, "{times}");
    }
    for (arguments, problem) in [
        (["bench", "run", "--only", "train"], "a run is not trained"),
        (["bench", "run", "--set", "seed=3"], "nothing of a run can be set"),
    ] {
        let said = program.run(&arguments);
        assert_eq!(said.code, 2);
        assert!(said.err.contains(problem) && said.err.contains("config.toml"), "{}", said.err);
    }
    program.train_small("pictures", &["train.epochs=1"]);
    let said = program.run(&["bench", "pictures"]);
    assert!(said.code == 2 && said.err.contains("ansatz measure RUN"), "{}", said.err);
}

#[test]
fn a_context_longer_than_the_positions_is_refused() {
    let program = Program::new();
    program.write("text.toml", BOUNDED);
    let said = program.run(&["bench", "text.toml", "--contexts", "4", "--tokens", "2"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("12 tokens: the network has positions for 8"), "{}", said.err);
}
