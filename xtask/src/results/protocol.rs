//! A protocol: a config, several seeds, and the best figure of another program.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::figures::{Figure, moments, number};
use super::runs::Runs;
use crate::workspace::Error;

/// One protocol.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Protocol {
    /// What is to be done.
    task: String,
    /// The config that does it.
    pub(super) config: PathBuf,
    /// The figure of the test part that counts.
    figure: Figure,
    /// Whose figure is compared.
    peer: String,
    /// That figure.
    best: f64,
}

pub(super) const HEAD: &str = "\
    | task | config | figure | Ansatz | seeds | best other | by | parameters | training, s |\n\
    |---|---|---|---|---|---|---|---|---|\n";

impl Protocol {
    /// Writes its row, if there are runs for it.
    pub(super) fn write(&self, runs: &Runs, table: &mut String) -> Result<bool, Error> {
        let summaries = runs.of_seeds(|seed| runs.trained(&self.config, seed))?;
        if summaries.is_empty() {
            return Ok(false);
        }
        let summaries: Vec<Value> = summaries.into_iter().map(|(_, summary)| summary).collect();
        table.push_str(&self.row(&summaries)?);
        Ok(true)
    }

    fn row(&self, summaries: &[Value]) -> Result<String, Error> {
        let all = |path: &[&str]| {
            summaries.iter().map(|summary| number(summary, path)).collect::<Result<Vec<f64>, Error>>()
        };
        let qualities = all(&["test", self.figure.name()])?;
        let (mean, _) = moments(&qualities);
        let (seconds, _) = moments(&all(&["seconds"])?);
        let bold = if self.figure.is_better_or_equal(mean, self.best) { "**" } else { "" };
        let mut row = String::new();
        let written = writeln!(
            row,
            "| {} | `{}` | {} | {bold}{}{bold} | {} | {} | {} | {} | {seconds:.0} |",
            self.task,
            self.config.display(),
            self.figure.name(),
            self.figure.with_spread(&qualities),
            summaries.len(),
            self.figure.show(self.best),
            self.peer,
            summaries[0]["parameters"],
        );
        written.map(|()| row).map_err(|error| Error::Wrong(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(figure: &str, best: f64, values: &[f64]) -> String {
        let text = format!(
            "task = \"task\"\nconfig = \"configs/a.toml\"\nfigure = \"{figure}\"\npeer = \"peer\"\nbest = {best}"
        );
        let protocol: Protocol = toml::from_str(&text).unwrap();
        let summary =
            |value: &f64| serde_json::json!({ "test": { figure: value }, "seconds": 2.0, "parameters": 7 });
        protocol.row(&values.iter().map(summary).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_row_shows_mean_and_deviation_and_who_is_better() {
        let expected =
            "| task | `configs/a.toml` | accuracy | **96.00 % ± 1.00** | 3 | 95.00 % | peer | 7 | 2 |\n";
        assert_eq!(row("accuracy", 0.95, &[0.95, 0.96, 0.97]), expected);
        assert!(row("mse", 0.5, &[0.6]).contains("| 0.6000 | 1 | 0.5000 |"));
        assert!(row("macro_f1", 0.5, &[0.6]).contains("| **60.00 %** | 1 |"));
        assert!(row("mse", 0.5, &[0.4, 0.4]).contains("| **0.4000 ± 0.0000** | 2 |"));
    }
}
