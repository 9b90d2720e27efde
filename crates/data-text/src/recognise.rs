//! What text files hold, and how they would be read.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;
use std::path::Path;

use ansatz_core::{Error, Places, Proposal, Purpose, Result, Setting};
use ansatz_data::records::{Seen, foretold, look};
use ansatz_data::{TargetColumn, is_record_file, read_records};

use crate::labelled::{classes_of, labels_of, text_of};
use crate::pairs::Groups;
use crate::source::text_files;
use crate::{LabelledFolder, LabelledSource, LabelledTable, PairSource, Source};

/// Tokens of an example, where the text is long enough.
const LENGTH: usize = 128;

/// Text files, or the `.txt` files of a folder.
pub(crate) fn text(path: &Path) -> Result<Option<Proposal>> {
    let is_text = |path: &Path| path.extension().is_some_and(|ending| ending == "txt");
    let files = if path.is_file() && is_text(path) {
        vec![path.to_owned()]
    } else if path.is_dir() {
        match text_files(path) {
            Ok(files) => files,
            Err(_) => return Ok(None),
        }
    } else {
        return Ok(None);
    };
    let (mut bytes, mut lines, mut foreign) = (0, 0, Vec::new());
    for file in &files {
        let mut is_utf8 = true;
        Source::Files(vec![file.clone()]).read(&Places { data: path.to_owned() }, |piece| {
            bytes += piece.len();
            lines += piece.iter().filter(|byte| **byte == b'\n').count();
            is_utf8 &= std::str::from_utf8(piece).is_ok();
            Ok(())
        })?;
        if !is_utf8 {
            foreign.push(file.display().to_string());
        }
    }
    // Nine tenths are for training, of which two windows must be left besides the validation part.
    let length = LENGTH.min(bytes / 8);
    if length == 0 {
        let problem = format!("it holds {bytes} bytes of text");
        let remedy = "give more text";
        return Err(Error::input(path.display(), problem, "eight bytes at least", remedy));
    }
    let mut warnings = Vec::new();
    if bytes < 100_000 {
        warnings.push(format!("{bytes} bytes are little to learn a language from: expect words, not sense"));
    }
    if !foreign.is_empty() {
        warnings.push(format!("no UTF-8, read byte by byte all the same: {}", foreign.join(", ")));
    }
    Ok(Some(Proposal {
        seen: vec![format!("{bytes} bytes of text in {lines} lines; files: {}", files.len())],
        warnings,
        settings: vec![
            Setting::new(format!("source = {{ files = [{}] }}", Setting::quoted(path)), ""),
            Setting::new("tokenizer = \"bytes\"", "or { file = \"tokenizer.json\" }"),
            Setting::new(format!("length = {length}"), "tokens that the network is trained on at once"),
            Setting::new("test = 0.1", "of the text, at its end"),
            Setting::new("validation = 0.05", "of what is left, at its end"),
        ],
        purpose: Purpose::ContinueText { length },
        examples: (bytes * 17 / 20 / length).max(1),
        imbalance: 1.0,
    }))
}

/// Names of columns that hold classes of texts, in lower case.
const LABELS: [&str; 7] = ["label", "class", "category", "topic", "sentiment", "labels", "topics"];

/// Bytes from which on a column holds texts, in the mean.
const WORDY: usize = 12;

