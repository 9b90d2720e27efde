//! Reading records.

use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ansatz_core::{Cell, Error, Place, Record, Records, Result, RowsWriter};
use csv::{Position, Reader, ReaderBuilder, StringRecord};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

#[cfg(feature = "parquet")]
use super::parquet::read as parquet;

/// Whether the name of the file at `path` says that it holds records.
pub fn is_record_file(path: &Path) -> bool {
    let known = |ending: &std::ffi::OsStr| {
        ["csv", "tsv", "tab", "jsonl", "parquet"].iter().any(|known| ending == *known)
    };
    path.is_file() && path.extension().is_some_and(known)
}

/// The files of records at `path`: itself, or those inside a folder, sorted.
///
/// # Errors
/// When there is none.
pub fn record_files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        std::fs::metadata(path).map_err(Error::file(path, "read"))?;
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(Error::file(path, "read"))? {
        files.push(entry.map_err(Error::file(path, "read"))?.path());
    }
    files.retain(|file| is_record_file(file));
    files.sort();
    if files.is_empty() {
        let expected = "files that end in .csv, .tsv, .jsonl or .parquet";
        return Err(Error::input(path.display(), "holds no records", expected, "name another folder"));
    }
    Ok(files)
}

/// Reads a table whose first line names the columns, its cells parted by tabs in a `.tsv` or `.tab` file, else by
/// commas; or, from a `.jsonl` file, an object in each line, whose keys are the columns. A key that a line lacks is a
/// missing value. Of a `.parquet` file columns of numbers, texts, booleans, dates and times (to the second) are read as
/// they would be written, and columns of bytes as what a file holds. Files may be larger than memory.
///
/// # Errors
/// When the file cannot be read, has no records or two columns of one name, or a line has another number of cells than
/// the first, or a column is nested: with file, line and column.
pub fn read_records(path: &Path) -> Result<Records> {
    read_records_behind(path, 0)
}

/// The same without the first `skipped` records.
///
/// # Errors
/// As [`read_records`].
pub fn read_records_behind(path: &Path, skipped: usize) -> Result<Records> {
    let (records, expected) = match path.extension().and_then(std::ffi::OsStr::to_str) {
        Some("jsonl") => (json_lines(path, skipped)?, "a JSON object in each line"),
        Some("parquet") => (parquet(path, skipped)?, "rows"),
        _ => (table(path, skipped)?, "a line of column names, and rows"),
    };
    if records.rows.is_empty() {
        return Err(wrong(path, "it has no rows", expected));
    }
    for (index, name) in records.columns.iter().enumerate() {
        if records.columns[..index].contains(name) {
            let problem = format!("two columns are called `{name}`");
            return Err(wrong(path, problem, "columns with names of their own"));
        }
    }
    Ok(records)
}

/// A reader of the table at `path`.
///
/// # Errors
/// When it cannot be opened.
pub fn table_reader(path: &Path) -> Result<Reader<std::fs::File>> {
    let file = std::fs::File::open(path).map_err(Error::file(path, "read"))?;
    let tabs = path.extension().is_some_and(|ending| ending == "tsv" || ending == "tab");
    let mut builder = ReaderBuilder::new();
    // Quotation marks part no cells in files whose cells are parted by tabs.
    builder.delimiter(if tabs { b'\t' } else { b',' }).quoting(!tabs).flexible(true);
    Ok(builder.from_reader(file))
}

fn table(path: &Path, skipped: usize) -> Result<Records> {
    let unreadable = |error: csv::Error| {
        wrong(path, format!("no table: {error}"), "text in UTF-8, whose first line names the columns")
    };
    let mut reader = table_reader(path)?;
    let header = reader.headers().map_err(unreadable)?.clone();
    let file: Arc<Path> = path.into();
    let mut rows = RowsWriter::default();
    for row in reader.records().skip(skipped) {
        let row = row.map_err(unreadable)?;
        rows.push(&record(&file, &row, header.len())?)?;
    }
    let columns = header.iter().map(|name| name.trim().to_owned()).collect();
    Ok(Records { columns, rows: rows.finish(header.len())? })
}

fn record(file: &Arc<Path>, row: &StringRecord, columns: usize) -> Result<Record> {
    let line = row.position().map_or(0, Position::line);
    if row.len() != columns {
        let problem = format!("line {line} has {} cells", row.len());
        return Err(wrong(file, problem, &format!("{columns}, one for each column of the first line")));
    }
    let cells = row.iter().map(|cell| Cell::Text(cell.to_owned())).collect();
    Ok(Record { place: Place { file: Arc::clone(file), line }, cells })
}

