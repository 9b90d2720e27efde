//! What a person would see at a look at records: which columns hold numbers, pictures, texts, and what may be foretold.

use std::collections::BTreeMap;

use ansatz_core::{Proposal, Records, Result};

use super::{SeparatedLabels, TargetColumn, separated};

/// Names of columns that are foretold, in lower case.
const TARGETS: [&str; 8] = ["label", "class", "category", "target", "outcome", "diagnosis", "species", "y"];

/// Names of columns that hold several labels each, in lower case.
const LABELS: [&str; 7] = ["labels", "tags", "genres", "topics", "categories", "classes", "keywords"];

/// What may part labels in a column.
const SEPARATORS: [&str; 3] = [";", "|", ","];

/// What names of columns that say whether a label is there begin with, in lower case.
const FLAGS: [&str; 6] = ["label_", "is_", "has_", "tag_", "topic_", "genre_"];

/// Records from which on a part of them is enough to look at.
const LOOKED_AT: usize = 200_000;

/// Bytes from which on a column holds texts, in the mean.
const WORDY: usize = 12;

/// A column, as far as it tells what is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Known values with how often they come.
    pub values: BTreeMap<String, usize>,
    /// How many values are known.
    pub known: usize,
    /// The values, where all that are known are numbers.
    pub numbers: Option<Vec<f64>>,
    /// Records from one that was looked at to the next: 1 where all were.
    pub distance: f64,
}

/// What a look at records shows.
#[derive(Debug)]
pub struct Look {
    /// Those that were looked at: all, or as many as are enough, at even distances.
    pub records: Records,
    /// How many there are.
    pub total: usize,
    /// Their columns.
    pub columns: Vec<Seen>,
}

/// Looks at `records`.
///
/// # Errors
/// When they cannot be read.
pub fn look(records: &Records) -> Result<Look> {
    look_at(records, LOOKED_AT)
}

fn look_at(records: &Records, most: usize) -> Result<Look> {
    let total = records.rows.len();
    let some = (0..most).map(|index| (index as u128 * total as u128 / most as u128) as usize);
    let records = if total > most { records.at(some) } else { records.clone() };
    let distance = total as f64 / records.rows.len() as f64;
    let new = |name: &String| Seen::new(name.clone(), distance);
    let mut columns: Vec<Seen> = records.columns.iter().map(new).collect();
    for row in records.rows.iter() {
        for (seen, cell) in columns.iter_mut().zip(&row?.cells) {
            cell.known().into_iter().for_each(|value| seen.add(value));
        }
    }
    columns.iter_mut().for_each(Seen::finish);
    Ok(Look { records, total, columns })
}

impl Look {
    /// How many records and columns there are, and how many were looked at.
    pub fn in_words(&self) -> String {
        let (total, columns, seen) = (self.total, self.columns.len(), self.records.rows.len());
        let all = format!("{total} records of {columns} columns");
        if seen < total { format!("{all}, of which {seen} at even distances were looked at") } else { all }
    }

    /// About as many of all records as `count` are of those that were looked at.
    pub fn of_all(&self, count: usize) -> usize {
        (count as u128 * self.total as u128 / self.records.rows.len().max(1) as u128) as usize
    }
}

impl Seen {
    fn new(name: String, distance: f64) -> Self {
        Self { name, values: BTreeMap::new(), known: 0, numbers: Some(Vec::new()), distance }
    }

    fn add(&mut self, value: &str) {
        let number = value.parse().ok().filter(|value: &f64| value.is_finite());
        match (number, &mut self.numbers) {
            (Some(number), Some(numbers)) => numbers.push(number),
            _ => self.numbers = None,
        }
        self.known += 1;
        match self.values.get_mut(value) {
            Some(count) => *count += 1,
            None => drop(self.values.insert(value.to_owned(), 1)),
        }
    }

    fn finish(&mut self) {
        if self.known == 0 {
            self.numbers = None;
        }
    }

