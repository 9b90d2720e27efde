//! Training that starts from another run: what is taken, what stays frozen, and what does not fit.

use std::collections::BTreeMap;

use crate::program::{Program, SMALL};

/// The tensors of a run's weights, byte for byte.
fn tensors(program: &Program, run: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = program.read(&format!("{run}/model.safetensors"));
    // The length of the header, the header, and the values.
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
    let values = &bytes[8 + length..];
    let tensors = header.as_object().expect("a table").iter().filter(|(name, _)| *name != "__metadata__");
    let place = |end: &serde_json::Value| end.as_u64().expect("a place") as usize;
    tensors
        .map(|(name, tensor)| {
            let [first, last] = [0, 1].map(|end| place(&tensor["data_offsets"][end]));
            (name.clone(), values[first..last].to_vec())
        })
        .collect()
}

/// Convolutions, whose norms keep running figures besides.
const PYRAMID: &str =
    "backbone={ kind = 'conv-pyramid', stages = [{ widths = [8], pool = 2 }, { widths = [8] }] }";

#[test]
fn frozen_parts_stay_to_the_bit_and_all_others_learn() {
    let program = Program::new();
    let stack: &[&str] = &["backbone.norm.kind=batch"];
    let pyramid: &[&str] = &[PYRAMID, "data.stem=pixels"];
    let cases =
        [("stack", stack, "backbone.blocks.0", "'stem', "), ("pyramid", pyramid, "backbone.stages.0", "")];
    for (network, settings, frozen, stem) in cases {
        let (first, second) = (format!("{network}-first"), format!("{network}-second"));
        program.train_small(&first, settings);
        let start = format!("init={{ from = '{first}', freeze = [{stem}'{frozen}'], layer_decay = 0.5 }}");
        let more = [&[start.as_str(), "seed=9", "train.average.decay=0.9"], settings].concat();
        program.train_small(&second, &more);
        let (before, after) = (tensors(&program, &first), tensors(&program, &second));
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (name, values) in &before {
            let stays = name.starts_with("stem") || name.starts_with(&format!("{frozen}."));
            assert_eq!(after[name] == *values, stays, "{network}: {name}");
        }
        let summary = program.read_json(&format!("{second}/summary.json"));
        assert_eq!(summary["init"]["taken"].as_array().map(Vec::len), Some(before.len()));
        assert!(
            summary["parameters"].as_u64()
                < program.read_json(&format!("{first}/summary.json"))["parameters"].as_u64()
        );
    }
}

#[test]
fn small_changes_are_learned_beside_matrices_and_added_to_them() {
    let program = Program::new();
    program.train_small("first", &[]);
    let lora = "init={ from = 'first', lora = { rank = 2, layers = ['backbone.blocks.1'] } }";
    let settings =
        [lora, "seed=9", "train.average.decay=0.9", "train.checkpoint.every_steps=4", "train.log_every=1"];
    program.train_small("second", &settings);
    let (before, after) = (tensors(&program, "first"), tensors(&program, "second"));
    let shapes = program.read_json("second/summary.json");
    // What has no place under `layers` stays, and so do biases and norms.
    let changed: Vec<&String> = before.keys().filter(|name| before[*name] != after[*name]).collect();
    assert!(
        changed.len() > 3 && changed.iter().all(|name| name.starts_with("backbone.blocks.1")),
        "{changed:?}"
    );
    assert!(changed.iter().all(|name| name.ends_with(".weight")), "{changed:?}");
    // Four maps of 16 values to 16 for attention, 16 to 64 and back for the MLP, two rows or columns each.
    assert_eq!(shapes["parameters"], 2 * (4 * (16 + 16) + 2 * (16 + 64)));
    let resumed = crate::resume::killed_and_resumed(&program, "killed", 10, &settings);
    assert!(resumed == program.read("second/model.safetensors"), "the weights differ");
    // A stem that does not fit is drawn, and learns as a whole.
    program.train_small("wider", &[lora, "task.pool=max", "data.stem.patches.size=2", "train.epochs=1"]);
    let after = tensors(&program, "wider");
    assert!(after["stem.projection.weight"] != before["stem.projection.weight"]);
    assert!(after["head.linear.weight"] == before["head.linear.weight"]);
}

