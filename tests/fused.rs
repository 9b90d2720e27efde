//! Records, and examples of several modalities: trained, judged again, and asked about new ones from the run alone.

use crate::program::{Program, workspace};

/// What all experiments here have in common.
const TRAIN: &str = "
[train]
epochs = 30
batch_size = 8
keep = 'last'
optimizer = { kind = 'adamw', learning_rate = 5e-3 }
";

/// Leaves as they come with the workspace: picture, note and record.
fn leaves(join: &str, backbone: &str) -> String {
    let path = workspace().join("configs/fused/leaves/records.jsonl");
    format!(
        "title = 'leaves'
        task = {{ kind = 'classify' }}
        backbone = {backbone}
        [data]
        kind = 'fused'
        source = {{ file = {{ path = {path:?} }} }}
        target = {{ class = 'finding' }}
        modality_dropout = 0.1
        join = {join}
        [[data.modalities]]
        name = 'leaf'
        columns = ['picture']
        data = {{ kind = 'image', source = {{ records = {{ height = 8, width = 8 }} }} }}
        encoder = {{ kind = 'conv-pyramid', stages = [{{ widths = [8], pool = 2 }}] }}
        [[data.modalities]]
        name = 'note'
        columns = ['note']
        data = {{ kind = 'labelled-text', length = 6 }}
        [[data.modalities]]
        name = 'record'
        columns = ['soil', 'light', 'age']
        data = {{ kind = 'table' }}
        {TRAIN}"
    )
}

const ATTENTION: &str =
    "{ kind = 'stack', width = 16, depth = 1, pattern = [{ kind = 'attention', heads = 2 }] }";

fn train(program: &Program, name: &str, config: &str, settings: &[&str]) -> serde_json::Value {
    let file = format!("{name}.toml");
    program.write(&file, config);
    let mut arguments = vec!["train", &file, "--out", name, "--quiet"];
    settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
    program.succeed(&arguments);
    program.read_json(&format!("{name}/summary.json"))
}

