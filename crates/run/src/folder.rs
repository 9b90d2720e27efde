//! The run folder: everything a run leaves behind.

use std::fs;
use std::path::{Path, PathBuf};

use ansatz_core::{Error, Layer, Preparation, Registry, Result};

use crate::{Experiment, Summary, Taken, write_atomically};

/// The folder of a run.
///
/// | file | holds |
/// |---|---|
/// | `config.toml` | the experiment, every value rendered |
/// | `preparation.json` | what preprocessing fitted on the training part |
/// | `model.safetensors` | the weights that were kept |
/// | `masks.safetensors` | which weights were pruned, where some were |
/// | `metrics.jsonl` | one line per epoch and per logged step |
/// | `summary.json` | the figures |
/// | `init.json` | what was taken from another run, where training started from one |
/// | `layers.json` | the table of layers |
/// | `mistakes.json`, `mistakes/` | the examples the network was most wrong about |
/// | `report.html` | all of it to look at |
/// | `checkpoints/` | what a stopped run goes on from |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The place of a new run, which is only made by [`RunFolder::make`], once it is known that the run can
    /// begin.
    ///
    /// # Errors
    /// When there is a run already, or the folder holds anything else.
    pub fn vacant(path: &Path) -> Result<Self> {
        let occupied = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(Error::file(path, "read")(error)),
        };
        let folder = Self { path: path.to_owned() };
        if occupied && folder.config().exists() {
            return Err(Error::input(
                path.display(),
                "the folder already holds a run",
                "a new or empty folder",
                format!("give another --out, or go on with it: ansatz train --resume {}", path.display()),
            ));
        }
        if occupied {
            return Err(Error::input(
                path.display(),
                "the folder is not empty and not a run",
                "a new or empty folder",
                "give another --out",
            ));
        }
        Ok(folder)
    }

    /// The folder at `path`, whatever is there.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Makes the folder, unless it is there.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.path).map_err(Error::file(&self.path, "create"))
    }

    /// A run folder that is there.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self { path: path.to_owned() };
        if folder.config().is_file() {
            return Ok(folder);
        }
        Err(Error::input(
            path.display(),
            if path.exists() {
                "the folder is not a run: it has no config.toml"
            } else {
                "there is no such folder"
            },
            "the folder of a run, as `ansatz train` leaves it",
            "train first, or check the path",
        ))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.toml`.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// `preparation.json`.
    pub fn preparation(&self) -> PathBuf {
        self.path.join("preparation.json")
    }

    /// `model.safetensors`.
    pub fn weights(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// `masks.safetensors`.
    pub fn masks(&self) -> PathBuf {
        self.path.join("masks.safetensors")
    }

    /// `metrics.jsonl`.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// `restored`, the folder of examples of which something was hidden.
    pub fn restored(&self) -> PathBuf {
        self.path.join("restored")
    }

    /// `summary.json`.
    pub fn summary(&self) -> PathBuf {
        self.path.join("summary.json")
    }

    /// `layers.json`.
    pub fn layers(&self) -> PathBuf {
        self.path.join("layers.json")
    }

    /// `init.json`.
    pub fn taken(&self) -> PathBuf {
        self.path.join("init.json")
    }

    /// `report.html`.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// `checkpoints/`.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Reads the experiment.
    ///
    /// # Errors
    /// When the file is damaged, or names components that `registry` lacks.
    pub fn read_experiment(&self, registry: &Registry) -> Result<Experiment> {
        Experiment::read(&self.config(), &[], registry)
    }

    /// Writes the experiment, rendered.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_experiment(&self, experiment: &Experiment) -> Result<()> {
        write_atomically(&self.config(), experiment.render()?.as_bytes())
    }

    /// Reads what preprocessing fitted.
    ///
    /// # Errors
    /// When the file is not there or damaged.
    pub fn read_preparation(&self) -> Result<Preparation> {
        self.read_json(&self.preparation())
    }

    /// Writes what preprocessing fitted.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_preparation(&self, preparation: &Preparation) -> Result<()> {
        self.write_json(&self.preparation(), preparation)
    }

    /// Reads the figures; `None` for a run that has not ended.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn read_summary(&self) -> Result<Option<Summary>> {
        if self.summary().exists() { self.read_json(&self.summary()).map(Some) } else { Ok(None) }
    }

    /// Writes the figures.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_summary(&self, summary: &Summary) -> Result<()> {
        self.write_json(&self.summary(), summary)
    }

    /// Writes the table of layers.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_layers(&self, layers: &[Layer]) -> Result<()> {
        self.write_json(&self.layers(), layers)
    }

    /// Reads what was taken from another run; `None` where nothing was.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn read_taken(&self) -> Result<Option<Taken>> {
        if self.taken().exists() { self.read_json(&self.taken()).map(Some) } else { Ok(None) }
    }

    /// Writes what was taken from another run.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_taken(&self, taken: &Taken) -> Result<()> {
        self.write_json(&self.taken(), taken)
    }

    /// The weights of a run that has ended.
    ///
    /// # Errors
    /// When it has not.
    pub fn ended_weights(&self) -> Result<PathBuf> {
        let weights = self.weights();
        if weights.is_file() {
            return Ok(weights);
        }
        let path = self.path.display();
        Err(Error::input(
            &path,
            "the run has no model.safetensors: its training has not ended",
            "a run whose training has ended",
            format!("let it end: ansatz train --resume {path}"),
        ))
    }

    fn read_json<T: serde::de::DeserializeOwned>(&self, path: &Path) -> Result<T> {
        let text = fs::read_to_string(path).map_err(Error::file(path, "read"))?;
        serde_json::from_str(&text).map_err(|error| {
            Error::input(
                path.display(),
                format!("the file is damaged: {error}"),
                "a file as `ansatz train` leaves it",
                "train again, or restore the file",
            )
        })
    }

    fn write_json<T: serde::Serialize + ?Sized>(&self, path: &Path, value: &T) -> Result<()> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
        write_atomically(path, text.as_bytes())
    }
}
