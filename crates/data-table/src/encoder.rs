//! Fitted preprocessing: from records to what the network reads.

use std::path::{Path, PathBuf};

use ansatz_core::{
    Batch, BoxedStem, Build, Encoder, Error, FileBatches, Preparation, Records, Result, Target, Targets,
};
use ansatz_data::{read_records, record_files};
use burn::tensor::{Device, TensorData};
use serde::{Deserialize, Serialize};

use crate::columns::Encoded;
use crate::{CATEGORIES, Column, ColumnTokens, MISSING, NUMBERS, TableConfig};

/// What a run must keep to read records as it did in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prepared {
    columns: Vec<Column>,
    target: Target,
}

/// The columns that a network reads, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reader {
    pub(crate) columns: Vec<Column>,
    pub(crate) class_token: bool,
}

impl Reader {
    /// The columns, checked.
    ///
    /// # Errors
    /// When there is none, or a figure cannot be used.
    pub(crate) fn new(columns: Vec<Column>, class_token: bool) -> Result<Self> {
        if columns.is_empty() {
            let problem = "no column is left to read";
            let expected = "at least one column besides the target";
            return Err(Error::input(
                "the records",
                problem,
                expected,
                "shorten data.ignore, or give more columns",
            ));
        }
        if columns.iter().all(Column::fits) {
            return Ok(Self { columns, class_token });
        }
        let expected = "what the data model `table` keeps";
        Err(Error::input(
            "the run's preparation",
            "a column's figures",
            expected,
            "use a whole run of records",
        ))
    }

    pub(crate) fn stem(&self, width: Option<usize>, device: &Device) -> BoxedStem {
        BoxedStem::new(ColumnTokens::new(&self.columns, self.class_token, width.unwrap_or(64), device))
    }

    /// The records `indices` as the inputs of a batch.
    ///
    /// # Errors
    /// When a column is not there, or holds what is no number where numbers are read.
    pub(crate) fn inputs(&self, records: &Records, indices: &[usize]) -> Result<Vec<(String, TensorData)>> {
        let encoded = Encoded::at(&self.columns, records, indices)?;
        let categories = self.columns.iter().filter(|column| column.rows() > 0).count();
        let numbers = self.columns.len() - categories;
        let mut inputs = Vec::new();
        if numbers > 0 {
            let shape = [indices.len(), numbers];
            inputs.push((NUMBERS.to_owned(), TensorData::new(encoded.numbers, shape)));
            inputs.push((MISSING.to_owned(), TensorData::new(encoded.missing, shape)));
        }
        if categories > 0 {
            let shape = [indices.len(), categories];
            inputs.push((CATEGORIES.to_owned(), TensorData::new(encoded.categories, shape)));
        }
        Ok(inputs)
    }
}

/// Fitted preprocessing of records.
#[derive(Debug, Clone)]
pub struct TableEncoder {
    reader: Reader,
    target: Target,
}

impl TableEncoder {
    pub(crate) fn new(columns: Vec<Column>, target: Target, config: &TableConfig) -> Result<Self> {
        Ok(Self { reader: Reader::new(columns, config.class_token)?, target })
    }

    /// From what a run kept.
    ///
    /// # Errors
    /// When `preparation` is of another data model.
    pub fn restore(preparation: &Preparation, config: &TableConfig) -> Result<Self> {
        let kept: Prepared = serde_json::from_value(preparation.clone()).map_err(|error| {
            let expected = "what the data model `table` keeps";
            Error::input("the run's preparation", error.to_string(), expected, "use a whole run of records")
        })?;
        Self::new(kept.columns, kept.target, config)
    }

    /// The columns that are read.
    pub fn columns(&self) -> &[Column] {
        &self.reader.columns
    }

    pub(crate) fn batch(&self, records: &Records, indices: &[usize], targets: Targets) -> Result<Batch> {
        Ok(Batch { examples: indices.len(), inputs: self.reader.inputs(records, indices)?, targets })
    }
}

impl Encoder for TableEncoder {
    fn target(&self) -> &Target {
        &self.target
    }

    fn preparation(&self) -> Result<Preparation> {
        let kept = Prepared { columns: self.reader.columns.clone(), target: self.target.clone() };
        serde_json::to_value(kept).map_err(|error| Error::Failed(format!("preprocessing: {error}")))
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        Ok(self.reader.stem(width, build.device))
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        record_files(path)
    }

    fn usual_file(&self) -> &'static str {
        "RECORDS.csv"
    }

    /// One example for each record of the file; a target that stands there is not looked at.
    fn encode(&self, path: &Path) -> Result<FileBatches<'_>> {
        let records = read_records(path)?;
        Ok(FileBatches::of(records.rows.len(), move |range| {
            self.batch(&records, &range.collect::<Vec<_>>(), Targets::Unknown)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::tests::records;

    #[test]
    fn a_restored_encoder_is_the_one_that_was_kept() {
        let columns = vec![
            Column::Category { name: "sex".to_owned(), values: vec!["f".to_owned()] },
            Column::Number { name: "age".to_owned(), mean: 2.0, deviation: 4.0 },
        ];
        let target = Target::Number { name: "mass".to_owned(), mean: 1.0, deviation: 2.0 };
        let config = TableConfig::default();
        let encoder = TableEncoder::new(columns, target, &config).unwrap();
        let kept = encoder.preparation().unwrap();
        let restored = TableEncoder::restore(&kept, &config).unwrap();
        assert_eq!((restored.columns(), restored.target()), (encoder.columns(), encoder.target()));
        let all = records("age,more,sex", &["4,x,f", "NA,y,d"]);
        let batch = restored.batch(&all, &[1, 0], Targets::Unknown).unwrap();
        batch.inputs[0].1.assert_eq(&TensorData::from([[0.0f32], [0.5]]), true);
        batch.inputs[1].1.assert_eq(&TensorData::from([[1.0f32], [0.0]]), true);
        batch.inputs[2].1.assert_eq(&TensorData::from([[1i64], [2]]), true);
        for damaged in [
            serde_json::json!({ "size": 3 }),
            serde_json::json!({ "columns": [], "target": kept["target"] }),
            serde_json::json!({
                "columns": [{ "kind": "number", "name": "a", "mean": 0.0, "deviation": 0.0 }],
                "target": kept["target"],
            }),
        ] {
            assert!(TableEncoder::restore(&damaged, &config).is_err(), "{damaged}");
        }
    }
}
