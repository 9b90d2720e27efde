//! A table of numbers, read from a CSV file.

use std::path::Path;

use ansatz_core::{Error, Result, nearest};
use csv::StringRecord;

use crate::clock;

/// Cells that stand for a value that is not there.
const MISSING: &[&str] = &["", "?", "NA", "N/A", "NaN", "nan", "NULL", "null", "None"];

/// Numbers in rows and named columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// Names of the columns that are read.
    pub(crate) channels: Vec<String>,
    /// Row by row, `[rows × channels]`; NaN where a value is missing.
    pub(crate) values: Vec<f64>,
    /// Seconds since 1970 of each row, where a column holds time stamps.
    pub(crate) times: Option<Vec<i64>>,
    /// The line of the file that each row begins at.
    pub(crate) lines: Vec<u64>,
}

/// Which columns are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The channels by name; empty for all columns that hold numbers.
    pub(crate) channels: &'a [String],
    /// The column of time stamps.
    pub(crate) time: Option<&'a str>,
}

impl Table {
    /// Reads the file at `path`, whose first line names the columns.
    ///
    /// # Errors
    /// When the file cannot be read, lacks a column, or a cell is not what it should be: with file, line and
    /// column.
    pub(crate) fn read(path: &Path, wanted: Wanted) -> Result<Self> {
        let header = reader(path)?.headers().map_err(|error| unreadable(path, &error))?.clone();
        let time = wanted.time.map(|name| find(path, &header, name)).transpose()?;
        let columns = match wanted.channels {
            [] => numeric(path, &header, time)?,
            names => names.iter().map(|name| find(path, &header, name)).collect::<Result<_>>()?,
        };
        let mut table = Self {
            channels: columns.iter().map(|&column| header[column].to_owned()).collect(),
            values: Vec::new(),
            times: time.map(|_| Vec::new()),
            lines: Vec::new(),
        };
        each_row(path, |row| {
            if row.len() != header.len() {
                let problem = format!("line {} has {} cells", line(row), row.len());
                let expected = format!("{}, one for each column of the first line", header.len());
                return Err(wrong(path, &problem, &expected));
            }
            for &column in &columns {
                table.values.push(number(path, &header, row, column)?);
            }
            if let (Some(times), Some(column)) = (&mut table.times, time) {
                times.push(stamp(path, &header, row, column)?);
            }
            table.lines.push(line(row));
            Ok(true)
        })?;
        if table.lines.is_empty() {
            let expected = "a line of column names, and rows of numbers behind it";
            return Err(wrong(path, "it has no rows", expected));
        }
        if columns.is_empty() {
            return Err(wrong(path, "no column holds numbers", "at least one column of numbers"));
        }
        table.check_columns(path)?;
        Ok(table)
    }

    /// Refuses columns without a value, and two of one name.
    fn check_columns(&self, path: &Path) -> Result<()> {
        let width = self.channels.len();
        for (column, name) in self.channels.iter().enumerate() {
            if self.values.iter().skip(column).step_by(width).all(|value| value.is_nan()) {
                let problem = format!("column `{name}` is empty");
                return Err(wrong(path, &problem, "numbers, or a list data.source.file.columns without it"));
            }
            if self.channels[..column].contains(name) {
                let problem = format!("two columns are called `{name}`");
                return Err(wrong(path, &problem, "columns with names of their own"));
            }
        }
        Ok(())
    }
}

fn reader(path: &Path) -> Result<csv::Reader<std::io::BufReader<std::fs::File>>> {
    let file = std::fs::File::open(path).map_err(Error::file(path, "read"))?;
    let mut builder = csv::ReaderBuilder::new();
    Ok(builder.flexible(true).trim(csv::Trim::All).from_reader(std::io::BufReader::new(file)))
}

/// Gives `see` the rows of a file behind its first line, one at a time, as long as it wants another one.
fn each_row(path: &Path, mut see: impl FnMut(&StringRecord) -> Result<bool>) -> Result<()> {
    let mut reader = reader(path)?;
    let mut row = StringRecord::new();
    while reader.read_record(&mut row).map_err(|error| unreadable(path, &error))? {
        if !see(&row)? {
            break;
        }
    }
    Ok(())
}

/// The columns, besides that of time stamps, whose first value is a number, or that have none.
fn numeric(path: &Path, header: &StringRecord, time: Option<usize>) -> Result<Vec<usize>> {
    let mut undecided: Vec<usize> = (0..header.len()).filter(|&column| Some(column) != time).collect();
    let mut found = Vec::new();
    each_row(path, |row| {
        undecided.retain(|&column| {
            let Some(cell) = row.get(column).filter(|cell| !MISSING.contains(cell)) else { return true };
            if cell.parse::<f64>().is_ok() {
                found.push(column);
            }
            false
        });
        Ok(!undecided.is_empty())
    })?;
    found.extend(undecided);
    found.sort_unstable();
    Ok(found)
}

