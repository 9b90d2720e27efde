//! Records that name pictures, hold texts, or both beside numbers and categories, and how they would be read.

use std::path::Path;

use ansatz_core::{Cell, Proposal, Purpose, Records, Result, Setting};
use ansatz_data::records::{Seen, foretold, look};
use ansatz_data::{TargetColumn, is_record_file, read_records};

/// Side of the squares that pictures are brought to, in pixels.
const SIDE: usize = 64;

/// The columns that are read, by what reads them.
struct Columns<'a> {
    pictures: Vec<&'a str>,
    texts: Vec<(&'a str, usize)>,
    /// Numbers and categories.
    others: Vec<&'a str>,
}

impl Columns<'_> {
    fn modalities(&self) -> usize {
        self.pictures.len() + self.texts.len() + usize::from(!self.others.is_empty())
    }
}

/// Whether the first picture of a column is there: a file that is named, or the bytes of one.
fn holds_pictures(records: &Records, place: usize, seen: &Seen) -> Result<bool> {
    let is_picture = |bytes: &[u8]| bytes.starts_with(b"\x89PNG") || bytes.starts_with(&[0xff, 0xd8]);
    for row in records.rows.iter() {
        let row = row?;
        return Ok(match &row.cells[place] {
            cell if cell.is_missing() => continue,
            Cell::Bytes(bytes) => is_picture(bytes),
            cell => seen.is_picture() && cell.known().is_some_and(|named| row.path(named).is_file()),
        });
    }
    Ok(false)
}

/// The most tokens of a text, for texts as long as those of a column.
fn length(seen: &Seen) -> usize {
    let longest = seen.values.keys().map(|text| text.split_whitespace().count()).max().unwrap_or(1);
    (longest * 5 / 4).next_power_of_two().clamp(16, 256)
}

/// A file of records with a column of pictures, or with texts and other columns.
pub(crate) fn recognise(path: &Path) -> Result<Option<Proposal>> {
    if !is_record_file(path) {
        return Ok(None);
    }
    // What cannot be read, another data model knows, or says what is wrong with it.
    let Ok(records) = read_records(path) else { return Ok(None) };
    let found = look(&records)?;
    let columns = &found.columns;
    let Some(foretold) = foretold(columns) else { return Ok(None) };
    let targets = foretold.target.columns();
    let mut read = Columns { pictures: Vec::new(), texts: Vec::new(), others: Vec::new() };
    let mut left_out = Vec::new();
    for (place, seen) in columns.iter().enumerate().filter(|(_, seen)| !targets.contains(&seen.name.as_str()))
    {
        if holds_pictures(&found.records, place, seen)? {
            read.pictures.push(&seen.name);
        } else if seen.is_text() {
            read.texts.push((&seen.name, length(seen)));
        } else if seen.known == 0 || seen.is_identity() {
            left_out.push(seen.name.as_str());
        } else {
            read.others.push(&seen.name);
        }
    }
    let several = read.modalities() > 1 && !read.texts.is_empty();
    if read.pictures.is_empty() && !several {
        return Ok(None);
    }
    let labelled: Vec<&Seen> = columns.iter().filter(|seen| targets.contains(&seen.name.as_str())).collect();
    let (target, why) = foretold.setting();
    let named = Setting::quoted(path);
    let settings = vec![
        Setting::new(
            format!("source = {{ file = {{ path = {named} }} }}"),
            "pictures are named as seen from its folder",
        ),
        Setting::new(target, why),
        Setting::new(
            "join = \"concat-features\"",
            "or \"concat-tokens\", \"gated\", { cross-attention = {} }",
        ),
        Setting::new(
            "modality_dropout = 0.1",
            "hides a modality now and then, so that none is leant on alone",
        ),
        Setting::new(
            "split = { by = \"stratified\", test = { fraction = 0.2 }, validation = { fraction = 0.1 } }",
            "or by = { group = \"…\" }, { time = \"…\" }",
        ),
        Setting::new(modalities(&read), ""),
    ];
    let total = found.records.rows.len();
    let examples = found.of_all(labelled.iter().map(|seen| seen.known).min().unwrap_or(0)) * 7 / 10;
    Ok(Some(Proposal {
        seen: [vec![found.in_words()], said(&read)]
            .concat()
            .into_iter()
            .chain([foretold.in_words(&labelled)])
            .collect(),
        warnings: warnings(total, &left_out, columns, &read),
        settings,
        purpose: Purpose::JudgeModalities {
            modalities: read.modalities(),
            pictures: !read.pictures.is_empty(),
            number: matches!(foretold.target, TargetColumn::Number(_)),
        },
        examples: examples.max(1),
        imbalance: foretold.imbalance(),
    }))
}

