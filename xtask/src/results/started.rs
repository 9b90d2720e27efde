//! A network trained from nothing, and from what another run learned without labels.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::figures::{Figure, moments, number};
use super::runs::Runs;
use crate::workspace::Error;

/// One network that is started from another run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Started {
    /// What it is trained by.
    pub(super) config: PathBuf,
    /// What the run that it starts from was trained by, with the same seed.
    pub(super) from: PathBuf,
    /// Whether texts are cut into the tokens of that run.
    #[serde(default)]
    tokens: bool,
    /// What the examples are that it learns from, in words.
    examples: String,
    /// The figure of the test part that counts.
    figure: Figure,
}

pub(super) const HEAD: &str = "\
    | config | started from | examples with labels | figure | from nothing | started | training, s | seeds |\n\
    |---|---|---|---|---|---|---|---|\n";

impl Started {
    /// Writes its row, if there are runs for it.
    pub(super) fn write(&self, runs: &Runs, table: &mut String) -> Result<bool, Error> {
        let found = runs.beside(&self.config, &self.from, |seed, from| {
            runs.started(&self.config, seed, from, self.tokens)
        })?;
        if found.is_empty() {
            return Ok(false);
        }
        table.push_str(&self.row(&found)?);
        Ok(true)
    }

    /// Its row, from the summaries of [`Runs::beside`].
    fn row(&self, found: &[[Value; 3]]) -> Result<String, Error> {
        let of = |at: usize, path: &[&str]| {
            found.iter().map(|runs| number(&runs[at], path)).collect::<Result<Vec<f64>, Error>>()
        };
        let quality = ["test", self.figure.name()];
        let [alone, started] = [of(1, &quality)?, of(2, &quality)?];
        let is_better = self.figure.lost(moments(&alone).0, moments(&started).0) < 0.0;
        let bold = if is_better { "**" } else { "" };
        let [before, behind] =
            [of(0, &["seconds"])?, of(2, &["seconds"])?].map(|seconds| moments(&seconds).0);
        let mut row = String::new();
        let written = writeln!(
            row,
            "| `{}` | `{}` | {} | {} | {} | {bold}{}{bold} | {before:.0} + {behind:.0} | {} |",
            self.config.display(),
            self.from.display(),
            self.examples,
            self.figure.name(),
            self.figure.with_spread(&alone),
            self.figure.with_spread(&started),
            found.len(),
        );
        written.map(|()| row).map_err(|error| Error::Wrong(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_it_helps() {
        let started: Started = toml::from_str(
            "config = \"configs/s.toml\"\nfrom = \"configs/m.toml\"\nexamples = \"500\"\nfigure = \"accuracy\"",
        )
        .unwrap();
        let summary =
            |accuracy: f64| serde_json::json!({ "test": { "accuracy": accuracy }, "seconds": 7.25 });
        let row = started.row(&[[summary(0.0), summary(0.5), summary(0.75)]]).unwrap();
        let expected =
            "| `configs/s.toml` | `configs/m.toml` | 500 | accuracy | 50.00 % | **75.00 %** | 7 + 7 | 1 |\n";
        assert_eq!(row, expected);
        let row = started.row(&[[summary(0.0), summary(0.5), summary(0.5)]]).unwrap();
        assert!(row.contains("| 50.00 % | 50.00 % |"));
    }
}
