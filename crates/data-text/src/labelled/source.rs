//! Where texts with classes come from.

use std::path::{Path, PathBuf};

use ansatz_core::{Cell, ConfigError, Error, Place, Places, Record, Records, Result, RowsWriter};
use ansatz_data::read_records_behind;
use ansatz_data::records::{check_separator, separated};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::known;
use crate::source::text_files;

/// Where texts with classes come from: `source = "reuters-r8"`,
/// `source = { folder = { path = "mails" } }`, or
/// `source = { table = { path = "news.csv", text = "body", label = "topic" } }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LabelledSource {
    /// News of Reuters in 8 topics, 5,485 + 2,189.
    #[default]
    ReutersR8,
    /// News of Reuters in 52 topics, 6,532 + 2,568.
    ReutersR52,
    /// Posts to 20 newsgroups, 11,293 + 7,528.
    TwentyNewsgroups,
    /// Tweets, negative, neutral or positive, 30,414 + 7,744.
    SentimentTweets,
    /// Subjects and bodies of mails, spam or not, 4,848 + 1,198.
    SpamAssassin,
    /// `.txt` files in folders named after their classes.
    Folder(LabelledFolder),
    /// A table with a text and a label in each row.
    Table(LabelledTable),
    /// A column of records whose other columns are read otherwise: for the data model `fused` alone.
    Records(TextOfRecords),
}

/// A column of records of the data model `fused`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TextOfRecords {}

/// `.txt` files in folders named after their classes. Where `path` holds the folders `train` and `test`, these are the
/// parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelledFolder {
    /// The folder that holds a folder per class, or `train` and `test` with a folder per class each.
    pub path: PathBuf,
}

/// A file of records with a column of texts: a table whose first line names the columns, cells parted by tabs in a `.tsv`
/// or `.tab` file, else by commas; an object in each line of a `.jsonl` file; or a `.parquet` file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelledTable {
    /// The file.
    pub path: PathBuf,
    /// A file of the same columns that is the test part. Left out: a share of each class is taken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// The column of texts.
    pub text: String,
    /// The column of labels. Left out: the texts have none, for `data.masking` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What parts the labels there, where a text may have several, or, in an empty cell, none. Left out: each text has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
}

/// The columns of labelled texts.
const COLUMNS: [&str; 2] = ["text", "label"];

/// Labelled texts as records: the text, and the label.
pub(super) fn labelled(texts: impl IntoIterator<Item = Record>) -> Result<Records> {
    Records::new(COLUMNS.map(str::to_owned).to_vec(), texts)
}

/// A labelled text as a record.
pub(super) fn record(text: String, label: String, place: Place) -> Record {
    Record { place, cells: vec![Cell::Text(text), Cell::Text(label)] }
}

/// The text of a record as a source gives it.
pub(crate) fn text_of(record: &Record) -> &str {
    held(record, 0)
}

/// Its label, or all that it has where `separator` parts several.
pub(crate) fn labels_of<'a>(record: &'a Record, separator: Option<&str>) -> Vec<&'a str> {
    let label = held(record, 1).trim();
    match separator {
        Some(separator) => separated(label, separator).collect(),
        None => vec![label],
    }
}

fn held(record: &Record, column: usize) -> &str {
    match record.cells.get(column) {
        Some(Cell::Text(held)) => held,
        _ => "",
    }
}

/// What a source holds, records of a text and a label each: the test part is `None` where it is yet to be taken off.
pub(crate) struct Found {
    pub(crate) train: Records,
    pub(crate) test: Option<Records>,
    /// What parts labels, where a text may have several.
    pub(crate) separator: Option<String>,
}

impl Found {
    pub(super) fn one_label_each(train: Records, test: Option<Records>) -> Self {
        Self { train, test, separator: None }
    }
}

