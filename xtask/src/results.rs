//! `docs/RESULTS.md`: each protocol of `results.toml`, trained with several seeds, beside the best of others.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::workspace::{Error, capture, root};

/// `xtask/results.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Protocols {
    row: Vec<Row>,
}

/// One protocol.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// What is to be done.
    task: String,
    /// The config that does it.
    config: PathBuf,
    /// The figure of the test part that counts; of `accuracy` and `macro_f1` more is better, of any other less.
    figure: String,
    /// Whose figure is compared.
    peer: String,
    /// That figure.
    best: f64,
}

/// Trains what has no run under `runs/results/` yet, of the rows whose config's path contains `only`, and writes the
/// table of all rows that have runs.
pub(crate) fn run(seeds: u32, only: &str) -> Result<String, Error> {
    let place = root().join("xtask/results.toml");
    let protocols: Protocols = toml::from_str(&read(&place)?)
        .map_err(|error| Error::Wrong(format!("{}: {error}", place.display())))?;
    let mut table = String::from(HEAD);
    let mut written = 0;
    for row in &protocols.row {
        let wanted = row.config.to_string_lossy().contains(only);
        let summaries = (1..=seeds).filter_map(|seed| row.summary(seed, wanted).transpose());
        let summaries = summaries.collect::<Result<Vec<Value>, Error>>()?;
        if !summaries.is_empty() {
            row.write(&summaries, &mut table)?;
            written += 1;
        }
    }
    table.push_str(FOOT);
    let path = root().join("docs/RESULTS.md");
    std::fs::write(&path, table).map_err(|source| Error::File { path: path.clone(), source })?;
    Ok(format!("{} has {written} of {} rows", path.display(), protocols.row.len()))
}

const HEAD: &str = "# Results\n\n\
    Written by `cargo xtask results`, which trains each config with each seed and takes nothing but the figures of the \
    whole test part.\nThe mean over the seeds, ± their standard deviation; behind it the best figure of another program \
    for the same\nprotocol on two cores of the same kind. Choices were made on validation parts.\n\n\
    | task | config | figure | Ansatz | seeds | best other | by | parameters | training, s |\n\
    |---|---|---|---|---|---|---|---|---|\n";

const FOOT: &str = "\n**Bold** is at least as good. Seconds are those of this machine while the table was made, whatever ran beside it.\n";

impl Row {
    /// The summary of the run with `seed`; `None` where there is none and it is not `wanted`.
    fn summary(&self, seed: u32, wanted: bool) -> Result<Option<Value>, Error> {
        let name = self.config.with_extension("").to_string_lossy().replace(['/', '\\'], "-");
        let folder = root().join("runs/results").join(format!("{name}-{seed}"));
        let path = folder.join("summary.json");
        if !path.exists() {
            if !wanted {
                return Ok(None);
            }
            train(&self.config, seed, &folder)?;
        }
        serde_json::from_str(&read(&path)?)
            .map(Some)
            .map_err(|error| Error::Wrong(format!("{}: {error}", path.display())))
    }

    fn write(&self, summaries: &[Value], table: &mut String) -> Result<(), Error> {
        let figures = |find: &dyn Fn(&Value) -> Option<f64>, name: &str| {
            let found: Option<Vec<f64>> = summaries.iter().map(find).collect();
            found.ok_or_else(|| Error::Wrong(format!("{}: a run has no `{name}`", self.config.display())))
        };
        let (mean, deviation) =
            moments(&figures(&|summary| summary["test"][&self.figure].as_f64(), &self.figure)?);
        let (seconds, _) = moments(&figures(&|summary| summary["seconds"].as_f64(), "seconds")?);
        let share = ["accuracy", "macro_f1"].contains(&self.figure.as_str());
        let met = if share { mean >= self.best } else { mean <= self.best };
        let show = |value: f64| if share { format!("{:.2} %", value * 100.0) } else { format!("{value:.4}") };
        let spread = match (summaries.len(), share) {
            // A single seed says nothing of others.
            (1, _) => String::new(),
            (_, true) => format!(" ± {:.2}", deviation * 100.0),
            (_, false) => format!(" ± {deviation:.4}"),
        };
        let bold = if met { "**" } else { "" };
        let line = writeln!(
            table,
            "| {} | `{}` | {} | {bold}{}{spread}{bold} | {} | {} | {} | {} | {seconds:.0} |",
            self.task,
            self.config.display(),
            self.figure,
            show(mean),
            summaries.len(),
            show(self.best),
            self.peer,
            summaries[0]["parameters"],
        );
        line.map_err(|error| Error::Wrong(error.to_string()))
    }
}

/// The mean, and the standard deviation around it (0 of a single value).
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

fn train(config: &Path, seed: u32, folder: &Path) -> Result<(), Error> {
    // What an interrupted training left has no summary, and is begun anew.
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|source| Error::File { path: folder.to_owned(), source })?;
    }
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "--quiet", "--", "train"]).arg(config);
    command.args(["--seed", &seed.to_string(), "--quiet", "--out"]).arg(folder);
    capture(&mut command).map(|_| ())
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(figure: &str, best: f64) -> Row {
        let config = PathBuf::from("configs/a.toml");
        Row { task: "task".to_owned(), config, figure: figure.to_owned(), peer: "peer".to_owned(), best }
    }

    fn line(row: &Row, values: &[f64]) -> String {
        let summary = |value: &f64| serde_json::json!({ "test": { row.figure.as_str(): value }, "seconds": 2.0, "parameters": 7 });
        let mut table = String::new();
        row.write(&values.iter().map(summary).collect::<Vec<_>>(), &mut table).unwrap();
        table
    }

    #[test]
    fn a_row_shows_mean_and_deviation_and_who_is_better() {
        let met = line(&row("accuracy", 0.95), &[0.95, 0.96, 0.97]);
        let expected =
            "| task | `configs/a.toml` | accuracy | **96.00 % ± 1.00** | 3 | 95.00 % | peer | 7 | 2 |\n";
        assert_eq!(met, expected);
        assert!(line(&row("mse", 0.5), &[0.6]).contains("| 0.6000 | 1 | 0.5000 |"));
        assert!(line(&row("macro_f1", 0.5), &[0.6]).contains("| **60.00 %** | 1 |"));
        assert!(line(&row("mse", 0.5), &[0.4, 0.4]).contains("| **0.4000 ± 0.0000** | 2 |"));
    }

    #[test]
    fn every_config_of_the_list_is_there() {
        let protocols: Protocols = toml::from_str(include_str!("../results.toml")).unwrap();
        for row in protocols.row {
            assert!(root().join(&row.config).is_file(), "{}", row.config.display());
        }
    }
}
