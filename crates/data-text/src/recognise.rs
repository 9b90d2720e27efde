//! What text files hold, and how they would be read.

use std::path::Path;

use ansatz_core::{Error, Proposal, Purpose, Result, Setting};

use crate::PairSource;
use crate::source::text_files;

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
        let content = std::fs::read(file).map_err(Error::file(file, "read"))?;
        bytes += content.len();
        lines += content.iter().filter(|byte| **byte == b'\n').count();
        if std::str::from_utf8(&content).is_err() {
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
    }))
}

/// A `.tsv` file of pairs.
pub(crate) fn pairs(path: &Path) -> Result<Option<Proposal>> {
    if !path.is_file() || path.extension().is_none_or(|ending| ending != "tsv") {
        return Ok(None);
    }
    let pairs = PairSource::Files(vec![path.to_owned()]).read()?;
    let longest = |text: fn(&crate::pairs::Texts) -> &str| pairs.iter().map(|pair| text(pair).len()).max();
    let source = longest(|pair| &pair.source).unwrap_or(1);
    let target = longest(|pair| &pair.target).unwrap_or(1) + 1;
    let sources: std::collections::HashSet<&str> = pairs.iter().map(|pair| pair.source.as_str()).collect();
    let mut warnings = Vec::new();
    if pairs.len() < 1000 {
        warnings.push(format!("{} pairs are few to learn from", pairs.len()));
    }
    if sources.len() < pairs.len() {
        let again = pairs.len() - sources.len();
        warnings.push(format!("pairs whose source came before, which stay with it in one part: {again}"));
    }
    Ok(Some(Proposal {
        seen: vec![
            format!("{} pairs of texts", pairs.len()),
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
        examples: (pairs.len() * 17 / 20).max(1),
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
