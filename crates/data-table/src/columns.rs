//! The columns that a network reads, as the training part shows them.

use std::collections::BTreeSet;

use ansatz_core::{Cell, Record, Records, Result};
use serde::{Deserialize, Serialize};

use crate::TableConfig;

/// The place of a missing value among the rows of a column's embeddings.
const MISSING: usize = 0;
/// The place of a category that training never saw.
const UNSEEN: usize = 1;
/// The place of the first known category.
const FIRST: usize = 2;

/// A column that the network reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Column {
    /// Numbers, read as `(value − mean) / deviation`.
    Number {
        /// Its name.
        name: String,
        /// The mean over the known values of the training part.
        mean: f64,
        /// Their population deviation; 1 where they are all alike.
        deviation: f64,
    },
    /// Categories.
    Category {
        /// Its name.
        name: String,
        /// Those of the training part, sorted.
        values: Vec<String>,
    },
}

/// The columns of `records` that are read, fitted on the records `train`, and what a person should know of them.
pub(crate) fn fit(
    config: &TableConfig,
    records: &Records,
    train: &[usize],
    left_out: &[&str],
) -> Result<(Vec<Column>, Vec<String>)> {
    for name in [&config.numbers, &config.categories, &config.ignore].into_iter().flatten() {
        records.column(name)?;
    }
    let known = records.at(train.iter().copied());
    let mut sums: Vec<Sum> = records.columns.iter().map(|_| Sum::default()).collect();
    for row in known.rows.iter() {
        let row = row?;
        for (place, sum) in sums.iter_mut().enumerate() {
            let Some(text) = row.cells[place].known() else { continue };
            let name = &records.columns[place];
            if !sum.add(text) && config.numbers.contains(name) && !config.ignore.contains(name) {
                return Err(no_number(records, &row, place));
            }
        }
    }
    let (mut columns, mut places, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for (place, name) in records.columns.iter().enumerate() {
        let listed = [&config.numbers, &config.categories].into_iter().any(|list| list.contains(name));
        if config.ignore.contains(name) || left_out.contains(&name.as_str()) && !listed {
            continue;
        }
        let Sum { known, total, numbers } = &sums[place];
        if *known == 0 {
            notes.push(format!("Column `{name}` is empty in the training part, and not read."));
            continue;
        }
        columns.push(if *numbers && !config.categories.contains(name) {
            Fitting::Number { mean: total / *known as f64, squares: 0.0 }
        } else {
            Fitting::Category(BTreeSet::new())
        });
        places.push(place);
    }
    for row in known.rows.iter() {
        let row = row?;
        for (column, &place) in columns.iter_mut().zip(&places) {
            row.cells[place].known().into_iter().for_each(|text| column.add(text));
        }
    }
    let named = |(column, place): (Fitting, usize)| {
        let (name, known) = (records.columns[place].clone(), sums[place].known);
        match column {
            Fitting::Number { mean, squares } => {
                let variance = squares / known as f64;
                let deviation = if variance > 0.0 { variance.sqrt() } else { 1.0 };
                Column::Number { name, mean, deviation }
            }
            Fitting::Category(values) => {
                if values.len() == known && known > 2 {
                    notes.push(format!(
                        "Column `{name}` has another value in each record: nothing can be learned from it; data.ignore \
                         leaves it out."
                    ));
                }
                Column::Category { name, values: values.into_iter().collect() }
            }
        }
    };
    let columns = columns.into_iter().zip(places).map(named).collect();
    Ok((columns, notes))
}

/// What a first pass tells of a column.
struct Sum {
    known: usize,
    total: f64,
    /// Whether all known values are numbers.
    numbers: bool,
}

impl Default for Sum {
    fn default() -> Self {
        Self { known: 0, total: 0.0, numbers: true }
    }
}

impl Sum {
    /// Takes in a value; whether it is a number.
    fn add(&mut self, text: &str) -> bool {
        self.known += 1;
        let number = number(text);
        self.total += number.unwrap_or(0.0);
        self.numbers &= number.is_some();
        number.is_some()
    }
}

/// A column that a second pass fills in.
enum Fitting {
    /// Numbers around a mean, and the sum of their squared distances from it.
    Number {
        mean: f64,
        squares: f64,
    },
    Category(BTreeSet<String>),
}

impl Fitting {
    fn add(&mut self, text: &str) {
        match self {
            Self::Number { mean, squares } => {
                *squares += number(text).map_or(0.0, |value| (value - *mean).powi(2));
            }
            Self::Category(values) => {
                if !values.contains(text) {
                    values.insert(text.to_owned());
                }
            }
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn no_number(records: &Records, row: &Record, column: usize) -> ansatz_core::Error {
    records.wrong(row, column, "a finite number, as in training; or the column in data.categories")
}

impl Column {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Number { name, .. } | Self::Category { name, .. } => name,
        }
    }

    /// Rows of its embeddings: the missing value, the category that was never seen, and those that were; none for
    /// numbers.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Number { .. } => 0,
            Self::Category { values, .. } => FIRST + values.len(),
        }
    }

    /// Whether its figures can be used.
    pub(crate) fn fits(&self) -> bool {
        match self {
            Self::Number { mean, deviation, .. } => {
                mean.is_finite() && *deviation > 0.0 && deviation.is_finite()
            }
            Self::Category { values, .. } => values.is_sorted(),
        }
    }
}

