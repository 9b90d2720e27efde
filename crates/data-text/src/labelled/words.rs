//! A vocabulary of words, learned from texts.

use std::collections::HashMap;

use ansatz_core::{Error, Result};

use crate::Tokenizer;

/// What stands for every word that is not of the vocabulary.
const UNKNOWN: &str = "[unknown]";

/// Words that come seldomer say nothing that could be learned.
const LEAST: usize = 2;

/// The tokenizer whose vocabulary is the `most` most frequent words of `texts`; of equally frequent ones the first in
/// the order of their bytes.
pub(super) fn learn(texts: impl Iterator<Item = Result<String>>, most: usize) -> Result<Tokenizer> {
    // The words are those that the tokenizer itself will see.
    let cutting = tokenizer(&HashMap::new())?;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for text in texts {
        for word in cutting.words(&text?)? {
            *counts.entry(word).or_default() += 1;
        }
    }
    let mut words: Vec<(String, usize)> = counts.into_iter().filter(|(_, count)| *count >= LEAST).collect();
    words.sort_by(|(word, count), (other, others)| others.cmp(count).then_with(|| word.cmp(other)));
    words.truncate(most);
    let numbered = words.into_iter().enumerate().map(|(index, (word, _))| (word, index + 1));
    tokenizer(&numbered.collect())
}

/// Words in lower case and signs, numbered from 1 on; 0 is all that is unknown.
fn tokenizer(words: &HashMap<String, usize>) -> Result<Tokenizer> {
    let mut vocabulary = serde_json::Map::new();
    vocabulary.insert(UNKNOWN.to_owned(), 0.into());
    vocabulary.extend(words.iter().map(|(word, index)| (word.clone(), (*index).into())));
    let file = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": { "type": "Lowercase" },
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN },
    });
    Tokenizer::from_json(&file.to_string())
        .map_err(|problem| Error::Failed(format!("a vocabulary of words: {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_words_are_known_and_all_others_one_token() {
        let texts: &[&str] = &["The cat, the dog.", "the CAT sat; a bird", "bird? dog"];
        let given = |texts: &'static [&str]| texts.iter().map(|text| Ok((*text).to_owned()));
        let tokenizer = learn(given(texts), 3).unwrap();
        assert_eq!(tokenizer.vocabulary(), 4);
        // `the` comes three times; `bird`, `cat` and `dog` twice each.
        assert_eq!(tokenizer.encode("The cat sat, dog bird").unwrap(), [1, 3, 0, 0, 0, 2]);
        assert_eq!(learn(given(&["once"]), 9).unwrap().vocabulary(), 1);
    }
}
