//! The columns that records are labelled with.

use ansatz_core::{Cell, ConfigError, Error, Record, Records, Result, Target, Targets};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::several::{self, LabelSets, SeparatedLabels, check_separator, names_of, places_of, separated};

/// What is foretold: `target = { class = "species" }`, `target = { number = "weight" }`, or, where a record may have
/// several labels, `target = { labels = { column = "topics", separator = ";" } }` or `target = { flags = ["art", "war"] }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TargetColumn {
    /// The column of classes, for the task `classify`.
    Class(String),
    /// The column of numbers, for the task `regress`.
    Number(String),
    /// A column that holds any number of labels, for the task `classify`.
    Labels(SeparatedLabels),
    /// A column for each label, of 0 and 1 (or false and true, no and yes), for the task `classify`.
    Flags(Vec<String>),
}

/// Records that have a label.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// All of them.
    pub records: Records,
    /// From which of them on they are a test part of their own.
    pub own_test: Option<usize>,
    /// How many were left out as they had none.
    pub unlabelled: usize,
}

/// What records are labelled with.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// A class each.
    Classes(Vec<usize>),
    /// A number each, on the scale of the training part.
    Numbers(Vec<f32>),
    /// Any number of labels each.
    Sets(LabelSets),
}

impl Labels {
    /// Those of the records `indices`.
    ///
    /// # Panics
    /// If one of them does not exist.
    pub fn targets(&self, indices: &[usize]) -> Targets {
        match self {
            Self::Classes(all) => Targets::Classes(indices.iter().map(|&index| all[index]).collect()),
            Self::Numbers(all) => Targets::Numbers(indices.iter().map(|&index| all[index]).collect()),
            Self::Sets(all) => all.targets(indices.iter().copied()),
        }
    }
}