/// A folder of `.txt` files per class, or a table with a column of labels and one of texts.
pub(crate) fn labelled(path: &Path) -> Result<Option<Proposal>> {
    let (source, line) = if path.is_dir() {
        let parts = path.join("train").is_dir() && path.join("test").is_dir();
        let folders = classes_of(&if parts { path.join("train") } else { path.to_owned() })?;
        if folders.len() < 2 {
            return Ok(None);
        }
        let line = format!("source = {{ folder = {{ path = {} }} }}", Setting::quoted(path));
        (LabelledSource::Folder(LabelledFolder { path: path.to_owned() }), line)
    } else {
        let Some(table) = columns(path)? else { return Ok(None) };
        let LabelledTable { text, label, separator, .. } = &table;
        let also = |key: &str, value: &Option<String>| {
            value.as_ref().map_or(String::new(), |value| format!(", {key} = {value:?}"))
        };
        let (label, separator) = (also("label", label), also("separator", separator));
        let named = Setting::quoted(path);
        let line = format!("source = {{ table = {{ path = {named}, text = {text:?}{label}{separator} }} }}");
        (LabelledSource::Table(table), line)
    };
    // A source of files needs no place for sets.
    let found = source.read(&Places { data: path.to_owned() }, true)?;
    let mut classes: BTreeMap<String, usize> = BTreeMap::new();
    let (mut words, mut known, mut leaked) = (Vec::new(), HashSet::new(), 0);
    // Of a text 8 bytes are enough to know it again, for a warning.
    let marks = RandomState::new();
    let test = found.test.as_ref().map(|test| &test.rows);
    for (own, rows) in std::iter::once((true, &found.train.rows)).chain(test.map(|rows| (false, rows))) {
        for row in rows.iter() {
            let row = row?;
            for label in labels_of(&row, found.separator.as_deref()) {
                *classes.entry(label.to_owned()).or_default() += 1;
            }
            let text = text_of(&row);
            let mark = marks.hash_one(text);
            if own {
                words.push(text.split_whitespace().count());
                known.insert(mark);
            } else {
                leaked += usize::from(known.contains(&mark));
            }
        }
    }
    let counts: Vec<String> = classes.iter().map(|(class, count)| format!("{class} {count}")).collect();
    let total = words.len();
    words.sort_unstable();
    let (median, longest) = (words[words.len() / 2], words[words.len() - 1]);
    let length = (longest * 5 / 4).next_power_of_two().clamp(16, 4096);
    let mut warnings = Vec::new();
    let (least, most) = (classes.values().min().unwrap_or(&0), classes.values().max().unwrap_or(&0));
    if *most >= 10 * least {
        warnings.push(format!(
            "the largest class has {most} texts and the smallest {least}: accuracy says little"
        ));
    }
    if known.len() < total {
        warnings.push(format!("texts that come again: {}", total - known.len()));
    }
    if leaked > 0 {
        warnings.push(format!("texts in train and test, which make the test too easy: {leaked}"));
    }
    Ok(Some(Proposal {
        seen: vec![
            match found.separator {
                Some(_) => format!("texts with any of {} labels: {}", counts.len(), counts.join(", ")),
                None => format!("texts of {} classes: {}", counts.len(), counts.join(", ")),
            },
            format!("{median} words in the middle, {longest} at the most"),
            match &found.test {
                Some(_) => "parts of their own: train and test".to_owned(),
                None => "no parts of their own: a share of each class will be kept for testing".to_owned(),
            },
        ],
        warnings,
        settings: vec![
            Setting::new(line, ""),
            Setting::new("tokenizer = { words = 20000 }", "or \"bytes\", or { file = \"tokenizer.json\" }"),
            Setting::new(
                format!("length = {length}"),
                "tokens at the most; longer texts are cut, and counted",
            ),
            Setting::new(
                "terms = { grams = 2 }",
                "words and pairs of words, each with the weight of what it tells",
            ),
            Setting::new("token_dropout = 0.3", "of the terms, left out while training"),
            Setting::new("validation = { fraction = 0.1 }", "of each class, judged behind every epoch"),
        ],
        purpose: Purpose::ClassifyText,
        examples: total,
        imbalance: Proposal::imbalance(classes.values().copied()),
    }))
}

/// The columns of texts and of labels in the records at `path`, if it has them.
fn columns(path: &Path) -> Result<Option<LabelledTable>> {
    if !is_record_file(path) {
        return Ok(None);
    }
    // What cannot be read, another data model knows, or says what is wrong with it.
    let Ok(records) = read_records(path) else { return Ok(None) };
    let found = look(&records)?;
    let (seen, looked_at) = (&found.columns, found.records.rows.len());
    let is_label = |seen: &&Seen| LABELS.contains(&seen.name.to_lowercase().as_str());
    let Some(label) = seen.iter().find(is_label) else { return Ok(None) };
    // The column with the longest cells holds the texts.
    let bytes = |seen: &Seen| seen.values.iter().map(|(text, count)| text.len() * count).sum::<usize>();
    let others = seen.iter().filter(|seen| seen.name != label.name).max_by_key(|seen| bytes(seen));
    let Some(text) = others.filter(|text| bytes(text) >= WORDY * looked_at) else { return Ok(None) };
    let separator = match foretold(seen).map(|found| found.target) {
        Some(TargetColumn::Labels(labels)) if labels.column == label.name => Some(labels.separator),
        _ => None,
    };
    if separator.is_none() && label.known < looked_at {
        return Ok(None);
    }
    let (path, text, label) = (path.to_owned(), text.name.clone(), Some(label.name.clone()));
    Ok(Some(LabelledTable { path, test: None, text, label, separator }))
}

