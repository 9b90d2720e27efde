//! `mistakes.json`: the examples a network was most wrong about, with what a person would see of them.

use std::fs;

use ansatz_core::{Error, Exhibit, OpenData, Outcome, Part, Result};
use ansatz_run::{RunFolder, write_atomically};
use serde::Serialize;

/// How many are kept.
const KEPT: usize = 24;

/// The worst mistakes so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    /// Falling by loss.
    worst: Vec<(usize, Outcome)>,
}

/// An entry of `mistakes.json`.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    /// The example's index in its part.
    index: usize,
    target: &'a str,
    predictions: &'a [(String, f32)],
    loss: f32,
    /// The exhibit's file, relative to the run folder; absent where the data model cannot show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    exhibit: Option<String>,
}

impl Mistakes {
    /// Takes in what became of the examples from index `first` on.
    pub(crate) fn take_in(&mut self, first: usize, outcomes: Vec<Outcome>) {
        let wrong = outcomes.into_iter().enumerate().filter(|(_, outcome)| !outcome.correct);
        self.worst.extend(wrong.map(|(offset, outcome)| (first + offset, outcome)));
        self.worst.sort_by(|(_, a), (_, b)| b.loss.total_cmp(&a.loss));
        self.worst.truncate(KEPT);
    }

    /// Writes `mistakes.json` and, beside it, `mistakes/`.
    ///
    /// # Errors
    /// When the run folder cannot be written.
    pub(crate) fn write(&self, folder: &RunFolder, data: &dyn OpenData, part: Part) -> Result<()> {
        let exhibits = folder.path().join("mistakes");
        fs::create_dir_all(&exhibits).map_err(Error::file(&exhibits, "create"))?;
        let mut entries = Vec::new();
        for (position, (index, outcome)) in self.worst.iter().enumerate() {
            let exhibit = match data.exhibit(part, *index).map(Exhibit::into_file) {
                Ok((ending, bytes)) => {
                    let name = format!("{position:02}.{ending}");
                    write_atomically(&exhibits.join(&name), &bytes)?;
                    Some(format!("mistakes/{name}"))
                }
                Err(_) => None,
            };
            let Outcome { predictions, target, loss, .. } = outcome;
            entries.push(Entry { index: *index, target, predictions, loss: *loss, exhibit });
        }
        let path = folder.path().join("mistakes.json");
        let text = serde_json::to_string_pretty(&entries)
            .map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
        write_atomically(&path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_are_those_of_all_sorted() {
        let outcome = |index: usize| Outcome {
            predictions: Vec::new(),
            target: String::new(),
            loss: ((index * 37) % 101) as f32,
            correct: index.is_multiple_of(3),
            number: None,
        };
        let mut mistakes = Mistakes::default();
        for first in (0..100).step_by(10) {
            mistakes.take_in(first, (first..first + 10).map(outcome).collect());
        }
        let mut all: Vec<usize> = (0..100_usize).filter(|index| !index.is_multiple_of(3)).collect();
        all.sort_by_key(|index| std::cmp::Reverse((index * 37) % 101));
        let kept: Vec<usize> = mistakes.worst.iter().map(|(index, _)| *index).collect();
        assert_eq!(kept, all[..KEPT]);
    }
}
