//! Where records come from.

use ansatz_core::{ConfigError, Error, Places, Records, Result};
use ansatz_data::{Cache, FileOfRecords, catalogue, read_records};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where records come from: `source = "penguins"`, or `source = { file = { path = "mine.csv" } }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TableSource {
    /// 344 penguins of 3 species, some values missing.
    #[default]
    Penguins,
    /// A file of one's own.
    File(FileOfRecords),
    /// Columns of records whose other columns are read otherwise: for the data model `fused` alone.
    Records(RowsOfRecords),
}

/// Columns of records of the data model `fused`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RowsOfRecords {}

impl TableSource {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::File(file) => file.check(),
            Self::Penguins | Self::Records(_) => Ok(()),
        }
    }

    /// The records, and those of a test part that has a file of its own.
    pub(crate) fn read(&self, places: &Places) -> Result<(Records, Option<Records>)> {
        match self {
            Self::Penguins => {
                let set = catalogue::find("penguins")?;
                let file =
                    set.files.first().ok_or_else(|| Error::Failed("penguins without a file".to_owned()))?;
                let path = Cache::at(&places.data).locate(set)?.join(file.name);
                Ok((read_records(&path)?, None))
            }
            Self::File(file) => file.read(),
            Self::Records(_) => {
                let problem = "it stands for columns of records, which the data model `fused` reads";
                let expected = "\"penguins\", or { file = … }";
                Err(ConfigError::value("data.source", problem, expected).into())
            }
        }
    }
}