/// A `.tsv` file of pairs.
pub(crate) fn pairs(path: &Path) -> Result<Option<Proposal>> {
    if !path.is_file() || path.extension().is_none_or(|ending| ending != "tsv") {
        return Ok(None);
    }
    let (mut groups, mut source, mut target) = (Groups::default(), 0, 1);
    PairSource::Files(vec![path.to_owned()]).read(|pair| {
        groups.push(&pair.source);
        source = source.max(pair.source.len());
        target = target.max(pair.target.len() + 1);
        Ok(())
    })?;
    let pairs = groups.pairs();
    let mut warnings = Vec::new();
    if pairs < 1000 {
        warnings.push(format!("{pairs} pairs are few to learn from"));
    }
    let again = pairs - groups.count();
    if again > 0 {
        warnings.push(format!("pairs whose source came before, which stay with it in one part: {again}"));
    }
    Ok(Some(Proposal {
        seen: vec![
            format!("{pairs} pairs of texts"),
            format!("sources of up to {source} bytes, targets of up to {}", target - 1),
        ],
        warnings,
        settings: vec![
            Setting::new(format!("source = {{ files = [{}] }}", Setting::quoted(path)), ""),
            Setting::new("tokenizer = \"bytes\"", "or { file = \"tokenizer.json\" }, with `begin` and `end`"),
            Setting::new(format!("source_length = {source}"), "of the longest source"),
            Setting::new(format!("target_length = {}", target.max(2)), "of the longest target, and its end"),
        ],
        purpose: Purpose::AnswerText { lengths: [source, target.max(2)] },
        examples: (pairs * 17 / 20).max(1),
        imbalance: 1.0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_recognised_by_its_ending() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.txt"), "to be or not\n".repeat(40)).unwrap();
        std::fs::write(folder.path().join("a.txt"), [0xff; 480]).unwrap();
        let proposal = text(folder.path()).unwrap().expect("text files");
        assert_eq!(proposal.seen, ["1000 bytes of text in 40 lines; files: 2"]);
        assert_eq!(proposal.purpose, Purpose::ContinueText { length: 125 });
        assert!(proposal.warnings.iter().any(|line| line.contains("a.txt")), "{:?}", proposal.warnings);
        let single = text(&folder.path().join("b.txt")).unwrap().expect("a text file");
        assert_eq!(single.seen, ["520 bytes of text in 40 lines; files: 1"]);
        std::fs::write(folder.path().join("empty.txt"), "").unwrap();
        assert!(text(&folder.path().join("empty.txt")).unwrap_err().to_string().contains("0 bytes"));
        assert_eq!(text(&folder.path().join("table.csv")).unwrap(), None);
    }

    #[test]
    fn texts_with_classes_are_recognised_by_folders_or_by_a_column_of_labels() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("news.csv");
        let rows: String =
            (0..30).map(|index| format!("{},{index},a story about {index}\n", index % 3)).collect();
        std::fs::write(&path, format!("Topic,number,body\n{rows}0,1,a story about 0\n")).unwrap();
        let proposal = labelled(&path).unwrap().expect("a table of texts");
        assert_eq!(proposal.seen[0], "texts of 3 classes: 0 11, 1 10, 2 10");
        assert!(proposal.settings[0].line.contains("text = \"body\", label = \"Topic\""));
        assert_eq!(proposal.warnings, ["texts that come again: 1"]);
        assert_eq!(proposal.purpose, Purpose::ClassifyText);
        // Numbers are no texts, and without labels there are no classes.
        for text in ["class,value\na,1.5\n", "name,body\na,a story about it\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(labelled(&path).unwrap(), None, "{text}");
        }
        for class in ["ham", "spam"] {
            std::fs::create_dir(folder.path().join(class)).unwrap();
            std::fs::write(folder.path().join(class).join("1.txt"), class).unwrap();
        }
        let proposal = labelled(folder.path()).unwrap().expect("class folders");
        assert_eq!(proposal.seen[0], "texts of 2 classes: ham 1, spam 1");
    }

    #[test]
    fn pairs_are_recognised_by_their_ending() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.tsv");
        std::fs::write(&path, "one\teins\ntwo\tzwei\none\tuno\n").unwrap();
        let proposal = pairs(&path).unwrap().expect("pairs");
        assert_eq!(proposal.seen[0], "3 pairs of texts");
        assert_eq!(proposal.purpose, Purpose::AnswerText { lengths: [3, 5] });
        assert!(proposal.warnings.iter().any(|line| line.contains("in one part: 1")));
        std::fs::write(&path, "no tab").unwrap();
        assert!(pairs(&path).unwrap_err().to_string().contains("line 1"));
        assert_eq!(pairs(folder.path()).unwrap(), None);
    }
}