#[test]
fn a_run_that_started_from_another_resumes_to_the_bit_without_it() {
    let program = Program::new();
    program.train_small("first", &[]);
    let settings = [
        "init={ from = 'first', freeze = ['backbone.blocks.0'], layer_decay = 0.7 }",
        "train.checkpoint.every_steps=4",
        "train.log_every=1",
        "seed=9",
    ];
    program.train_small("whole", &settings);
    let whole = program.read("whole/model.safetensors");
    let resumed = crate::resume::killed_and_resumed(&program, "killed", 10, &settings);
    assert!(resumed == whole, "the weights differ");
    let taken = |run: &str| program.read_json(&format!("{run}/summary.json"))["init"].clone();
    assert!(taken("whole").is_object() && taken("whole") == taken("killed"));
}

#[test]
fn runs_that_do_not_fit_are_named() {
    let program = Program::new();
    program.train_small("first", &["train.epochs=1"]);
    program.write("small.toml", SMALL);
    let refused = |settings: &[&str], problem: &str| {
        let mut arguments = vec!["train", "small.toml", "--out", "run"];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
        let said = program.run(&arguments);
        assert!(said.code == 2 && said.err.contains(problem), "{settings:?}: {}", said.err);
        assert!(!program.path("run").exists());
    };
    refused(&["init.from=nowhere"], "there is no such folder");
    refused(&["init.from=first", "init.freeze=['backbone.block.0']"], "did you mean `backbone.blocks.0`?");
    refused(&["init.from=first", "init.freeze=['stem', 'backbone', 'head']"], "all of the network is frozen");
    refused(&["init.from=first", "init.layer_decay=0"], "`init.layer_decay`");
    refused(&["init.from=first", "init.lora.layers=['head.linear.bias']"], "no matrix `head.linear.bias`");
    refused(&["init.freeze=['stem']"], "missing field `from`");
    refused(&["init.from=first", "backbone.width=24"], "nothing of its backbone fits");
    refused(&["init.from=first", PYRAMID, "data.stem=pixels"], "the backbone of first is `stack`");
    std::fs::remove_file(program.path("first/model.safetensors")).expect("the weights");
    refused(&["init.from=first"], "its training has not ended");
}

/// Sentences of a small language, whose words follow each other by rules.
fn language(sentences: usize) -> String {
    let sentence = |index: usize| {
        let animal = ["cat", "dog", "fox"][index % 3];
        let verb = ["sees", "hears"][index / 3 % 2];
        format!("the {animal} {verb} the {} and {verb} the {animal}. ", ["bird", "mouse"][index / 6 % 2])
    };
    (0..sentences).map(sentence).collect()
}

const MASKED: &str = "
title = 'hidden letters'
task = { kind = 'masked-language-model' }
[data]
kind = 'text'
source = { files = ['tales.txt'] }
length = 32
masking = {}
[backbone]
kind = 'stack'
width = 24
depth = 2
positions = 'sinusoidal'
pattern = [{ kind = 'short-convolution', taps = 8 }]
[train]
epochs = 20
batch_size = 16
optimizer = { kind = 'adamw', learning_rate = 5e-3 }
";

const LABELLED: &str = "
title = 'who is meant'
task = { kind = 'classify' }
init = { from = 'masked', layer_decay = 0.8 }
[data]
kind = 'labelled-text'
source = { table = { path = 'tales.csv', text = 'text', label = 'label' } }
tokenizer = { run = 'masked' }
length = 48
[backbone]
kind = 'stack'
width = 24
depth = 2
positions = 'sinusoidal'
pattern = [{ kind = 'short-convolution', taps = 8 }]
[train]
epochs = 4
batch_size = 8
optimizer = { kind = 'adamw', learning_rate = 3e-3 }
";

