//! What a file of records holds, and how it would be read.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use ansatz_core::{Proposal, Purpose, Records, Result, Setting};
use ansatz_data::{TargetColumn, is_record_file, read_records};

/// Names of columns that are foretold, in lower case.
const TARGETS: [&str; 8] = ["label", "class", "category", "target", "outcome", "diagnosis", "species", "y"];

/// Columns of a file, as far as they tell what is in it.
struct Seen<'a> {
    name: &'a str,
    /// Known values with how often they come.
    values: BTreeMap<&'a str, usize>,
    known: usize,
    numbers: Option<Vec<f64>>,
}

impl Seen<'_> {
    fn is_whole(&self) -> bool {
        self.numbers.as_ref().is_some_and(|numbers| numbers.iter().all(|number| number.fract() == 0.0))
    }

    /// Whether its values may be classes: few, and each more than once on the whole; numbers only where they count the
    /// classes, from 0 or 1 on.
    fn is_class(&self) -> bool {
        let few = (2..=20).contains(&self.values.len()) && self.values.len() * 2 <= self.known;
        let counts = |numbers: &Vec<f64>| {
            let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            self.is_whole() && [0.0, 1.0].contains(&least) && most - least + 1.0 == self.values.len() as f64
        };
        few && self.numbers.as_ref().is_none_or(counts)
    }

    /// Whether it tells which record it is: another text in each, or numbers that count them or are called so.
    fn is_identity(&self) -> bool {
        if self.values.len() < self.known || self.known < 3 {
            return false;
        }
        let name = self.name.to_lowercase();
        let called = name == "id" || name == "index" || name.ends_with("_id") || name.ends_with(" id");
        match &self.numbers {
            None => true,
            Some(numbers) => {
                let counts = numbers.windows(2).all(|pair| pair[1] - pair[0] == 1.0);
                self.is_whole() && (called || counts)
            }
        }
    }
}

fn look<'a>(records: &'a Records) -> Vec<Seen<'a>> {
    let column = |(place, name): (usize, &'a String)| {
        let known: Vec<&str> = records.rows.iter().filter_map(|row| row.cells[place].known()).collect();
        let mut values = BTreeMap::new();
        known.iter().for_each(|value| *values.entry(*value).or_insert(0) += 1);
        let number = |text: &&str| text.parse().ok().filter(|value: &f64| value.is_finite());
        let numbers = known.iter().map(number).collect::<Option<Vec<f64>>>();
        Seen { name, values, known: known.len(), numbers: numbers.filter(|numbers| !numbers.is_empty()) }
    };
    records.columns.iter().enumerate().map(column).collect()
}

/// The column that is foretold: one whose name says so, or the last one that can be.
fn target(columns: &[Seen]) -> Option<(usize, TargetColumn)> {
    let named = |seen: &Seen| TARGETS.contains(&seen.name.to_lowercase().as_str()) && seen.values.len() > 1;
    let of = |place: usize| {
        let seen = &columns[place];
        match (seen.is_class(), &seen.numbers) {
            (true, _) => Some((place, TargetColumn::Class(seen.name.to_owned()))),
            (false, Some(_)) => Some((place, TargetColumn::Number(seen.name.to_owned()))),
            (false, None) => None,
        }
    };
    if let Some(found) = columns.iter().position(named).and_then(of) {
        return Some(found);
    }
    // Numbers alone, or with times, are rather a series.
    let is_date = |value: &&str| {
        let bytes = value.as_bytes();
        bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && [b'-', b'/'].contains(&bytes[4])
    };
    let dated = columns.iter().any(|seen| !seen.values.is_empty() && seen.values.keys().all(is_date));
    let last = columns.len().checked_sub(1)?;
    let others = columns[..last].iter().any(|seen| seen.numbers.is_none() && !seen.is_identity());
    match &columns[last].numbers {
        None if columns[last].is_class() => of(last),
        Some(_) if others && !dated => of(last),
        _ => None,
    }
}

