//! How records are divided into parts.

use std::collections::BTreeMap;

use ansatz_core::{ConfigError, Error, Part, Record, Records, Result};
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TargetColumn;
use crate::random::{Purpose, stream};
use crate::split::{Division, Share, bucket};

/// How records are divided into parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SplitConfig {
    /// What belongs together, or follows in time.
    pub by: SplitBy,
    /// How much of all records is for testing, where there is no file of its own for it.
    pub test: Share,
    /// How much of all records is for choosing.
    pub validation: Share,
    /// Seed of what is drawn; independent of the run's seed.
    pub seed: u64,
}

/// What belongs together when records are divided: `by = "stratified"`, or `by = { group = "patient" }`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SplitBy {
    /// At random, so that each class keeps its share; of numbers, each tenth of them.
    #[default]
    Stratified,
    /// At random.
    Random,
    /// At random, all records with one value in this column together: a patient, a place, a writer.
    Group(String),
    /// Likewise, but by a hash of the value, so that a record's part does not depend on the others: the first hundredths
    /// of 100 are for testing, the next for validation.
    Bucket(String),
    /// In the order of this column: the latest for testing, those before them for validation.
    Time(String),
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { by: SplitBy::default(), test: Share::Fraction(0.2), validation: Share::Fraction(0.1), seed: 0 }
    }
}

/// The records of each part by their indices, rising.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Divided {
    train: Vec<usize>,
    validation: Vec<usize>,
    test: Vec<usize>,
}

impl Divided {
    /// The records of a part.
    pub fn part(&self, part: Part) -> &[usize] {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }
}

impl SplitConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// With the key, what it says and its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (name, share) in [("test", self.test), ("validation", self.validation)] {
            share.check(name)?;
            if let (Share::Count(count), SplitBy::Bucket(_)) = (share, &self.by) {
                let problem = format!("a count of {count} of hundred buckets");
                return Err(ConfigError::value(name, problem, "{ fraction = … }"));
            }
        }
        match &self.by {
            SplitBy::Group(column) | SplitBy::Bucket(column) | SplitBy::Time(column) if column.is_empty() => {
                Err(ConfigError::value("by", "no column is named", "the name of a column"))
            }
            _ => Ok(()),
        }
    }

    /// Divides `records`, those from index `own_test` on being a test part of their own.
    ///
    /// # Errors
    /// When a column is not there, or nothing is left to train on.
    pub fn divide(
        &self,
        records: &Records,
        target: &TargetColumn,
        own_test: Option<usize>,
    ) -> Result<Divided> {
        let total = own_test.unwrap_or(records.rows.len());
        let open = records.at(0..total);
        let test = if own_test.is_some() { 0 } else { self.test.of(total)? };
        let counts = [test, self.validation.of(total)?];
        if counts[0] + counts[1] >= total {
            let problem =
                format!("{} of {total} records are for testing and validation", counts[0] + counts[1]);
            return Err(Error::input("data.split", problem, "at least one to train on", "take less off"));
        }
        let mut divided = match &self.by {
            SplitBy::Random => self.twice(&vec![0; total], counts)?,
            SplitBy::Stratified => self.twice(&target.strata(&open)?, counts)?,
            SplitBy::Group(column) => self.groups(&keys(&open, column)?, counts)?,
            SplitBy::Bucket(column) => self.buckets(&keys(&open, column)?, own_test.is_some()),
            SplitBy::Time(column) => in_order(&open, column, counts)?,
        };
        divided.test.extend(own_test.into_iter().flat_map(|first| first..records.rows.len()));
        if divided.train.is_empty() {
            let expected = "a column with more values, or smaller shares";
            let problem = "no record is left to train on";
            return Err(Error::input("data.split", problem, expected, "divide by another column"));
        }
        Ok(divided)
    }

    /// Takes the test part off, and the validation part off the rest.
    fn twice(&self, strata: &[usize], [test, validation]: [usize; 2]) -> Result<Divided> {
        let first = Division::stratified(strata, Share::Count(test), self.seed)?;
        let rest: Vec<usize> = first.kept.iter().map(|&index| strata[index]).collect();
        let second = Division::stratified(&rest, Share::Count(validation), self.seed)?;
        let of_rest = |places: Vec<usize>| places.into_iter().map(|place| first.kept[place]).collect();
        let (train, validation) = (of_rest(second.kept), of_rest(second.held_out));
        Ok(Divided { train, validation, test: first.held_out })
    }

    /// Whole groups, in an order that is drawn, until each part has its count.
    fn groups(&self, keys: &[String], [test, validation]: [usize; 2]) -> Result<Divided> {
        let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, key) in keys.iter().enumerate() {
            members.entry(key).or_default().push(index);
        }
        let mut groups: Vec<Vec<usize>> = members.into_values().collect();
        groups.shuffle(&mut stream(self.seed, Purpose::Split, 2, 0));
        let mut groups = groups.into_iter();
        let mut take = |count: usize| {
            let mut taken = Vec::new();
            while taken.len() < count {
                let Some(group) = groups.next() else { break };
                taken.extend(group);
            }
            taken.sort_unstable();
            taken
        };
        let (test, validation) = (take(test), take(validation));
        Ok(Divided { train: take(keys.len()), validation, test })
    }

    fn buckets(&self, keys: &[String], own_test: bool) -> Divided {
        let percent = |share: Share| match share {
            Share::Fraction(fraction) => (fraction * 100.0).round() as u32,
            Share::Count(_) => 0,
        };
        let first = if own_test { 0 } else { percent(self.test) };
        let second = first + percent(self.validation);
        let found: Vec<u32> = keys.iter().map(bucket).collect();
        let within = |range: std::ops::Range<u32>| {
            (0..keys.len()).filter(|&index| range.contains(&found[index])).collect()
        };
        Divided { train: within(second..100), validation: within(first..second), test: within(0..first) }
    }
}