    /// Whether all values are whole numbers.
    pub fn is_whole(&self) -> bool {
        self.numbers.as_ref().is_some_and(|numbers| numbers.iter().all(|number| number.fract() == 0.0))
    }

    /// Whether its values may be classes: few, and each more than once on the whole; numbers only where they count the
    /// classes, from 0 or 1 on.
    pub fn is_class(&self) -> bool {
        let few = (2..=20).contains(&self.values.len()) && self.values.len() * 2 <= self.known;
        let counts = |numbers: &Vec<f64>| {
            let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            self.is_whole() && [0.0, 1.0].contains(&least) && most - least + 1.0 == self.values.len() as f64
        };
        few && self.numbers.as_ref().is_none_or(counts)
    }

    /// Whether it tells which record it is: another text in each, or numbers that count them or are called so.
    pub fn is_identity(&self) -> bool {
        if self.values.len() < self.known || self.known < 3 {
            return false;
        }
        let name = self.name.to_lowercase();
        let called = name == "id" || name == "index" || name.ends_with("_id") || name.ends_with(" id");
        match &self.numbers {
            None => true,
            Some(numbers) => {
                let counts = numbers.windows(2).all(|pair| (pair[1] - pair[0] - self.distance).abs() < 1.0);
                self.is_whole() && (called || counts)
            }
        }
    }

    /// Whether its values are names of pictures.
    pub fn is_picture(&self) -> bool {
        let endings = [".png", ".jpg", ".jpeg"];
        let named = |value: &String| endings.iter().any(|ending| value.to_lowercase().ends_with(ending));
        self.known > 0 && self.values.keys().all(named)
    }

    /// Whether it holds texts: of some words, most of them different, or of four words and more in the mean.
    pub fn is_text(&self) -> bool {
        let all =
            |of: fn(&str) -> usize| self.values.iter().map(|(text, count)| of(text) * count).sum::<usize>();
        let words = all(|text: &str| text.split_whitespace().count());
        let wordy = all(str::len) >= WORDY * self.known && words >= 2 * self.known;
        let different = self.values.len() * 2 > self.known && self.values.len() > 2;
        self.known > 0 && self.numbers.is_none() && wordy && (different || words >= 4 * self.known)
    }

    /// Whether it says of each record that something holds, or does not.
    fn is_flag(&self) -> bool {
        self.known > 0 && self.values.keys().all(|value| ["0", "1", "0.0", "1.0"].contains(&value.as_str()))
    }

    /// What parts the labels that it holds, and how often each comes, where it holds several here and there: few different
    /// ones, fewer than their combinations, and each more than once on the whole.
    fn separator(&self) -> Option<(&'static str, BTreeMap<&str, usize>)> {
        SEPARATORS.iter().find_map(|separator| {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for (value, count) in &self.values {
                separated(value, separator).for_each(|label| *counts.entry(label).or_insert(0) += count);
            }
            let several = self.values.iter().filter(|(value, _)| value.contains(*separator));
            let several: usize = several.map(|(_, count)| count).sum();
            let few = (2..=100).contains(&counts.len()) && counts.len() * 2 <= counts.values().sum::<usize>();
            let found = few && counts.len() < self.values.len() && several * 10 >= self.known;
            found.then_some((*separator, counts))
        })
    }
}

/// What is foretold of records, and how often each class or label comes; empty for a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Foretold {
    /// Where it stands.
    pub target: TargetColumn,
    /// Each class or label with its records.
    pub counts: Vec<(String, usize)>,
}

impl Foretold {
    fn one(seen: &Seen) -> Option<Self> {
        let name = seen.name.clone();
        match (seen.is_class(), &seen.numbers) {
            (true, _) => {
                let counts = seen.values.iter().map(|(class, count)| (class.clone(), *count)).collect();
                Some(Self { target: TargetColumn::Class(name), counts })
            }
            (false, Some(_)) => Some(Self { target: TargetColumn::Number(name), counts: Vec::new() }),
            (false, None) => None,
        }
    }

