//! Pretraining on patches that are hidden, and what it serves.

use crate::program::{Program, workspace};

const TRAIN: &str = "
task = { kind = 'masked-patches' }
[train]
epochs = 2
batch_size = 32
optimizer = { kind = 'adamw', learning_rate = 5e-3 }
";

/// Every way in which a picture or a series becomes tokens, with backbones that keep them and that make them fewer.
const NETWORKS: [(&str, &str); 9] = [
    (
        "{ kind = 'image', masking = { size = 2 }, stem = { patches = { size = 2 } } }",
        "{ kind = 'stack', width = 16, depth = 1, pattern = [{ kind = 'scans', mixer = { kind = 'mamba', state = 4 }, orders = ['forward', 'down'] }] }",
    ),
    (
        "{ kind = 'image', masking = { size = 2, share = 0.3 }, stem = { patches = { size = 4, class_token = true, distillation_token = true } } }",
        "{ kind = 'stack', width = 16, depth = 1, pattern = [{ kind = 'attention', heads = 2 }] }",
    ),
    (
        "{ kind = 'image', masking = { size = 2 } }",
        "{ kind = 'conv-pyramid', stages = [{ widths = [8], pool = 2 }, { widths = [8] }] }",
    ),
    (
        "{ kind = 'series', source = { waves = 300 }, length = 24, masking = { length = 4 }, instance_norm = 'standard', stem = { patches = { length = 8, stride = 8 } } }",
        "{ kind = 'stack', width = 16, depth = 1, pattern = [{ kind = 'attention', heads = 2 }] }",
    ),
    (
        "{ kind = 'series', source = { waves = 300 }, length = 24, masking = { length = 4 }, stem = { patches = { length = 8, stride = 8, layout = 'grid' } } }",
        "{ kind = 'stack', width = 16, depth = 1, pattern = [{ kind = 'attention', heads = 2 }] }",
    ),
    (
        "{ kind = 'series', source = { waves = 300 }, length = 24, masking = { length = 4 }, instance_norm = 'last', stem = 'channels' }",
        "{ kind = 'stack', width = 16, depth = 1, pattern = [{ kind = 'attention', heads = 2 }] }",
    ),
    (
        "{ kind = 'series', source = { waves = 300 }, length = 24, masking = { length = 4, together = true }, stem = 'steps' }",
        "{ kind = 'stack', width = 16, depth = 1, pattern = [{ kind = 'lstm' }] }",
    ),
    (
        "{ kind = 'labelled-series', source = { files = { train = 'slopes.ts' } }, masking = { length = 3 }, stem = 'steps' }",
        "{ kind = 'tcn', widths = [8, 8], causal = false }",
    ),
    (
        "{ kind = 'labelled-series', source = { files = { train = 'slopes.ts' } }, masking = { length = 3 }, stem = { patches = { length = 4, stride = 4, layout = 'together', class_token = true } } }",
        "{ kind = 'stack', width = 16, depth = 1, pattern = [{ kind = 'attention', heads = 2 }] }",
    ),
];

/// Slopes without a class, of 9 up to 16 steps, with gaps.
fn slopes() -> String {
    let row = |index: usize| -> String {
        let value = |step: usize| match step {
            4 if index.is_multiple_of(5) => "?".to_owned(),
            _ => (step * (index % 4)).to_string(),
        };
        (0..16 - index % 8).map(value).collect::<Vec<_>>().join(",") + "\n"
    };
    "@equalLength false\n@classLabel false\n@data\n".to_owned() + &(0..40).map(row).collect::<String>()
}

#[test]
fn every_way_to_tokens_tells_hidden_patches() {
    let program = Program::new();
    program.write("slopes.ts", slopes());
    for (number, (data, backbone)) in NETWORKS.into_iter().enumerate() {
        let config = format!("title = 'hidden'\ndata = {data}\nbackbone = {backbone}\n{TRAIN}");
        program.write("hidden.toml", config);
        let run = format!("run{number}");
        program.succeed(&["train", "hidden.toml", "--out", &run, "--quiet"]);
        let test = program.read_json(&format!("{run}/summary.json"))["test"].clone();
        assert!(test["mse"].as_f64().is_some_and(|mse| mse > 0.0 && mse < 3.0), "{data}: {test}");
        // What is hidden of the test part is always the same.
        let again = program.succeed(&["evaluate", &run, "--json"]);
        let again: serde_json::Value = serde_json::from_str(&again).expect("JSON");
        assert_eq!(again["values"]["mse"], test["mse"], "{again}");
    }
}

