//! All checkpoints of a run: which are kept, and which is gone on from.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use ansatz_core::{Error, Result};

use crate::checkpoint::{Checkpoint, Header};

/// The folder of a run's checkpoints, `step-0000123` each.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
}

/// The checkpoint that a run goes on from.
#[derive(Debug)]
pub(crate) struct Newest {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Where the run stood.
    pub header: Header,
    /// What is wrong with newer ones.
    pub passed_over: Vec<String>,
}

impl Checkpoints {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The checkpoint behind `step`, there or not.
    pub(crate) fn at(&self, step: u64) -> Checkpoint {
        Checkpoint::at(self.folder.join(format!("step-{step:07}")))
    }

    /// The steps behind which there are checkpoints, rising.
    pub(crate) fn steps(&self) -> Result<Vec<u64>> {
        let mut steps: Vec<u64> = self.names()?.iter().filter_map(|name| step_of(name)).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Removes what an interrupted write left behind.
    pub(crate) fn clean(&self) -> Result<()> {
        for name in self.names()?.iter().filter(|name| name.starts_with(".partial-")) {
            self.remove(name)?;
        }
        Ok(())
    }

    /// Keeps the newest `keep_last` checkpoints and what each of them names as the best.
    pub(crate) fn prune(&self, keep_last: usize) -> Result<()> {
        let steps = self.steps()?;
        let mut kept: BTreeSet<u64> = steps.iter().rev().take(keep_last).copied().collect();
        for step in kept.clone() {
            let best = self.at(step).header().ok().and_then(|header| header.state.best);
            kept.extend(best.map(|best| best.step));
        }
        for name in self.names()? {
            if step_of(&name).is_some_and(|step| !kept.contains(&step)) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }

    /// The newest checkpoint that is not damaged; `None` if there are none at all.
    ///
    /// # Errors
    /// When all are damaged: what is wrong with the newest.
    pub(crate) fn newest(&self) -> Result<Option<Newest>> {
        let mut first_error = None;
        let mut passed_over = Vec::new();
        for step in self.steps()?.into_iter().rev() {
            let checkpoint = self.at(step);
            match checkpoint.verify() {
                Ok(header) => return Ok(Some(Newest { checkpoint, header, passed_over })),
                Err(error) => {
                    passed_over.push(error.to_string());
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file(&self.folder, "read")(error)),
        };
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
        };
        entries.map(name).collect::<std::io::Result<_>>().map_err(Error::file(&self.folder, "read"))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::remove_dir_all(&path).map_err(Error::file(path, "remove"))
    }
}

fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.parse().ok()
}
