//! Series: from a table of one's own to what follows it, by different networks.

use crate::program::Program;

/// What all experiments here have in common.
const TRAIN: &str = "
[train]
epochs = 10
batch_size = 32
optimizer = { kind = 'adamw', learning_rate = 5e-3 }
";

/// Patches of channels that are apart, with an instance norm, and quantiles.
const PATCHES: &str = "
title = 'waves by patches'
task = { kind = 'forecast', loss = { quantiles = [0.1, 0.5, 0.9] } }
[data]
kind = 'series'
source = { waves = 500 }
length = 48
horizon = 6
instance_norm = 'standard'
stem = { patches = { length = 8, stride = 4, padding = 4 } }
[backbone]
kind = 'stack'
width = 16
depth = 1
pattern = [{ kind = 'attention', heads = 2 }]
";

/// Steps with the calendar, a mixer with a constant state.
const STEPS: &str = "
title = 'a table by steps'
task = { kind = 'forecast', projection = 'last' }
[data]
kind = 'series'
source = { file = { path = 'table.csv', columns = ['load', 'heat'], time = 'when' } }
length = 24
horizon = 4
calendar = ['hour-of-day', 'day-of-week']
[backbone]
kind = 'stack'
width = 16
depth = 1
positions = 'none'
pattern = [{ kind = 'gated-delta-net', heads = 2 }]
";

/// The forecast by the backbone itself.
const LINEAR: &str = "
title = 'a table by lines'
task = { kind = 'forecast', projection = 'none', loss = 'mae' }
backbone = { kind = 'dlinear', horizon = 4, moving_average = 5 }
[data]
kind = 'series'
source = { file = { path = 'table.csv' } }
length = 24
horizon = 4
";

/// Channels as tokens, and as the rows of a picture.
const OTHERS: [&str; 3] = [
    "
task = { kind = 'forecast', projection = 'channels' }
data = { kind = 'series', source = { waves = 300 }, length = 24, horizon = 4, stem = 'channels' }
backbone = { kind = 'stack', width = 8, depth = 1, positions = 'none', pattern = [{ kind = 'attention', heads = 2 }] }
",
    "
task = { kind = 'forecast' }
backbone = { kind = 'patch-mixer', width = 8, depth = 1, mix_channels = true }
[data]
kind = 'series'
source = { waves = 300 }
length = 24
horizon = 4
stem = { patches = { length = 8, layout = 'grid' } }
",
    "
task = { kind = 'forecast', projection = 'last' }
data = { kind = 'series', source = { waves = 300 }, length = 24, horizon = 4 }
backbone = { kind = 'tcn', widths = [8, 8] }
",
];

/// A table of `rows` hours with a short gap and a column of words.
fn table(rows: usize) -> String {
    let mut text = String::from("when,load,weather,heat\n");
    for row in 0..rows {
        let (day, hour) = (row / 24, row % 24);
        let wave = (row as f64 / 24.0 * std::f64::consts::TAU).sin();
        let load = if row % 50 == 30 { String::new() } else { format!("{:.3}", 100.0 + 20.0 * wave) };
        let month = day / 28 + 1;
        let day = day % 28 + 1;
        text += &format!("2021-{month:02}-{day:02} {hour:02}:00:00,{load},fair,{:.3}\n", 5.0 - wave);
    }
    text
}

fn train(program: &Program, name: &str, config: &str) -> serde_json::Value {
    program.write(&format!("{name}.toml"), format!("{config}{TRAIN}"));
    program.succeed(&["train", &format!("{name}.toml"), "--out", name, "--quiet", "--set", "seed=3"]);
    program.read_json(&format!("{name}/summary.json"))
}