/// A file of records with a column that is foretold, and others.
pub(crate) fn recognise(path: &Path) -> Result<Option<Proposal>> {
    if !is_record_file(path) {
        return Ok(None);
    }
    let json = path.extension().is_some_and(|ending| ending == "jsonl");
    let records = match read_records(path) {
        Ok(records) => records,
        Err(error) if json => return Err(error),
        // Another data model may know what it is, or says what is wrong with it.
        Err(_) => return Ok(None),
    };
    let columns = look(&records);
    let Some((foretold, target)) = target(&columns) else { return Ok(None) };
    let others = || columns.iter().enumerate().filter(|(place, _)| *place != foretold).map(|(_, seen)| seen);
    let ignored: Vec<&str> = others().filter(|seen| seen.is_identity()).map(|seen| seen.name).collect();
    let read: Vec<&Seen> = others().filter(|seen| seen.known > 0 && !ignored.contains(&seen.name)).collect();
    if read.is_empty() {
        return Ok(None);
    }
    let named = Setting::quoted(path);
    let (kind, why) = match &target {
        TargetColumn::Class(_) => ("class", "or { number = \"…\" }, for the task `regress`"),
        TargetColumn::Number(_) => ("number", "or { class = \"…\" }, for the task `classify`"),
    };
    let mut settings = vec![
        Setting::new(
            format!("source = {{ file = {{ path = {named} }} }}"),
            "`test` names a file for testing",
        ),
        Setting::new(format!("target = {{ {kind} = {:?} }}", target.name()), why),
    ];
    if !ignored.is_empty() {
        settings.push(Setting::new(format!("ignore = {ignored:?}"), "these tell which record it is"));
    }
    let split = "split = { by = \"stratified\", test = { fraction = 0.2 }, validation = { fraction = 0.1 } }";
    settings.push(Setting::new(split, "or by = { group = \"…\" }, { time = \"…\" }"));
    Ok(Some(Proposal {
        seen: seen(&records, &read, &columns[foretold], &target),
        warnings: warnings(&records, &read, &ignored, &columns[foretold], &target),
        settings,
        purpose: Purpose::JudgeRecords {
            columns: read.len(),
            number: matches!(target, TargetColumn::Number(_)),
        },
        examples: (columns[foretold].known * 7 / 10).max(1),
    }))
}

fn seen(records: &Records, read: &[&Seen], foretold: &Seen, target: &TargetColumn) -> Vec<String> {
    let mut lines = vec![format!("{} records of {} columns", records.rows.len(), records.columns.len())];
    let numbers: Vec<&str> =
        read.iter().filter(|seen| seen.numbers.is_some()).map(|seen| seen.name).collect();
    let categories = read.iter().filter(|seen| seen.numbers.is_none());
    let categories: Vec<String> =
        categories.map(|seen| format!("{} ({})", seen.name, seen.values.len())).collect();
    for (what, names) in [("numbers", numbers.join(", ")), ("categories", categories.join(", "))] {
        if !names.is_empty() {
            lines.push(format!("{what}: {names}"));
        }
    }
    let name = foretold.name;
    lines.push(match (target, &foretold.numbers) {
        (TargetColumn::Number(_), Some(numbers)) => {
            let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            format!("foretold: `{name}`, a number from {least} to {most}")
        }
        _ => {
            let counts: Vec<String> =
                foretold.values.iter().map(|(class, count)| format!("{class} {count}")).collect();
            format!("foretold: `{name}`, {} classes: {}", counts.len(), counts.join(", "))
        }
    });
    lines
}

