//! From a network to another one by its insides and across architectures, and recipes that ask of each layer what it can
//! spare.

use crate::program::{Program, SMALL, json};

/// The bytes of a tensor in a file of weights: the length of the heading, the heading, and the tensors.
fn tensor(file: &[u8], name: &str) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk().expect("a length");
    let (heading, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let heading = json(std::str::from_utf8(heading).expect("text"));
    let place = |end: usize| heading[name]["data_offsets"][end].as_u64().expect("a place") as usize;
    tensors[place(0)..place(1)].to_vec()
}

/// The small experiment with another mixer.
fn student(program: &Program, name: &str, mixer: &str) {
    program.write(name, SMALL.replace("kind = 'attention', heads = 2", mixer));
}

#[test]
fn attention_teaches_a_recurrence_in_stages_that_stop_and_go_on() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=4"]);
    student(&program, "mamba.toml", "kind = 'mamba-2', heads = 2, state = 8");
    let recipe = "[[step]]\nkind = 'distill'\nstudent = 'mamba.toml'\nstart = 'teacher'\nstages = [\n\
        { steps = 12, outputs = 0.0, influence = { inputs = 'teacher' } },\n\
        { steps = 12, outputs = 0.0, hidden = { inputs = 'teacher' } },\n\
        { steps = 30, hidden = { weight = 0.5, layers = [[1, 1]] } },\n]\n";
    program.write("recipe.toml", recipe);
    let said =
        json(&program.succeed(&["compress", "run", "--recipe", "recipe.toml", "--out", "small", "--json"]));
    let stages = said["stages"].as_array().expect("stages");
    assert_eq!(stages.len(), 4, "{said}");
    let quality = |stage: usize| stages[stage]["quality"].as_f64().expect("a figure");
    assert!(quality(3) > quality(1) && quality(3) > 0.3, "{said}");

    // What the two have in common was taken; what mixes tokens was drawn.
    let init = program.read_json("small/steps/1/summary.json")["init"].clone();
    let names = |key: &str| -> Vec<String> {
        let names = init[key].as_array().expect("names").iter();
        names.map(|name| name.as_str().expect("a name").to_owned()).collect()
    };
    assert!(names("taken").iter().any(|name| name.starts_with("backbone.blocks.1.channel.")), "{init}");
    assert!(names("fresh").iter().all(|name| name.contains(".mixer.")), "{init}");
    // With the teacher's tokens every block learns by itself, and what stands before and behind them does not.
    let head = |run: &str| tensor(&program.read(&format!("{run}/model.safetensors")), "head.linear.weight");
    assert_eq!(head("small/steps/2"), head("run"));
    assert_ne!(head("small/steps/3"), head("run"));
    program.succeed(&["evaluate", "small"]);

    // As if it had been stopped behind the first stage.
    std::fs::remove_file(program.path("small/config.toml")).expect("the config");
    let mut standing = program.read_json("small/compression.json");
    standing["stages"].as_array_mut().expect("stages").truncate(2);
    program.write("small/compression.json", standing.to_string());
    for step in ["2", "3"] {
        std::fs::remove_dir_all(program.path(&format!("small/steps/{step}"))).expect("a step");
    }
    let before = program.read("small/model.safetensors");
    program.succeed(&["compress", "--resume", "small", "--quiet"]);
    assert!(program.read("small/model.safetensors") == before, "weights differ");
}

