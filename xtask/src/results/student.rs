//! A small network, alone and taught by a larger one.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::figures::{Figure, moments, number};
use super::runs::Runs;
use crate::workspace::Error;

/// One student.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Student {
    /// What the student is trained by.
    pub(super) config: PathBuf,
    /// What its teacher was trained by, with the same seed.
    pub(super) teacher: PathBuf,
    /// The settings of `train.teacher` besides the run.
    teaching: String,
    /// The figure of the test part that counts.
    figure: Figure,
}

pub(super) const HEAD: &str = "\
    | student | teacher | figure | teacher | alone | taught | parameters of the teacher | of the student | seeds |\n\
    |---|---|---|---|---|---|---|---|---|\n";

impl Student {
    /// Writes its row, if there are runs for it.
    pub(super) fn write(&self, runs: &Runs, table: &mut String) -> Result<bool, Error> {
        let found = runs.beside(&self.config, &self.teacher, |seed, teacher| {
            runs.taught(&self.config, seed, teacher, &self.teaching)
        })?;
        if found.is_empty() {
            return Ok(false);
        }
        table.push_str(&self.row(&found)?);
        Ok(true)
    }

    /// Its row, from the summaries of [`Runs::beside`].
    fn row(&self, found: &[[Value; 3]]) -> Result<String, Error> {
        let of = |at: usize| {
            let qualities = found.iter().map(|runs| number(&runs[at], &["test", self.figure.name()]));
            qualities.collect::<Result<Vec<f64>, Error>>()
        };
        let [teacher, alone, taught] = [of(0)?, of(1)?, of(2)?];
        let is_better = self.figure.lost(moments(&alone).0, moments(&taught).0) < 0.0;
        let bold = if is_better { "**" } else { "" };
        let mut row = String::new();
        let written = writeln!(
            row,
            "| `{}` | `{}` | {} | {} | {} | {bold}{}{bold} | {} | {} | {} |",
            self.config.display(),
            self.teacher.display(),
            self.figure.name(),
            self.figure.with_spread(&teacher),
            self.figure.with_spread(&alone),
            self.figure.with_spread(&taught),
            found[0][0]["parameters"],
            found[0][1]["parameters"],
            found.len(),
        );
        written.map(|()| row).map_err(|error| Error::Wrong(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_teaching_helps() {
        let student: Student = toml::from_str(
            "config = \"configs/s.toml\"\nteacher = \"configs/t.toml\"\nteaching = \"share=0.9\"\nfigure = \"bits\"",
        )
        .unwrap();
        let runs = |qualities: [f64; 3]| {
            let summary = |bits: f64| serde_json::json!({ "test": { "bits": bits }, "parameters": 7 });
            qualities.map(summary)
        };
        let better = student.row(&[runs([2.0, 2.5, 2.25])]).unwrap();
        let expected =
            "| `configs/s.toml` | `configs/t.toml` | bits | 2.0000 | 2.5000 | **2.2500** | 7 | 7 | 1 |\n";
        assert_eq!(better, expected);
        assert!(student.row(&[runs([2.0, 2.5, 2.5])]).unwrap().contains("| 2.5000 | 2.5000 |"));
    }
}
