//! What a run folder holds, read once.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use ansatz_core::{Error, Result};
use ansatz_run::{RunFolder, Summary};
use serde::de::DeserializeOwned;

use crate::layers::Layer;
use crate::mistakes::Mistake;
use crate::picture::Exhibit;
use crate::record::Record;
use crate::restored;

/// What a run folder holds.
pub(crate) struct Contents {
    /// The experiment's title, or the folder's name where it has none.
    pub(crate) title: String,
    /// The rendered config.
    pub(crate) config: String,
    /// The components by role: `("data", "image")`.
    pub(crate) components: Vec<(&'static str, String)>,
    /// The figures, once training has ended.
    pub(crate) summary: Option<Summary>,
    /// What happened on the way.
    pub(crate) record: Record,
    /// The worst mistakes.
    pub(crate) mistakes: Vec<Mistake>,
    /// Examples of which something was hidden.
    pub(crate) restored: Vec<Exhibit>,
    /// The table of layers.
    pub(crate) layers: Vec<Layer>,
}

impl Contents {
    /// Reads the folder; what is not there is empty.
    pub(crate) fn read(folder: &RunFolder) -> Result<Self> {
        let config = read(&folder.config())?.unwrap_or_default();
        let table: toml::Table = config.parse().unwrap_or_default();
        let summary = folder.read_summary()?;
        let title = summary
            .as_ref()
            .map(|summary| summary.title.clone())
            .or_else(|| Some(table.get("title")?.as_str()?.to_owned()))
            .filter(|title| !title.trim().is_empty())
            .unwrap_or_else(|| folder_name(folder.path()));
        let mut mistakes: Vec<Mistake> = read_json(&folder.path().join("mistakes.json"))?;
        for mistake in &mut mistakes {
            mistake.look(folder.path())?;
        }
        Ok(Self {
            title,
            components: ["data", "backbone", "task"]
                .into_iter()
                .filter_map(|role| Some((role, table.get(role)?.get("kind")?.as_str()?.to_owned())))
                .collect(),
            config,
            summary,
            record: Record::parse(&read(&folder.metrics())?.unwrap_or_default()),
            mistakes,
            restored: restored::read(folder)?,
            layers: read_json(&folder.layers())?,
        })
    }
}

fn folder_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "A run".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The file's text; bytes that are not UTF-8, as a cut-off write may leave, are replaced.
fn read(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(path, "read")(error)),
    }
}

fn read_json<T: DeserializeOwned + Default>(path: &Path) -> Result<T> {
    let Some(text) = read(path)? else { return Ok(T::default()) };
    serde_json::from_str(&text).map_err(|error| {
        Error::input(
            path.display(),
            format!("the file is damaged: {error}"),
            "a file as training leaves it",
            "restore the file, or delete it: the report then goes without it",
        )
    })
}
