//! A published checkpoint on disk.

use std::path::{Path, PathBuf};

use ansatz_core::{Error, Result};
use serde_json::Value;

use crate::TensorFile;

/// A folder with a published checkpoint: `config.json`, `model.safetensors` and, where it is one to verify
/// against, `io.safetensors`, `grads.safetensors` and `meta.json`.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    /// What `config.json` says.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What `meta.json` says; empty where there is none.
    pub meta: serde_json::Map<String, serde_json::Value>,
}

impl Folder {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// When there is no `config.json`, or a file is no JSON object.
    pub fn open(path: &Path) -> Result<Self> {
        let config = path.join("config.json");
        if !config.is_file() {
            return Err(Error::input(
                path.display(),
                "there is no config.json",
                "a folder with a published checkpoint: config.json and model.safetensors",
                "give the folder that the checkpoint was fetched into",
            ));
        }
        let meta = path.join("meta.json");
        let meta = if meta.is_file() { object(&meta)? } else { serde_json::Map::new() };
        Ok(Self { path: path.to_owned(), config: object(&config)?, meta })
    }

    /// Where the folder lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last part of its path.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map_or_else(|| self.path.display().to_string(), |name| name.to_string_lossy().into())
    }

    /// What the publisher calls the architecture: `model_type` of the config.
    pub fn model_type(&self) -> Option<&str> {
        self.config.get("model_type").and_then(Value::as_str)
    }

    /// The class that made the numbers to verify against, from `meta.json`.
    pub fn class(&self) -> Option<&str> {
        self.meta.get("cls").and_then(Value::as_str)
    }

    /// The token that the config's option `name` gives, of a list the first; `None` where there is no such option.
    ///
    /// # Errors
    /// When it is no token.
    pub fn token(&self, name: &str) -> Result<Option<u32>> {
        let given = match self.config.get(name) {
            Some(Value::Array(list)) => list.first(),
            other => other,
        };
        let Some(given) = given.filter(|given| !given.is_null()) else { return Ok(None) };
        let token = given.as_u64().and_then(|token| u32::try_from(token).ok());
        token.map(Some).ok_or_else(|| {
            let (place, problem) = (self.file("config.json"), format!("`{name}` is {given}"));
            Error::input(place.display(), problem, "a token: 0 or more", "mend or remove the option")
        })
    }

    /// The file `name` of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The weights.
    ///
    /// # Errors
    /// When they are not there or damaged.
    pub fn weights(&self) -> Result<TensorFile> {
        TensorFile::read(&self.file("model.safetensors"))
    }
}

fn object(path: &Path) -> Result<serde_json::Map<String, serde_json::Value>> {
    let text = std::fs::read_to_string(path).map_err(Error::file(path, "read"))?;
    serde_json::from_str(&text).map_err(|error| {
        Error::input(
            path.display(),
            format!("not a JSON object: {error}"),
            "the file as it was published",
            "fetch or restore the file",
        )
    })
}
