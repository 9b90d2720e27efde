//! Architectures of pictures learn, each from one config.

use crate::program::Program;

/// Every stem, mixer and backbone for pictures, as small as it may be.
const PARTS: [(&str, &str); 5] = [
    (
        "vit",
        "data.stem = { patches = { size = 4, width = 2, class_token = true, distillation_token = true } }
         backbone = { kind = 'stack', width = 16, depth = 2, pattern = [{ kind = 'attention', heads = 2 }] }
         task = { kind = 'classify', pool = 'first', distilled = true }",
    ),
    (
        "mlp-mixer",
        "data.stem = { patches = { size = 2 } }
         backbone = { kind = 'stack', width = 16, depth = 2, pattern = [{ kind = 'token-mlp' }], positions = 'none' }
         task = { kind = 'classify' }",
    ),
    (
        "poolformer",
        "task = { kind = 'classify' }
         [backbone]
         kind = 'hierarchy'
         [[backbone.stages]]
         embedding = { kernel = 3, stride = 2, padding = 1 }
         [backbone.stages.stack]
         width = 12
         depth = 1
         pattern = [{ kind = 'average-pool' }]
         norm_over = 'example'
         layer_scale = 0.5
         [[backbone.stages]]
         embedding = { kernel = 3, stride = 2, padding = 1 }
         [backbone.stages.stack]
         width = 24
         depth = 1
         pattern = [{ kind = 'average-pool' }]
         norm_over = 'example'
         layer_scale = 0.5",
    ),
    (
        "convnext",
        "task = { kind = 'classify', norm = {} }
         [backbone]
         kind = 'hierarchy'
         [[backbone.stages]]
         [backbone.stages.stack]
         width = 12
         depth = 2
         pattern = [{ kind = 'depthwise-convolution', kernel = 3 }]
         arrangement = 'single'
         layer_scale = 0.5",
    ),
    (
        "resnet",
        "task = { kind = 'classify' }
         [backbone]
         kind = 'resnet'
         stem = 8
         stages = [16, 32]
         depths = [1, 2]
         block = 'bottleneck'
         first_stride = 2
         activation = 'silu'",
    ),
];

fn config(parts: &str) -> String {
    format!(
        "title = 'pictures'
         seed = 7
         data.kind = 'image'
         data.source = 'digits'
         train.epochs = 3
         train.batch_size = 32
         train.optimizer = {{ kind = 'adamw', learning_rate = 5e-3 }}
         {parts}"
    )
}

#[test]
fn networks_for_pictures_learn_digits() {
    let program = Program::new();
    for (name, parts) in PARTS {
        let file = format!("{name}.toml");
        program.write(&file, config(parts));
        program.succeed(&["train", &file, "--out", name]);
        let summary = program.read_json(&format!("{name}/summary.json"));
        let accuracy = summary["test"]["accuracy"].as_f64().expect("a test accuracy");
        assert!(accuracy > 0.6, "{name}: accuracy {accuracy}");
        let inspection = program.succeed(&["inspect", name, "--json"]);
        let inspection: serde_json::Value = serde_json::from_str(&inspection).expect("JSON");
        assert_eq!(inspection["parameters"], summary["parameters"], "{name}");
        let again = program.succeed(&["evaluate", name, "--json"]);
        let again: serde_json::Value = serde_json::from_str(&again).expect("JSON");
        assert_eq!(again["values"]["accuracy"].as_f64(), Some(accuracy), "{name}");
    }
}

#[test]
fn a_mixer_over_pictures_refuses_a_row() {
    let program = Program::new();
    for (stem, backbone) in [
        (
            "{ patches = { class_token = true } }",
            "{ kind = 'stack', width = 16, pattern = [{ kind = 'average-pool' }] }",
        ),
        ("{ patches = { class_token = true } }", "{ kind = 'hierarchy' }"),
    ] {
        let parts = format!("data.stem = {stem}\nbackbone = {backbone}\ntask = {{ kind = 'classify' }}");
        program.write("row.toml", config(&parts));
        let said = program.run(&["train", "row.toml", "--out", "run"]);
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(said.err.contains("its input is a row of 5 tokens"), "{}", said.err);
    }
}