    fn several(seen: &Seen) -> Option<Self> {
        let (separator, counts) = seen.separator()?;
        let counts = counts.into_iter().map(|(label, count)| (label.to_owned(), count)).collect();
        let labels = SeparatedLabels { column: seen.name.clone(), separator: separator.to_owned() };
        Some(Self { target: TargetColumn::Labels(labels), counts })
    }

    fn flags(columns: &[Seen]) -> Option<Self> {
        FLAGS.iter().find_map(|prefix| {
            let named = |seen: &&Seen| seen.name.to_lowercase().starts_with(prefix) && seen.is_flag();
            let flags: Vec<&Seen> = columns.iter().filter(named).collect();
            let count = |seen: &&Seen| {
                let held = seen.values.iter().filter(|(value, _)| value.starts_with('1'));
                (seen.name.clone(), held.map(|(_, count)| count).sum())
            };
            let target = TargetColumn::Flags(flags.iter().map(|seen| seen.name.clone()).collect());
            (flags.len() >= 2).then(|| Self { target, counts: flags.iter().map(count).collect() })
        })
    }

    /// How many times as many records the largest class has as the smallest; 1 for a number.
    pub fn imbalance(&self) -> f64 {
        Proposal::imbalance(self.counts.iter().map(|(_, count)| *count))
    }

    /// The same in words; `labelled` are its columns.
    pub fn in_words(&self, labelled: &[&Seen]) -> String {
        let names = format!("`{}`", self.target.columns().join("`, `"));
        let counts: Vec<String> =
            self.counts.iter().map(|(class, count)| format!("{class} {count}")).collect();
        let numbers = labelled.iter().filter_map(|seen| seen.numbers.as_ref()).flatten().copied();
        match &self.target {
            TargetColumn::Number(_) => {
                let (least, most) = numbers
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), number| {
                        (least.min(number), most.max(number))
                    });
                format!("foretold: {names}, a number from {least} to {most}")
            }
            TargetColumn::Class(_) => {
                format!("foretold: {names}, {} classes: {}", counts.len(), counts.join(", "))
            }
            TargetColumn::Labels(_) => {
                format!("foretold: {names}, any of {} labels: {}", counts.len(), counts.join(", "))
            }
            TargetColumn::Flags(_) => {
                format!("foretold: any of {} labels: {}", counts.len(), counts.join(", "))
            }
        }
    }

    /// The setting that says so, as TOML, and what else it may be.
    pub fn setting(&self) -> (String, &'static str) {
        match &self.target {
            TargetColumn::Class(name) => {
                (format!("target = {{ class = {name:?} }}"), "or { number = \"…\" }, for the task `regress`")
            }
            TargetColumn::Number(name) => {
                (format!("target = {{ number = {name:?} }}"), "or { class = \"…\" }, for the task `classify`")
            }
            TargetColumn::Labels(SeparatedLabels { column, separator }) => (
                format!("target = {{ labels = {{ column = {column:?}, separator = {separator:?} }} }}"),
                "any number of labels; or { class = \"…\" }, one for each",
            ),
            TargetColumn::Flags(names) => {
                (format!("target = {{ flags = {names:?} }}"), "any number of them may hold")
            }
        }
    }
}

