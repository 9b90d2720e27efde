//! A column of texts as one modality of examples that have several.

use std::sync::Arc;

use ansatz_core::{
    BoxedStem, Build, Cell, ConfigError, Encoder, Error, Exhibit, FittedModality, Modality, ModalityEncoder,
    ModalityExamples, Preparation, Record, Records, Result, Target, Variation,
};
use burn::tensor::TensorData;

use super::{LabelledSource, LabelledTextConfig, LabelledTextEncoder};
use crate::token_rows::{TokenRows, TokenRowsWriter};

impl LabelledTextConfig {
    /// Refuses what belongs to the example as a whole.
    fn check_modality(&self, records: &Records) -> Result<()> {
        let usual = Self::default();
        if !matches!(self.source, LabelledSource::Records(_)) {
            let expected = "{ records = {} }, or no source";
            return Err(ConfigError::value("source", "the records say what the texts are", expected).into());
        }
        for (name, is_usual, instead) in [
            ("test", self.test == usual.test, "data.split divides examples"),
            ("validation", self.validation == usual.validation, "data.split divides examples"),
            ("split_seed", self.split_seed == usual.split_seed, "data.split divides examples"),
            ("train", self.train.is_none(), "data.split divides examples"),
            ("masking", self.masking.is_none(), "the label of the whole example is told"),
        ] {
            if !is_usual {
                let problem = "a text of several modalities is a part of an example";
                return Err(ConfigError::value(name, problem, format!("nothing here; {instead}")).into());
            }
        }
        match records.columns.len() {
            1 => Ok(()),
            count => {
                let problem = format!("{count} columns");
                Err(ConfigError::value("columns", problem, "one column, which holds texts").into())
            }
        }
    }
}

impl Modality for LabelledTextConfig {
    fn fit(&self, records: &Records, train: &[usize]) -> Result<FittedModality> {
        self.check_modality(records)?;
        let known = records.at(train.iter().copied());
        let (tokenizer, vocabulary) =
            self.tokenizer.fit(known.rows.iter().filter_map(|row| text(row).transpose()))?;
        let encoder = LabelledTextEncoder::new(tokenizer, Target::Classes { names: Vec::new() }, self)
            .with_vocabulary(vocabulary);
        let (tokens, cut) = tokens(&encoder, records)?;
        let learned = train.iter().filter_map(|&index| tokens.get(index).transpose());
        let encoder = Arc::new(encoder.with_terms(self, learned)?);
        let (records, dropout) = (records.clone(), self.token_dropout);
        let examples = Texts { records, tokens, encoder: Arc::clone(&encoder), token_dropout: dropout };
        let encoder = TextModality(encoder);
        let mut notes = Vec::new();
        if cut > 0 {
            let (total, length) = (examples.records.rows.len(), self.length);
            notes.push(format!(
                "{cut} of {total} texts are longer than {length} tokens, and cut at their end."
            ));
        }
        Ok(FittedModality { encoder: Box::new(encoder), examples: Box::new(examples), notes })
    }

    fn restore(&self, preparation: &Preparation) -> Result<Box<dyn ModalityEncoder>> {
        Ok(Box::new(TextModality(Arc::new(LabelledTextEncoder::restore(preparation, self)?))))
    }
}

/// The text of a record, if it has one.
fn text(record: Result<Record>) -> Result<Option<String>> {
    Ok(match record?.cells.into_iter().next() {
        Some(Cell::Text(text)) if !text.trim().is_empty() => Some(text),
        _ => None,
    })
}

/// The tokens of all texts, and how many of these were cut.
fn tokens(encoder: &LabelledTextEncoder, records: &Records) -> Result<(TokenRows, usize)> {
    let (mut tokens, mut cut) = (TokenRowsWriter::default(), 0);
    for record in records.rows.iter() {
        let sentence = text(record)?.map(|text| encoder.tokens(&text)).transpose()?;
        cut += usize::from(sentence.as_ref().is_some_and(|sentence| sentence.cut > 0));
        tokens.push(sentence.as_ref().map_or(&[], |sentence| &sentence.tokens))?;
    }
    Ok((tokens.finish()?, cut))
}

/// Fitted preprocessing of a column of texts.
struct TextModality(Arc<LabelledTextEncoder>);

impl ModalityEncoder for TextModality {
    fn preparation(&self) -> Result<Preparation> {
        self.0.preparation()
    }

    fn read(&self, records: &Records) -> Result<Box<dyn ModalityExamples>> {
        let (tokens, _) = tokens(&self.0, records)?;
        let (records, encoder) = (records.clone(), Arc::clone(&self.0));
        Ok(Box::new(Texts { records, tokens, encoder, token_dropout: 0.0 }))
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        self.0.stem(width, build)
    }
}

/// Texts, and their tokens.
struct Texts {
    records: Records,
    tokens: TokenRows,
    encoder: Arc<LabelledTextEncoder>,
    token_dropout: f64,
}

