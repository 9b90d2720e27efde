//! Published checkpoints: every family computes the published numbers, and weights come back as they were.

use std::path::{Path, PathBuf};

use ansatz_hub::{Folder, TensorFile, families, import, verify};
use ansatz_infer::{Generator, Limits, Sampling};

use crate::program::{Program, workspace};

/// The small checkpoints that the workspace carries, with what their references computed.
fn fixtures() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace().join("tests/fixtures")).expect("the fixtures");
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("config.json").is_file())
        .collect();
    folders.sort();
    folders
}

#[test]
fn every_family_computes_the_published_numbers() {
    let device = ansatz_device::open("cpu").expect("the processor is always there");
    let registry = ansatz::builtin();
    let mut seen = Vec::new();
    let mut wrong = Vec::new();
    for path in fixtures() {
        let folder = Folder::open(&path).expect("a checkpoint");
        let verdict = verify(&folder, &registry, &device).expect("what the reference computed");
        seen.extend(verdict.family.clone());
        assert!(!verdict.comparisons.is_empty(), "{} compares nothing", verdict.name);
        wrong.extend(verdict.comparisons.into_iter().filter(|comparison| !comparison.ok));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for family in families() {
        assert!(seen.iter().any(|name| name == family.name), "no fixture is of the family {}", family.name);
    }
}

#[test]
fn what_was_imported_is_exported_to_the_bit() {
    let program = Program::new();
    let mut exported = 0;
    for path in fixtures() {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let said = program.run(&["import", &path.display().to_string(), "--out", &name]);
        if said.err.contains("make no run") {
            continue;
        }
        assert_eq!(said.code, 0, "{name}: {}", said.err);
        let back = format!("{name}-back");
        let said = program.run(&["export", &name, "--out", &back]);
        assert_eq!(said.code, 0, "{name}: {}", said.err);
        let table = program.read_json(&format!("{name}/published/names.json"));
        let ignored = table["ignored"].as_array().expect("the names that no parameter has");
        let mut published = tensors(&path);
        published.retain(|(name, _)| !ignored.iter().any(|ignored| ignored == name));
        assert_eq!(tensors(&program.path(&back)), published, "{name}");
        exported += 1;
    }
    assert!(exported > 10, "{exported} families make a run");
}

#[test]
fn an_imported_network_writes_what_its_reference_wrote() {
    let program = Program::new();
    let registry = ansatz::builtin();
    let device = ansatz_device::open("cpu").expect("the processor is always there");
    let mut answered = Vec::new();
    for path in fixtures() {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let stored = TensorFile::read(&path.join("io.safetensors")).expect("what the reference computed");
        let run = program.path(&name);
        let folder = Folder::open(&path).expect("a checkpoint");
        let is_run = import(&folder, &run, &registry, &device).is_ok();
        if !is_run || stored.get("generated.tokens").is_none() {
            continue;
        }
        // The first row is the one without padding.
        let first_row = |name: &str| -> Vec<u32> {
            let tensor = stored.get(name).expect("tokens").clone().convert::<i64>();
            let length = tensor.shape()[1];
            let all: Vec<i64> = tensor.try_to_vec().expect("whole numbers");
            all[..length].iter().map(|token| *token as u32).collect()
        };
        let text = |tokens: &[u32]| -> String {
            tokens.iter().map(|token| char::from(u8::try_from(*token).expect("a small vocabulary"))).collect()
        };
        let prompt = text(&first_row("input.input_ids"));
        let mut expected = first_row("generated.tokens");
        let limits = Limits { tokens: expected.len(), stop: Vec::new() };
        // The text is what stands between the tokens at its ends.
        let [begin, end] = ["decoder_start_token_id", "eos_token_id"]
            .map(|name| folder.token(name).expect("a token or nothing"));
        expected.truncate(expected.iter().position(|token| Some(*token) == end).unwrap_or(expected.len()));
        expected.retain(|token| Some(*token) != begin);
        let generator = Generator::load(&run, &registry, &device).expect("a run that generates");
        let written = generator.generate(&prompt, Sampling::greedy(), &limits, &mut |_| true);
        assert_eq!(written.expect("a fitting prompt").text, text(&expected), "{name}");
        answered.push(name);
    }
    for name in ["gpt2", "mamba", "t5", "bart"] {
        assert!(answered.iter().any(|answered| answered == name), "{name} wrote nothing");
    }
}

#[test]
fn an_imported_network_is_made_smaller_and_exported_as_it_was_published() {
    let program = Program::new();
    let folder = changed(&program, |_| {});
    let words: Vec<String> = (0..19).map(|word| format!("w{word}")).collect();
    let vocabulary: serde_json::Map<_, _> = words.iter().cloned().zip((0..19).map(Into::into)).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "Whitespace" }, "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "w0" },
    });
    program.write(&format!("{folder}/tokenizer.json"), tokenizer.to_string());
    program.succeed(&["import", &folder, "--out", "imported"]);
    let text: Vec<&str> = (0..1200).map(|place| words[place * place % 19].as_str()).collect();
    program.write("text.txt", text.join(" "));
    let config = String::from_utf8(program.read("imported/config.toml")).expect("TOML");
    program.write("imported/config.toml", config.replace("\"shakespeare\"", "{ files = [\"text.txt\"] }"));

    let recipe = workspace().join("configs/compress/int8.toml").display().to_string();
    program.succeed(&["compress", "imported", "--recipe", &recipe, "--out", "small", "--quiet"]);
    assert!(program.succeed(&["evaluate", "small"]).contains("perplexity"));
    assert!(program.succeed(&["generate", "small", "--prompt", "w1 w2", "--tokens", "3"]).contains(" w"));
    program.succeed(&["export", "small", "--out", "exported"]);
    assert_eq!(
        program.read_json("exported/config.json"),
        program.read_json(&format!("{folder}/config.json"))
    );
    let (published, exported) = (tensors(&program.path(&folder)), tensors(&program.path("exported")));
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let mut rounded = 0;
    for (name, bytes) in exported {
        let (_, before) = published.iter().find(|(known, _)| *known == name).expect("a published name");
        let [before, after] = [before, &bytes].map(|bytes| floats(bytes));
        let norm =
            |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
        let moved = norm(&mut before.iter().zip(&after).map(|(before, after)| before - after));
        assert!(moved <= 0.01 * norm(&mut before.iter().copied()), "{name} moved by {moved}");
        rounded += usize::from(moved > 0.0);
    }
    assert!(rounded > 4, "{rounded} tensors were rounded");

    program.write("cut.toml", "[[step]]\nkind = \"shrink\"\nflops = 0.7\nmultiple = 2\n");
    program.succeed(&["compress", "imported", "--recipe", "cut.toml", "--out", "cut", "--quiet"]);
    let said = program.run(&["export", "cut", "--out", "never"]);
    assert!(said.code != 0 && said.err.contains("has other sizes since then"), "{}", said.err);
}