/// Records as the network reads them: row by row, numbers and categories apart.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Encoded {
    /// `[records × number columns]`, 0 where missing.
    pub(crate) numbers: Vec<f32>,
    /// Likewise: 1 where missing, else 0.
    pub(crate) missing: Vec<f32>,
    /// `[records × category columns]`: rows of the table of all embeddings.
    pub(crate) categories: Vec<i64>,
    /// Values that are missing.
    pub(crate) gaps: usize,
    /// Categories that training never saw.
    pub(crate) unseen: usize,
}

impl Encoded {
    /// Reads `columns` of the records `indices`.
    ///
    /// # Errors
    /// When a column is not there, or holds what is no number where numbers are read.
    pub(crate) fn at(columns: &[Column], records: &Records, indices: &[usize]) -> Result<Self> {
        Self::read(columns, records, indices.iter().map(|&index| records.rows.get(index)))
    }

    /// How many values are missing in all `records`, and how many categories training never saw.
    ///
    /// # Errors
    /// As [`Encoded::at`].
    pub(crate) fn count(columns: &[Column], records: &Records) -> Result<[usize; 2]> {
        let (mut rows, mut counts) = (records.rows.iter().peekable(), [0; 2]);
        while rows.peek().is_some() {
            let Self { gaps, unseen, .. } = Self::read(columns, records, rows.by_ref().take(4096))?;
            counts = [counts[0] + gaps, counts[1] + unseen];
        }
        Ok(counts)
    }

    fn read(
        columns: &[Column],
        records: &Records,
        rows: impl Iterator<Item = Result<Record>>,
    ) -> Result<Self> {
        let places =
            columns.iter().map(|column| records.column(column.name())).collect::<Result<Vec<_>>>()?;
        let mut encoded = Self::default();
        for row in rows {
            let (row, mut first) = (row?, 0);
            for (column, &place) in columns.iter().zip(&places) {
                encoded
                    .push(column, first, &row.cells[place])
                    .ok_or_else(|| no_number(records, &row, place))?;
                first += column.rows();
            }
        }
        Ok(encoded)
    }

    /// Takes in a cell of a column whose embeddings begin at row `first`; `None` when it is no number.
    fn push(&mut self, column: &Column, first: usize, cell: &Cell) -> Option<()> {
        let known = cell.known();
        self.gaps += usize::from(known.is_none());
        match column {
            Column::Number { mean, deviation, .. } => {
                let scaled = known.map(|text| number(text).map(|value| (value - mean) / deviation));
                let value = match scaled {
                    Some(value) => value? as f32,
                    None => 0.0,
                };
                self.numbers.push(value);
                self.missing.push(f32::from(u8::from(known.is_none())));
            }
            Column::Category { values, .. } => {
                let place = match known.map(|text| values.binary_search_by(|value| value.as_str().cmp(text)))
                {
                    None => MISSING,
                    Some(Ok(place)) => FIRST + place,
                    Some(Err(_)) => {
                        self.unseen += 1;
                        UNSEEN
                    }
                };
                self.categories.push((first + place) as i64);
            }
        }
        Some(())
    }
}