#[test]
fn insides_that_do_not_fit_are_refused_before_any_work() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=1"]);
    student(&program, "heads.toml", "kind = 'mamba-2', heads = 4, state = 8");
    student(&program, "lstm.toml", "kind = 'lstm'");
    program.write("narrow.toml", SMALL.replace("width = 16", "width = 8"));
    program.write(
        "pyramid.toml",
        SMALL
            .replace("kind = 'stack', width = 16, depth = 2, dropout = 0.1, pattern = [{ kind = 'attention', heads = 2 }]", "kind = 'conv-pyramid', stages = [{ widths = [4] }]")
            .replace("stem = { patches = { size = 4 } }", "stem = 'pixels'"),
    );
    for (student, lessons, problem) in [
        ("heads", "influence = {}", "in 4 heads"),
        ("lstm", "influence = {}", "does not say how it mixes tokens"),
        ("narrow", "hidden = { inputs = 'teacher' }", "takes tokens of 8 values"),
        ("narrow", "hidden = { layers = [[0, 2]] }", "the teacher has no block 2"),
        ("narrow", "hidden = { layers = [[0, 1], [0, 0]] }", "has two teachers"),
        ("narrow", "hidden = { layer = [[0, 1]] }", "did you mean `layers`"),
        ("narrow", "outputs = 0.0", "nothing to learn from"),
        ("pyramid", "hidden = {}", "gives 64 tokens"),
    ] {
        program.write(
            "bad.toml",
            format!("[[step]]\nkind = 'distill'\nstudent = '{student}.toml'\n{lessons}\n"),
        );
        let said = program.run(&["compress", "run", "--recipe", "bad.toml", "--out", "out", "--quiet"]);
        assert_eq!(said.code, 2, "{student}, {lessons} said\n{}\n{}", said.out, said.err);
        assert!(said.err.contains(problem), "{student}, {lessons}: {}", said.err);
        assert!(!program.path("out").exists(), "{student}, {lessons} left something behind");
    }
    // Where widths differ, learned maps stand between.
    program.write("fine.toml", "[[step]]\nkind = 'distill'\nstudent = 'narrow.toml'\nhidden = {}\n");
    program.succeed(&["compress", "run", "--recipe", "fine.toml", "--out", "taught", "--quiet"]);
    program.succeed(&["evaluate", "taught"]);
}

#[test]
fn layers_give_what_they_can_spare() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=8"]);
    let rank = |file: &str, budget: &str| {
        program.run(&["compress", "run", "--sensitivity", "--write", file, "--budget", budget, "--json"])
    };
    let said = rank("mixed.toml", "0.6");
    assert_eq!(said.code, 0, "{}", said.err);
    let found = json(&said.out);
    let recipe = String::from_utf8(program.read("mixed.toml")).expect("text");
    assert!(recipe.starts_with("# Made for run by"), "{recipe}");
    let spared = found["mixed"]["spared"].as_array().expect("layers");
    let mut given = 0;
    for step in found["mixed"]["recipe"]["step"].as_array().expect("steps") {
        for layer in step["only"].as_array().expect("layers") {
            assert!(!spared.contains(layer), "{layer}");
            given += 1;
        }
    }
    let layers: std::collections::BTreeSet<&str> = found["losses"]
        .as_array()
        .expect("losses")
        .iter()
        .filter_map(|loss| loss["layer"].as_str())
        .collect();
    assert_eq!(given + spared.len(), layers.len(), "{found}");

    // The recipe is one like any other, and gives what was foretold.
    let small =
        json(&program.succeed(&["compress", "run", "--recipe", "mixed.toml", "--out", "small", "--json"]));
    let stages = small["stages"].as_array().expect("stages");
    assert!(stages[stages.len() - 1]["bytes"].as_u64() < stages[0]["bytes"].as_u64(), "{small}");
    let judged = json(&program.succeed(&["evaluate", "small", "--part", "validation", "--json"]));
    assert_eq!(judged["values"]["accuracy"], found["mixed"]["quality"]);

    // Nobody's file is written over, and a budget is a number.
    let said = rank("mixed.toml", "0.6");
    assert!(said.code == 2 && said.err.contains("there is such a file already"), "{}", said.err);
    assert_eq!(program.read("mixed.toml"), recipe.as_bytes());
    let said = rank("other.toml", "nan");
    assert!(said.code == 2 && said.err.contains("a number of at least 0"), "{}", said.err);
    assert!(!program.path("other.toml").exists());
}