fn warnings(
    records: &Records,
    read: &[&Seen],
    ignored: &[&str],
    foretold: &Seen,
    target: &TargetColumn,
) -> Vec<String> {
    let total = records.rows.len();
    let mut warnings: Vec<String> = ignored
        .iter()
        .map(|name| {
            format!(
                "column `{name}` has another value in each record: not read, for it would tell which it is"
            )
        })
        .collect();
    if foretold.known < total {
        let without = total - foretold.known;
        warnings
            .push(format!("records without a value in `{}`, which are left out: {without}", foretold.name));
    }
    let gaps: Vec<String> = read
        .iter()
        .filter(|seen| seen.known < total)
        .map(|seen| format!("{} {}", seen.name, total - seen.known))
        .collect();
    if !gaps.is_empty() {
        warnings.push(format!("missing values, which the network is told of: {}", gaps.join(", ")));
    }
    let different: HashSet<Vec<Option<&str>>> =
        records.rows.iter().map(|row| row.cells.iter().map(ansatz_core::Cell::known).collect()).collect();
    if different.len() < total {
        warnings.push(format!("records that come again, perhaps in two parts: {}", total - different.len()));
    }
    if let TargetColumn::Class(_) = target {
        let counts = || foretold.values.values();
        let (least, most) = (counts().min().unwrap_or(&0), counts().max().unwrap_or(&0));
        if *most >= 10 * least {
            warnings.push(format!(
                "the largest class has {most} records and the smallest {least}: accuracy says little"
            ));
        }
    }
    if total < 200 {
        warnings.push(format!("{total} records are few: figures on a fifth of them are rough"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(name: &str, text: &str) -> Result<Option<Proposal>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        recognise(&path)
    }

    #[test]
    fn records_with_classes_are_told_with_what_makes_them_doubtful() {
        let rows: String = (0..30)
            .map(|index| {
                let age = if index == 4 { "NA".to_owned() } else { (index * 7 % 13).to_string() };
                format!("{index},{},{age},n{index},{}\n", ["f", "m"][index % 2], ["owl", "cat"][index % 2])
            })
            .collect();
        let found = proposal("a.csv", &format!("row,sex,age,name,kind\n{rows}")).unwrap().expect("records");
        let expected = [
            "30 records of 5 columns",
            "numbers: age",
            "categories: sex (2)",
            "foretold: `kind`, 2 classes: cat 15, owl 15",
        ];
        assert_eq!(found.seen, expected);
        assert_eq!(found.settings[1].line, "target = { class = \"kind\" }");
        assert_eq!(found.settings[2].line, "ignore = [\"row\", \"name\"]");
        let said = found.warnings.join("\n");
        assert!(said.contains("`name` has another value in each record") && said.contains("age 1"), "{said}");
        assert_eq!(found.purpose, Purpose::JudgeRecords { columns: 2, number: false });
    }

    #[test]
    fn numbers_are_foretold_where_a_name_or_categories_say_so() {
        let rows: String = (0..40).map(|index| format!("{},{}\n", index % 7, index * index)).collect();
        let found = proposal("a.csv", &format!("age,Target\n{rows}")).unwrap().expect("records");
        assert_eq!(found.settings[1].line, "target = { number = \"Target\" }");
        assert!(found.seen[2].contains("a number from 0 to 1521"), "{:?}", found.seen);
        // Numbers alone are a series.
        assert_eq!(proposal("a.csv", &format!("age,size\n{rows}")).unwrap(), None);
        let classes: String = (0..40).map(|index| format!("{index}.5,{}\n", index % 3)).collect();
        let found = proposal("a.csv", &format!("size,class\n{classes}")).unwrap().expect("records");
        assert!(found.seen[2].contains("3 classes: 0 14, 1 13, 2 13"), "{:?}", found.seen);
        let lines: String = (0..40)
            .map(|index| format!("{{\"a\": \"{}\", \"size\": {}.5}}\n", index % 2, index))
            .map(|line| line.replace("\"0\"", "\"no\"").replace("\"1\"", "\"yes\""))
            .collect();
        let found = proposal("a.jsonl", &lines).unwrap().expect("records");
        assert_eq!(found.settings[1].line, "target = { number = \"size\" }");
    }

    #[test]
    fn what_is_no_table_of_records_is_left_to_others() {
        assert_eq!(proposal("a.txt", "a,b\n1,x\n").unwrap(), None);
        assert_eq!(proposal("a.csv", "a,b\n1\n").unwrap(), None);
        assert_eq!(proposal("a.csv", "when,load\n2021-01-01,3\n2021-01-02,4\n").unwrap(), None);
        assert_eq!(proposal("a.tsv", "0\tnumber 0\n1\tnumber 1\n2\tnumber 2\n").unwrap(), None);
        assert!(proposal("a.jsonl", "{\"a\": 1\n").unwrap_err().to_string().contains("line 1"));
    }
}
