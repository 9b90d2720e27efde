//! Multi-query associative recall: a test of what a mixer can keep in mind.

use std::path::{Path, PathBuf};

use ansatz_core::{
    Batch, BoxedStem, Build, Component, ConfigError, DataModel, Encoder, Error, Exhibit, FileBatches,
    OpenData, Part, Places, Preparation, Registry, Result, Target, Targets, Variation,
};
use ansatz_data::{Purpose, stream};
use burn::tensor::TensorData;
use rand::RngExt;
use rand::seq::index::sample;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stem::{EmbeddingConfig, TOKENS};

/// Pairs of a key and a value, then keys again: at each of these the value is asked.
///
/// The examples are made, not read: each follows from its number and the seed, and every epoch has new ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecallConfig {
    /// Tokens: 0 is filler, the lower half are keys and the upper half values; 4 up to 1048576.
    #[schemars(range(min = 4, max = 1048576))]
    pub vocabulary: usize,
    /// Pairs to keep in mind, at least 1 and at most the number of keys.
    pub pairs: usize,
    /// Tokens of an example, at least three times the pairs.
    pub length: usize,
    /// Examples of an epoch, at least 1.
    pub train: usize,
    /// Examples that choices are made by.
    pub validation: usize,
    /// Examples that the figures are reported on, at least 1.
    pub test: usize,
    /// Seed of validation and test; independent of the run's seed.
    pub seed: u64,
}

impl Default for RecallConfig {
    fn default() -> Self {
        Self { vocabulary: 128, pairs: 8, length: 64, train: 20_000, validation: 500, test: 2_000, seed: 0 }
    }
}

impl RecallConfig {
    fn keys(&self) -> usize {
        self.vocabulary / 2 - 1
    }
}

impl Component for RecallConfig {
    const KIND: &'static str = "recall";
    const ABOUT: &'static str =
        "made-up pairs of keys and values, of which the values are asked by their keys";
    const CITATION: &'static str = "Arora et al., Zoology: Measuring and Improving Recall in Efficient Language Models, 2023, arXiv:2312.04927";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        if !(4..=1 << 20).contains(&self.vocabulary) {
            return Err(ConfigError::value("vocabulary", self.vocabulary.to_string(), "4 up to 1048576"));
        }
        if !(1..=self.keys()).contains(&self.pairs) {
            let expected = format!("1 up to {}, the keys of the vocabulary", self.keys());
            return Err(ConfigError::value("pairs", self.pairs.to_string(), expected));
        }
        if self.length < 3 * self.pairs || self.length > 1 << 20 {
            let expected =
                format!("{} up to 1048576: each pair takes two tokens and is asked once", 3 * self.pairs);
            return Err(ConfigError::value("length", self.length.to_string(), expected));
        }
        for (name, count) in [("train", self.train), ("test", self.test)] {
            if count == 0 {
                return Err(ConfigError::value(name, "0 examples", "at least 1"));
            }
        }
        Ok(())
    }
}

impl DataModel for RecallConfig {
    fn open(&self, _places: &Places) -> Result<Box<dyn OpenData>> {
        Ok(Box::new(OpenRecall { encoder: RecallEncoder::new(self) }))
    }

    fn restore(&self, _preparation: &Preparation) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(RecallEncoder::new(self)))
    }
}

struct OpenRecall {
    encoder: RecallEncoder,
}

impl OpenRecall {
    /// What is read and what is asked in an example.
    fn example(
        &self,
        part: Part,
        index: usize,
        variation: Option<Variation>,
    ) -> (Vec<i64>, Vec<Option<u32>>) {
        let config = &self.encoder.config;
        let mut random = match (part, variation) {
            (Part::Train, Some(Variation { seed, epoch })) => {
                stream(seed, Purpose::Example, epoch, index as u64)
            }
            (Part::Train, None) => stream(config.seed, Purpose::Example, 0, index as u64),
            (Part::Validation, _) => stream(config.seed, Purpose::Split, 0, index as u64),
            (Part::Test, _) => stream(config.seed, Purpose::Split, 1, index as u64),
        };
        let (pairs, half) = (config.pairs, config.vocabulary / 2);
        let keys: Vec<usize> = sample(&mut random, config.keys(), pairs).iter().map(|key| key + 1).collect();
        let values: Vec<usize> = keys.iter().map(|_| random.random_range(half..config.vocabulary)).collect();
        let mut read = vec![0; config.length];
        let mut asked = vec![None; config.length];
        for (place, (key, value)) in keys.iter().zip(&values).enumerate() {
            read[2 * place] = *key as i64;
            read[2 * place + 1] = *value as i64;
        }
        let places = sample(&mut random, config.length - 2 * pairs, pairs);
        for (place, (key, value)) in places.iter().zip(keys.iter().zip(&values)) {
            read[2 * pairs + place] = *key as i64;
            asked[2 * pairs + place] = Some(*value as u32);
        }
        (read, asked)
    }
}

