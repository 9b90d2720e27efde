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
    /// part's line holds a confusion matrix.
    pub(crate) fn add(&mut self, event: &Event) -> Result<()> {
        let line = match event {
            Event::Step(_) | Event::Evaluated { part: Part::Test, .. } => serde_json::to_string(event),
            Event::Evaluated { part, step, epoch, scores, best } => {
                let mut scores = scores.clone();
                scores.confusion = None;
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
