//! The outsider's mixer and backbone train, judge and predict through the public list alone.

use std::path::Path;
use std::process::{Command, Output};

use ansatz_core::{Build, MixerConfig, Registry};
use outsider::MovingAverageConfig;

fn outsider(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_outsider"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program starts")
}

fn trained(folder: &Path, backbone: &str) -> f64 {
    let config = format!(
        "data = {{ kind = 'image', source = 'digits', stem = {{ patches = {{ size = 2 }} }} }}\n\
         backbone = {backbone}\n\
         task = {{ kind = 'classify' }}\n\
         [train]\n\
         epochs = 10\n\
         optimizer = {{ kind = 'adamw', learning_rate = 3e-3 }}\n"
    );
    std::fs::write(folder.join("mine.toml"), config).expect("a config is written");
    let done = outsider(folder, &["train", "mine.toml", "--out", "run", "--quiet"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let summary = std::fs::read_to_string(folder.join("run/summary.json")).expect("a summary is left");
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("the summary is JSON");
    summary["test"]["accuracy"].as_f64().expect("the test part was judged")
}

#[test]
fn the_mixer_learns_digits_next_to_a_built_in_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let pattern = "[{ kind = 'moving-average', decay = 0.7 }, { kind = 'attention', heads = 2 }]";
    let accuracy =
        trained(folder.path(), &format!("{{ kind = 'stack', width = 32, depth = 2, pattern = {pattern} }}"));
    assert!(accuracy > 0.6, "accuracy {accuracy}");
}

#[test]
fn the_backbone_learns_digits() {
    let folder = tempfile::tempdir().expect("a folder");
    let accuracy = trained(folder.path(), "{ kind = 'flat', width = 48 }");
    assert!(accuracy > 0.8, "accuracy {accuracy}");
}

#[test]
fn both_stand_in_the_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let listed = String::from_utf8(outsider(folder.path(), &["list"]).stdout).expect("text");
    assert!(listed.contains("  moving-average "), "{listed}");
    assert!(listed.contains("  flat "), "{listed}");
}

#[test]
fn the_mixer_conforms() {
    let device = ansatz_device::open("cpu").expect("the processor is always there");
    ansatz_conformance::mixer(|width, device| {
        let registry = Registry::default();
        MovingAverageConfig::default().init(width, &Build::new(&registry, device))
    })
    .check(&device)
    .expect("every property holds");
}
