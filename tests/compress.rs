//! From a trained run to smaller ones: every recipe that comes with the workspace, stopping and going on, and what does
//! not fit.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::program::{Program, json, workspace};

const RECIPES: [&str; 19] = [
    "int8",
    "int8-static",
    "int4",
    "int3",
    "gptq-int4",
    "gptq-int3",
    "gptq-int3-affine",
    "qat-int3",
    "prune-80",
    "magnitude-50",
    "gradual-90",
    "prune-2-4",
    "half-flops",
    "wanda-50",
    "wanda-2-4",
    "sparse-gpt-50",
    "sparse-gpt-2-4",
    "distill",
    "chain",
];

fn recipe(name: &str) -> String {
    workspace().join(format!("configs/compress/{name}.toml")).display().to_string()
}

/// All files of the run, with their bytes.
fn files(program: &Program, run: &str) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(program.path(run)).expect("a run");
    let names = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    let mut files: Vec<_> =
        names.map(|path| (path.display().to_string(), std::fs::read(&path).expect("a file"))).collect();
    files.sort();
    files
}

#[test]
fn every_recipe_gives_a_smaller_run_that_is_used_like_any_other() {
    let program = Program::new();
    // Long enough to have something to lose.
    program.train_small("run", &["train.epochs=25"]);
    let before = files(&program, "run");
    program.succeed(&["data", "show", "digits", "--each", "1", "--out", "sheet.png"]);
    let mut sizes = std::collections::BTreeMap::new();
    for name in RECIPES {
        let recipe = recipe(name);
        let mut arguments = vec!["compress", "run", "--recipe", &recipe, "--out", name, "--json"];
        if name == "distill" {
            // Of a network this small a tenth of the weights tells digits by chance, taught or not.
            arguments.extend(["--set", "step[0].pattern.unstructured.ratio=0.7"]);
        }
        let said = program.succeed(&arguments);
        let said = json(&said);
        assert_eq!(said["finished"], true, "{name}");
        let stages = said["stages"].as_array().expect("stages").clone();
        let figure = |stage: &serde_json::Value, key: &str| stage[key].as_f64().unwrap_or(f64::NAN);
        for stage in &stages {
            for key in ["quality", "bytes", "parameters", "non_zeros", "flops", "examples_per_second"] {
                assert!(figure(stage, key) > 0.0, "{name}: {stage}");
            }
            for latency in stage["latency"].as_array().expect("times") {
                assert!(figure(latency, "calls") >= 60.0, "{latency}");
                assert!(figure(latency, "percentile_95") >= figure(latency, "median"), "{latency}");
            }
        }
        let (first, last) = (&stages[0], &stages[stages.len() - 1]);
        assert!(figure(last, "bytes") < 0.75 * figure(first, "bytes"), "{name}: {last}");
        // A network this small has little to spare: rounding to 8 bits costs next to nothing, and training behind
        // pruning mends some of it.
        match name {
            "int8" | "int8-static" => {
                let lost = figure(first, "quality") - figure(last, "quality");
                assert!(lost.abs() < 0.03, "{name}: {first} {last}");
            }
            // What training saw is what quantizing leaves; that inputs become bytes is new to it.
            "qat-int3" => {
                let lost = figure(&stages[1], "quality") - figure(last, "quality");
                assert!(lost.abs() < 0.02, "{name}: {stages:?}");
            }
            "gradual-90" => {}
            _ if stages.len() == 2 => {}
            _ => assert!(figure(&stages[2], "quality") > figure(&stages[1], "quality"), "{name}: {stages:?}"),
        }
        sizes.insert(name, figure(last, "bytes"));

        // What the figures say is what the folder gives, step by step and at the end.
        let folders = (1..stages.len()).map(|step| format!("{name}/steps/{step}")).chain([name.to_owned()]);
        for (folder, stage) in folders.zip(stages[1..].iter().chain([last])) {
            let judged = json(&program.succeed(&["evaluate", &folder, "--json", "--batch-size", "64"]));
            assert_eq!(judged["values"]["accuracy"], stage["quality"], "{folder}");
            program.succeed(&["predict", &folder, "sheet.png", "--json"]);
            let held = program.inspect(&folder);
            assert_eq!(held["disk_bytes"], stage["bytes"], "{folder}");
            assert_eq!(held["flops"], stage["flops"], "{folder}");
            let in_memory = figure(&held, "weight_bytes") / (4.0 * figure(&held, "parameters"));
            let most = if name.starts_with("int") { 0.5 } else { 1.0 };
            assert!(in_memory <= most, "{folder}: {in_memory} of float32");
        }
        let summary = program.read_json(&format!("{name}/summary.json"));
        assert_eq!(summary["compression"].as_array().expect("stages").len(), stages.len());
        assert!(program.path(name).join("report.html").is_file());
    }
    assert!(sizes["int3"] < sizes["int4"] && sizes["int4"] < sizes["int8"], "{sizes:?}");
    assert!(sizes["chain"] < sizes["prune-80"], "{sizes:?}");
    assert_eq!(files(&program, "run"), before, "the original was changed");
}

