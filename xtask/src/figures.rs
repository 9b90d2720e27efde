//! The README's table of figures: trains each config with an optimized build and prints a row.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::workspace::{Error, capture, read_json, remove_folder, root};

const CONFIGS: [&str; 4] = [
    "configs/digits.toml",
    "configs/mnist.toml",
    "configs/mnist-transformer.toml",
    "configs/fashion-mnist.toml",
];

/// Trains and prints; runs are left under `runs/figures/`.
pub(crate) fn run(configs: &[PathBuf]) -> Result<String, Error> {
    let configs = if configs.is_empty() { CONFIGS.map(PathBuf::from).to_vec() } else { configs.to_vec() };
    let mut rows = vec![
        "| config | test accuracy, or MSE / MAE | test examples | seconds | examples/s | parameters | peak memory |"
            .to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for config in &configs {
        rows.push(row(config)?);
    }
    Ok(rows.join("\n"))
}

fn row(config: &Path) -> Result<String, Error> {
    let name = config.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = root().join("runs/figures").join(&name);
    remove_folder(&folder)?;
    capture(
        Command::new("cargo")
            .args(["run", "--release", "--quiet", "--", "train"])
            .arg(config)
            .arg("--out")
            .arg(&folder)
            .args(["--progress", "lines"]),
    )?;
    let summary = read_json(&folder.join("summary.json"))?;
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let test = &summary["test"];
    let score = match test["accuracy"].as_f64() {
        Some(accuracy) => format!("{:.2} %", accuracy * 100.0),
        None => format!("{:.4} / {:.4}", number(&test["mse"]), number(&test["mae"])),
    };
    Ok(format!(
        "| `{}` | {score} | {} | {:.0} | {:.0} | {} | {:.0} MB |",
        config.display(),
        test["examples"],
        number(&summary["seconds"]),
        number(&summary["examples_per_second"]),
        summary["parameters"],
        number(&summary["peak_memory_bytes"]) / 1e6,
    ))
}