fn predict(program: &Program, run: &str, file: &str) -> Vec<serde_json::Value> {
    let answers = program.succeed(&["predict", run, file, "--top", "1", "--json"]);
    answers.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn leaves_are_known_from_all_their_senses_and_from_some() {
    let program = Program::new();
    let summary = train(&program, "leaves", &leaves("'concat-tokens'", ATTENTION), &["seed=3"]);
    let accuracy = summary["test"]["accuracy"].as_f64().expect("a test accuracy");
    assert!(accuracy >= 0.5, "an accuracy of {accuracy}");
    let again = program.succeed(&["evaluate", "leaves", "--json", "--batch-size", "3"]);
    let again: serde_json::Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(again["values"]["accuracy"].as_f64(), Some(accuracy));
    let leaf = std::fs::read(workspace().join("configs/fused/leaves/00.png")).expect("a leaf");
    program.write("mine/a.png", leaf);
    program.write(
        "mine/new.jsonl",
        "{\"picture\": \"a.png\", \"note\": \"hangs down\", \"soil\": 4, \"light\": \"sun\", \"age\": 3}\n\
         {\"note\": \"limp\", \"soil\": null, \"light\": \"dawn\", \"age\": null}\n",
    );
    let answers = predict(&program, "leaves", "mine/new.jsonl");
    assert_eq!(answers.len(), 2);
    assert_eq!((&answers[0]["record"], &answers[1]["record"]), (&1.into(), &2.into()));
    // A file of one modality alone, and of one record.
    program.write("mine/notes.csv", "note\n\"hangs down, limp\"\n");
    let alone = predict(&program, "leaves", "mine/notes.csv");
    assert!(alone.len() == 1 && alone[0]["record"].is_null() && alone[0]["predictions"][0][0].is_string());
    assert_eq!(program.inspect("leaves.toml")["layers"], program.inspect("leaves")["layers"]);
}

#[test]
fn every_join_serves_attention_and_a_recurrent_mixer() {
    let program = Program::new();
    let recurrent =
        "{ kind = 'stack', width = 16, depth = 1, positions = 'none', pattern = [{ kind = 'gru' }] }";
    for (index, join) in
        ["'concat-features'", "'concat-tokens'", "{ cross-attention = { heads = 2 } }", "'gated'"]
            .iter()
            .enumerate()
    {
        for (mixer, backbone) in [("attention", ATTENTION), ("gru", recurrent)] {
            let name = format!("{mixer}{index}");
            let summary = train(&program, &name, &leaves(join, backbone), &["train.max_steps=3"]);
            assert!(summary["test"]["loss"].as_f64().is_some_and(f64::is_finite), "{join}, {mixer}");
        }
    }
}

#[test]
fn records_of_ones_own_get_classes_and_numbers() {
    let program = Program::new();
    let row = |index: usize| {
        let (wide, far) = (index * 7 % 20, index * 3 % 11);
        let kind = if wide > far { "wide" } else { "far" };
        let wide = if index % 17 == 5 { "NA".to_owned() } else { wide.to_string() };
        format!("{index},{wide},{far},{},{kind},{}\n", ["x", "y"][index % 2], 100 + 3 * far)
    };
    let rows: String = (0..300).map(row).collect();
    program.write("mine.csv", format!("id,wide,far,side,kind,cost\n{rows}"));
    let said = program.run(&["init", "mine.csv", "--out", "drafted.toml"]);
    assert!(said.code == 0 && said.out.contains("foretold: `cost`, a number"), "{}{}", said.out, said.err);
    assert!(said.err.contains("column `id` has another value in each record"), "{}", said.err);
    program.succeed(&["train", "drafted.toml", "--out", "drafted", "--quiet", "--set", "train.max_steps=2"]);
    let config = |target: &str, task: &str| {
        format!(
            "title = 'mine'
            task = {{ kind = '{task}' }}
            backbone = {ATTENTION}
            [data]
            kind = 'table'
            source = {{ file = {{ path = 'mine.csv' }} }}
            target = {target}
            ignore = ['id']
            {TRAIN}"
        )
    };
    let classes = train(&program, "kinds", &config("{ class = 'kind' }", "classify"), &["train.epochs=15"]);
    assert!(classes["test"]["accuracy"].as_f64().is_some_and(|found| found > 0.8), "{classes}");
    let numbers = train(&program, "costs", &config("{ number = 'cost' }", "regress"), &["train.epochs=15"]);
    assert!(numbers["test"]["r2"].as_f64().is_some_and(|found| found > 0.9), "{numbers}");
    program.write("new.jsonl", "{\"wide\": 3, \"far\": 10, \"side\": \"x\", \"kind\": \"far\"}\n");
    let answers = predict(&program, "costs", "new.jsonl");
    let cost = answers[0]["number"].as_f64().expect("a number");
    assert!((110.0..150.0).contains(&cost), "a cost of {cost}");
    let said = program.succeed(&["predict", "costs", "new.jsonl"]);
    assert!(said.starts_with("new.jsonl: 1"), "{said}");
}

#[test]
fn records_that_do_not_fit_are_named() {
    let program = Program::new();
    train(&program, "leaves", &leaves("'concat-features'", ATTENTION), &["train.max_steps=1"]);
    let refused = |name: &str, text: &str| {
        program.write(name, text);
        let said = program.run(&["predict", "leaves", name]);
        assert!(said.code == 2 && !said.err.contains("panicked"), "{name}: {}", said.err);
        said.err
    };
    assert!(refused("ragged.csv", "note,picture\na\n").contains("line 2 has 1 cells"));
    assert!(refused("absent.csv", "picture\nnowhere.png\n").contains("absent.csv, line 2"));
    assert!(refused("words.csv", "soil,light,age\nwet,sun,3\n").contains("column `soil` holds \"wet\""));
    assert!(refused("some.csv", "soil,age\n1,3\n").contains("no column `light`"));
    assert!(refused("none.csv", "weight\n1\n").contains("none of the columns that the network reads"));
    assert!(
        refused("empty.jsonl", "{\"note\": \"a\"}\n{\"note\": \"\"}\n").contains("line 2: nothing is there")
    );
    assert!(refused("list.jsonl", "{\"note\": [1]}\n").contains("line 1, column `note`"));
    program.write("broken.png", b"\x89PNG\r\n\x1a\n");
    assert!(refused("broken.csv", "picture\nbroken.png\n").contains("broken.csv, line 2"));
    let unfit = |change: (&str, &str), problem: &str| {
        program.write("unfit.toml", leaves("'concat-tokens'", ATTENTION).replace(change.0, change.1));
        let said = program.run(&["train", "unfit.toml", "--out", "unfit", "--quiet"]);
        assert!(said.code == 2 && said.err.contains(problem), "{change:?}: {}", said.err);
    };
    unfit(("kind = 'labelled-text'", "kind = 'recall'"), "does not read one modality of several");
    unfit(("['note']", "['notes']"), "did you mean `note`?");
    unfit(("height = 8", "heigth = 8"), "did you mean `height`?");
    unfit(("class = 'finding'", "number = 'finding'"), "column `finding` holds");
    unfit(("'concat-tokens'", "{ cross-attention = { heads = 3 } }"), "heads do not divide");
    unfit(("kind = 'classify'", "kind = 'regress'"), "they are no numbers");
}