#[test]
fn texts_as_terms_become_smaller_too() {
    let program = Program::new();
    let line = |index: usize| {
        let (topic, word) = [("sea", "tide"), ("sky", "cloud"), ("wood", "moss")][index % 3];
        format!("{topic},a {word} of number {} and {} again\n", index % 40, index * index % 50)
    };
    let lines: String = (0..900).map(line).collect();
    program.write("texts.csv", format!("label,text\n{lines}"));
    program.write(
        "texts.toml",
        r#"
        [data]
        kind = "labelled-text"
        source = { table = { path = "texts.csv", text = "text", label = "label" } }
        terms = { grams = 2 }
        [backbone]
        kind = "mlp"
        [task]
        kind = "classify"
        [train]
        epochs = 10
        batch_size = 32
        optimizer = { kind = "adamw", learning_rate = 2e-2 }
        "#,
    );
    program.succeed(&["train", "texts.toml", "--out", "run", "--quiet"]);
    for (name, smaller) in [("int8", 3.0), ("int4", 4.0), ("gptq-int3-affine", 4.0), ("magnitude-50", 1.4)] {
        let said =
            json(&program.succeed(&["compress", "run", "--recipe", &recipe(name), "--out", name, "--json"]));
        let [first, last] = [0, 1].map(|stage| {
            ["bytes", "quality"].map(|figure| said["stages"][stage][figure].as_f64().expect("a figure"))
        });
        assert!(first[0] > smaller * last[0], "{name}: {first:?} {last:?}");
        assert!(last[1] > 0.95, "{name}: {first:?} {last:?}");
        program.write("new.txt", "a tide of number 3 and 9 again");
        assert!(program.succeed(&["predict", name, "new.txt"]).contains("sea"), "{name}");
    }
}

#[test]
fn pruned_weights_stay_zero_through_every_later_step() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=1"]);
    let said =
        program.succeed(&["compress", "run", "--recipe", &recipe("chain"), "--out", "small", "--json"]);
    let stages = json(&said)["stages"].as_array().expect("stages").clone();
    let non_zeros: Vec<u64> =
        stages.iter().map(|stage| stage["non_zeros"].as_u64().expect("a count")).collect();
    assert!(non_zeros[1] * 2 < non_zeros[0], "{non_zeros:?}");
    assert_eq!(non_zeros[2], non_zeros[1], "fine-tuning brought weights back");
    assert!(non_zeros[3] <= non_zeros[2], "quantizing brought weights back");
    let masks = |step: &str| program.read(&format!("small/{step}masks.safetensors"));
    assert_eq!(masks("steps/1/"), masks("steps/2/"));
    assert_eq!(masks("steps/1/"), masks(""));
}

#[test]
fn a_killed_chain_goes_on_and_ends_with_the_same_bits() {
    let program = Program::new();
    let settings = ["train.epochs=1", "train.log_every=1", "train.checkpoint.every_steps=4"];
    program.train_small("run", &settings);
    let arguments = |out: &'static str| ["compress", "run", "--recipe", "chain.toml", "--out", out];
    program.write("chain.toml", std::fs::read(recipe("chain")).expect("a recipe"));
    program.succeed(&arguments("whole"));
    let mut child = program
        .command(&arguments("killed"))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("its messages")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("step 2 of 3: fine-tune")), "it never came to step 2");
    // What is trained, the heading, and the first of three epochs.
    assert_eq!(lines.by_ref().take(3).count(), 3);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    assert!(!program.path("killed/config.toml").exists(), "it ended before it was killed");
    let first = program.read("killed/compression.json");
    let said = json(&program.succeed(&["compress", "--resume", "killed", "--json"]));
    assert_eq!(said["finished"], true);
    let measured = json(std::str::from_utf8(&first).expect("text"))["stages"].clone();
    assert_eq!(said["stages"][0], measured[0], "the original was measured again");
    assert_eq!(said["stages"][1], measured[1], "the first step was done again");
    assert!(
        program.read("killed/model.safetensors") == program.read("whole/model.safetensors"),
        "weights differ"
    );
}