fn forecast(program: &Program, run: &str, file: &str) -> serde_json::Value {
    let answer = program.succeed(&["predict", run, file, "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    answer["forecast"].clone()
}

#[test]
fn patches_with_quantiles_learn_and_are_judged_alike_again() {
    let program = Program::new();
    let summary = train(&program, "waves", PATCHES);
    let pinball = summary["test"]["pinball"].as_f64().expect("a test loss");
    assert!(pinball < 0.2, "a pinball loss of {pinball}");
    assert_eq!(summary["test"]["examples"], 100 - 6 + 1);
    for size in ["7", "500"] {
        let again = program.succeed(&["evaluate", "waves", "--json", "--batch-size", size]);
        let again: serde_json::Value = serde_json::from_str(&again).expect("JSON");
        let found = again["values"]["pinball"].as_f64().expect("a loss");
        assert!((found - pinball).abs() < 1e-6, "{found} and {pinball}");
    }
    let page = String::from_utf8(program.read("waves/report.html")).expect("text");
    assert!(page.contains("Steps ahead") && page.contains("second"), "the page lacks the forecasts");
    assert_eq!(program.inspect("waves.toml")["layers"], program.inspect("waves")["layers"]);
    let rows: String = (0..60).map(|row| format!("{row},{}\n", 60 - row)).collect();
    program.write("mine.csv", format!("first,second\n{rows}"));
    let said = program.run(&["predict", "waves", "mine.csv"]);
    assert!(said.code == 2 && said.err.contains("no column `time`"), "{}", said.err);
}

#[test]
fn a_table_of_ones_own_is_foretold_in_its_own_units() {
    let program = Program::new();
    program.write("table.csv", table(600));
    for (name, config) in [("steps", STEPS), ("linear", LINEAR)] {
        let summary = train(&program, name, config);
        let error = summary["test"]["mse"].as_f64().expect("a test error");
        assert!(error < 0.5, "{name}: an error of {error}");
        program.write("later.csv", table(150));
        let forecast = forecast(&program, name, "later.csv");
        assert_eq!(forecast["columns"], serde_json::json!(["load", "heat"]));
        let values = forecast["values"].as_array().expect("rows");
        assert_eq!(values.len(), 4);
        for row in values {
            let (load, heat) = (row[0].as_f64().expect("a load"), row[1].as_f64().expect("a heat"));
            assert!((60.0..140.0).contains(&load) && (2.0..8.0).contains(&heat), "{name}: {load} and {heat}");
        }
        let first = if name == "steps" { "2021-01-07 06:00" } else { "+1" };
        assert_eq!(forecast["steps"][0], first);
        let said = program.succeed(&["predict", name, "later.csv"]);
        assert!(said.contains("later.csv:") && said.contains(first), "{said}");
    }
}

#[test]
fn every_stem_and_backbone_of_series_is_trained() {
    let program = Program::new();
    for (index, config) in OTHERS.iter().enumerate() {
        let name = format!("other{index}");
        let summary = train(&program, &name, config);
        let error = summary["test"]["mse"].as_f64().expect("a test error");
        assert!(error < 1.0, "{config}: an error of {error}");
    }
}

#[test]
fn tables_that_do_not_fit_are_named() {
    let program = Program::new();
    program.write("table.csv", table(600));
    train(&program, "steps", STEPS);
    let refused = |file: &str| {
        let said = program.run(&["predict", "steps", file]);
        assert_eq!(said.code, 2, "{file}: {}", said.err);
        said.err
    };
    program.write("short.csv", table(20));
    assert!(refused("short.csv").contains("it has 20 steps"));
    let ragged = table(60) + "2021-01-03 12:00:00,1\n";
    program.write("ragged.csv", ragged);
    assert!(refused("ragged.csv").contains("line 62 has 2 cells"));
    program.write("words.csv", table(60).replace("5.000", "warm"));
    assert!(refused("words.csv").contains("column `heat` holds \"warm\""));
    let gap = table(60) + "2021-01-03 12:00:00,,fair,5\n";
    program.write("gap.csv", gap);
    assert!(refused("gap.csv").contains("missing at its end"));
    program.write("few.toml", STEPS.replace("length = 24", "length = 580").to_owned() + TRAIN);
    let said = program.run(&["train", "few.toml", "--out", "few", "--quiet"]);
    assert!(said.code == 2 && said.err.contains("no whole window"), "{}", said.err);
    program
        .write("both.toml", LINEAR.replace("horizon = 4, moving", "horizon = 5, moving").to_owned() + TRAIN);
    let said = program.run(&["train", "both.toml", "--out", "both", "--quiet"]);
    assert!(said.code == 2 && said.err.contains("`task.projection`"), "{}", said.err);
}
