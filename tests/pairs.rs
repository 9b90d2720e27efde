//! Pairs of texts: a source apart from its target, or before it in one row.

use crate::program::Program;

/// Words backwards, with an encoder and a decoder.
const APART: &str = "
title = 'words backwards'
data = { kind = 'pairs', source = { reversed = 120 }, source_length = 12, target_length = 13 }
backbone = { kind = 'encoder-decoder', width = 16, encoder = { depth = 1, heads = 2 }, decoder = { depth = 1, heads = 2 } }
task = { kind = 'language-model' }
[train]
epochs = 2
batch_size = 16
";

/// The same in one row, with a mixer whose state does not grow.
const ROW: &str = "
title = 'words backwards, in a row'
data = { kind = 'pairs', layout = 'row', source = { files = ['pairs.tsv'] }, source_length = 12, target_length = 13 }
backbone = { kind = 'stack', width = 16, depth = 1, positions = 'none', pattern = [{ kind = 'gated-delta-net', heads = 2 }] }
task = { kind = 'language-model' }
[train]
epochs = 2
batch_size = 16
";

fn answer(program: &Program, run: &str) -> serde_json::Value {
    let arguments = ["generate", run, "--prompt", "abc", "--tokens", "20", "--temperature", "0", "--json"];
    serde_json::from_str(&program.succeed(&arguments)).expect("JSON")
}

#[test]
fn both_layouts_learn_and_answer() {
    let program = Program::new();
    program.write("apart.toml", APART);
    program.write("row.toml", ROW);
    let lines: String =
        (0..120).map(|index| format!("w{index:03}\t{:03}w\n", index % 10 * 100 + index / 10)).collect();
    program.write("pairs.tsv", lines);
    for (name, first) in [("apart", 1), ("row", 4)] {
        program.succeed(&["train", &format!("{name}.toml"), "--out", name, "--quiet"]);
        let summary = program.read_json(&format!("{name}/summary.json"));
        assert_eq!(summary["test"]["examples"], 12, "{name}");
        let answer = answer(&program, name);
        assert_eq!(answer["prompt_tokens"], first, "{name}");
        assert!(answer["tokens"].as_u64().expect("a count") <= 13 + 12, "{name}");
    }
    // Pairs of about one length keep together: other batches, the same examples.
    let arguments =
        ["train", "apart.toml", "--out", "alike", "--quiet", "--set", "train.batches=\"by-length\""];
    program.succeed(&arguments);
    assert_eq!(program.read_json("alike/summary.json")["test"]["examples"], 12);
    let weights = ["apart", "alike"].map(|run| program.read(&format!("{run}/model.safetensors")));
    assert!(weights[0] != weights[1], "batches are the same");
    // The prompt is not said again.
    let said =
        program.succeed(&["generate", "apart", "--prompt", "qqq", "--tokens", "3", "--temperature", "0"]);
    assert!(!said.contains("qqq"), "{said}");
    let said = program.run(&["generate", "apart", "--prompt", "much longer than twelve letters"]);
    assert!(said.code == 2 && said.err.contains("at most 12"), "{}", said.err);
}

#[test]
fn a_backbone_that_reads_no_source_is_refused() {
    let program = Program::new();
    program.write("pairs.tsv", "a\tb\nc\td\ne\tf\n");
    program.write("apart.toml", ROW.replace("layout = 'row', ", ""));
    let said = program.run(&["train", "apart.toml", "--out", "run"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("data.layout = \"row\""), "{}", said.err);
    assert!(!program.path("run").exists(), "a run was left behind");
}

#[test]
fn sources_longer_than_the_positions_are_refused() {
    let program = Program::new();
    let positions = "positions = { kind = 'learned', count = 6 }, encoder = ";
    program.write("apart.toml", APART.replace("encoder = ", positions));
    let said = program.run(&["train", "apart.toml", "--out", "run"]);
    assert!(said.code == 2 && said.err.contains("data.source_length"), "{}", said.err);
}
