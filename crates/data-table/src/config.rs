//! The typed config of the data model.

use std::path::Path;

use ansatz_core::{
    Component, ConfigError, DataModel, Encoder, Modality, OpenData, Places, Preparation, Proposal, Registry,
    Result,
};
use ansatz_data::{SplitConfig, TargetColumn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::recognise::recognise;
use crate::{OpenTable, TableEncoder, TableSource};

/// Records of numbers and categories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TableConfig {
    /// Where the records come from.
    pub source: TableSource,
    /// What is foretold: `{ class = "species" }`, `{ number = "weight" }`, or, where a record may have several labels,
    /// `{ labels = { column = "topics", separator = ";" } }` or `{ flags = ["art", "war"] }`.
    pub target: TargetColumn,
    /// Columns of numbers. A column that is in no list holds numbers if all its values in the training part are.
    pub numbers: Vec<String>,
    /// Columns of categories, also where they are written as numbers.
    pub categories: Vec<String>,
    /// Columns that are not read. Nor is the column by which records are divided, unless a list names it.
    pub ignore: Vec<String>,
    /// How records are divided into parts.
    pub split: SplitConfig,
    /// Whether a learned token stands in front of the columns, for `task.pool = "first"`.
    pub class_token: bool,
}

impl Default for TableConfig {
    fn default() -> Self {
        Self {
            source: TableSource::default(),
            target: TargetColumn::Class("species".to_owned()),
            numbers: Vec::new(),
            categories: Vec::new(),
            ignore: Vec::new(),
            split: SplitConfig::default(),
            class_token: false,
        }
    }
}

impl Component for TableConfig {
    const KIND: &'static str = "table";
    const ABOUT: &'static str = "records of numbers and categories, with a class, labels or a number to foretell: CSV, TSV, JSON lines, Parquet, penguins";
    const CITATION: &'static str = "a token for each column: Gorishniy et al., Revisiting Deep Learning Models for Tabular \
        Data, 2021, arXiv:2106.11959";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        self.source.check()?;
        self.target.check()?;
        self.split.check().map_err(|error| error.under("split"))?;
        let lists = [("numbers", &self.numbers), ("categories", &self.categories), ("ignore", &self.ignore)];
        for (at, (list, names)) in lists.iter().enumerate() {
            for name in *names {
                if let Some((other, _)) = lists[..at].iter().find(|(_, names)| names.contains(name)) {
                    let problem = format!("`{name}` is in `{other}` too");
                    return Err(ConfigError::value(*list, problem, "each column in one list"));
                }
                if self.target.columns().contains(&name.as_str()) {
                    let problem = format!("`{name}` is what is foretold");
                    return Err(ConfigError::value(*list, problem, "other columns than data.target"));
                }
            }
        }
        Ok(())
    }
}

impl DataModel for TableConfig {
    fn open(&self, places: &Places) -> Result<Box<dyn OpenData>> {
        Ok(Box::new(OpenTable::open(self, places)?))
    }

    fn restore(&self, preparation: &Preparation) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(TableEncoder::restore(preparation, self)?))
    }

    fn recognise(&self, path: &Path) -> Result<Option<Proposal>> {
        recognise(path)
    }

    fn modality(&self) -> Option<&dyn Modality> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let read: Result<TableConfig, ConfigError> = ansatz_core::parse(text.parse().expect("TOML"));
        let checked = read.and_then(|mut config| config.complete(&Registry::default()));
        checked.unwrap_err().to_string()
    }

    #[test]
    fn values_that_do_not_fit_are_named() {
        for (text, path) in [
            ("source = { file = { path = '' } }", "source.file.path"),
            ("target = { class = '' }", "target"),
            ("split = { test = { fraction = 1.0 } }", "split.test"),
            ("split = { by = { group = '' } }", "split.by"),
            ("numbers = ['a']\nignore = ['a']", "ignore"),
            ("categories = ['species']", "categories"),
        ] {
            let said = message(text);
            assert!(said.contains(&format!("`{path}`")), "{text}: {said}");
        }
        assert!(message("targt = 'a'").contains("did you mean `target`?"));
    }
}
