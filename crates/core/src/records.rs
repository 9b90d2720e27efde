//! Records: what a table or a file of JSON lines holds, cell by cell.

mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use rows::{Rows, RowsWriter};

use crate::{Error, Result, nearest};

/// Words that stand for a value that is not there.
const MISSING: &[&str] = &["", "?", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"];

/// A cell of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// What is written there: a number, a category, a text, the path of a file.
    Text(String),
    /// What a file holds that the record names.
    Bytes(Arc<[u8]>),
}

impl Cell {
    /// What is written there, without the spaces around it; `None` where that says that the value is missing: nothing,
    /// `?`, `NA`, `N/A`, `NaN`, `NULL`, `None`.
    pub fn known(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.trim()).filter(|text| !MISSING.contains(text)),
            Self::Bytes(_) => None,
        }
    }

    /// Whether it holds nothing.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Text(_)) && self.known().is_none()
    }
}

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// Its line there, from 1; of a file without lines, such as Parquet, its row; 0 where it is the whole file.
    pub line: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 {
            return write!(f, "{}", self.file.display());
        }
        let unit =
            if self.file.extension().is_some_and(|ending| ending == "parquet") { "row" } else { "line" };
        write!(f, "{}, {unit} {}", self.file.display(), self.line)
    }
}

/// A record: a cell for each column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub place: Place,
    /// As many as there are columns.
    pub cells: Vec<Cell>,
}

impl Record {
    /// The file that a cell names, as seen from the folder of the record's own file.
    pub fn path(&self, named: &str) -> PathBuf {
        match self.place.file.parent() {
            Some(folder) => folder.join(named),
            None => PathBuf::from(named),
        }
    }
}

/// Records with the same columns.
#[derive(Debug, Clone)]
pub struct Records {
    /// Names of the columns, each different.
    pub columns: Vec<String>,
    /// The records, in the order of their file.
    pub rows: Rows,
}

impl Records {
    /// Records that are there already.
    ///
    /// # Errors
    /// When they are more than memory may hold and cannot be written to a file.
    pub fn new(columns: Vec<String>, rows: impl IntoIterator<Item = Record>) -> Result<Self> {
        let mut writer = RowsWriter::default();
        rows.into_iter().try_for_each(|row| writer.push(&row))?;
        Ok(Self { rows: writer.finish(columns.len())?, columns })
    }

    /// The place of the column `name`.
    ///
    /// # Errors
    /// When there is none, with the file, the names there are and the nearest of them.
    pub fn column(&self, name: &str) -> Result<usize> {
        self.columns.iter().position(|known| known == name).ok_or_else(|| {
            let file = self.file().map_or(String::new(), |file| file.display().to_string());
            let remedy = match nearest(name, self.columns.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name a column of the file".to_owned(),
            };
            let problem = format!("it has no column `{name}`");
            Error::input(file, problem, format!("one of {}", self.columns.join(", ")), remedy)
        })
    }

    /// The file of the first record.
    pub fn file(&self) -> Option<Arc<Path>> {
        if self.rows.is_empty() {
            return None;
        }
        self.rows.get(0).ok().map(|row| row.place.file)
    }

    /// The same records with the columns `names` alone, in this order.
    ///
    /// # Errors
    /// As [`Records::column`].
    pub fn select(&self, names: &[String]) -> Result<Self> {
        let places = names.iter().map(|name| self.column(name)).collect::<Result<Vec<_>>>()?;
        Ok(Self { columns: names.to_vec(), rows: self.rows.with_cells(&places) })
    }

    /// The records `indices` alone, in this order.
    ///
    /// # Panics
    /// If one of them does not exist.
    pub fn at(&self, indices: impl IntoIterator<Item = usize>) -> Self {
        Self { columns: self.columns.clone(), rows: self.rows.at(indices) }
    }

    /// An error about a cell: where it is and what it holds.
    pub fn wrong(&self, row: &Record, column: usize, expected: &str) -> Error {
        let Record { place, cells } = row;
        let held = match &cells[column] {
            Cell::Text(text) => format!("{text:?}"),
            Cell::Bytes(bytes) => format!("{} bytes", bytes.len()),
        };
        let problem = format!("column `{}` holds {held}", self.columns[column]);
        Error::input(place, problem, expected, "mend the cell, or leave the column out")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_columns_and_places_are_found() {
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!((text(" 3 ").known(), text("NA").known(), text(" ? ").known()), (Some("3"), None, None));
        assert!(text("").is_missing() && !Cell::Bytes(Arc::from(Vec::new())).is_missing());
        let place = Place { file: Path::new("folder/a.csv").into(), line: 2 };
        let record = Record { place, cells: vec![text("1"), text("x")] };
        assert_eq!(record.path("b.png"), Path::new("folder/b.png"));
        let columns = ["age", "class"].map(str::to_owned).to_vec();
        let records = Records::new(columns, [record.clone()]).unwrap();
        let said = records.column("clas").unwrap_err().to_string();
        assert!(said.starts_with("folder/a.csv: it has no column `clas`"), "{said}");
        assert!(said.contains("did you mean `class`?"), "{said}");
        let chosen = records.select(&["class".to_owned()]).unwrap();
        assert_eq!((chosen.columns.len(), &chosen.rows.get(0).unwrap().cells[0]), (1, &text("x")));
        assert!(records.at([]).column("age").is_ok() && records.at([]).file().is_none());
        let whole = Place { file: Path::new("a.txt").into(), line: 0 };
        assert_eq!(whole.to_string(), "a.txt");
        let said = records.wrong(&record, 1, "a number").to_string();
        assert!(said.starts_with("folder/a.csv, line 2: column `class` holds \"x\""), "{said}");
    }
}