#[test]
fn weights_that_learn_to_be_rounded_beat_weights_that_are_rounded() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=25"]);
    let quantize = "[[step]]\nkind = 'quantize'\nbits = 2\n";
    program.write("rounded.toml", quantize);
    let learned = "[[step]]\nkind = 'fine-tune'\ntrain = { epochs = 10, average = { decay = 0.9 }, \
                   fake_quantization = { bits = 2, activations = true } }\n";
    program.write("learned.toml", format!("{learned}{quantize}"));
    let quality = |name: &str| {
        let recipe = format!("{name}.toml");
        let said = json(&program.succeed(&["compress", "run", "--recipe", &recipe, "--out", name, "--json"]));
        let stages = said["stages"].as_array().expect("stages");
        stages.last().expect("a stage")["quality"].as_f64().expect("a figure")
    };
    let (rounded, learned) = (quality("rounded"), quality("learned"));
    assert!(learned > rounded + 0.1, "{learned} {rounded}");
}

#[test]
fn a_student_of_another_architecture_takes_the_place_of_the_run() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=4"]);
    program.write(
        "student.toml",
        crate::program::SMALL.replace("width = 16, depth = 2", "width = 8, depth = 1"),
    );
    program.write(
        "recipe.toml",
        "[[step]]\nkind = 'distill'\nstudent = 'student.toml'\n[[step]]\nkind = 'quantize'\n",
    );
    let said =
        json(&program.succeed(&["compress", "run", "--recipe", "recipe.toml", "--out", "small", "--json"]));
    let parameters = |stage: usize| said["stages"][stage]["parameters"].as_u64().expect("a count");
    assert!(parameters(1) * 2 < parameters(0), "{said}");
    assert_eq!(parameters(2), parameters(1));
    program.succeed(&["evaluate", "small"]);
}

/// The message of a recipe that must be refused before anything is written.
fn refused(program: &Program, text: &str) -> String {
    program.write("bad.toml", text);
    let said = program.run(&["compress", "run", "--recipe", "bad.toml", "--out", "out", "--quiet"]);
    assert_eq!(said.code, 2, "{text} said\n{}\n{}", said.out, said.err);
    assert!(!said.err.contains("panicked"), "{text}: {}", said.err);
    assert_eq!(said.err.lines().filter(|line| line.starts_with("error:")).count(), 1, "{}", said.err);
    assert!(!program.path("out").exists(), "{text} left something behind");
    said.err
}

#[test]
fn recipes_that_do_not_fit_are_refused_before_any_work() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=1"]);
    program.train_small("wide", &["train.epochs=1", "data.stem.patches.size=2"]);
    let before = files(&program, "run");
    let good = "[[step]]\nkind = 'prune'\n";
    for (text, problem) in [
        ("", "the recipe has no steps"),
        ("[[step]]\nkind = 'squeeze'", "unknown step `squeeze`"),
        ("[[step]]\nkind = 'shrink'\nflops = 0.001", "with every width at its least"),
        (
            "[[step]]\nkind = 'shrink'\nwidths = [{ key = 'backbone.widht', keep = 0.5 }]",
            "did you mean `width`",
        ),
        (
            "[[step]]\nkind = 'shrink'\nwidths = [{ key = 'backbone.width', keep = 1 }]",
            "keep`: 1 is out of range",
        ),
        ("[[step]]\nkind = 'quantize'\n[[step]]\nkind = 'shrink'\nflops = 0.5", "behind all that shrink"),
        ("[[step]]\nkind = 'fine-tune'\ntrain = { prune = { ratio = 1 } }", "step[0].train.prune.ratio"),
        ("[[step]]\nkind = 'prune'\npattern = { unstructured = { ratio = 1.0 } }", "above 0 and below 1"),
        ("[[step]]\nkind = 'prune'\nonly = ['backbon']", "did you mean `backbone`"),
        ("[[step]]\nkind = 'prune'\npattern = { n-of-m = { keep = 3, of = 7 } }", "no multiple of 7"),
        ("[[step]]\nkind = 'quantize'\nbits = 9", "a whole number from 2 to 8"),
        ("[[step]]\nkind = 'quantize'\nscales = { group = { size = 7 } }", "no multiple of 7"),
        ("[[step]]\nkind = 'quantize'\nexcept = ['layer']", "no such layer"),
        ("[[step]]\nkind = 'quantize'\ncalibration = { examples = 8 }", "sees no examples"),
        ("[[step]]\nkind = 'quantize'\nmethod = 'gptq'\ncalibration = { examples = 0 }", "nonzero"),
        ("[[step]]\nkind = 'prune'\ncriterion = 'wanda'", "scope = \"output\""),
        ("[[step]]\nkind = 'fine-tune'\ntrain = { epoch = 2 }", "step[0].train.epoch"),
        ("[[step]]\nkind = 'fine-tune'\ntrain = { epochs = 0 }", "step[0].train.epochs"),
        (
            "[[step]]\nkind = 'fine-tune'\ntrain = { fake_quantization = { bits = 9 } }",
            "step[0].train.fake_quantization.bits",
        ),
        (
            "[[step]]\nkind = 'fine-tune'\ntrain = { fake_quantization = { except = ['haed'] } }",
            "train.fake_quantization.except[0]",
        ),
        ("[[step]]\nkind = 'quantize'\n[[step]]\nkind = 'fine-tune'", "would undo it"),
        ("[[step]]\nkind = 'distill'\ntemperature = 0.0", "teacher.temperature"),
        ("[[step]]\nkind = 'distill'\nteacher = 'nobody'", "no such folder"),
        ("[[step]]\nkind = 'distill'\nstudent = 'nobody.toml'", "no such file"),
    ] {
        let message = refused(&program, text);
        assert!(message.contains(problem), "{text}: {message}");
        if !text.is_empty() {
            // Behind a step that is fine, so that work would have begun.
            let message = refused(&program, &format!("{good}{text}"));
            let moved = problem.replace("step[0]", "step[1]");
            assert!(message.contains(&moved), "{text}: {message}");
        }
    }
    assert_eq!(files(&program, "run"), before);
    // A run of another stem on the same data is a teacher; weights of it are not ours.
    program.write("fine.toml", "[[step]]\nkind = 'distill'\nteacher = 'wide'\ntrain = { epochs = 1 }");
    program.succeed(&["compress", "run", "--recipe", "fine.toml", "--out", "taught", "--quiet"]);
}