impl ModalityExamples for Texts {
    fn is_present(&self, index: usize) -> bool {
        self.tokens.is_present(index)
    }

    /// Rows are as long as the longest text may be, whatever is in the batch. Where there is no text, one token is real.
    fn inputs(&self, indices: &[usize], variation: Option<Variation>) -> Result<Vec<(String, TensorData)>> {
        let text = |&index: &usize| Ok((index, self.tokens.get(index)?.unwrap_or_else(|| vec![0])));
        let texts = indices.iter().map(text).collect::<Result<Vec<_>>>()?;
        Ok(self.encoder.read(&texts, Some(self.encoder.length()), self.token_dropout, variation))
    }

    fn exhibit(&self, index: usize) -> Result<Exhibit> {
        let text = text(self.records.rows.get(index))?;
        text.map(Exhibit::Text).ok_or_else(|| Error::Failed("the example has no text".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::TextOfRecords;
    use super::*;
    use ansatz_core::{Place, Registry};
    use std::path::Path;

    fn records(texts: &[&str]) -> Records {
        let place = Place { file: Path::new("a.csv").into(), line: 1 };
        let row = |text: &&str| Record { place: place.clone(), cells: vec![Cell::Text((*text).to_owned())] };
        Records::new(vec!["note".to_owned()], texts.iter().map(row)).unwrap()
    }

    fn config() -> LabelledTextConfig {
        let source = LabelledSource::Records(TextOfRecords {});
        LabelledTextConfig { source, length: 3, ..LabelledTextConfig::default() }
    }

    #[test]
    fn words_are_learned_from_training_alone_and_rows_have_one_length() {
        let texts = ["red red leaf", "", "blue blue red leaf", "leaf"];
        let fitted = Modality::fit(&config(), &records(&texts), &[0, 1, 3]).unwrap();
        assert_eq!(fitted.notes, ["1 of 4 texts are longer than 3 tokens, and cut at their end."]);
        assert!(fitted.examples.is_present(0) && !fitted.examples.is_present(1));
        let inputs = fitted.examples.inputs(&[2, 1], None).unwrap();
        // `leaf` and `red` come twice in training; `blue` is unknown there.
        inputs[0].1.assert_eq(&TensorData::from([[0i64, 0, 2], [0, 0, 0]]), true);
        inputs[1].1.assert_eq(&TensorData::from([[1i64, 1, 1], [1, 0, 0]]), true);
        let restored = Modality::restore(&config(), &fitted.encoder.preparation().unwrap()).unwrap();
        let again = restored.read(&records(&["leaf"])).unwrap().inputs(&[0], None).unwrap();
        again[0].1.assert_eq(&TensorData::from([[1i64, 0, 0]]), true);
        let device = ansatz_device::open("cpu").unwrap();
        let registry = Registry::default();
        let stem = restored.stem(Some(4), &Build::new(&registry, &device)).unwrap();
        assert_eq!(stem.output(), ansatz_core::FeatureSpec::row(3, 4));
    }

    #[test]
    fn terms_are_read_too() {
        let texts = ["red leaf", "", "red leaf", "blue"];
        let config = LabelledTextConfig { terms: Some(crate::TermsConfig::default()), ..config() };
        let fitted = Modality::fit(&config, &records(&texts), &[0, 1, 2]).unwrap();
        let inputs = fitted.examples.inputs(&[0, 3], None).unwrap();
        // `leaf`, `red`, and the pair of both; nothing of `blue` is known.
        let third = 1.0 / 3f32.sqrt();
        let expected = TensorData::from([[third, third, third], [0.0, 0.0, 0.0]]);
        inputs[1].1.assert_approx_eq::<f32>(&expected, burn::tensor::Tolerance::default());
        let restored = Modality::restore(&config, &fitted.encoder.preparation().unwrap()).unwrap();
        let again = restored.read(&records(&["red leaf"])).unwrap().inputs(&[0], None).unwrap();
        assert_eq!(again[0].1.iter::<i64>().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn what_belongs_to_the_whole_example_is_refused() {
        let all = records(&["a"]);
        let message = |config: LabelledTextConfig| match Modality::fit(&config, &all, &[0]) {
            Err(error) => error.to_string(),
            Ok(_) => String::new(),
        };
        assert!(message(LabelledTextConfig { split_seed: 3, ..config() }).contains("`split_seed`"));
        let masking = Some(crate::Masking::default());
        assert!(message(LabelledTextConfig { masking, ..config() }).contains("`masking`"));
        let source = LabelledSource::ReutersR8;
        assert!(message(LabelledTextConfig { source, ..config() }).contains("`source`"));
        let two = Records::new(vec!["a".to_owned(), "b".to_owned()], []).unwrap();
        assert!(
            Modality::fit(&config(), &two, &[]).err().expect("refused").to_string().contains("2 columns")
        );
    }
}
