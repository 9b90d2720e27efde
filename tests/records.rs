//! Records from Parquet files, records and texts with several labels, uneven classes, and what `init` makes of them.

#[cfg(feature = "parquet")]
use crate::program::workspace;
use crate::program::{Program, json};
use crate::resume::killed_and_resumed;

/// A network and a training that are small.
#[cfg(feature = "parquet")]
const REST: &str = "
[backbone]
kind = 'stack'
width = 16
depth = 1
pattern = [{ kind = 'attention', heads = 2 }]
[task]
kind = 'classify'
[train]
epochs = 30
batch_size = 8
keep = 'last'
optimizer = { kind = 'adamw', learning_rate = 5e-3 }
";

#[cfg(feature = "parquet")]
fn fixture(program: &Program, name: &str, to: &str) {
    let bytes = std::fs::read(workspace().join("tests/tables").join(name)).expect("a fixture");
    program.write(to, bytes);
}

fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(json).collect()
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_tables_are_looked_at_trained_on_and_asked() {
    let program = Program::new();
    fixture(&program, "pandas-snappy.parquet", "plants.parquet");
    fixture(&program, "polars-zstd.parquet", "others.parquet");
    let said = program.run(&["init", "plants.parquet"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("60 records of 7 columns"), "{}", said.out);
    assert!(
        said.out.contains("texts: seen\n  numbers and categories: height, leaves, place, bought"),
        "{}",
        said.out
    );
    assert!(said.out.contains("foretold: `species`, 2 classes: fern"), "{}", said.out);
    program.succeed(&["train", "plants.toml", "--out", "run", "--quiet", "--set", "train.epochs=2"]);
    // The same rows by another writer, with another compression, are the same records.
    let answers = ["plants.parquet", "others.parquet"].map(|file| {
        let said = lines(&program.succeed(&["predict", "run", file, "--json"]));
        said.into_iter().map(|line| line["predictions"].clone()).collect::<Vec<_>>()
    });
    assert_eq!(answers[0].len(), 60);
    assert_eq!(answers[0], answers[1]);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_files_that_do_not_fit_are_named() {
    let program = Program::new();
    fixture(&program, "lists.parquet", "lists.parquet");
    program.write("broken.parquet", "PAR1 and no more PAR1");
    let config = |file: &str| {
        format!("data = {{ kind = 'table', source = {{ file = {{ path = '{file}' }} }} }}\n{REST}")
    };
    for (file, problem) in [
        ("lists.parquet", "column `heights` holds lists or records"),
        ("broken.parquet", "no Parquet file that can be read"),
    ] {
        program.write("config.toml", config(file));
        let said = program.run(&["train", "config.toml", "--out", "run"]);
        assert!(said.code == 2 && said.err.contains(problem), "{}", said.err);
        assert!(!program.path("run").exists());
    }
}

/// Rows of a number and whether two labels hold: `big`, which it tells, and `red`.
fn labelled(count: usize, row: impl Fn(usize, bool, bool) -> String) -> String {
    (0..count).map(|index| row(index * 7 % 200, index * 7 % 20 > 10, index % 3 == 0)).collect()
}

#[test]
fn any_number_of_labels_is_learned_judged_and_told() {
    let program = Program::new();
    let rows = labelled(240, |size, big, red| {
        let labels = [(big, "big"), (red, "red")].into_iter().filter(|(holds, _)| *holds);
        let labels: Vec<&str> = labels.map(|(_, label)| label).collect();
        format!("{}.5,{},{}\n", size % 20, if red { "warm" } else { "cold" }, labels.join("|"))
    });
    program.write("things.csv", format!("size,hue,tags\n{rows}"));
    let said = program.run(&["init", "things.csv"]);
    assert!(said.out.contains("foretold: `tags`, any of 2 labels: big"), "{}{}", said.out, said.err);
    program.write("more.toml", program.read("things.toml"));
    program.succeed(&["train", "things.toml", "--out", "run", "--quiet", "--set", "train.epochs=40"]);
    let summary = program.read_json("run/summary.json");
    let micro = summary["test"]["micro_f1"].as_f64().expect("an F1");
    assert!(micro > 0.9, "{}", summary["test"]);
    let interval = &summary["test"]["interval"];
    assert_eq!(interval["figure"], "micro_f1");
    assert!(
        interval["low"].as_f64() <= Some(micro) && interval["high"].as_f64() >= Some(micro),
        "{interval}"
    );
    let again = program.succeed(&["evaluate", "run", "--json", "--batch-size", "7"]);
    let again: serde_json::Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(again["values"]["micro_f1"].as_f64(), Some(micro));
    let report = String::from_utf8(program.read("run/report.html")).expect("text");
    assert!(report.contains("Average precision") && report.contains("<td>big</td>"));
    program.write("new.jsonl", "{\"size\": 18.5, \"hue\": \"cold\"}\n{\"size\": 2.5, \"hue\": \"cold\"}\n");
    let answers = lines(&program.succeed(&["predict", "run", "new.jsonl", "--json"]));
    let told = |answer: &serde_json::Value, label: &str| {
        let all = answer["predictions"].as_array().expect("answers").clone();
        assert_eq!(all.len(), 2, "every label is told: {answer}");
        let found = all.iter().find(|told| told[0] == label).expect("the label");
        found[1].as_f64().expect("a probability")
    };
    assert!(told(&answers[0], "big") > 0.5 && told(&answers[0], "red") < 0.5, "{}", answers[0]);
    assert!(told(&answers[1], "big") < 0.5 && told(&answers[1], "red") < 0.5, "{}", answers[1]);
    let weighed = ["--set", "task.class_weights=\"balanced\"", "--set", "train.max_steps=2"];
    program.succeed(&[&["train", "more.toml", "--out", "weighed", "--quiet"], &weighed[..]].concat());
    let drawn = ["train", "more.toml", "--out", "drawn", "--set", "train.sampling=\"balanced\""];
    let said = program.run(&drawn);
    assert!(said.code == 2 && said.err.contains("`train.sampling`"), "{}", said.err);
    let alike = ["train", "more.toml", "--out", "alike", "--set", "train.batches=\"by-length\""];
    let said = program.run(&alike);
    assert!(
        said.code == 2 && said.err.contains("`train.batches`: the examples are all of one length"),
        "{}",
        said.err
    );
}

#[test]
fn texts_and_fused_examples_may_have_several_labels() {
    let program = Program::new();
    let rows = labelled(120, |size, big, red| {
        let (how, hue) = (if big { "huge" } else { "tiny" }, if red { "scarlet" } else { "blue" });
        format!("a {how} thing {size} in {hue},{},{},{}\n", size % 9, u8::from(big), u8::from(red))
    });
    program.write("things.csv", format!("note,weight,is_big,is_red\n{rows}"));
    let said = program.run(&["init", "things.csv"]);
    assert!(said.code == 0 && said.out.starts_with("fused"), "{}{}", said.out, said.err);
    assert!(said.out.contains("texts: note") && said.out.contains("any of 2 labels"), "{}", said.out);
    let longer = ["--quiet", "--set", "train.epochs=40", "--set", "train.optimizer.learning_rate=1e-2"];
    program.succeed(&[&["train", "things.toml", "--out", "fused"], &longer[..]].concat());
    let summary = program.read_json("fused/summary.json");
    assert!(summary["test"]["micro_f1"].as_f64().is_some_and(|found| found > 0.9), "{}", summary["test"]);

    let rows = labelled(120, |size, big, red| {
        let (how, hue) = (if big { "huge" } else { "tiny" }, if red { "scarlet" } else { "blue" });
        let labels = [(big, "big"), (red, "red")].into_iter().filter(|(holds, _)| *holds);
        let labels: Vec<&str> = labels.map(|(_, label)| label).collect();
        format!("a {how} thing {size} in {hue},{}\n", labels.join("; "))
    });
    program.write("notes.csv", format!("note,topics\n{rows}"));
    let said = program.run(&["init", "notes.csv"]);
    assert!(said.out.contains("texts with any of 2 labels: big"), "{}{}", said.out, said.err);
    program.succeed(&[&["train", "notes.toml", "--out", "notes"], &longer[..]].concat());
    let summary = program.read_json("notes/summary.json");
    assert!(summary["test"]["micro_f1"].as_f64().is_some_and(|found| found > 0.9), "{}", summary["test"]);
    program.write("new.txt", "a tiny thing in scarlet");
    let answer = lines(&program.succeed(&["predict", "notes", "new.txt", "--json"])).remove(0);
    assert_eq!(answer["predictions"][0][0], "red", "{answer}");
}

#[test]
fn balanced_epochs_resume_to_the_bit_and_judge_all_examples_once() {
    let program = Program::new();
    program.write("small.toml", crate::program::SMALL);
    let balanced = "train.sampling=\"balanced\"";
    let settings = ["train.checkpoint.every_steps=4", "train.log_every=1", balanced];
    program.train_small("whole", &settings);
    let whole = program.read("whole/model.safetensors");
    assert!(killed_and_resumed(&program, "killed", 10, &settings) == whole, "the weights differ");
    let summary = program.read_json("whole/summary.json");
    assert_eq!(summary["test"]["examples"], 359);
    program.train_small("plain", &settings[..2]);
    assert!(program.read("plain/model.safetensors") != whole, "nothing was drawn otherwise");
}

#[test]
fn uneven_classes_are_told_and_weighed_on_request() {
    let program = Program::new();
    let row = |index: usize| {
        let rare = index.is_multiple_of(12);
        format!("{},{},{}\n", index * 7 % 20, index * 3 % 11, if rare { "rare" } else { "usual" })
    };
    let rows: String = (0..240).map(row).collect();
    program.write("mine.csv", format!("wide,far,class\n{rows}"));
    program.succeed(&["init", "mine.csv"]);
    let config = String::from_utf8(program.read("mine.toml")).expect("text");
    assert!(config.contains("has 11 times the examples"), "{config}");
    let config = config.replace("# class_weights = ", "class_weights = ");
    program.write("weighed.toml", &config);
    for (out, file, more) in
        [("plain", "mine.toml", "train.max_steps=3"), ("weighed", "weighed.toml", "train.max_steps=3")]
    {
        program.succeed(&["train", file, "--out", out, "--quiet", "--set", more]);
    }
    assert!(program.read("plain/model.safetensors") != program.read("weighed/model.safetensors"));
    let said =
        program.run(&["train", "mine.toml", "--out", "no", "--set", "task.class_weights={ each = [1.0] }"]);
    assert!(said.code == 2 && said.err.contains("1 weights for 2 classes"), "{}", said.err);
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_program_without_parquet_says_how_to_get_it() {
    let program = Program::new();
    program.write("plants.parquet", "PAR1");
    let said = program.run(&["init", "plants.parquet"]);
    assert!(said.code == 2 && said.err.contains("--features parquet"), "{}", said.err);
}