/// The number in a cell; NaN where it is missing.
fn number(path: &Path, header: &StringRecord, row: &StringRecord, column: usize) -> Result<f64> {
    let cell = &row[column];
    if MISSING.contains(&cell) {
        return Ok(f64::NAN);
    }
    cell.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| {
        let problem = format!("line {}, column `{}` holds {cell:?}", line(row), &header[column]);
        wrong(path, &problem, "a finite number, or an empty cell where it is missing")
    })
}

fn stamp(path: &Path, header: &StringRecord, row: &StringRecord, column: usize) -> Result<i64> {
    let cell = &row[column];
    clock::parse(cell).ok_or_else(|| {
        let problem = format!("line {}, column `{}` holds {cell:?}", line(row), &header[column]);
        wrong(path, &problem, "a time such as 2012-10-02 09:00:00")
    })
}

fn find(path: &Path, header: &StringRecord, name: &str) -> Result<usize> {
    header.iter().position(|known| known == name).ok_or_else(|| {
        let known: Vec<&str> = header.iter().collect();
        let remedy = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name a column of the file".to_owned(),
        };
        let problem = format!("it has no column `{name}`");
        Error::input(path.display(), problem, format!("one of {}", known.join(", ")), remedy)
    })
}

fn line(row: &StringRecord) -> u64 {
    row.position().map_or(0, csv::Position::line)
}

fn unreadable(path: &Path, error: &csv::Error) -> Error {
    wrong(path, &format!("not a table in CSV: {error}"), "text in UTF-8, cells parted by commas")
}

pub(crate) fn wrong(path: &Path, problem: &str, expected: &str) -> Error {
    Error::input(path.display(), problem, expected, "mend the file, or name another one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, channels: &[&str], time: Option<&str>) -> Result<Table> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        let channels: Vec<String> = channels.iter().map(|name| (*name).to_owned()).collect();
        Table::read(&path, Wanted { channels: &channels, time })
    }

    fn message(text: &str, channels: &[&str], time: Option<&str>) -> String {
        read(text, channels, time).unwrap_err().to_string()
    }

    #[test]
    fn columns_of_numbers_are_found_and_named_ones_read_in_their_order() {
        let text = "when,a,weather,b\n2020-01-01,1,rain,\n2020-01-02, 2.5e1 ,sun,-3\n";
        let all = read(text, &[], None).unwrap();
        assert_eq!(all.channels, ["a", "b"]);
        assert_eq!(all.times, None);
        assert!(all.values[1].is_nan());
        assert_eq!([all.values[0], all.values[2], all.values[3]], [1.0, 25.0, -3.0]);
        let named = read(text, &["b", "a"], Some("when")).unwrap();
        assert_eq!(named.channels, ["b", "a"]);
        assert_eq!(named.values[2..], [-3.0, 25.0]);
        assert_eq!(named.times.map(|times| times[1] - times[0]), Some(86_400));
        assert_eq!(named.lines, [2, 3]);
    }

    #[test]
    fn cells_and_rows_that_do_not_fit_are_named() {
        let said = message("a,b\n1,2\n3\n", &[], None);
        assert!(said.contains("table.csv") && said.contains("line 3 has 1 cells"), "{said}");
        assert!(message("a,b\n1,2\n3,x\n", &[], None).contains("line 3, column `b` holds \"x\""));
        assert!(message("a\n1\ninf\n", &[], None).contains("line 3, column `a` holds \"inf\""));
        assert!(message("a,b\n1,\n2,?\n", &[], None).contains("column `b` is empty"));
        assert!(message("a,a\n1,2\n", &[], None).contains("two columns are called `a`"));
        assert!(message("word\nx\n", &[], None).contains("no column holds numbers"));
        assert!(message("a,b\n", &[], None).contains("no rows"));
        assert!(message("", &[], None).contains("no rows"));
        assert!(message("load\n1\n", &["laod"], None).contains("did you mean `load`?"));
        let said = message("t,a\n2020-01-01,1\nlater,2\n", &[], Some("t"));
        assert!(said.contains("line 3, column `t` holds \"later\""), "{said}");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, b"a\n\xff\xfe\n").unwrap();
        let wanted = Wanted { channels: &[], time: None };
        assert!(Table::read(&path, wanted).unwrap_err().to_string().contains("not a table in CSV"));
    }
}