fn json_lines(path: &Path, skipped: usize) -> Result<Records> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::InvalidData => wrong(path, "it is not text in UTF-8", "a JSON object in each line"),
        _ => Error::file(path, "read")(error),
    };
    let reader = BufReader::new(std::fs::File::open(path).map_err(Error::file(path, "read"))?);
    let file: Arc<Path> = path.into();
    let (mut columns, mut rows) = (Vec::<String>::new(), RowsWriter::default());
    let is_empty = |line: &std::io::Result<String>| line.as_ref().is_ok_and(|line| line.trim().is_empty());
    let lines = reader.lines().enumerate().filter(|(_, line)| !is_empty(line));
    for (index, line) in lines.skip(skipped) {
        let line = line.map_err(unreadable)?;
        let place = Place { file: Arc::clone(&file), line: index as u64 + 1 };
        let refuse = |problem: String| wrong(path, problem, "a JSON object in each line");
        let Object(pairs) = serde_json::from_str(&line)
            .map_err(|error| refuse(format!("line {} is no JSON object: {error}", place.line)))?;
        let mut cells = vec![Cell::Text(String::new()); columns.len()];
        for (key, value) in pairs {
            let cell = Cell::Text(match value {
                Value::Null => String::new(),
                Value::String(text) => text,
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Array(_) | Value::Object(_) => {
                    let problem = format!("line {}, column `{key}` holds {value}", place.line);
                    return Err(wrong(path, problem, "a text, a number, true, false or null"));
                }
            });
            match columns.iter().position(|known| *known == key) {
                Some(column) => cells[column] = cell,
                None => {
                    columns.push(key);
                    cells.push(cell);
                }
            }
        }
        rows.push(&Record { place, cells })?;
    }
    Ok(Records { rows: rows.finish(columns.len())?, columns })
}

/// A JSON object with its keys in the order in which they stand.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Object(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(not(feature = "parquet"))]
fn parquet(path: &Path, _skipped: usize) -> Result<Records> {
    let problem = "this program was built without Parquet";
    let remedy = "build it with it: cargo build --release --features parquet";
    Err(Error::input(path.display(), problem, "a .csv, .tsv or .jsonl file", remedy))
}

pub(super) fn wrong(path: &Path, problem: impl Into<String>, expected: &str) -> Error {
    Error::input(path.display(), problem, expected, "mend the file, or name another one")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The records of a CSV file with this text.
    pub(in crate::records) fn records(text: &str) -> Records {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        read_records(&path).unwrap()
    }

    fn read(name: &str, text: &str) -> Result<Vec<Vec<String>>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let records = read_records(&path)?;
        let cells =
            |cells: &[Cell]| cells.iter().map(|cell| cell.known().unwrap_or("-").to_owned()).collect();
        let rows = records.rows.iter().map(|row| Ok(cells(&row?.cells)));
        std::iter::once(Ok(records.columns.clone())).chain(rows).collect()
    }

    #[test]
    fn tables_and_json_lines_are_read_alike() {
        let expected = [["age", "note"], ["3.5", "well, so"], ["-", "-"]];
        assert_eq!(read("a.csv", "age,note\n3.5,\"well, so\"\nNA,?\n").unwrap(), expected);
        assert_eq!(read("a.tsv", "age\tnote\n3.5\twell, so\n\t\n").unwrap(), expected);
        let lines = "{\"age\": 3.5, \"note\": \"well, so\"}\n\n{\"note\": null}\n";
        assert_eq!(read("a.jsonl", lines).unwrap(), expected);
        let later = read("a.jsonl", "{\"a\": true}\n{\"b\": -1e3, \"a\": 2}\n").unwrap();
        assert_eq!(later, [["a", "b"], ["true", "-"], ["2", "-1000.0"]]);
        let ordered = read("a.jsonl", "{\"z\": 1, \"a\": 2}\n").unwrap();
        assert_eq!(ordered[0], ["z", "a"], "columns stand as in the file");
    }

    #[test]
    fn what_is_no_record_is_named() {
        let message = |name: &str, text: &str| read(name, text).unwrap_err().to_string();
        let said = message("a.csv", "a,b\n1,2\n3\n");
        assert!(said.contains("a.csv") && said.contains("line 3 has 1 cells"), "{said}");
        assert!(message("a.csv", "a,b\n").contains("it has no rows"));
        assert!(message("a.csv", "").contains("it has no rows"));
        assert!(message("a.csv", "a,a\n1,2\n").contains("two columns are called `a`"));
        assert!(message("a.jsonl", "{\"a\": 1}\n{\"a\": 1\n").contains("line 2 is no JSON object"));
        assert!(message("a.jsonl", "[1]\n").contains("line 1 is no JSON object"));
        assert!(message("a.jsonl", "{\"a\": [1]}\n").contains("line 1, column `a` holds [1]"));
        assert!(message("a.jsonl", "\n").contains("it has no rows"));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [("a.csv", &b"a\n\xff\xfe\n"[..]), ("a.jsonl", b"{\"a\": 1}\n\xff\n")] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert!(read_records(&path).unwrap_err().to_string().contains("UTF-8"));
        }
        assert!(read_records(&folder.path().join("absent.csv")).is_err());
    }
}