impl LabelledSource {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Table(LabelledTable { text, label: Some(label), .. }) if text == label => {
                let problem = format!("`{label}` is the column of texts");
                Err(ConfigError::value("source.table.label", problem, "another column"))
            }
            Self::Table(LabelledTable { separator: Some(_), label: None, .. }) => {
                let expected = "a column of labels, or no separator of them";
                Err(ConfigError::value("source.table.label", "none is named", expected))
            }
            Self::Table(LabelledTable { separator: Some(separator), .. }) => {
                check_separator(separator).map_err(|error| error.under("source.table"))
            }
            _ => Ok(()),
        }
    }

    /// All texts; each has a label where they are `labelled`, and may have none elsewhere.
    ///
    /// # Errors
    /// When a file cannot be read, lacks a column, or a row is not what it should be.
    pub(crate) fn read(&self, places: &Places, labelled: bool) -> Result<Found> {
        match self {
            Self::ReutersR8 => known::two_tables("reuters-r8", places),
            Self::ReutersR52 => known::two_tables("reuters-r52", places),
            Self::TwentyNewsgroups => known::two_tables("twenty-newsgroups", places),
            Self::SentimentTweets => known::tweets(places),
            Self::SpamAssassin => known::mails(places),
            Self::Folder(LabelledFolder { path }) => {
                let (train, test) = (path.join("train"), path.join("test"));
                if train.is_dir() && test.is_dir() {
                    let test = folder(&test, labelled)?;
                    return Ok(Found::one_label_each(folder(&train, labelled)?, Some(test)));
                }
                Ok(Found::one_label_each(folder(path, labelled)?, None))
            }
            Self::Table(config) => {
                if labelled && config.label.is_none() {
                    let expected = "a column of labels, or data.masking, which needs none";
                    return Err(
                        ConfigError::value("data.source.table.label", "none is named", expected).into()
                    );
                }
                let read = |path: &Path| -> Result<Records> {
                    let texts = table(path, &config.text, config.label.as_deref(), 0)?;
                    // Where a text may have several labels, it may also have none.
                    if labelled && config.separator.is_none() {
                        texts.rows.iter().try_for_each(|row| must_have_label(&row?))?;
                    }
                    Ok(texts)
                };
                let (train, test) = (read(&config.path)?, config.test.as_deref().map(read).transpose()?);
                Ok(Found { train, test, separator: config.separator.clone() })
            }
            Self::Records(_) => {
                let problem = "it stands for a column of records, which the data model `fused` reads";
                let expected = "\"reuters-r8\", { folder = … } or { table = … }";
                Err(ConfigError::value("data.source", problem, expected).into())
            }
        }
    }
}

/// The folders inside `path` that hold `.txt` files, by name.
pub(crate) fn classes_of(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path).map_err(Error::file(path, "read"))?;
    let mut classes = Vec::new();
    for entry in entries {
        let inner = entry.map_err(Error::file(path, "read"))?.path();
        if inner.is_dir() && text_files(&inner).is_ok() {
            classes.push(inner);
        }
    }
    classes.sort();
    Ok(classes)
}

/// The texts of a folder per class; where they need no label, of `path` itself if there are no such folders.
fn folder(path: &Path, labelled: bool) -> Result<Records> {
    let mut texts = RowsWriter::default();
    let mut folders: Vec<(String, PathBuf)> = classes_of(path)?
        .into_iter()
        .map(|class| (class.file_name().unwrap_or_default().to_string_lossy().into_owned(), class))
        .collect();
    if folders.is_empty() && !labelled {
        folders.push((String::new(), path.to_owned()));
    }
    for (label, class) in folders {
        for file in text_files(&class)? {
            let bytes = std::fs::read(&file).map_err(Error::file(&file, "read"))?;
            // What is no UTF-8 is read all the same: mails of an older time are not.
            let text = String::from_utf8_lossy(&bytes).into_owned();
            texts.push(&record(text, label.clone(), Place { file: file.into(), line: 0 }))?;
        }
    }
    if texts.is_empty() {
        let expected = "a folder of .txt files per class";
        let remedy = "put the texts of each class into a folder with the name of the class";
        return Err(Error::input(path.display(), "it holds no folders with .txt files", expected, remedy));
    }
    Ok(Records { columns: COLUMNS.map(str::to_owned).to_vec(), rows: texts.finish(COLUMNS.len())? })
}