/// A record as a person reads it, a column a line.
pub(crate) fn in_words(columns: &[String], record: &Record) -> String {
    let line = |(name, cell): (&String, &Cell)| format!("{name}: {}\n", cell.known().unwrap_or("missing"));
    columns.iter().zip(&record.cells).map(line).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ansatz_core::Place;
    use std::path::Path;

    pub(crate) fn records(header: &str, rows: &[&str]) -> Records {
        let file: std::sync::Arc<Path> = Path::new("a.csv").into();
        let row = |(index, row): (usize, &&str)| Record {
            place: Place { file: file.clone(), line: index as u64 + 2 },
            cells: row.split(',').map(|cell| Cell::Text(cell.to_owned())).collect(),
        };
        let columns = header.split(',').map(str::to_owned).collect();
        Records::new(columns, rows.iter().enumerate().map(row)).unwrap()
    }

    #[test]
    fn kinds_scales_and_categories_are_those_of_the_training_part() {
        let all = records("age,sex,code,note", &["1,f,7,", "3,m,8,", "NA,,7,x", "9,d,9,y"]);
        let config = TableConfig { categories: vec!["code".to_owned()], ..TableConfig::default() };
        let (columns, notes) = fit(&config, &all, &[0, 1, 2], &[]).unwrap();
        let named = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let expected = [
            Column::Number { name: "age".to_owned(), mean: 2.0, deviation: 1.0 },
            Column::Category { name: "sex".to_owned(), values: named(&["f", "m"]) },
            Column::Category { name: "code".to_owned(), values: named(&["7", "8"]) },
            Column::Category { name: "note".to_owned(), values: named(&["x"]) },
        ];
        assert_eq!(columns, expected);
        assert!(notes.is_empty());
        let encoded = Encoded::at(&columns, &all, &[0, 1, 2, 3]).unwrap();
        assert_eq!(encoded.numbers, [-1.0, 1.0, 0.0, 7.0]);
        assert_eq!(encoded.missing, [0.0, 0.0, 1.0, 0.0]);
        // Rows 0–3 are of `sex`, 4–7 of `code`, 8–10 of `note`.
        assert_eq!(encoded.categories, [2, 6, 8, 3, 7, 8, 0, 6, 10, 1, 5, 9]);
        assert_eq!((encoded.gaps, encoded.unseen), (4, 3));
        assert_eq!(Encoded::count(&columns, &all).unwrap(), [4, 3]);
        assert_eq!(Encoded::at(&columns, &all, &[3, 0]).unwrap().numbers, [7.0, -1.0]);
    }

    #[test]
    fn columns_that_say_nothing_are_told() {
        let all = records("id,empty,same", &["a,?,1", "b,,1", "c,x,1"]);
        let (columns, notes) = fit(&TableConfig::default(), &all, &[0, 1, 2], &[]).unwrap();
        assert_eq!(columns.len(), 3);
        assert!(notes[0].contains("`id` has another value in each record"), "{notes:?}");
        let (columns, notes) = fit(&TableConfig::default(), &all, &[0, 1], &["id"]).unwrap();
        assert_eq!(columns, [Column::Number { name: "same".to_owned(), mean: 1.0, deviation: 1.0 }]);
        assert!(notes[0].contains("`empty` is empty in the training part"), "{notes:?}");
    }

    #[test]
    fn cells_that_are_no_numbers_are_named() {
        let all = records("age", &["1", "2", "old"]);
        let (columns, _) = fit(&TableConfig::default(), &all, &[0, 1], &[]).unwrap();
        let said = Encoded::count(&columns, &all).unwrap_err().to_string();
        assert!(said.starts_with("a.csv, line 4: column `age` holds \"old\""), "{said}");
        let config = TableConfig { numbers: vec!["age".to_owned()], ..TableConfig::default() };
        assert!(fit(&config, &all, &[0, 2], &[]).unwrap_err().to_string().contains("line 4"));
        let vanished = records("size", &["1"]);
        assert!(Encoded::count(&columns, &vanished).unwrap_err().to_string().contains("no column `age`"));
        let config = TableConfig { ignore: vec!["agee".to_owned()], ..TableConfig::default() };
        assert!(fit(&config, &all, &[0], &[]).unwrap_err().to_string().contains("did you mean `age`?"));
    }
}