/// The weights of a checkpoint, name by name.
fn tensors(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let file = TensorFile::read(&folder.join("model.safetensors")).expect("weights");
    let bytes = |name: &str| file.get(name).expect("it was listed").as_bytes().to_vec();
    file.names().map(|name| (name.to_owned(), bytes(name))).collect()
}

/// A copy of the GPT-2 fixture, its config changed by `change`.
fn changed(program: &Program, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let from = workspace().join("tests/fixtures/gpt2");
    for name in ["model.safetensors", "io.safetensors", "meta.json"] {
        program.write(&format!("gpt2/{name}"), std::fs::read(from.join(name)).expect("a fixture"));
    }
    let text = std::fs::read_to_string(from.join("config.json")).expect("a fixture");
    let mut config = serde_json::from_str(&text).expect("JSON");
    change(&mut config);
    program.write("gpt2/config.json", config.to_string());
    "gpt2".to_owned()
}

/// What importing a checkpoint with such a config says.
fn refused(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let program = Program::new();
    let folder = changed(&program, change);
    let said = program.run(&["import", &folder, "--out", "run"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(!program.path("run").exists(), "a run was left behind");
    said.err
}

#[test]
fn configs_that_do_not_fit_are_named() {
    let messages = [
        refused(|config| config["rotary_dim"] = 4.into()),
        refused(|config| config["scale_attn_by_inverse_layer_idx"] = true.into()),
        refused(|config| config["activation_function"] = "snake".into()),
        refused(|config| config["n_head"] = 5.into()),
        refused(|config| config["n_embd"] = 25.into()),
        refused(|config| config["n_layer"] = 1.into()),
        refused(|config| config["n_layer"] = 3.into()),
        refused(|config| config["n_positions"] = 9.into()),
        refused(|config| config["vocab_size"] = "many".into()),
        refused(|config| config["model_type"] = "gpt9".into()),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

/// What verifying the fixture `name` says, with one option of its config changed.
fn verified(name: &str, option: &str, value: serde_json::Value) -> String {
    let program = Program::new();
    let from = workspace().join("tests/fixtures").join(name);
    for file in ["model.safetensors", "io.safetensors", "meta.json"] {
        program.write(&format!("{name}/{file}"), std::fs::read(from.join(file)).expect("a fixture"));
    }
    let text = std::fs::read_to_string(from.join("config.json")).expect("a fixture");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    config[option] = value;
    program.write(&format!("{name}/config.json"), config.to_string());
    let said = program.run(&["verify", name]);
    assert_eq!(said.code, 1, "{name} with {option}: {}", said.out);
    said.out
}

#[test]
fn options_of_pictures_that_are_not_implemented_are_named() {
    use serde_json::json;
    for (name, option, value, problem) in [
        ("vit", "hidden_act", json!("snake"), "`hidden_act` is \"snake\""),
        ("vit", "image_size", json!("large"), "one number of pixels, or height and width"),
        ("vit", "image_size", json!(16), "another shape than the config says"),
        ("vit", "id2label", json!({}), "`id2label` is 0"),
        ("deit", "use_mean_pooling", json!(true), "unknown field `use_mean_pooling`"),
        ("resnet", "layer_type", json!("wide"), "`layer_type` is \"wide\""),
        ("resnet", "depths", json!([1]), "`depths` is [1]"),
        ("convnext", "patch_size", json!([3, 4]), "`patch_size` is [3, 4]"),
        ("convnext", "num_stages", json!(3), "`hidden_sizes and depths`"),
        ("poolformer", "pool_size", json!(4), "`pool_size` is 4"),
        ("poolformer", "strides", json!([4]), "`strides` is [4]"),
        ("timm_mixer", "global_pool", json!(""), "`global_pool` is \"\""),
        ("timm_mixer", "block_layer", json!("SpatialGatingBlock"), "unknown field `block_layer`"),
        ("timm_mixer", "num_classes", json!(0), "`num_classes` is 0"),
        ("timm_resnet", "cardinality", json!(2), "`cardinality` is 2"),
        ("timm_resnet", "avg_down", json!(true), "`avg_down` is true"),
        ("timm_resnet", "stem_type", json!("deep"), "`stem_type` is \"deep\""),
        ("timm_resnet", "act_layer", json!("tanh"), "`act_layer` is \"tanh\""),
        ("timm_resnet", "block", json!("Bottle2neck"), "`block` is \"Bottle2neck\""),
    ] {
        let said = verified(name, option, value);
        assert!(said.contains(problem), "{name} with {option}: {said}");
    }
}

#[test]
fn damaged_weights_are_named() {
    let program = Program::new();
    let folder = changed(&program, |_| {});
    let whole = program.read("gpt2/model.safetensors");
    for bytes in [&whole[..4], &whole[..whole.len() / 2], &[0xff; 64]] {
        program.write("gpt2/model.safetensors", bytes);
        let said = program.run(&["import", &folder, "--out", "run"]);
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(said.err.contains("damaged") && said.err.contains("model.safetensors"), "{}", said.err);
    }
    let said = program.run(&["verify", &folder]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.out.contains("damaged"), "{}", said.out);
}

#[test]
fn prompts_that_do_not_fit_are_named() {
    let program = Program::new();
    let folder = changed(&program, |_| {});
    program.succeed(&["import", &folder, "--out", "run"]);
    let token = |code: u8| char::from(code).to_string();
    for (prompt, problem) in [
        (String::new(), "at least one token"),
        ("a".to_owned(), "97 is not among the 19"),
        (token(3).repeat(1000), "1000 tokens"),
    ] {
        let said = program.run(&["generate", "run", "--prompt", &prompt]);
        assert_eq!(said.code, 2, "{prompt:?}: {}", said.err);
        assert!(said.err.contains(problem), "{}", said.err);
        assert!(said.out.is_empty(), "{}", said.out);
    }
    let said = program.run(&["generate", "run", "--prompt", &token(3), "--top-p", "1.5"]);
    assert!(said.code == 2 && said.err.contains("top-p"), "{}", said.err);
    // It ends where the positions end, and says the same again.
    let written = || {
        let out = program.succeed(&["generate", "run", "--prompt", &token(3), "--tokens", "1000", "--json"]);
        serde_json::from_str::<serde_json::Value>(&out).expect("JSON")
    };
    assert_eq!(written()["tokens"], 20);
    assert_eq!(written()["text"], written()["text"]);
}