/// The rows of a table, without the first `skipped`.
pub(super) fn table(path: &Path, text: &str, label: Option<&str>, skipped: usize) -> Result<Records> {
    let columns: Vec<String> = std::iter::once(text).chain(label).map(str::to_owned).collect();
    read_records_behind(path, skipped)?.select(&columns)
}

fn must_have_label(record: &Record) -> Result<()> {
    if held(record, 1).trim().is_empty() {
        return Err(Error::input(
            &record.place,
            "there is no label",
            "a class",
            "give one, or remove the line",
        ));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Label and text.
    pub(in crate::labelled) fn pair(row: &Record) -> [String; 2] {
        [held(row, 1), held(row, 0)].map(str::to_owned)
    }

    fn read(name: &str, text: &str) -> Result<Vec<[String; 2]>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let source = LabelledTable {
            path,
            test: None,
            text: "body".to_owned(),
            label: Some("topic".to_owned()),
            separator: None,
        };
        let found = LabelledSource::Table(source).read(&Places { data: folder.path().to_owned() }, true)?;
        found.train.rows.iter().map(|row| Ok(pair(&row?))).collect()
    }

    #[test]
    fn tables_of_commas_and_of_tabs_are_read() {
        let rows = read("a.csv", "topic,n,body\nsport,1,\"a ball, round\"\nart,2,paint\n").unwrap();
        assert_eq!(rows, [["sport", "a ball, round"], ["art", "paint"]]);
        let rows = read("a.tsv", "body\ttopic\nsay \"no\tsport\n").unwrap();
        assert_eq!(rows, [["sport", "say \"no"]]);
    }

    #[test]
    fn rows_that_do_not_fit_are_named() {
        let message = |text: &str| read("a.csv", text).unwrap_err().to_string();
        assert!(message("topic,text\nx,y\n").contains("it has no column `body`"));
        assert!(message("topic,body\nx\n").contains("line 2 has 1 cells"));
        assert!(message("topic,body\nx,y\n ,z\n").contains("line 3: there is no label"));
        assert!(message("topic,body\n").contains("it has no rows"));
    }

    #[test]
    fn a_set_that_is_not_there_says_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { data: folder.path().to_owned() };
        let said = LabelledSource::ReutersR8.read(&places, true).err().expect("nothing is there").to_string();
        assert!(said.contains("ansatz data get reuters-r8"), "{said}");
    }

    #[test]
    fn a_folder_per_class_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("ham/1.txt", &b"hello"[..]), ("spam/1.txt", b"win \xff"), ("spam/2.txt", b"")] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let source = LabelledSource::Folder(LabelledFolder { path: folder.path().to_owned() });
        let places = Places { data: folder.path().to_owned() };
        let texts = source.read(&places, true).unwrap().train;
        let found: Vec<_> = texts.rows.iter().map(|row| pair(&row.unwrap())).collect();
        assert_eq!(found, [["ham", "hello"], ["spam", "win \u{fffd}"], ["spam", ""]]);
        assert!(texts.rows.get(0).unwrap().place.to_string().ends_with("1.txt"));
        let empty = LabelledSource::Folder(LabelledFolder { path: folder.path().join("ham") });
        assert!(empty.read(&places, true).err().expect("no classes").to_string().contains("no folders"));
        // Texts that need no label may lie in the folder itself.
        let texts = empty.read(&places, false).unwrap().train;
        assert_eq!(pair(&texts.rows.get(0).unwrap()), ["", "hello"]);
    }
}
