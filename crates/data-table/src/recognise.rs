//! What a file of records holds, and how it would be read.

use std::collections::HashSet;
use std::path::Path;

use ansatz_core::{Proposal, Purpose, Result, Setting};
use ansatz_data::records::{Foretold, Look, Seen, foretold, look};
use ansatz_data::{TargetColumn, is_record_file, read_records};

/// A file of records with a column that is foretold, and others.
pub(crate) fn recognise(path: &Path) -> Result<Option<Proposal>> {
    if !is_record_file(path) {
        return Ok(None);
    }
    let only_records = path.extension().is_some_and(|ending| ending == "jsonl" || ending == "parquet");
    let records = match read_records(path) {
        Ok(records) => records,
        Err(error) if only_records => return Err(error),
        // Another data model may know what it is, or says what is wrong with it.
        Err(_) => return Ok(None),
    };
    let found = look(&records)?;
    let columns = &found.columns;
    let Some(foretold) = foretold(columns) else { return Ok(None) };
    let targets = foretold.target.columns();
    let others = || columns.iter().filter(|seen| !targets.contains(&seen.name.as_str()));
    let ignored: Vec<&str> =
        others().filter(|seen| seen.is_identity()).map(|seen| seen.name.as_str()).collect();
    let read: Vec<&Seen> =
        others().filter(|seen| seen.known > 0 && !ignored.contains(&seen.name.as_str())).collect();
    if read.is_empty() {
        return Ok(None);
    }
    let named = Setting::quoted(path);
    let (target, why) = foretold.setting();
    let mut settings = vec![
        Setting::new(
            format!("source = {{ file = {{ path = {named} }} }}"),
            "`test` names a file for testing",
        ),
        Setting::new(target, why),
    ];
    if !ignored.is_empty() {
        settings.push(Setting::new(format!("ignore = {ignored:?}"), "these tell which record it is"));
    }
    let split = "split = { by = \"stratified\", test = { fraction = 0.2 }, validation = { fraction = 0.1 } }";
    settings.push(Setting::new(split, "or by = { group = \"…\" }, { time = \"…\" }"));
    let labelled: Vec<&Seen> = columns.iter().filter(|seen| targets.contains(&seen.name.as_str())).collect();
    let known = labelled.iter().map(|seen| seen.known).min().unwrap_or(0);
    Ok(Some(Proposal {
        seen: seen(&found, &read, &labelled, &foretold),
        warnings: warnings(&found, &read, &ignored, &labelled, &foretold)?,
        settings,
        purpose: Purpose::JudgeRecords {
            columns: read.len(),
            number: matches!(foretold.target, TargetColumn::Number(_)),
        },
        examples: (found.of_all(known) * 7 / 10).max(1),
        imbalance: foretold.imbalance(),
    }))
}

fn seen(found: &Look, read: &[&Seen], labelled: &[&Seen], foretold: &Foretold) -> Vec<String> {
    let mut lines = vec![found.in_words()];
    let numbers: Vec<&str> =
        read.iter().filter(|seen| seen.numbers.is_some()).map(|seen| seen.name.as_str()).collect();
    let categories = read.iter().filter(|seen| seen.numbers.is_none());
    let categories: Vec<String> =
        categories.map(|seen| format!("{} ({})", seen.name, seen.values.len())).collect();
    for (what, names) in [("numbers", numbers.join(", ")), ("categories", categories.join(", "))] {
        if !names.is_empty() {
            lines.push(format!("{what}: {names}"));
        }
    }
    lines.push(foretold.in_words(labelled));
    lines
}

fn warnings(
    found: &Look,
    read: &[&Seen],
    ignored: &[&str],
    labelled: &[&Seen],
    foretold: &Foretold,
) -> Result<Vec<String>> {
    let total = found.records.rows.len();
    let mut warnings: Vec<String> = ignored
        .iter()
        .map(|name| {
            format!(
                "column `{name}` has another value in each record: not read, for it would tell which it is"
            )
        })
        .collect();
    // Of a column of several labels an empty cell has none of them, which is a value.
    let several = matches!(foretold.target, TargetColumn::Labels(_));
    for seen in labelled.iter().filter(|seen| seen.known < total) {
        let without = total - seen.known;
        warnings.push(match several {
            true => format!("records without any label in `{}`: {without}", seen.name),
            false => format!("records without a value in `{}`, which are left out: {without}", seen.name),
        });
    }
    let gaps: Vec<String> = read
        .iter()
        .filter(|seen| seen.known < total)
        .map(|seen| format!("{} {}", seen.name, total - seen.known))
        .collect();
    if !gaps.is_empty() {
        warnings.push(format!("missing values, which the network is told of: {}", gaps.join(", ")));
    }
    let again = repeated(found)?;
    if again > 0 {
        warnings.push(format!("records that come again, perhaps in two parts: {again}"));
    }
    let counts = || foretold.counts.iter().map(|(_, count)| *count);
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    if most >= 10 * least && most > 0 {
        warnings.push(format!(
            "the largest class has {most} records and the smallest {least}: accuracy says little"
        ));
    }
    if total < 200 {
        warnings.push(format!("{total} records are few: figures on a fifth of them are rough"));
    }
    Ok(warnings)
}

/// How many of the records that were looked at are like one before them.
fn repeated(found: &Look) -> Result<usize> {
    let mut different = HashSet::new();
    let mut again = 0;
    for row in found.records.rows.iter() {
        let cells = row?.cells;
        let known: Vec<Option<String>> = cells.iter().map(|cell| cell.known().map(str::to_owned)).collect();
        again += usize::from(!different.insert(known));
    }
    Ok(again)
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
        assert_eq!(found.imbalance, 1.0);
    }

    #[test]
    fn several_labels_are_told() {
        let row = |index: usize| format!("{index}.5,{}\n", ["red; big", "red", "", "big"][index % 4]);
        let rows: String = (0..40).map(row).collect();
        let found = proposal("a.csv", &format!("size,labels\n{rows}")).unwrap().expect("records");
        assert_eq!(
            found.settings[1].line,
            "target = { labels = { column = \"labels\", separator = \";\" } }"
        );
        assert_eq!(found.seen[2], "foretold: `labels`, any of 2 labels: big 20, red 20");
        assert!(found.warnings.join("\n").contains("records without any label in `labels`: 10"));
        assert_eq!(found.purpose, Purpose::JudgeRecords { columns: 1, number: false });
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
