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

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the header alone; the other files do not matter here.
    fn write(checkpoints: &Checkpoints, step: u64, best: Option<u64>) {
        let best = best.map(|step| {
            serde_json::json!({ "step": step, "scores": {
                "examples": 1, "primary": "loss", "higher_is_better": false, "values": {} } })
        });
        let mut header = serde_json::json!({
            "recipe": { "seed": 0, "optimizer": "sgd", "averaged": false, "examples": 1,
                        "batch_size": 1, "accumulation": 1 },
            "state": crate::state::State { step, ..Default::default() },
            "files": [],
        });
        header["state"]["best"] = best.into();
        let path = checkpoints.at(step).path().to_owned();
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("state.json"), header.to_string()).unwrap();
    }

    fn checkpoints() -> (tempfile::TempDir, Checkpoints) {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
        (folder, checkpoints)
    }

    #[test]
    fn the_best_of_every_kept_one_is_kept() {
        let (_folder, checkpoints) = checkpoints();
        for (step, best) in [(10, Some(10)), (20, Some(20)), (30, Some(10)), (40, Some(20)), (50, Some(50))] {
            write(&checkpoints, step, best);
        }
        checkpoints.prune(2).unwrap();
        assert_eq!(checkpoints.steps().unwrap(), [20, 40, 50]);
        checkpoints.prune(1).unwrap();
        assert_eq!(checkpoints.steps().unwrap(), [50]);
    }

    #[test]
    fn a_damaged_newest_one_is_passed_over() {
        let (_folder, checkpoints) = checkpoints();
        assert!(checkpoints.newest().unwrap().is_none());
        write(&checkpoints, 10, None);
        write(&checkpoints, 20, None);
        fs::write(checkpoints.at(20).path().join("state.json"), "").unwrap();
        let newest = checkpoints.newest().unwrap().unwrap();
        assert_eq!((newest.header.state.step, newest.passed_over.len()), (10, 1));
        fs::remove_dir_all(checkpoints.at(10).path()).unwrap();
        assert!(checkpoints.newest().unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn leftovers_are_removed_and_strangers_are_not() {
        let (_folder, checkpoints) = checkpoints();
        write(&checkpoints, 10, None);
        for name in [".partial-x1", "notes"] {
            fs::create_dir(checkpoints.folder.join(name)).unwrap();
        }
        checkpoints.clean().unwrap();
        checkpoints.prune(1).unwrap();
        let mut names = checkpoints.names().unwrap();
        names.sort();
        assert_eq!(names, ["notes", "step-0000010"]);
    }
}