/// `modalities = [ … ]`, one a line.
fn modalities(read: &Columns) -> String {
    let name = |column: &str| column.replace('/', "-");
    let picture = |column: &&str| {
        format!(
            "{{ name = {:?}, columns = [{column:?}], dropout = 0.2, encoder = {{ kind = \"conv-pyramid\", stages = \
             [{{ widths = [16], pool = 2 }}, {{ widths = [32], pool = 2 }}, {{ widths = [64] }}] }}, data = {{ kind = \
             \"image\", source = {{ records = {{ height = {SIDE}, width = {SIDE} }} }} }} }}",
            name(column)
        )
    };
    let text = |(column, length): &(&str, usize)| {
        format!(
            "{{ name = {:?}, columns = [{column:?}], dropout = 0.2, data = {{ kind = \"labelled-text\", length = {length} }} }}",
            name(column)
        )
    };
    let mut lines: Vec<String> =
        read.pictures.iter().map(picture).chain(read.texts.iter().map(text)).collect();
    if !read.others.is_empty() {
        let taken = read.pictures.iter().chain(read.texts.iter().map(|(column, _)| column));
        let called =
            if taken.clone().any(|column| *column == "record") { "numbers and categories" } else { "record" };
        lines.push(format!(
            "{{ name = {called:?}, columns = {:?}, data = {{ kind = \"table\" }} }}",
            read.others
        ));
    }
    format!("modalities = [\n  {},\n]", lines.join(",\n  "))
}

fn said(read: &Columns) -> Vec<String> {
    let texts: Vec<&str> = read.texts.iter().map(|(column, _)| *column).collect();
    let all = [("pictures", &read.pictures), ("texts", &texts), ("numbers and categories", &read.others)];
    let held = all.into_iter().filter(|(_, columns)| !columns.is_empty());
    held.map(|(what, columns)| format!("{what}: {}", columns.join(", "))).collect()
}

fn warnings(total: usize, left_out: &[&str], columns: &[Seen], read: &Columns) -> Vec<String> {
    let mut warnings: Vec<String> = left_out
        .iter()
        .map(|name| format!("column `{name}` is empty, or tells which record it is: not read"))
        .collect();
    let gaps = columns.iter().filter(|seen| read.texts.iter().any(|(text, _)| *text == seen.name));
    for seen in gaps.filter(|seen| seen.known < total) {
        warnings.push(format!(
            "records without `{}`, which may be missing: {}",
            seen.name,
            total - seen.known
        ));
    }
    if total < 200 {
        warnings.push(format!("{total} records are few: figures on a fifth of them are rough"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(text: &str) -> Option<Proposal> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("0.png"), b"\x89PNG").unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        recognise(&path).unwrap()
    }

    #[test]
    fn pictures_texts_and_records_of_one_thing_are_seen() {
        let rows: String = (0..30)
            .map(|index| {
                let finding = ["rust", "well"][index % 2];
                format!("{index},{index}.png,spots on the leaf {index},{}.5,{finding}\n", index % 7)
            })
            .collect();
        let found = proposal(&format!("id,picture,note,soil,finding\n{rows}")).expect("several modalities");
        let expected = [
            "30 records of 5 columns",
            "pictures: picture",
            "texts: note",
            "numbers and categories: soil",
            "foretold: `finding`, 2 classes: rust 15, well 15",
        ];
        assert_eq!(found.seen, expected);
        assert_eq!(found.purpose, Purpose::JudgeModalities { modalities: 3, pictures: true, number: false });
        let lines: String = found.settings.iter().map(|setting| setting.line.clone() + "\n").collect();
        let table: toml::Table = lines.parse().expect("TOML");
        let names: Vec<_> = table["modalities"]
            .as_array()
            .expect("an array")
            .iter()
            .map(|one| one["name"].as_str())
            .collect();
        assert_eq!(names, [Some("picture"), Some("note"), Some("record")]);
        assert!(
            found.warnings[0].contains("`id` is empty, or tells which record it is"),
            "{:?}",
            found.warnings
        );
    }

    #[test]
    fn one_kind_of_column_alone_is_left_to_others() {
        let numbers: String =
            (0..30).map(|index| format!("{}.5,{}\n", index % 7, ["a", "b"][index % 2])).collect();
        assert_eq!(proposal(&format!("soil,class\n{numbers}")), None);
        let texts: String = (0..30).map(|index| format!("a story about {index},{}\n", index % 2)).collect();
        assert_eq!(proposal(&format!("note,class\n{texts}")), None);
        // Without the first file these are names, not pictures.
        let names: String = (1..30).map(|index| format!("{index}.png,{}\n", ["a", "b"][index % 2])).collect();
        assert_eq!(proposal(&format!("file,class\n{names}")), None);
        let pictures: String =
            (0..30).map(|index| format!("{}.png,{}\n", index % 9, ["a", "b"][index % 2])).collect();
        assert!(proposal(&format!("file,class\n{pictures}")).is_some());
    }
}
