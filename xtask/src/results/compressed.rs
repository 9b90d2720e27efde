//! A recipe over a trained network: what it costs in quality and what it gains.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::figures::{Figure, moments, number};
use super::runs::Runs;
use crate::workspace::Error;

/// One recipe over the runs of a config.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compressed {
    /// What the network was trained by.
    pub(super) config: PathBuf,
    /// What is done to it.
    pub(super) recipe: PathBuf,
    /// The figure of the test part that counts.
    figure: Figure,
    /// How much of it may be lost: points of a share, the figure's own unit otherwise.
    lost: Option<f64>,
    /// How many times smaller it should be on disk, at least.
    smaller: Option<f64>,
    /// How many times as fast it should be, at least, with 1 and with 64 examples at once.
    faster: Option<f64>,
}

pub(super) const HEAD: &str = "\
    | config | recipe | figure | before | after | lost | goal | times smaller | goal | times as fast, 1 | 64 | goal | seeds |\n\
    |---|---|---|---|---|---|---|---|---|---|---|---|---|\n";

/// What a difference of two figures is off at the most.
const ROUNDING: f64 = 1e-9;

/// What a recipe made of the run of one seed.
struct Outcome {
    quality: [f64; 2],
    smaller: f64,
    faster: Option<[f64; 2]>,
}

impl Compressed {
    /// Writes its row, if there are runs for it.
    pub(super) fn write(&self, runs: &Runs, table: &mut String) -> Result<bool, Error> {
        let outcomes = runs.of_seeds(|seed| self.outcome(runs, seed))?;
        if outcomes.is_empty() {
            return Ok(false);
        }
        table.push_str(&self.row(&outcomes)?);
        Ok(true)
    }

    fn outcome(&self, runs: &Runs, seed: u32) -> Result<Option<Outcome>, Error> {
        let Some((original, _)) = runs.trained(&self.config, seed)? else { return Ok(None) };
        let Some((folder, report)) = runs.compressed(&original, &self.recipe)? else { return Ok(None) };
        let stages = report["stages"].as_array().map(Vec::as_slice);
        let Some([first, .., last]) = stages else {
            return Err(Error::Wrong(format!("{}: its report has no two stages", folder.display())));
        };
        let pair = |of: &dyn Fn(&Value) -> Result<f64, Error>| Ok::<_, Error>([of(first)?, of(last)?]);
        let quality = pair(&|stage| number(stage, &["values", self.figure.name()]))?;
        let [before, after] = pair(&|stage| number(stage, &["bytes"]))?;
        let faster = match self.faster {
            Some(_) => runs.in_turns(&original, &folder, &self.recipe)?,
            None => None,
        };
        Ok(Some(Outcome { quality, smaller: before / after, faster }))
    }

    fn row(&self, outcomes: &[Outcome]) -> Result<String, Error> {
        let of = |at: usize| outcomes.iter().map(|outcome| outcome.quality[at]).collect::<Vec<f64>>();
        let lost = outcomes.iter().map(|outcome| self.figure.lost(outcome.quality[0], outcome.quality[1]));
        let (lost, _) = moments(&lost.collect::<Vec<f64>>());
        let (smaller, _) = moments(&outcomes.iter().map(|outcome| outcome.smaller).collect::<Vec<f64>>());
        let bold = |text: String, met: bool| if met { format!("**{text}**") } else { text };
        let goal =
            |wanted: Option<f64>, sign: &str| wanted.map_or(String::new(), |goal| format!("{sign} {goal}"));
        let faster = |at: usize| {
            let all: Vec<f64> = outcomes.iter().filter_map(|outcome| Some(outcome.faster?[at])).collect();
            if all.is_empty() {
                return "".to_owned();
            }
            let (mean, _) = moments(&all);
            bold(format!("{mean:.1}"), self.faster.is_some_and(|goal| mean >= goal))
        };
        let mut row = String::new();
        let written = writeln!(
            row,
            "| `{}` | `{}` | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.config.display(),
            self.recipe.file_name().unwrap_or_default().display(),
            self.figure.name(),
            self.figure.with_spread(&of(0)),
            self.figure.with_spread(&of(1)),
            bold(self.figure.show_lost(lost), self.lost.is_some_and(|goal| lost <= goal + ROUNDING)),
            goal(self.lost, "≤"),
            bold(format!("{smaller:.2}"), self.smaller.is_some_and(|goal| smaller >= goal)),
            goal(self.smaller, "≥"),
            faster(0),
            faster(1),
            goal(self.faster, "≥"),
            outcomes.len(),
        );
        written.map(|()| row).map_err(|error| Error::Wrong(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(goals: &str) -> Compressed {
        let config = "config = \"configs/a.toml\"\nrecipe = \"configs/compress/b.toml\"";
        toml::from_str(&format!("{config}\n{goals}")).unwrap()
    }

    #[test]
    fn a_row_shows_what_was_lost_and_gained_beside_the_goals() {
        let outcomes = [([0.99, 0.985], 4.0, [2.0, 1.0]), ([0.98, 0.979], 5.0, [3.0, 2.0])]
            .map(|(quality, smaller, faster)| Outcome { quality, smaller, faster: Some(faster) });
        let row = compressed("figure = \"accuracy\"\nlost = 0.3\nsmaller = 4.6\nfaster = 1.8")
            .row(&outcomes)
            .unwrap();
        let expected = "| `configs/a.toml` | `b.toml` | accuracy | 98.50 % ± 0.71 | 98.20 % ± 0.42 | **0.30** | ≤ 0.3 \
            | 4.50 | ≥ 4.6 | **2.5** | 1.5 | ≥ 1.8 | 2 |\n";
        assert_eq!(row, expected);
    }

    #[test]
    fn an_error_that_grows_is_a_loss_and_what_nobody_asked_for_is_left_out() {
        let outcome = Outcome { quality: [2.0, 2.25], smaller: 8.0, faster: None };
        let row = compressed("figure = \"bits\"").row(&[outcome]).unwrap();
        assert!(row.ends_with("| bits | 2.0000 | 2.2500 | 0.2500 |  | 8.00 |  |  |  |  | 1 |\n"), "{row}");
    }
}
