//! Series with classes: from files to answers, and what files that are wrong get.

use std::fmt::Write;

use crate::program::Program;

/// Rises or falls, of lengths that vary, with a gap now and then: two channels, the second of which says nothing.
fn file(count: usize, labelled: bool) -> String {
    let mut text =
        String::from("@problemName Slopes\n@univariate false\n@dimensions 2\n@equalLength false\n");
    text += if labelled { "@classLabel true rise fall\n@data\n" } else { "@classLabel false\n@data\n" };
    for index in 0..count {
        let steps = 12 + index % 5;
        let slope = [1.0, -1.0][index % 2] * (1.0 + 0.1 * (index % 7) as f64);
        let value = |step: usize| match (index, step) {
            (3 | 8, 4) => "?".to_owned(),
            _ => format!("{:.3}", slope * step as f64 + (7 * index + 3 * step) as f64 % 4.0),
        };
        let row = |value: &dyn Fn(usize) -> String| (0..steps).map(value).collect::<Vec<_>>().join(",");
        let noise = |step: usize| format!("{}", (index * 13 + step * 5) % 9);
        write!(text, "{}:{}", row(&value), row(&noise)).expect("a string takes all");
        text += match (labelled, index % 2) {
            (false, _) => "\n",
            (true, 0) => ":rise\n",
            (true, _) => ":fall\n",
        };
    }
    text
}

/// A mixer, and a stem: steps one by one, patches of all channels, and a picture; and kernels that are not trained.
const NETWORKS: [&str; 4] = [
    "
stem = 'steps'
augment = { slice = 0.9, warp = 0.1, scaling = 0.1, jitter = 0.1 }
[backbone]
kind = 'stack'
width = 16
depth = 1
positions = 'none'
pattern = [{ kind = 'mamba', state = 4 }]
",
    "
stem = { patches = { length = 4, stride = 2, layout = 'together' } }
[backbone]
kind = 'stack'
width = 16
depth = 1
pattern = [{ kind = 'attention', heads = 2 }]
",
    "
padding = 'zeros'
stem = 'steps'
[backbone]
kind = 'tcn'
widths = [8, 8]
norm = 'batch'
causal = false
",
    "
kernels = { mini_rocket = { features = 840 }, hydra = { groups = 8 } }
[backbone]
kind = 'mlp'
",
];

fn config(network: &str) -> String {
    format!(
        "title = 'slopes'
task = {{ kind = 'classify' }}
[data]
kind = 'labelled-series'
source = {{ files = {{ train = 'Slopes_TRAIN.ts', test = 'Slopes_TEST.ts' }} }}
{network}
[train]
epochs = 12
batch_size = 8
optimizer = {{ kind = 'adamw', learning_rate = 1e-2 }}
"
    )
}

fn with_files() -> Program {
    let program = Program::new();
    program.write("Slopes_TRAIN.ts", file(60, true));
    program.write("Slopes_TEST.ts", file(31, true));
    program
}

#[test]
fn series_of_any_length_are_learned_by_any_stem_and_told_from_each_other() {
    let program = with_files();
    for (number, network) in NETWORKS.iter().enumerate() {
        let run = format!("run-{number}");
        program.write("slopes.toml", config(network));
        program.succeed(&["train", "slopes.toml", "--out", &run, "--quiet"]);
        let summary = program.read_json(&format!("{run}/summary.json"));
        assert_eq!(summary["test"]["examples"], 31);
        assert!(summary["test"]["accuracy"].as_f64() > Some(0.9), "{network}: {summary}");
    }
    // Every series of a file is answered, whatever its labels say, or without any; also those behind the first batch.
    program.write("five.ts", file(5, false));
    program.write("many.ts", file(150, false));
    for run in ["run-0", "run-3"] {
        let said =
            program.succeed(&["predict", run, "five.ts", "many.ts", "five.ts", "--top", "1", "--json"]);
        let answers: Vec<serde_json::Value> =
            said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let expected = [("five.ts", 5), ("many.ts", 150), ("five.ts", 5)];
        let expected = expected.iter().flat_map(|(file, count)| (0..*count).map(move |index| (file, index)));
        assert_eq!(answers.len(), 160);
        for (answer, (file, index)) in answers.iter().zip(expected) {
            assert_eq!(
                (&answer["file"], &answer["record"]),
                (&serde_json::json!(file), &serde_json::json!(index + 1))
            );
            if index < 5 {
                assert_eq!(answer["predictions"][0][0], ["rise", "fall"][index % 2], "{run}: {said}");
            }
        }
    }
    let sheet = ["data", "show", "slopes.toml", "--each", "3", "--out", "sheet.png"];
    assert_eq!(program.succeed(&sheet).trim(), "sheet.png");
    assert!(program.read("sheet.png").starts_with(b"\x89PNG"));
}

#[test]
fn a_training_file_becomes_a_config_that_trains() {
    let program = with_files();
    let said = program.run(&["init", "Slopes_TRAIN.ts", "--out", "slopes.toml"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("60 series of 2 classes: rise 30, fall 30"), "{}", said.out);
    assert!(said.err.contains("values are missing"), "{}", said.err);
    program.succeed(&["train", "slopes.toml", "--out", "run", "--quiet", "--set", "train.max_steps=2"]);
    assert_eq!(program.read_json("run/summary.json")["test"]["examples"], 31);
}

#[test]
fn files_that_are_wrong_are_named_with_their_line() {
    let program = with_files();
    program.write("slopes.toml", config(NETWORKS[0]));
    let refused = |test: String, problem: &str| {
        program.write("Slopes_TEST.ts", test);
        let said = program.run(&["train", "slopes.toml", "--out", "run", "--quiet"]);
        assert!(said.code == 2 && said.err.contains("Slopes_TEST.ts"), "{}", said.err);
        assert!(said.err.contains(problem) && said.err.contains("to do:"), "{}", said.err);
        assert!(!program.path("run").exists());
    };
    let whole = file(3, true);
    refused(String::new(), "no line @data");
    refused(whole.split("@data").next().unwrap_or_default().to_owned(), "no line @data");
    refused(file(0, true), "no series behind @data");
    refused(whole.clone() + "1,2,3:1,2:rise\n", "line 10 has 3 values in its first dimension and 2");
    refused(whole.clone() + "1,2:1,2:sideways\n", "line 10 has the label `sideways`");
    refused(whole.clone() + "?,?:?,?:rise\n", "line 10 has missing values alone");
    refused(whole.replace("@dimensions 2", "@dimensions 3"), "line 7 has 2 dimensions");
    refused(file(3, false), "its series have no labels");
    let known = program.run(&["data", "show", "gun-point"]);
    assert!(known.code == 2 && known.err.contains("ansatz data get gun-point"), "{}", known.err);
}
