//! Where pairs of texts come from.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use ansatz_core::{ConfigError, Error, Result};
use ansatz_data::{Purpose, stream};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where pairs come from: `source = { files = ["pairs.tsv"] }`, or `source = { reversed = 20000 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PairSource {
    /// Files in UTF-8 with one pair to a line: the source, a tab, and the target. Empty lines are passed over.
    Files(Vec<PathBuf>),
    /// So many made-up words of 3 to 12 letters, always the same, each with the same word backwards.
    Reversed(usize),
}

impl Default for PairSource {
    fn default() -> Self {
        Self::Reversed(20_000)
    }
}

/// A source and a target, and where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Texts {
    pub(crate) source: String,
    pub(crate) target: String,
    /// File and line, or the number of the pair.
    pub(crate) place: String,
}

impl PairSource {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Files(paths) if paths.is_empty() => {
                Err(ConfigError::value("source.files", "an empty list", "at least one file"))
            }
            Self::Reversed(0) => Err(ConfigError::value("source.reversed", "0 words", "at least one word")),
            _ => Ok(()),
        }
    }

    /// Gives `each` all pairs, in order.
    ///
    /// # Errors
    /// When a file cannot be read, a line is no pair, or what `each` says.
    pub(crate) fn read(&self, mut each: impl FnMut(Texts) -> Result<()>) -> Result<()> {
        match self {
            Self::Files(paths) => paths.iter().try_for_each(|path| pairs_of(path, &mut each)),
            Self::Reversed(words) => (0..*words).map(reversed).try_for_each(each),
        }
    }
}

fn reversed(index: usize) -> Texts {
    let mut random = stream(0, Purpose::Source, 0, index as u64);
    let letters = random.random_range(3..=12);
    let source: String = (0..letters).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
    Texts { target: source.chars().rev().collect(), source, place: format!("pair {}", index + 1) }
}

fn pairs_of(path: &Path, each: &mut impl FnMut(Texts) -> Result<()>) -> Result<()> {
    let file = File::open(path).map_err(Error::file(path, "read"))?;
    let mut none = true;
    for (index, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line.map_err(Error::file(path, "read"))?;
        let place = format!("{}, line {}", path.display(), index + 1);
        let refused = |problem: String| {
            let expected = "a source, a tab and a target, in UTF-8";
            Error::input(&place, problem, expected, "mend or remove the line")
        };
        let text = std::str::from_utf8(&line)
            .map_err(|error| refused(format!("byte {} is no UTF-8", error.valid_up_to() + 1)))?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            continue;
        }
        let fields: Vec<&str> = text.split('\t').collect();
        match fields[..] {
            [source, target] if !source.is_empty() => {
                let [source, target] = [source, target].map(str::to_owned);
                none = false;
                each(Texts { source, target, place })?;
            }
            [_, _] => return Err(refused("the source is empty".to_owned())),
            _ => return Err(refused(format!("it has {} tabs", fields.len() - 1))),
        }
    }
    if none {
        let expected = "lines of a source, a tab and a target";
        return Err(Error::input(path.display(), "it holds no pair", expected, "give another file"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(source: &PairSource) -> Result<Vec<Texts>> {
        let mut pairs = Vec::new();
        source.read(|pair| {
            pairs.push(pair);
            Ok(())
        })?;
        Ok(pairs)
    }

    fn read(bytes: &[u8]) -> Result<Vec<[String; 2]>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.tsv");
        std::fs::write(&path, bytes).unwrap();
        let pairs = all(&PairSource::Files(vec![path]))?;
        Ok(pairs.into_iter().map(|pair| [pair.source, pair.target]).collect())
    }

    #[test]
    fn a_line_is_a_pair() {
        let pairs = read("a house\tein Haus\r\n\nyes\t\n".as_bytes()).unwrap();
        assert_eq!(pairs, [["a house", "ein Haus"], ["yes", ""]]);
    }

    #[test]
    fn lines_that_are_no_pairs_are_named() {
        for (bytes, problem) in [
            (&b"a\tb\nabc\n"[..], "line 2: it has 0 tabs"),
            (b"a\tb\tc", "line 1: it has 2 tabs"),
            (b"\tb", "line 1: the source is empty"),
            (b"a\tb\n\nc\t\xff", "line 3: byte 3 is no UTF-8"),
            (b"\n", "holds no pair"),
        ] {
            let message = read(bytes).unwrap_err().to_string();
            assert!(message.contains(problem), "{message}");
        }
        let absent = all(&PairSource::Files(vec!["no-such-pairs.tsv".into()]));
        assert!(absent.unwrap_err().to_string().contains("no-such-pairs.tsv"));
    }

    #[test]
    fn made_up_words_are_always_the_same() {
        let (few, many) = (all(&PairSource::Reversed(3)).unwrap(), all(&PairSource::Reversed(9)).unwrap());
        assert_eq!(few, many[..3]);
        for Texts { source, target, .. } in many {
            assert!((3..=12).contains(&source.len()), "{source}");
            assert_eq!(source.chars().rev().collect::<String>(), target);
        }
    }
}