/// The values of a column.
fn keys(records: &Records, column: &str) -> Result<Vec<String>> {
    let column = records.column(column)?;
    let key = |row: Result<Record>| {
        let row = row?;
        let known = row.cells[column].known().map(str::to_owned);
        known.ok_or_else(|| records.wrong(&row, column, "a value, by which records are divided"))
    };
    records.rows.iter().map(key).collect()
}

/// By number where all values are numbers, else by text, as dates in the form 2026-11-28 are in order. Equal values stay
/// in one part, the earlier one.
fn in_order(records: &Records, column: &str, [test, validation]: [usize; 2]) -> Result<Divided> {
    let keys = keys(records, column)?;
    let numbers: Option<Vec<f64>> = keys.iter().map(|key| key.parse().ok()).collect();
    let mut order: Vec<usize> = (0..keys.len()).collect();
    match &numbers {
        Some(numbers) => order.sort_by(|one, other| numbers[*one].total_cmp(&numbers[*other])),
        None => order.sort_by(|one, other| keys[*one].cmp(&keys[*other])),
    }
    let behind_equals = |mut border: usize| {
        while border > 0 && border < order.len() && keys[order[border]] == keys[order[border - 1]] {
            border += 1;
        }
        border
    };
    let second = behind_equals(keys.len() - test);
    let first = behind_equals(keys.len() - test - validation);
    let part = |range: std::ops::Range<usize>| {
        let mut indices = order[range].to_vec();
        indices.sort_unstable();
        indices
    };
    let first = first.min(second);
    Ok(Divided { train: part(0..first), validation: part(first..second), test: part(second..keys.len()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::{Cell, Place};
    use std::path::Path;

    fn records(rows: &[[&str; 2]]) -> Records {
        let place = Place { file: Path::new("a.csv").into(), line: 1 };
        let cells = |row: &[&str; 2]| row.iter().map(|text| Cell::Text((*text).to_owned())).collect();
        let columns = vec!["kind".to_owned(), "key".to_owned()];
        let row = |row: &[&str; 2]| Record { place: place.clone(), cells: cells(row) };
        Records::new(columns, rows.iter().map(row)).unwrap()
    }

    fn divide(by: SplitBy, records: &Records, own_test: Option<usize>) -> Divided {
        let split = SplitConfig { by, test: Share::Fraction(0.2), validation: Share::Fraction(0.2), seed: 3 };
        let divided = split.divide(records, &TargetColumn::Class("kind".to_owned()), own_test).unwrap();
        let mut all = [&divided.train[..], &divided.validation, &divided.test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..records.rows.len()).collect::<Vec<_>>());
        divided
    }

    #[test]
    fn every_way_divides_all_records_and_keeps_its_promise() {
        let keys: Vec<String> = (0..40).map(|index| format!("{}", index * 7 % 10)).collect();
        let rows: Vec<[&str; 2]> =
            keys.iter().enumerate().map(|(index, key)| [["owl", "cat"][index % 2], key.as_str()]).collect();
        let all = records(&rows);
        let key = |index: &usize| rows[*index][1];
        let divided = divide(SplitBy::Stratified, &all, None);
        assert_eq!([divided.train.len(), divided.validation.len(), divided.test.len()], [24, 8, 8]);
        assert_eq!(divided.test.iter().filter(|index| **index % 2 == 0).count(), 4);
        assert_eq!(divide(SplitBy::Random, &all, None).test.len(), 8);
        for by in [SplitBy::Group("key".to_owned()), SplitBy::Bucket("key".to_owned())] {
            let divided = divide(by, &all, None);
            for index in &divided.test {
                let others = divided.train.iter().chain(&divided.validation);
                assert!(
                    others.clone().all(|other| key(other) != key(index)),
                    "{} is in two parts",
                    key(index)
                );
            }
        }
        let divided = divide(SplitBy::Time("key".to_owned()), &all, None);
        assert!(divided.test.iter().all(|index| ["8", "9"].contains(&key(index))));
        assert!(divided.validation.iter().all(|index| ["6", "7"].contains(&key(index))));
        let own = divide(SplitBy::Stratified, &all, Some(30));
        assert_eq!(own.test, (30..40).collect::<Vec<_>>());
        assert_eq!(own.validation.len(), 6);
    }

    #[test]
    fn equal_times_are_not_parted_and_numbers_are_no_texts() {
        let rows = [["a", "9"], ["b", "10"], ["a", "10"], ["b", "10"], ["a", "8"]];
        let divided = divide(SplitBy::Time("key".to_owned()), &records(&rows), None);
        assert_eq!((divided.train, divided.validation, divided.test), (vec![0, 1, 2, 3, 4], vec![], vec![]));
    }

    #[test]
    fn buckets_are_those_of_the_protocol() {
        // "abc" falls into bucket 19.
        let rows = [["a", "abc"], ["b", "abc"], ["a", "x"], ["b", "y"]];
        let divided = divide(SplitBy::Bucket("key".to_owned()), &records(&rows), None);
        assert!(divided.test.contains(&0) && divided.test.contains(&1));
    }

    #[test]
    fn shares_that_leave_nothing_are_named() {
        let rows = [["a", "1"], ["b", "1"], ["a", "1"]];
        let target = TargetColumn::Class("kind".to_owned());
        let by = SplitBy::Group("key".to_owned());
        let split = SplitConfig { by, ..SplitConfig::default() };
        let said = split.divide(&records(&rows), &target, None).unwrap_err().to_string();
        assert!(said.contains("no record is left to train on"), "{said}");
        let split =
            SplitConfig { test: Share::Count(2), validation: Share::Count(1), ..SplitConfig::default() };
        assert!(
            split.divide(&records(&rows), &target, None).unwrap_err().to_string().contains("3 of 3 records")
        );
        let check = |split: SplitConfig| split.check().unwrap_err().to_string();
        assert!(
            check(SplitConfig { test: Share::Fraction(1.0), ..SplitConfig::default() }).contains("`test`")
        );
        let by = SplitBy::Bucket(String::new());
        assert!(check(SplitConfig { by, ..SplitConfig::default() }).contains("`by`"));
    }
}
