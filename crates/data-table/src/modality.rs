//! Columns of records as one modality of examples that have several.

use ansatz_core::{
    BoxedStem, Build, Cell, ConfigError, Error, Exhibit, FittedModality, Modality, ModalityEncoder,
    ModalityExamples, Preparation, Record, Records, Result, Variation,
};
use burn::tensor::TensorData;

use crate::columns::{self, Encoded};
use crate::encoder::Reader;
use crate::{Column, TableConfig, TableSource};

impl TableConfig {
    /// Refuses what belongs to the example as a whole.
    fn check_modality(&self) -> Result<()> {
        let usual = Self::default();
        let given = [
            ("source", !matches!(self.source, TableSource::Records(_)), "{ records = {} }, or no source"),
            ("target", self.target != usual.target, "nothing here: the example as a whole has data.target"),
            ("split", self.split != usual.split, "nothing here: data.split divides examples"),
        ];
        match given.into_iter().find(|(_, given, _)| *given) {
            Some((name, _, expected)) => {
                let problem = "it cannot be set for columns among several modalities";
                Err(ConfigError::value(name, problem, expected).into())
            }
            None => Ok(()),
        }
    }
}

impl Modality for TableConfig {
    fn fit(&self, records: &Records, train: &[usize]) -> Result<FittedModality> {
        self.check_modality()?;
        let (columns, mut notes) = columns::fit(self, records, train, &[])?;
        let encoder = TableModality(Reader::new(columns, self.class_token)?);
        let [gaps, unseen] = Encoded::count(&encoder.0.columns, records)?;
        let examples = encoder.examples(records)?;
        for (many, what) in [
            (gaps, "values are missing."),
            (unseen, "categories outside the training part do not occur in it."),
        ] {
            if many > 0 {
                notes.push(format!("{many} {what}"));
            }
        }
        Ok(FittedModality { encoder: Box::new(encoder), examples: Box::new(examples), notes })
    }

    fn restore(&self, preparation: &Preparation) -> Result<Box<dyn ModalityEncoder>> {
        let columns: Vec<Column> = serde_json::from_value(preparation.clone()).map_err(|error| {
            let expected = "what the data model `table` keeps";
            Error::input("the run's preparation", error.to_string(), expected, "use a whole run of records")
        })?;
        Ok(Box::new(TableModality(Reader::new(columns, self.class_token)?)))
    }
}

/// Fitted preprocessing of some columns.
struct TableModality(Reader);

impl TableModality {
    fn examples(&self, records: &Records) -> Result<Rows> {
        let present = |row: Result<Record>| Ok(!row?.cells.iter().all(Cell::is_missing));
        let present = records.rows.iter().map(present).collect::<Result<_>>()?;
        Ok(Rows { reader: self.0.clone(), records: records.clone(), present })
    }
}

impl ModalityEncoder for TableModality {
    fn preparation(&self) -> Result<Preparation> {
        serde_json::to_value(&self.0.columns)
            .map_err(|error| Error::Failed(format!("preprocessing: {error}")))
    }

    fn read(&self, records: &Records) -> Result<Box<dyn ModalityExamples>> {
        // What cannot be read is told at once.
        Encoded::count(&self.0.columns, records)?;
        Ok(Box::new(self.examples(records)?))
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        Ok(self.0.stem(width, build.device))
    }
}

/// Some columns of many records.
struct Rows {
    reader: Reader,
    records: Records,
    present: Vec<bool>,
}

impl ModalityExamples for Rows {
    fn is_present(&self, index: usize) -> bool {
        self.present[index]
    }

    fn inputs(&self, indices: &[usize], _variation: Option<Variation>) -> Result<Vec<(String, TensorData)>> {
        self.reader.inputs(&self.records, indices)
    }

    fn exhibit(&self, index: usize) -> Result<Exhibit> {
        Ok(Exhibit::Text(columns::in_words(&self.records.columns, &self.records.rows.get(index)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RowsOfRecords;
    use crate::columns::tests::records;

    #[test]
    fn columns_are_fitted_on_training_alone_and_restored() {
        let config = TableConfig { source: TableSource::Records(RowsOfRecords {}), ..TableConfig::default() };
        let all = records("age,sex", &["1,f", "3,m", ",", "9,d"]);
        let fitted = config.fit(&all, &[0, 1]).unwrap();
        let present: Vec<bool> = (0..4).map(|index| fitted.examples.is_present(index)).collect();
        assert_eq!(present, [true, true, false, true]);
        assert_eq!(fitted.notes.len(), 2, "{:?}", fitted.notes);
        let inputs = fitted.examples.inputs(&[3], None).unwrap();
        inputs[0].1.assert_eq(&TensorData::from([[7.0f32]]), true);
        let restored = config.restore(&fitted.encoder.preparation().unwrap()).unwrap();
        let again = restored.read(&records("age,sex", &["9,d"])).unwrap().inputs(&[0], None).unwrap();
        again[2].1.assert_eq(&inputs[2].1, true);
        let with_source = TableConfig::default().fit(&all, &[0]).err().expect("refused");
        assert!(with_source.to_string().contains("`source`"));
    }
}
