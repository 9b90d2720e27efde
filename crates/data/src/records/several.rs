//! Records and texts that may have several labels.

use std::collections::BTreeSet;

use ansatz_core::{ConfigError, Error, Record, Records, Result, Target, Targets};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A column in which labels stand one behind the other: `{ column = "topics", separator = ";" }`. A cell that is empty has
/// none of them; one that says that its value is missing (`NA`, `?`, …) is no label at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeparatedLabels {
    /// The column.
    pub column: String,
    /// What parts two labels; spaces around them do not count.
    #[serde(default = "semicolon")]
    pub separator: String,
}

fn semicolon() -> String {
    ";".to_owned()
}

/// Refuses an empty separator.
///
/// # Errors
/// With the key `separator`.
pub fn check_separator(separator: &str) -> Result<(), ConfigError> {
    if separator.is_empty() {
        return Err(ConfigError::value("separator", "nothing parts the labels", "a text such as \";\""));
    }
    Ok(())
}

/// The labels in `text`, which `separator` parts.
pub fn separated<'a>(text: &'a str, separator: &str) -> impl Iterator<Item = &'a str> {
    text.split(separator).map(str::trim).filter(|label| !label.is_empty())
}

/// Which labels each example has, by their indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSets {
    labels: usize,
    sets: Vec<Vec<usize>>,
}

impl LabelSets {
    /// Sets of indices below `labels`.
    pub fn new(labels: usize, sets: Vec<Vec<usize>>) -> Self {
        Self { labels, sets }
    }

    /// For each example the rarest of its labels, which dividing keeps in proportion; `labels` where it has none. Where
    /// each has one, that one.
    pub fn strata(&self) -> Vec<usize> {
        let mut counts = vec![0usize; self.labels];
        self.sets.iter().flatten().for_each(|&label| counts[label] += 1);
        let rarest = |set: &Vec<usize>| set.iter().copied().min_by_key(|&label| counts[label]);
        self.sets.iter().map(|set| rarest(set).unwrap_or(self.labels)).collect()
    }

    /// The labels of the examples `indices` for a target of several labels.
    ///
    /// # Panics
    /// If one of them does not exist.
    pub fn targets(&self, indices: impl IntoIterator<Item = usize>) -> Targets {
        let mut values = Vec::new();
        for index in indices {
            let first = values.len();
            values.resize(first + self.labels, false);
            self.sets[index].iter().for_each(|&label| values[first + label] = true);
        }
        Targets::Labels { labels: self.labels, values }
    }
}

/// What a cell says of a label that has a column of its own.
fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" | "yes" => Some(true),
        "0" | "0.0" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// The labels that have a column each of all `records`, `[records][columns]` by indices.
///
/// # Errors
/// When there is no such column, or a cell holds neither 0 nor 1.
pub(super) fn flags(records: &Records, columns: &[String]) -> Result<LabelSets> {
    let places = columns.iter().map(|name| records.column(name)).collect::<Result<Vec<_>>>()?;
    let set = |row: Result<Record>| {
        let (row, mut set) = (row?, Vec::new());
        for (label, &place) in places.iter().enumerate() {
            let held = row.cells[place].known().and_then(flag);
            let expected = "1, true or yes where the record has the label, else 0, false or no";
            if held.ok_or_else(|| records.wrong(&row, place, expected))? {
                set.push(label);
            }
        }
        Ok(set)
    };
    Ok(LabelSets::new(columns.len(), records.rows.iter().map(set).collect::<Result<_>>()?))
}

/// The `labels` of all records, sorted; each once.
///
/// # Errors
/// When a record cannot be read.
pub fn names_of(
    records: &Records,
    labels: impl for<'a> Fn(&'a Record) -> Vec<&'a str>,
) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for row in records.rows.iter() {
        let row = row?;
        for name in labels(&row) {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
    }
    Ok(names.into_iter().collect())
}

/// The places of the labels `set` among `names`, which are sorted.
///
/// # Errors
/// When one of them is not there, which `place` says where.
pub fn places_of(set: Vec<&str>, names: &[String], place: impl std::fmt::Display) -> Result<Vec<usize>> {
    let position = |label: &str| {
        names.binary_search_by(|name| name.as_str().cmp(label)).map_err(|_| {
            let problem = format!("the class `{label}` is not in the training part");
            let expected = format!("one of {}", names.join(", "));
            Error::input(&place, problem, expected, "add examples of the class, or remove this one")
        })
    };
    let mut places = set.into_iter().map(position).collect::<Result<Vec<_>>>()?;
    places.sort_unstable();
    places.dedup();
    Ok(places)
}

/// Refuses labels of which the records for training have less than one: nothing could be learned.
pub(super) fn target(names: Vec<String>, records: usize) -> Result<Target> {
    if names.is_empty() {
        let problem = format!("none of {records} records for training has a label");
        let remedy = "name another column, or give more records";
        return Err(Error::input("data.target", problem, "at least one label", remedy));
    }
    Ok(Target::Labels { names })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::read::tests::records;

    #[test]
    fn sets_become_rows_and_their_rarest_label_a_stratum() {
        let sets = LabelSets::new(3, vec![vec![0], vec![0, 2], vec![], vec![0, 1], vec![1]]);
        assert_eq!(sets.strata(), [0, 2, 3, 1, 1]);
        let targets = sets.targets([1, 2]);
        assert_eq!(
            targets,
            Targets::Labels { labels: 3, values: vec![true, false, true, false, false, false] }
        );
    }

    #[test]
    fn labels_are_parted_and_found() {
        let labels: Vec<&str> = separated(" owl; cat ;;owl", ";").collect();
        assert_eq!(labels, ["owl", "cat", "owl"]);
        let all = records("kind\nowl; cat ;;owl\nant\n");
        let names =
            names_of(&all, |row| row.cells[0].known().map_or(vec![], |text| separated(text, ";").collect()));
        let names = names.unwrap();
        assert_eq!(names, ["ant", "cat", "owl"]);
        assert_eq!(places_of(labels, &names, "line 3").unwrap(), [1, 2]);
        let said = places_of(vec!["dog"], &names, "line 3").unwrap_err().to_string();
        assert!(said.contains("line 3: the class `dog` is not in the training part"), "{said}");
        assert!(check_separator("").unwrap_err().to_string().contains("`separator`"));
    }
}