#[test]
fn a_teacher_with_other_answers_is_refused() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=1"]);
    program.write(
        "words.toml",
        "data = { kind = 'recall', vocabulary = 16, pairs = 2, length = 8, train = 64, validation = 16, test = 16 }\n\
         backbone = { kind = 'stack', width = 8, depth = 1, pattern = [{ kind = 'attention', heads = 2 }] }\ntask = { kind = 'language-model' }\n[train]\nepochs = 1\n",
    );
    let trained = program.run(&["train", "words.toml", "--out", "words", "--quiet"]);
    assert_eq!(trained.code, 0, "{}", trained.err);
    let message =
        refused(&program, "[[step]]\nkind = 'prune'\n[[step]]\nkind = 'distill'\nteacher = 'words'");
    assert!(message.contains("the teacher answers with") && message.contains("10 classes"), "{message}");
}

#[test]
fn runs_and_folders_that_do_not_fit_are_refused() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=1"]);
    let int8 = recipe("int8");
    let refused = |arguments: &[&str]| {
        let said = program.run(arguments);
        assert_eq!(said.code, 2, "{arguments:?} said\n{}\n{}", said.out, said.err);
        said.err
    };
    let message = refused(&["compress", "nowhere", "--recipe", &int8, "--out", "out"]);
    assert!(message.contains("no such folder"), "{message}");
    let message = refused(&["compress", "run", "--recipe", "nowhere.toml", "--out", "out"]);
    assert!(message.contains("no such file"), "{message}");
    let message = refused(&["compress", "run", "--recipe", &int8, "--out", "run"]);
    assert!(message.contains("already holds a run"), "{message}");
    let message = refused(&["compress", "--resume", "run"]);
    assert!(message.contains("no compression"), "{message}");
    refused(&["compress", "run", "--recipe", &int8]);
    program.succeed(&["compress", "run", "--recipe", &int8, "--out", "small", "--quiet"]);
    let message = refused(&["compress", "--resume", "small"]);
    assert!(message.contains("has ended"), "{message}");
    let message = refused(&["compress", "run", "--recipe", &int8, "--out", "small"]);
    assert!(message.contains("has ended") && !message.contains("--resume"), "{message}");
    // As if it had been stopped before its end, and the original changed since.
    std::fs::remove_file(program.path("small/config.toml")).expect("the config");
    let message = refused(&["compress", "run", "--recipe", &int8, "--out", "small"]);
    assert!(message.contains("compress --resume small"), "{message}");
    std::fs::write(program.path("run/model.safetensors"), b"changed").expect("weights");
    let message = refused(&["compress", "--resume", "small"]);
    assert!(message.contains("no longer those"), "{message}");
}

#[test]
fn layers_are_ranked_by_what_they_lose() {
    let program = Program::new();
    program.train_small("run", &["train.epochs=2"]);
    let found = json(&program.succeed(&["compress", "run", "--sensitivity", "--json"]));
    let losses = found["losses"].as_array().expect("losses");
    let lost: Vec<f64> = losses.iter().map(|loss| loss["lost"].as_f64().expect("a figure")).collect();
    assert!(lost.is_sorted_by(|a, b| a >= b), "{lost:?}");
    let of = |method: &str| -> f64 {
        losses
            .iter()
            .filter(|loss| loss["method"] == method)
            .map(|loss| loss["lost"].as_f64().unwrap_or(0.0))
            .sum()
    };
    assert!(of("8 bits") < of("3 bits") && of("50 % pruned") < of("80 % pruned"), "{found}");
    assert!(losses.iter().any(|loss| loss["layer"] == "head.linear.weight"), "{found}");
}