#[test]
fn what_was_learned_of_hidden_tokens_serves_texts_with_classes() {
    let program = Program::new();
    program.write("tales.txt", language(300));
    program.write("masked.toml", MASKED);
    program.succeed(&["train", "masked.toml", "--out", "masked", "--quiet"]);
    let test = program.read_json("masked/summary.json")["test"].clone();
    // Every hidden letter of the last tenth was asked, 0.15 of 32 letters in each window; most follow from the others.
    let letters = language(300).len() - (0.9 * language(300).len() as f64).floor() as usize;
    assert_eq!(test["examples"].as_u64(), Some(letters.div_ceil(32) as u64));
    assert!(test["tokens"].as_f64() > Some(5.0 * (letters / 32) as f64 - 1.0), "{test}");
    assert!(test["accuracy"].as_f64() > Some(0.4), "{test}");
    let said = program.run(&["generate", "masked", "--prompt", "the"]);
    assert!(said.code == 2 && said.err.contains("hidden tokens"), "{}", said.err);

    let rows: String = (0..60)
        .map(|index| {
            format!("{},the {} sees it\n", index % 2, ["cat and the bird", "bird and the dog"][index % 2])
        })
        .collect();
    program.write("tales.csv", format!("label,text\n{rows}"));
    program.write("labelled.toml", LABELLED);
    let said = program.run(&["train", "labelled.toml", "--out", "labelled"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("tensors were taken from masked; drawn anew: head.linear"), "{}", said.err);
    let summary = program.read_json("labelled/summary.json");
    assert_eq!(summary["test"]["accuracy"], 1.0);
    let taken = summary["init"]["taken"].as_array().expect("what was taken").clone();
    assert!(taken.contains(&"stem.table".into()), "{taken:?}");
    // The run stands alone.
    std::fs::remove_dir_all(program.path("masked")).expect("the first run");
    program.write("new.txt", "the bird and the dog sees it");
    let answer = program.succeed(&["predict", "labelled", "new.txt", "--top", "1", "--json"]);
    assert!(answer.contains("\"1\""), "{answer}");
}

#[test]
fn hidden_words_of_a_table_without_labels_serve_the_few_rows_of_another_that_have_one() {
    let program = Program::new();
    let rows = |count: usize, label: &dyn Fn(usize) -> String| -> String {
        let seen = ["cat and the bird", "bird and the dog"];
        (0..count).map(|index| format!("{},the {} sees it\n", label(index), seen[index % 2])).collect()
    };
    program.write("tales.csv", format!("label,text\n{}", rows(200, &|_| String::new())));
    program.write("few.csv", format!("label,text\n{}", rows(60, &|index| (index % 2).to_string())));
    let data = "kind = 'labelled-text'\nsource = { table = { path = 'tales.csv', text = 'text' } }\ntokenizer = { words = 50 }";
    let masked = MASKED.replace("kind = 'text'\nsource = { files = ['tales.txt'] }", data);
    program.write("masked.toml", &masked);
    program.succeed(&["train", "masked.toml", "--out", "masked", "--quiet"]);
    let test = program.read_json("masked/summary.json")["test"].clone();
    // Of the seven words of each text one is asked.
    assert_eq!((test["examples"].as_u64(), test["tokens"].as_f64()), (Some(40), Some(40.0)));
    assert!(test["accuracy"].as_f64() > Some(0.6), "{test}");
    program.write("new.txt", "the bird and the dog sees it");
    let said = program.run(&["predict", "masked", "new.txt"]);
    assert!(said.code == 2 && said.err.contains("hidden tokens"), "{}", said.err);

    let few = LABELLED
        .replace("'tales.csv'", "'few.csv'")
        .replace("length = 48", "length = 32\ntrain = { count = 12 }");
    program.write("labelled.toml", few);
    let said = program.run(&["train", "labelled.toml", "--out", "labelled"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("tensors were taken from masked; drawn anew: head.linear"), "{}", said.err);
    assert_eq!(program.read_json("labelled/summary.json")["test"]["examples"], 12);
    // Whoever wants classes must name them.
    program
        .write("none.toml", masked.replace("masking = {}", "").replace("masked-language-model", "classify"));
    let said = program.run(&["train", "none.toml", "--out", "none", "--quiet"]);
    assert!(said.code == 2 && said.err.contains("`data.source.table.label`"), "{}", said.err);
}

#[test]
fn other_tokens_and_tasks_that_do_not_fit_are_named() {
    let program = Program::new();
    program.write("tales.txt", language(60));
    program
        .write("tales.csv", "label,text\na,the cat\nb,the dog\n".to_owned() + &"a,cat\nb,dog\n".repeat(20));
    program.write("masked.toml", MASKED);
    program.succeed(&["train", "masked.toml", "--out", "masked", "--quiet", "--set", "train.max_steps=1"]);
    let refused = |config: &str, text: String, problem: &str| {
        program.write(config, text);
        let said = program.run(&["train", config, "--out", "run", "--quiet"]);
        assert!(said.code == 2 && said.err.contains(problem), "{}", said.err);
        assert!(!program.path("run").exists());
    };
    let other = LABELLED.replace("{ run = 'masked' }", "{ words = 50 }");
    refused("words.toml", other, "data.tokenizer = { run = \"masked\" }");
    refused("nowhere.toml", LABELLED.replace("run = 'masked'", "run = 'nowhere'"), "there is no run");
    refused("plain.toml", MASKED.replace("masking = {}", ""), "data.masking = {}");
    refused(
        "next.toml",
        MASKED.replace("masked-language-model", "language-model"),
        "`masked-language-model`",
    );
}