/// What is foretold: a column whose name says so, labels, or the last column that can be.
pub fn foretold(columns: &[Seen]) -> Option<Foretold> {
    let called = |seen: &Seen, names: &[&str]| {
        names.contains(&seen.name.to_lowercase().as_str()) && seen.values.len() > 1
    };
    let named = columns.iter().find(|seen| called(seen, &TARGETS));
    if let Some(found) = named.and_then(|seen| Foretold::several(seen).or_else(|| Foretold::one(seen))) {
        return Some(found);
    }
    let labels = columns.iter().filter(|seen| called(seen, &LABELS)).find_map(Foretold::several);
    if let Some(found) = labels.or_else(|| Foretold::flags(columns)) {
        return Some(found);
    }
    // Numbers alone, or with times, are rather a series.
    let is_date = |value: &String| {
        let bytes = value.as_bytes();
        bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && [b'-', b'/'].contains(&bytes[4])
    };
    let dated = columns.iter().any(|seen| !seen.values.is_empty() && seen.values.keys().all(is_date));
    let (last, before) = columns.split_last()?;
    let others = before.iter().any(|seen| seen.numbers.is_none() && !seen.is_identity());
    match &last.numbers {
        None => Foretold::several(last).or_else(|| Foretold::one(last)),
        Some(_) if others && !dated => Foretold::one(last),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::read::tests::records;

    #[test]
    fn labels_are_seen_in_one_column_or_in_one_each() {
        let rows: String = (0..20)
            .map(|index| format!("{index}.5,{}\n", ["red|big", "red", "", "big"][index % 4]))
            .collect();
        let all = records(&format!("size,Tags\n{rows}"));
        let found = foretold(&look(&all).unwrap().columns).expect("labels");
        let labels = SeparatedLabels { column: "Tags".to_owned(), separator: "|".to_owned() };
        assert_eq!(found.target, TargetColumn::Labels(labels));
        assert_eq!(found.counts, [("big".to_owned(), 10), ("red".to_owned(), 10)]);
        let rows: String =
            (0..20).map(|index| format!("{},{index}.5,{}\n", index % 2, usize::from(index == 3))).collect();
        let all = records(&format!("is_big,size,is_red\n{rows}"));
        let found = foretold(&look(&all).unwrap().columns).expect("flags");
        assert_eq!(found.target, TargetColumn::Flags(vec!["is_big".to_owned(), "is_red".to_owned()]));
        assert_eq!(found.imbalance(), 10.0);
        assert_eq!(found.setting().0, "target = { flags = [\"is_big\", \"is_red\"] }");
    }

    #[test]
    fn of_many_records_some_are_enough() {
        let rows: String =
            (0..1000).map(|index| format!("{},{index}.5\n", ["cat", "owl"][index / 500])).collect();
        let all = records(&format!("class,size\n{rows}"));
        let found = look_at(&all, 10).unwrap();
        assert_eq!(
            found.in_words(),
            "1000 records of 2 columns, of which 10 at even distances were looked at"
        );
        let classes = BTreeMap::from([("cat".to_owned(), 5), ("owl".to_owned(), 5)]);
        assert_eq!((found.columns[0].known, &found.columns[0].values), (10, &classes));
        assert_eq!((found.of_all(10), found.of_all(3)), (1000, 300));
        let rows: String = (0..1000).map(|index| format!("{},{}\n", index + 7, index * index)).collect();
        let counted = look_at(&records(&format!("a,b\n{rows}")), 300).unwrap().columns;
        assert_eq!(counted.iter().map(Seen::is_identity).collect::<Vec<_>>(), [true, false]);
        let every = look_at(&all, 1000).unwrap();
        assert_eq!((every.records.rows.len(), every.columns[0].known), (1000, 1000));
    }

    #[test]
    fn pictures_and_texts_are_told_from_categories() {
        let rows: String = (0..9)
            .map(|index| {
                format!(
                    "{index}.PNG,a story about the number {index},{},word{index}\n",
                    ["f", "m"][index % 2]
                )
            })
            .collect();
        let all = records(&format!("file,note,sex,name\n{rows}"));
        let seen = look(&all).unwrap().columns;
        assert!(seen[0].is_picture() && !seen[0].is_text());
        assert!(seen[1].is_text() && !seen[1].is_picture() && !seen[2].is_text());
        assert!(!seen[3].is_text(), "a name is no text");
        let rows = "hangs down in the morning already,very good\nlimp,very good\nspots on its lower side,very good\n".repeat(5);
        let all = records(&format!("note,state\n{rows}"));
        let seen = look(&all).unwrap().columns;
        assert!(seen[0].is_text() && !seen[1].is_text(), "phrases come again, a state is no text");
    }
}