impl TargetColumn {
    /// The names of the columns.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Class(name) | Self::Number(name) => vec![name],
            Self::Labels(labels) => vec![&labels.column],
            Self::Flags(names) => names.iter().map(String::as_str).collect(),
        }
    }

    /// Checks that columns are named.
    ///
    /// # Errors
    /// When there is none, or a name is empty or comes twice.
    pub fn check(&self) -> Result<(), ConfigError> {
        let columns = self.columns();
        if columns.is_empty() || columns.contains(&"") {
            let expected = "{ class = \"…\" }, { number = \"…\" }, { labels = { column = \"…\" } } or { flags = [\"…\"] }";
            return Err(ConfigError::value("target", "no column is named", expected));
        }
        if let Some((at, name)) = columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name))
        {
            let problem = format!("`{name}` comes twice");
            return Err(ConfigError::value(format!("target.flags[{at}]"), problem, "each column once"));
        }
        match self {
            Self::Labels(labels) => {
                check_separator(&labels.separator).map_err(|error| error.under("target.labels"))
            }
            _ => Ok(()),
        }
    }

    /// The records that have a label, those of a test part of its own behind the others.
    ///
    /// # Errors
    /// When there is no such column, or nothing in it.
    pub fn labelled(&self, mut records: Records, test: Option<Records>) -> Result<Labelled> {
        let mut unlabelled = self.leave_out_unlabelled(&mut records)?;
        let mut own_test = None;
        if let Some(mut test) = test {
            unlabelled += self.leave_out_unlabelled(&mut test)?;
            own_test = Some(records.rows.len());
            records.rows = records.rows.followed_by(&test.rows);
        }
        Ok(Labelled { records, own_test, unlabelled })
    }

    /// Leaves out the records without a label; how many there were.
    fn leave_out_unlabelled(&self, records: &mut Records) -> Result<usize> {
        let columns =
            self.columns().into_iter().map(|name| records.column(name)).collect::<Result<Vec<_>>>()?;
        let before = records.rows.len();
        let file = records.file();
        let nothing = |cell: &Cell| matches!(cell, Cell::Text(text) if text.trim().is_empty());
        let labelled = |cell: &Cell| match self {
            // Without a label is not without a value.
            Self::Labels(_) => cell.known().is_some() || nothing(cell),
            _ => cell.known().is_some(),
        };
        let mut kept = Vec::new();
        for (index, row) in records.rows.iter().enumerate() {
            let row = row?;
            if columns.iter().all(|column| labelled(&row.cells[*column])) {
                kept.push(index);
            }
        }
        if kept.len() < before {
            records.rows = records.rows.at(kept);
        }
        match file.filter(|_| records.rows.is_empty()) {
            None => Ok(before - records.rows.len()),
            Some(file) => {
                let problem = format!("no record has a value in column `{}`", self.columns().join("`, `"));
                let remedy = "name another column as data.target";
                Err(Error::input(file.display(), problem, "labelled records", remedy))
            }
        }
    }

    /// For each record the group that dividing keeps in proportion: its class, or a tenth of all numbers.
    ///
    /// # Errors
    /// When a label is not what it should be.
    pub fn strata(&self, records: &Records) -> Result<Vec<usize>> {
        match self {
            Self::Class(_) => {
                let names = self.classes(records)?;
                self.places(records, &names)
            }
            Self::Labels(_) | Self::Flags(_) => {
                let names = self.classes(records)?;
                Ok(self.sets(records, &names)?.strata())
            }
            Self::Number(_) => {
                let numbers = self.numbers(records)?;
                let mut order: Vec<usize> = (0..numbers.len()).collect();
                order.sort_by(|one, other| numbers[*one].total_cmp(&numbers[*other]));
                let mut strata = vec![0; numbers.len()];
                for (rank, index) in order.into_iter().enumerate() {
                    strata[index] = rank * 10 / numbers.len();
                }
                Ok(strata)
            }
        }
    }

    /// What the records are labelled with, as the records `train` have it: the classes in the order of their names,
    /// or mean and deviation of the numbers.
    ///
    /// # Errors
    /// When a label is not what it should be, or there are not two different ones.
    pub fn fit(&self, records: &Records, train: &[usize]) -> Result<Target> {
        let known = records.at(train.iter().copied());
        let alike = |what: &str| {
            let problem = format!("all {} records for training have one {what}", train.len());
            let expected =
                format!("two different values in column `{}` at least", self.columns().join("`, `"));
            Error::input("data.target", problem, expected, "name another column, or give more records")
        };
        match self {
            Self::Class(_) => {
                let names = self.classes(&known)?;
                if names.len() < 2 { Err(alike("class")) } else { Ok(Target::Classes { names }) }
            }
            Self::Labels(_) | Self::Flags(_) => several::target(self.classes(&known)?, train.len()),
            Self::Number(name) => {
                let numbers = self.numbers(&known)?;
                let count = numbers.len().max(1) as f64;
                let mean = numbers.iter().sum::<f64>() / count;
                let deviation = (numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
                if deviation > 0.0 && deviation.is_finite() {
                    Ok(Target::Number { name: name.clone(), mean, deviation })
                } else {
                    Err(alike("number"))
                }
            }
        }
    }

    /// The labels of all `records`.
    ///
    /// # Errors
    /// When one is not what it should be, or a class that `target` does not have.
    pub fn labels(&self, records: &Records, target: &Target) -> Result<Labels> {
        match target {
            Target::Classes { names } => Ok(Labels::Classes(self.places(records, names)?)),
            Target::Labels { names } => Ok(Labels::Sets(self.sets(records, names)?)),
            Target::Number { mean, deviation, .. } => {
                let scaled = |number: &f64| ((number - mean) / deviation) as f32;
                Ok(Labels::Numbers(self.numbers(records)?.iter().map(scaled).collect()))
            }
            _ => Err(Error::Failed("records with labels that are neither classes nor numbers".to_owned())),
        }
    }

    /// The column, of targets that have one.
    fn column(&self, records: &Records) -> Result<usize> {
        records.column(self.columns().first().copied().unwrap_or_default())
    }

    /// The labels that stand in a record's cell of the column.
    fn named<'a>(&self, row: &'a Record, column: usize) -> Vec<&'a str> {
        let known = row.cells[column].known();
        match self {
            Self::Labels(labels) => {
                known.into_iter().flat_map(|text| separated(text, &labels.separator)).collect()
            }
            _ => known.into_iter().collect(),
        }
    }

    fn classes(&self, records: &Records) -> Result<Vec<String>> {
        if let Self::Flags(names) = self {
            return Ok(names.clone());
        }
        let column = self.column(records)?;
        names_of(records, |row| self.named(row, column))
    }

    fn places(&self, records: &Records, names: &[String]) -> Result<Vec<usize>> {
        let column = self.column(records)?;
        let place = |row: Result<Record>| {
            let row = row?;
            let places = places_of(self.named(&row, column), names, &row.place)?;
            places.first().copied().ok_or_else(|| Error::Failed(format!("{}: no class", row.place)))
        };
        records.rows.iter().map(place).collect()
    }

    fn sets(&self, records: &Records, names: &[String]) -> Result<LabelSets> {
        if let Self::Flags(columns) = self {
            return several::flags(records, columns);
        }
        let column = self.column(records)?;
        let set = |row: Result<Record>| {
            let row = row?;
            places_of(self.named(&row, column), names, &row.place)
        };
        Ok(LabelSets::new(names.len(), records.rows.iter().map(set).collect::<Result<_>>()?))
    }

    fn numbers(&self, records: &Records) -> Result<Vec<f64>> {
        let column = self.column(records)?;
        let number = |row: Result<Record>| {
            let row = row?;
            let parsed = row.cells[column].known().and_then(|text| text.parse().ok());
            parsed
                .filter(|number: &f64| number.is_finite())
                .ok_or_else(|| records.wrong(&row, column, "a finite number, which is foretold"))
        };
        records.rows.iter().map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::read::tests::records;

    #[test]
    fn classes_and_numbers_are_those_of_the_training_part() {
        let class = TargetColumn::Class("kind".to_owned());
        let (first, test) = (records("kind,age\nowl,1\ncat,3\nNA,5\n"), records("kind,age\nowl,8\n"));
        let found = class.labelled(first, Some(test)).unwrap();
        assert_eq!((found.own_test, found.unlabelled), (Some(2), 1));
        let all = found.records;
        let target = class.fit(&all, &[0, 1]).unwrap();
        assert_eq!(target, Target::Classes { names: vec!["cat".to_owned(), "owl".to_owned()] });
        let labels = class.labels(&all, &target).unwrap();
        assert_eq!(labels.targets(&[2, 1]), Targets::Classes(vec![1, 0]));
        assert_eq!(class.strata(&all).unwrap(), [1, 0, 1]);
        let number = TargetColumn::Number("age".to_owned());
        let target = number.fit(&all, &[0, 1]).unwrap();
        assert_eq!(target, Target::Number { name: "age".to_owned(), mean: 2.0, deviation: 1.0 });
        let labels = number.labels(&all, &target).unwrap();
        assert_eq!(labels.targets(&[2, 0]), Targets::Numbers(vec![6.0, -1.0]));
        assert_eq!(number.strata(&all).unwrap(), [0, 3, 6]);
    }

    #[test]
    fn several_labels_stand_in_one_column_or_have_one_each() {
        let separated = SeparatedLabels { column: "kinds".to_owned(), separator: "|".to_owned() };
        let labels = TargetColumn::Labels(separated);
        let all = records("kinds,age\nowl|cat,1\n,2\ncat,3\nNA,4\nowl,5\n");
        let found = labels.labelled(all, None).unwrap();
        assert_eq!((found.unlabelled, found.records.rows.len()), (1, 4), "no label is not no value");
        let target = labels.fit(&found.records, &[0, 1, 2]).unwrap();
        assert_eq!(target, Target::Labels { names: vec!["cat".to_owned(), "owl".to_owned()] });
        let values = vec![true, true, false, false, false, true];
        let read = labels.labels(&found.records, &target).unwrap();
        assert_eq!(read.targets(&[0, 1, 3]), Targets::Labels { labels: 2, values: values.clone() });
        let none = labels.fit(&found.records, &[1]).unwrap_err().to_string();
        assert!(none.contains("none of 1 records for training has a label"), "{none}");

        let flags = TargetColumn::Flags(vec!["cat".to_owned(), "owl".to_owned()]);
        let all = records("cat,owl\n1,yes\n0,False\n0.0,1\n,1\n");
        let found = flags.labelled(all, None).unwrap();
        assert_eq!(found.unlabelled, 1);
        let target = flags.fit(&found.records, &[0, 1]).unwrap();
        let read = flags.labels(&found.records, &target).unwrap();
        assert_eq!(read.targets(&[0, 1, 2]), Targets::Labels { labels: 2, values });
        let wrong = records("cat,owl\n1,2\n");
        let said = flags.labels(&wrong, &target).unwrap_err().to_string();
        assert!(said.contains("line 2: column `owl` holds \"2\""), "{said}");
        for (target, path) in [
            (TargetColumn::Flags(Vec::new()), "`target`"),
            (TargetColumn::Flags(vec!["a".to_owned(), "a".to_owned()]), "`target.flags[1]`"),
        ] {
            assert!(target.check().unwrap_err().to_string().contains(path));
        }
    }

    #[test]
    fn labels_that_do_not_fit_are_named() {
        let all = records("kind,age\nowl,1\ncat,old\n");
        let class = TargetColumn::Class("kind".to_owned());
        assert!(class.fit(&all, &[0]).unwrap_err().to_string().contains("have one class"));
        let owls = Target::Classes { names: vec!["owl".to_owned()] };
        let said = class.labels(&all, &owls).unwrap_err().to_string();
        assert!(said.contains("line 3: the class `cat` is not in the training part"), "{said}");
        let age = TargetColumn::Number("age".to_owned());
        assert!(age.fit(&all, &[0, 1]).unwrap_err().to_string().contains("column `age` holds \"old\""));
        assert!(age.fit(&all, &[0]).unwrap_err().to_string().contains("have one number"));
        let nothing = class.labelled(records("kind\n?\n"), None).unwrap_err().to_string();
        assert!(nothing.contains("no record has a value in column `kind`"), "{nothing}");
        let absent = TargetColumn::Class("kin".to_owned());
        assert!(absent.strata(&all).unwrap_err().to_string().contains("did you mean `kind`?"));
    }
}
