//! Records, read and divided.

use ansatz_core::{Batch, Encoder, Exhibit, OpenData, Part, Places, Records, Result, Targets, Variation};
use ansatz_data::{Divided, Labelled, Labels, SplitBy};

use crate::columns::{self, Encoded};
use crate::{TableConfig, TableEncoder};

/// Records, read and divided; each is an example, and encoded when it is asked for.
pub struct OpenTable {
    encoder: TableEncoder,
    records: Records,
    labels: Labels,
    divided: Divided,
    notes: Vec<String>,
}

impl OpenTable {
    /// Reads the source, divides it, and fits columns and target on the training part.
    ///
    /// # Errors
    /// When the source is not there or not what it should be, or a division leaves nothing.
    pub fn open(config: &TableConfig, places: &Places) -> Result<Self> {
        let (records, test) = config.source.read(places)?;
        let Labelled { records, own_test, unlabelled } = config.target.labelled(records, test)?;
        let divided = config.split.divide(&records, &config.target, own_test)?;
        let train = divided.part(Part::Train);
        let target = config.target.fit(&records, train)?;
        let mut left_out = config.target.columns();
        if let SplitBy::Group(column) | SplitBy::Bucket(column) | SplitBy::Time(column) = &config.split.by {
            left_out.push(column);
        }
        let (columns, mut notes) = columns::fit(config, &records, train, &left_out)?;
        let labels = config.target.labels(&records, &target)?;
        let encoder = TableEncoder::new(columns, target, config)?;
        // Each is read once all the same, so that what cannot be read is told before training begins.
        let [gaps, unseen] = Encoded::count(encoder.columns(), &records)?;
        let total = records.rows.len();
        let mut count = |many: usize, what: &str| {
            if many > 0 {
                notes.push(format!("{many} {what}"));
            }
        };
        count(unlabelled, &format!("of {} records have no target, and are left out.", total + unlabelled));
        count(gaps, &format!("of {} values are missing.", total * encoder.columns().len()));
        count(unseen, "categories outside the training part do not occur in it.");
        Ok(Self { encoder, records, labels, divided, notes })
    }
}

impl OpenData for OpenTable {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn examples(&self, part: Part) -> usize {
        self.divided.part(part).len()
    }

    /// Records are never varied.
    fn batch(&self, part: Part, indices: &[usize], _variation: Option<Variation>) -> Result<Batch> {
        let all = self.divided.part(part);
        let rows: Vec<usize> = indices.iter().map(|&index| all[index]).collect();
        self.encoder.batch(&self.records, &rows, self.labels.targets(&rows))
    }

    fn targets(&self, part: Part) -> Option<Targets> {
        Some(self.labels.targets(self.divided.part(part)))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        let record = self.records.rows.get(self.divided.part(part)[index])?;
        Ok(Exhibit::Text(columns::in_words(&self.records.columns, &record)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TableSource;
    use ansatz_core::{Registry, Target};
    use ansatz_data::{FileOfRecords, Share, SplitConfig, TargetColumn};

    fn open(rows: &str, test: Option<&str>, change: impl Fn(&mut TableConfig)) -> Result<OpenTable> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, rows: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("kind,age,sex,who\n{rows}")).unwrap();
            path
        };
        let file =
            FileOfRecords { path: write("train.csv", rows), test: test.map(|rows| write("test.csv", rows)) };
        let mut config = TableConfig {
            source: TableSource::File(file),
            target: TargetColumn::Class("kind".to_owned()),
            ..TableConfig::default()
        };
        change(&mut config);
        OpenTable::open(&config, &Places { data: folder.path().to_owned() })
    }

    fn rows(count: usize) -> String {
        let row = |index: usize| {
            let age = if index % 10 == 3 { String::new() } else { index.to_string() };
            format!("{},{age},{},{}\n", ["owl", "cat"][index % 2], ["f", "m"][index / 2 % 2], index % 8)
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn records_are_divided_fitted_on_training_alone_and_counted() {
        let data = open(&(rows(40) + ",1,f,2\n"), None, |_| {}).unwrap();
        let counts = [Part::Train, Part::Validation, Part::Test].map(|part| data.examples(part));
        assert_eq!(counts, [28, 4, 8]);
        let batch = data.batch(Part::Test, &(0..8).collect::<Vec<_>>(), None).unwrap();
        let Targets::Classes(classes) = batch.targets else { unreachable!() };
        assert_eq!(classes.iter().filter(|class| **class == 1).count(), 4);
        let notes = data.notes().join("\n");
        assert!(notes.contains("1 of 41 records have no target"), "{notes}");
        assert!(notes.contains("4 of 120 values are missing"), "{notes}");
        let Exhibit::Text(shown) = data.exhibit(Part::Train, 0).unwrap() else { unreachable!() };
        assert!(shown.contains("kind: owl"), "{shown}");
    }

    #[test]
    fn a_test_file_counts_whole_and_changes_no_scale() {
        let alone = open(&rows(40), None, |config| config.split.test = Share::Count(0)).unwrap();
        let beside = open(&rows(40), Some("cat,1000,d,1\nowl,,f,2\n"), |_| {}).unwrap();
        assert_eq!(beside.examples(Part::Test), 2);
        assert_eq!(beside.encoder.columns(), alone.encoder.columns());
        assert!(beside.notes().iter().any(|note| note.starts_with("1 categories outside")));
        let message = |test: &str| match open(&rows(40), Some(test), |_| {}) {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        };
        assert!(message("dog,1,f,1\n").contains("test.csv, line 2: the class `dog`"));
        assert!(message("cat,old,f,1\n").contains("test.csv, line 2: column `age` holds \"old\""));
        assert!(message(",1,f,1\n").contains("test.csv: no record has a value in column `kind`"));
    }

    #[test]
    fn the_column_of_groups_divides_and_is_not_read() {
        let by = SplitBy::Group("who".to_owned());
        let data = open(&rows(40), None, |config| {
            config.split = SplitConfig { by: by.clone(), ..SplitConfig::default() };
            config.target = TargetColumn::Number("age".to_owned());
        });
        let data = data.unwrap();
        let names: Vec<&str> = data.encoder.columns().iter().map(crate::Column::name).collect();
        assert_eq!(names, ["kind", "sex"]);
        assert!(matches!(data.encoder().target(), Target::Number { .. }));
        assert!(data.notes()[0].contains("4 of 40 records have no target"), "{:?}", data.notes());
        assert!(data.examples(Part::Test) > 0 && data.examples(Part::Validation) > 0);
    }

    #[test]
    fn a_set_that_is_not_there_says_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = TableConfig::default();
        ansatz_core::Component::complete(&mut config, &Registry::default()).unwrap();
        let said = OpenTable::open(&config, &Places { data: folder.path().to_owned() });
        assert!(said.err().expect("nothing is there").to_string().contains("ansatz data get penguins"));
    }
}
