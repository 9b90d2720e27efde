//! `metrics.jsonl`: one line per logged step and evaluation.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use ansatz_core::{Error, Part, Result};
use ansatz_run::write_atomically;

use crate::progress::Event;

/// The file, open for adding lines. Each line is written whole and at once.
#[derive(Debug)]
pub(crate) struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens the file; lines behind `step`, of the test part, or cut off half way are dropped, for they
    /// will be written again.
    pub(crate) fn open(path: &Path, step: u64) -> Result<Self> {
        if path.exists() {
            let text = fs::read(path).map_err(Error::file(path, "read"))?;
            let text = String::from_utf8_lossy(&text);
            let kept: String = text.split_inclusive('\n').filter(|line| stays(line, step)).collect();
            write_atomically(path, kept.as_bytes())?;
        }
        let file =
            OpenOptions::new().create(true).append(true).open(path).map_err(Error::file(path, "write"))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Adds the line of an event; events that are neither steps nor evaluations have none. Only the test
    /// part's line holds a confusion matrix, the errors of forecasts one by one, or the figures of each label.
    pub(crate) fn add(&mut self, event: &Event) -> Result<()> {
        let line = match event {
            Event::Step(_) | Event::Evaluated { part: Part::Test, .. } => serde_json::to_string(event),
            Event::Evaluated { part, step, epoch, scores, best } => {
                let mut scores = scores.clone();
                scores.confusion = None;
                scores.errors = None;
                scores.labels = None;
                let (part, step, epoch, best) = (*part, *step, *epoch, *best);
                serde_json::to_string(&Event::Evaluated { part, step, epoch, scores, best })
            }
            Event::Started { .. } | Event::Saved { .. } | Event::Noted { .. } | Event::Ended { .. } => {
                return Ok(());
            }
        };
        let line = line.map_err(|error| Error::Failed(format!("{}: {error}", self.path.display())))?;
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(Error::file(&self.path, "write"))
    }
}

fn stays(line: &str, step: u64) -> bool {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(line) else { return false };
    let test = value.get("part").and_then(|part| part.as_str()) == Some("test");
    let done = value.get("step").and_then(serde_json::Value::as_u64).is_some_and(|done| done <= step);
    line.ends_with('\n') && done && !test
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::StepFigures;

    fn step(step: u64) -> Event {
        let epoch = step as f64;
        Event::Step(StepFigures {
            step,
            epoch,
            loss: 0.5,
            learning_rate: 0.1,
            gradient_norm: 1.0,
            examples_per_second: 9.0,
        })
    }

    #[test]
    fn lines_behind_the_checkpoint_and_half_lines_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut metrics = Metrics::open(&path, 0).unwrap();
        for number in 1..=5 {
            metrics.add(&step(number)).unwrap();
        }
        metrics
            .file
            .write_all(b"{\"event\":\"evaluated\",\"part\":\"test\",\"step\":1}\n{\"step\":2,")
            .unwrap();
        drop(metrics);
        let mut metrics = Metrics::open(&path, 3).unwrap();
        metrics.add(&step(4)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let steps: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, [1, 2, 3, 4]);
    }

    #[test]
    fn events_without_figures_have_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut metrics = Metrics::open(&path, 0).unwrap();
        metrics.add(&Event::Noted { text: "a note".to_owned() }).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
