//! Where examples of several modalities come from.

use ansatz_core::{ConfigError, Places, Records, Result};
use ansatz_data::{Cache, FileOfRecords, catalogue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clip_art;

/// Where records come from: `source = "clip-art"`, or `source = { file = { path = "mine.jsonl" } }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FusedSource {
    /// 3,167 pictures of 13 classes. Columns: `picture`; `title`; `strict`, title and keywords but those that
    /// name a folder of any class; `recipe`, title and keywords but those that name the picture's own class; `class`.
    #[default]
    ClipArt,
    /// A file of one's own, in which pictures are named as seen from its folder.
    File(FileOfRecords),
}

impl FusedSource {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::File(file) => file.check(),
            Self::ClipArt => Ok(()),
        }
    }

    /// The records, and those of a test part that has a file of its own.
    pub(crate) fn read(&self, places: &Places) -> Result<(Records, Option<Records>)> {
        match self {
            Self::File(file) => file.read(),
            Self::ClipArt => {
                let folder = Cache::at(&places.data).locate(catalogue::find("clip-art")?)?;
                Ok((clip_art::read(&folder)?, None))
            }
        }
    }
}
