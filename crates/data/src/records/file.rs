//! Files of records as a source.

use std::path::PathBuf;

use ansatz_core::{ConfigError, Records, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::read_records;

/// A table whose first line names the columns, cells parted by tabs in a `.tsv` or `.tab` file, else by commas; or an
/// object in each line of a `.jsonl` file; or a `.parquet` file without nested columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileOfRecords {
    /// The file.
    pub path: PathBuf,
    /// A file of the same columns that is the test part. Left out: a share is taken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
}

impl FileOfRecords {
    /// Checks that a file is named.
    ///
    /// # Errors
    /// When its name is empty.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.path.as_os_str().is_empty() {
            return Err(ConfigError::value("source.file.path", "no file is named", "a file of records"));
        }
        Ok(())
    }

    /// The records, and those of the test part where it has a file of its own, with the same columns.
    ///
    /// # Errors
    /// When a file cannot be read, or the second lacks a column of the first.
    pub fn read(&self) -> Result<(Records, Option<Records>)> {
        let records = read_records(&self.path)?;
        let test = |path: &PathBuf| read_records(path)?.select(&records.columns);
        let test = self.test.as_ref().map(test).transpose()?;
        Ok((records, test))
    }
}