const CLASSIFY: &str = "
title = 'digits from hidden patches'
data = { kind = 'image', stem = { patches = { size = 2 } }, train = { count = 100 } }
backbone = { kind = 'stack', width = 16, depth = 1, pattern = [{ kind = 'scans', mixer = { kind = 'mamba', state = 4 }, orders = ['forward', 'down'] }] }
task = { kind = 'classify' }
init = { from = 'hidden' }
[train]
epochs = 2
batch_size = 20
optimizer = { kind = 'adamw', learning_rate = 5e-3 }
";

#[test]
fn what_was_learned_of_hidden_patches_serves_few_pictures_with_classes() {
    let program = Program::new();
    let (data, backbone) = NETWORKS[0];
    program.write("hidden.toml", format!("title = 'hidden'\ndata = {data}\nbackbone = {backbone}\n{TRAIN}"));
    program.succeed(&["train", "hidden.toml", "--out", "hidden", "--quiet"]);
    program.write("classify.toml", CLASSIFY);
    let said = program.run(&["train", "classify.toml", "--out", "classify"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("drawn anew: head."), "{}", said.err);
    let summary = program.read_json("classify/summary.json");
    let taken = summary["init"]["taken"].as_array().expect("what was taken");
    assert!(taken.contains(&"stem.projection.weight".into()), "{taken:?}");
    let said = program.run(&["predict", "hidden", "hidden.toml"]);
    assert!(said.code == 2 && said.err.contains("hidden patches"), "{}", said.err);
}

#[test]
fn pictures_and_series_without_classes_are_enough() {
    let program = Program::new();
    let (data, backbone) = NETWORKS[2];
    for index in 0..12 {
        let leaf = workspace().join(format!("configs/fused/leaves/{index:02}.png"));
        program.write(&format!("scans/{index}.png"), std::fs::read(leaf).expect("a leaf"));
    }
    let folder = "source = { folder = { path = 'scans', height = 8, width = 8, channels = 1 } }, kind";
    let data = data.replace("kind", folder);
    let config = |data: &str| format!("title = 'scans'\ndata = {data}\nbackbone = {backbone}\n{TRAIN}");
    program.write("scans.toml", config(&data));
    program.succeed(&["train", "scans.toml", "--out", "scans-run", "--quiet"]);
    program.write("labelled.toml", config(&data.replace("masking = { size = 2 }", "mirror = false")));
    let said = program.run(&["train", "labelled.toml", "--out", "none", "--quiet"]);
    assert!(said.code == 2 && said.err.contains("a folder of pictures per class"), "{}", said.err);
}

#[test]
fn what_does_not_fit_is_named() {
    let program = Program::new();
    let refused = |data: &str, backbone: &str, task: &str, problem: &str| {
        let train = TRAIN.replace("masked-patches", task);
        program
            .write("hidden.toml", format!("title = 'hidden'\ndata = {data}\nbackbone = {backbone}\n{train}"));
        let said = program.run(&["train", "hidden.toml", "--out", "run", "--quiet"]);
        assert!(said.code == 2 && said.err.contains(problem), "{}", said.err);
        assert!(!program.path("run").exists());
    };
    let stack = NETWORKS[1].1;
    refused("{ kind = 'image' }", stack, "masked-patches", "data.masking = {}");
    refused("{ kind = 'image', masking = {} }", stack, "classify", "`masked-patches`");
    refused("{ kind = 'image', masking = { size = 8 } }", stack, "masked-patches", "`data.masking.size`");
    refused("{ kind = 'image', masking = {}, mirror = true }", stack, "masked-patches", "`data.mirror`");
    let waves = "kind = 'series', source = { waves = 300 }, length = 24";
    let overlapping =
        format!("{{ {waves}, masking = {{}}, stem = {{ patches = {{ length = 8, stride = 4 }} }} }}");
    refused(&overlapping, stack, "masked-patches", "2×5 do not divide 2×24 values");
    refused(&format!("{{ {waves}, masking = {{}} }}"), stack, "forecast", "`masked-patches`");
    refused(
        &format!("{{ {waves}, masking = {{ length = 24 }} }}"),
        stack,
        "masked-patches",
        "`data.masking.length`",
    );
}
