//! The runs under `runs/results/`: made where they are missing and wanted, read where they are there.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::workspace::{Error, capture, read_json, remove_folder, root};

/// Which runs there should be.
pub(super) struct Runs<'a> {
    /// Seeds of each config, from 1.
    pub(super) seeds: u32,
    /// What is missing is made only where the config's or recipe's path contains this.
    pub(super) only: &'a str,
}

impl Runs<'_> {
    /// What `make` gives for each seed that has something.
    pub(super) fn of_seeds<T>(
        &self,
        make: impl Fn(u32) -> Result<Option<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        (1..=self.seeds).filter_map(|seed| make(seed).transpose()).collect()
    }

    fn wants(&self, path: &Path) -> bool {
        path.to_string_lossy().contains(self.only)
    }

    /// Folder and summary of the run of `config` with `seed`; `None` where there is none and it is not wanted.
    pub(super) fn trained(&self, config: &Path, seed: u32) -> Result<Option<(PathBuf, Value)>, Error> {
        let folder = folder(&format!("{}-{seed}", name(config)));
        let made =
            self.made(&folder, "summary.json", self.wants(config), || train(config, seed, &folder, &[]))?;
        Ok(made.map(|summary| (folder, summary)))
    }

    /// Summary of the same, taught by the run in `teacher` with the settings `teaching`.
    pub(super) fn taught(
        &self,
        config: &Path,
        seed: u32,
        teacher: &Path,
        teaching: &str,
    ) -> Result<Option<Value>, Error> {
        let set = format!("train.teacher={{run=\"{}\",{teaching}}}", teacher.display());
        self.changed(config, seed, "taught", &[set])
    }

    /// Summary of the same, started from the run in `from`, with its tokenizer where `tokens` are to be the same.
    pub(super) fn started(
        &self,
        config: &Path,
        seed: u32,
        from: &Path,
        tokens: bool,
    ) -> Result<Option<Value>, Error> {
        let from = from.display();
        let mut set = vec![format!("init.from={from}")];
        if tokens {
            set.push(format!("data.tokenizer={{run=\"{from}\"}}"));
        }
        self.changed(config, seed, "started", &set)
    }

    /// Of each seed the summaries of the run of `other`, of the run of `config`, and of what `make` does with the folder of
    /// the first.
    pub(super) fn beside(
        &self,
        config: &Path,
        other: &Path,
        make: impl Fn(u32, &Path) -> Result<Option<Value>, Error>,
    ) -> Result<Vec<[Value; 3]>, Error> {
        self.of_seeds(|seed| {
            let Some((folder, other)) = self.trained(other, seed)? else { return Ok(None) };
            let Some((_, alone)) = self.trained(config, seed)? else { return Ok(None) };
            Ok(make(seed, &folder)?.map(|made| [other, alone, made]))
        })
    }

    /// Summary of the run of `config` with `seed` and settings changed, which `how` names.
    fn changed(&self, config: &Path, seed: u32, how: &str, set: &[String]) -> Result<Option<Value>, Error> {
        let folder = folder(&format!("{}-{how}-{seed}", name(config)));
        let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
        self.made(&folder, "summary.json", self.wants(config), || train(config, seed, &folder, &set))
    }

    /// Folder and report of what `recipe` makes of the run in `original`.
    pub(super) fn compressed(
        &self,
        original: &Path,
        recipe: &Path,
    ) -> Result<Option<(PathBuf, Value)>, Error> {
        let stem = recipe.file_stem().unwrap_or_default().to_string_lossy();
        let folder = PathBuf::from(format!("{}-{stem}", original.display()));
        // The summary is written last: a chain that was interrupted has none.
        let finished = self.made(&folder, "summary.json", self.wants(recipe), || {
            remove_folder(&root().join(&folder))?;
            let mut command = ansatz();
            command.arg("compress").arg(original).arg("--recipe").arg(recipe).arg("--quiet");
            capture(command.arg("--out").arg(&folder)).map(|_| ())
        })?;
        if finished.is_none() {
            return Ok(None);
        }
        let report = read_json(&root().join(&folder).join("compression.json"))?;
        Ok(Some((folder, report)))
    }

    /// How many times as fast as `original` the run in `folder` is, with 1 and with 64 examples at once: medians of three
    /// measurements of each, in turns.
    pub(super) fn in_turns(
        &self,
        original: &Path,
        folder: &Path,
        recipe: &Path,
    ) -> Result<Option<[f64; 2]>, Error> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let place = folder.with_file_name(format!("{name}.in-turns"));
        let measured = self.made(&place, "times.json", self.wants(recipe), || {
            let mut times = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
            for _ in 0..3 {
                for (run, times) in [original, folder].into_iter().zip(&mut times) {
                    for (times, time) in times.iter_mut().zip(latencies(run)?) {
                        times.push(time);
                    }
                }
            }
            let [before, after] = times.map(|times| times.map(median));
            let ratios = [before[0] / after[0], before[1] / after[1]];
            let text = serde_json::json!({ "before": before, "after": after, "faster": ratios }).to_string();
            let folder = root().join(&place);
            let path = folder.join("times.json");
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(&path, text))
                .map_err(|source| Error::File { path, source })
        })?;
        Ok(measured.and_then(|measured| serde_json::from_value(measured["faster"].clone()).ok()))
    }

    /// What stands in `file` of `folder`, behind `make` if it is missing and `wanted`.
    fn made(
        &self,
        folder: &Path,
        file: &str,
        wanted: bool,
        make: impl FnOnce() -> Result<(), Error>,
    ) -> Result<Option<Value>, Error> {
        let path = root().join(folder).join(file);
        if !path.exists() {
            if !wanted {
                return Ok(None);
            }
            make()?;
        }
        read_json(&path).map(Some)
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new("runs/results").join(name)
}

fn name(config: &Path) -> String {
    config.with_extension("").to_string_lossy().replace(['/', '\\'], "-")
}

fn ansatz() -> Command {
    let mut command = Command::new("cargo");
    command.args(["run", "--release", "--quiet", "--"]);
    command
}

fn train(config: &Path, seed: u32, folder: &Path, more: &[&str]) -> Result<(), Error> {
    // What an interrupted run left has no summary, and is begun anew.
    remove_folder(&root().join(folder))?;
    let mut command = ansatz();
    command.arg("train").arg(config).args(["--seed", &seed.to_string(), "--quiet", "--out"]).arg(folder);
    capture(command.args(more)).map(|_| ())
}

/// Milliseconds of 1 and of 64 examples at once.
fn latencies(run: &Path) -> Result<[f64; 2], Error> {
    let text = capture(ansatz().arg("measure").arg(run).arg("--json"))?;
    let measured: Value = serde_json::from_str(&text)
        .map_err(|error| Error::Wrong(format!("measuring {}: {error}", run.display())))?;
    let latency = |batch: u64| {
        let all = measured["latency"].as_array().into_iter().flatten();
        all.clone().find(|latency| latency["batch"] == batch).and_then(|latency| latency["median"].as_f64())
    };
    match (latency(1), latency(64)) {
        (Some(one), Some(many)) => Ok([one, many]),
        _ => Err(Error::Wrong(format!("measuring {}: no latency of 1 and 64 examples", run.display()))),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
