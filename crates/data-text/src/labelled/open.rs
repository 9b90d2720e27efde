//! Labelled texts, read, cut into tokens, and divided.

use std::collections::BTreeSet;

use ansatz_core::{Batch, Encoder, Error, Exhibit, OpenData, Part, Places, Result, Targets, Variation};
use ansatz_data::Division;

use super::source::Labelled;
use super::{LabelledTextConfig, LabelledTextEncoder, LabelledTokenizer, words};
use crate::tokenizer::{Tokenizer, TokenizerConfig};

/// A text as tokens.
struct Example {
    text: String,
    tokens: Vec<u32>,
    class: usize,
}

/// Labelled texts, read, cut into tokens, and divided class by class.
pub struct OpenLabelledText {
    encoder: LabelledTextEncoder,
    /// Training, validation and test.
    parts: [Vec<Example>; 3],
    notes: Vec<String>,
}

impl OpenLabelledText {
    /// Reads the source, divides it, and learns the vocabulary from the training part.
    ///
    /// # Errors
    /// When the source is not there, has one class alone, or the test part has a class that training has not.
    pub fn open(config: &LabelledTextConfig, places: &Places) -> Result<Self> {
        let found = config.source.read(places)?;
        let names: BTreeSet<&str> = found.train.iter().map(|text| text.label.as_str()).collect();
        let classes: Vec<String> = names.into_iter().map(str::to_owned).collect();
        if classes.len() < 2 {
            let problem = format!("all {} texts are of one class", found.train.len());
            let expected = "two classes at least";
            return Err(Error::input("the source of labelled texts", problem, expected, "give more texts"));
        }
        let class = |text: &Labelled| {
            classes.binary_search(&text.label).map_err(|_| {
                let problem = format!("the class `{}` is not in the training part", text.label);
                let expected = format!("one of {}", classes.join(", "));
                Error::input(&text.place, problem, expected, "add texts of the class, or remove this one")
            })
        };
        let labels = |texts: &[Labelled]| texts.iter().map(class).collect::<Result<Vec<usize>>>();
        let (rest, test) = match found.test {
            Some(test) => (found.train, test),
            None => {
                let parts = Division::stratified(&labels(&found.train)?, config.test, config.split_seed)?;
                parts.divide(found.train)
            }
        };
        let parts = Division::stratified(&labels(&rest)?, config.validation, config.split_seed)?;
        let (train, validation) = parts.divide(rest);
        let mut vocabulary = 0;
        let tokenizer = match &config.tokenizer {
            LabelledTokenizer::Words(most) => {
                words::learn(train.iter().map(|text| text.text.as_str()), *most)?
            }
            LabelledTokenizer::Bytes => Tokenizer::Bytes,
            LabelledTokenizer::File(path) => TokenizerConfig::File(path.clone()).open()?,
            LabelledTokenizer::Run(folder) => {
                let (tokenizer, known) = Tokenizer::of_run(folder)?;
                vocabulary = known;
                tokenizer
            }
        };
        let encoder =
            LabelledTextEncoder::new(tokenizer, classes.clone(), config).with_vocabulary(vocabulary);
        let (mut cut, mut empty, total) = (0, 0, train.len() + validation.len() + test.len());
        let mut example = |text: Labelled| {
            let class = class(&text)?;
            let sentence = encoder.tokens(&text.text)?;
            cut += usize::from(sentence.cut > 0);
            empty += usize::from(text.text.trim().is_empty());
            Ok(Example { text: text.text, tokens: sentence.tokens, class })
        };
        let mut examples =
            |texts: Vec<Labelled>| texts.into_iter().map(&mut example).collect::<Result<Vec<_>>>();
        let parts = [examples(train)?, examples(validation)?, examples(test)?];
        let mut notes = Vec::new();
        if cut > 0 {
            let length = config.length;
            notes.push(format!(
                "{cut} of {total} texts are longer than {length} tokens, and cut at their end."
            ));
        }
        if empty > 0 {
            notes.push(format!("{empty} of {total} texts are empty."));
        }
        Ok(Self { encoder, parts, notes })
    }

    fn part(&self, part: Part) -> &[Example] {
        match part {
            Part::Train => &self.parts[0],
            Part::Validation => &self.parts[1],
            Part::Test => &self.parts[2],
        }
    }
}

impl OpenData for OpenLabelledText {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn examples(&self, part: Part) -> usize {
        self.part(part).len()
    }

    fn batch(&self, part: Part, indices: &[usize], _variation: Option<Variation>) -> Result<Batch> {
        let examples = || indices.iter().map(|index| &self.part(part)[*index]);
        let rows: Vec<&[u32]> = examples().map(|example| &example.tokens[..]).collect();
        let classes = examples().map(|example| example.class).collect();
        Ok(self.encoder.batch(&rows, Targets::Classes(classes)))
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        Ok(Exhibit::Text(self.part(part)[index].text.clone()))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LabelledSource, LabelledTable};
    use super::*;

    fn open(rows: &str, test: Option<&str>) -> Result<OpenLabelledText> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, rows: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("label,text\n{rows}")).unwrap();
            path
        };
        let source = LabelledSource::Table(LabelledTable {
            path: write("train.csv", rows),
            test: test.map(|rows| write("test.csv", rows)),
            text: "text".to_owned(),
            label: "label".to_owned(),
        });
        let config = LabelledTextConfig { source, length: 4, ..LabelledTextConfig::default() };
        OpenLabelledText::open(&config, &Places { data: folder.path().to_owned() })
    }

    fn rows(count: usize) -> String {
        (0..count).map(|index| format!("{},word {index} again\n", ["no", "yes"][index % 2])).collect()
    }

    #[test]
    fn every_text_is_in_one_part_and_classes_keep_their_shares() {
        let data = open(&rows(100), None).unwrap();
        let counts = [Part::Train, Part::Validation, Part::Test].map(|part| data.examples(part));
        assert_eq!(counts, [72, 8, 20]);
        let batch = data.batch(Part::Test, &(0..20).collect::<Vec<_>>(), None).unwrap();
        let Targets::Classes(classes) = batch.targets else { unreachable!() };
        assert_eq!(classes.iter().filter(|class| **class == 1).count(), 10);
        assert!(data.notes().is_empty());
    }

    #[test]
    fn a_test_part_of_its_own_counts_whole_and_words_are_learned_from_training_alone() {
        let data = open(&rows(40), Some("yes,unseen unseen word\nno,\nyes,a b c d e\n")).unwrap();
        assert_eq!(data.examples(Part::Test), 3);
        // `word` and `again` are known; numbers come once each.
        assert_eq!(data.part(Part::Test)[0].tokens, [0, 0, 2]);
        assert_eq!(data.part(Part::Test)[1].tokens, [0]);
        let notes = data.notes().join(" ");
        assert!(
            notes.contains("1 of 43 texts are longer than 4") && notes.contains("1 of 43 texts are empty")
        );
    }

    #[test]
    fn classes_that_do_not_fit_are_named() {
        let message = |rows: &str, test: Option<&str>| match open(rows, test) {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        };
        assert!(message("no,a\nno,b\n", None).contains("of one class"));
        assert!(
            message(&rows(40), Some("maybe,a\n")).contains("the class `maybe` is not in the training part")
        );
    }
}