impl OpenData for OpenRecall {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn examples(&self, part: Part) -> usize {
        let config = &self.encoder.config;
        match part {
            Part::Train => config.train,
            Part::Validation => config.validation,
            Part::Test => config.test,
        }
    }

    fn batch(&self, part: Part, indices: &[usize], variation: Option<Variation>) -> Result<Batch> {
        let (read, asked): (Vec<_>, Vec<_>) =
            indices.iter().map(|&index| self.example(part, index, variation)).unzip();
        let shape = [indices.len(), self.encoder.config.length];
        let tokens = TensorData::new(read.concat(), shape);
        let inputs = vec![(TOKENS.to_owned(), tokens)];
        Ok(Batch { examples: indices.len(), inputs, targets: Targets::Tokens(asked.concat()) })
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        let (read, asked) = self.example(part, index, None);
        let words = read.iter().zip(&asked).map(|(token, answer)| match answer {
            Some(answer) => format!("{token}→{answer}"),
            None => token.to_string(),
        });
        Ok(Exhibit::Text(words.collect::<Vec<_>>().join(" ")))
    }
}

struct RecallEncoder {
    config: RecallConfig,
    target: Target,
}

impl RecallEncoder {
    fn new(config: &RecallConfig) -> Self {
        Self { config: config.clone(), target: Target::Tokens { vocabulary: config.vocabulary } }
    }
}

impl Encoder for RecallEncoder {
    fn target(&self) -> &Target {
        &self.target
    }

    fn preparation(&self) -> Result<Preparation> {
        Ok(serde_json::json!({}))
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        let RecallConfig { vocabulary, length, .. } = self.config;
        let embedding = EmbeddingConfig::default();
        Ok(BoxedStem::new(embedding.build(vocabulary, length, width.unwrap_or(64), build.device)?))
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        Err(made_up(path))
    }

    fn encode(&self, path: &Path) -> Result<FileBatches<'_>> {
        Err(made_up(path))
    }
}

fn made_up(path: &Path) -> Error {
    Error::input(
        path.display(),
        "a network of the recall task reads no files: its examples are made up",
        "a run of text or pictures",
        "judge this one with `ansatz evaluate`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_has_its_answer_before_it() {
        for (pairs, length) in [(1, 3), (4, 12), (8, 64)] {
            let config = RecallConfig { pairs, length, vocabulary: 40, ..RecallConfig::default() };
            let data = OpenRecall { encoder: RecallEncoder::new(&config) };
            for index in 0..50 {
                let (read, asked) = data.example(Part::Test, index, None);
                let questions: Vec<usize> = (0..length).filter(|place| asked[*place].is_some()).collect();
                assert_eq!(questions.len(), pairs);
                for place in questions {
                    let key =
                        (0..pairs).find(|pair| read[2 * pair] == read[place]).expect("the key was given");
                    assert_eq!(asked[place], Some(read[2 * key + 1] as u32));
                    assert!(place >= 2 * pairs);
                }
            }
        }
    }

    #[test]
    fn test_examples_stay_and_training_examples_change() {
        let data = OpenRecall { encoder: RecallEncoder::new(&RecallConfig::default()) };
        assert_eq!(data.example(Part::Test, 3, None), data.example(Part::Test, 3, None));
        let train = |epoch| data.example(Part::Train, 3, Some(Variation { seed: 1, epoch }));
        assert_ne!(train(0), train(1));
        assert_ne!(data.example(Part::Test, 3, None), data.example(Part::Validation, 3, None));
    }

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        let message =
            |config: RecallConfig| config.clone().complete(&Registry::default()).unwrap_err().to_string();
        let default = RecallConfig::default();
        assert!(message(RecallConfig { pairs: 64, ..default.clone() }).contains("`pairs`"));
        assert!(message(RecallConfig { length: 23, ..default.clone() }).contains("`length`"));
        assert!(message(RecallConfig { vocabulary: 3, ..default.clone() }).contains("`vocabulary`"));
        assert!(message(RecallConfig { test: 0, ..default }).contains("`test`"));
    }
}
