//! The typed config of the data model.

use std::path::{Path, PathBuf};

use ansatz_core::{
    Component, ConfigError, DataModel, Encoder, Modality, OpenData, Places, Preparation, Proposal, Registry,
    Result,
};
use ansatz_data::Share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LabelledSource, LabelledTextEncoder, OpenLabelledText, words};
use crate::masking::Masking;
use crate::recognise;
use crate::stem::EmbeddingConfig;
use crate::terms::TermsConfig;
use crate::tokenizer::{Tokenizer, TokenizerConfig};

/// Texts with a class each, or of which some tokens are hidden.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelledTextConfig {
    /// Where the texts come from.
    pub source: LabelledSource,
    /// How they are cut into tokens.
    pub tokenizer: LabelledTokenizer,
    /// The most tokens of a text, 1 up to 1048576; what is longer is cut at its end.
    #[schemars(range(min = 1, max = 1048576))]
    pub length: usize,
    /// What is taken off for testing, class by class, where the source has no test part of its own.
    pub test: Share,
    /// What is taken off the rest, class by class, for choosing.
    pub validation: Share,
    /// Seed of these two; independent of the run's seed.
    pub split_seed: u64,
    /// What of the rest is learned from, class by class: for trying how few examples are enough. Left out: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Share>,
    /// Probability with which each token of a text, or each term where `terms` are read, is left out while training, anew
    /// in every epoch, 0 up to but not including 1. Weights of the terms that are left are divided by what it leaves.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub token_dropout: f64,
    /// How a token becomes a vector.
    pub embedding: EmbeddingConfig,
    /// Reads a text as a bag of weighted terms, one vector in all: `terms = { grams = 2 }`. Left out: as a row of tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<TermsConfig>,
    /// Tokens that are hidden, for the task `masked-language-model`: labels are used for nothing but the division, and
    /// texts need have none. Left out: the label of each text is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masking: Option<Masking>,
}

/// How texts are cut into tokens: `tokenizer = { words = 20000 }`, `tokenizer = "bytes"`,
/// `tokenizer = { file = "tokenizer.json" }`, or `tokenizer = { run = "runs/masked" }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LabelledTokenizer {
    /// Words in lower case, and what stands between them other than space: so many of the most frequent ones of the
    /// training part that come twice at least. All others are one token.
    Words(usize),
    /// Every byte of the text's UTF-8.
    Bytes,
    /// A `tokenizer.json` as Hugging Face's tokenizers write it.
    File(PathBuf),
    /// That of the run in this folder, with all of its vocabulary: for a network that starts from it, see `init.from`.
    Run(PathBuf),
}

impl LabelledTokenizer {
    /// The tokenizer, whose words are learned from `texts`, and the tokens that an embedding must hold besides its own.
    ///
    /// # Errors
    /// When its file or run is not there or has no tokenizer.
    pub(super) fn fit(&self, texts: impl Iterator<Item = Result<String>>) -> Result<(Tokenizer, usize)> {
        Ok(match self {
            Self::Words(most) => (words::learn(texts, *most)?, 0),
            Self::Bytes => (Tokenizer::Bytes, 0),
            Self::File(path) => (TokenizerConfig::File(path.clone()).open()?, 0),
            Self::Run(folder) => Tokenizer::of_run(folder)?,
        })
    }
}

impl Default for LabelledTextConfig {
    fn default() -> Self {
        Self {
            source: LabelledSource::default(),
            tokenizer: LabelledTokenizer::Words(20_000),
            length: 256,
            test: Share::Fraction(0.2),
            validation: Share::Fraction(0.1),
            split_seed: 0,
            train: None,
            token_dropout: 0.0,
            embedding: EmbeddingConfig::default(),
            terms: None,
            masking: None,
        }
    }
}

impl Component for LabelledTextConfig {
    const KIND: &'static str = "labelled-text";
    const ABOUT: &'static str = "texts with a class or several labels each: news, newsgroups, a folder per class, or a table with a column of labels";
    const CITATION: &'static str = "leaving tokens out: Iyyer et al., Deep Unordered Composition Rivals Syntactic Methods \
        for Text Classification, 2015, section 3.2";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        self.source.check()?;
        match &self.tokenizer {
            LabelledTokenizer::Words(0) => {
                return Err(ConfigError::value("tokenizer.words", "0 words", "at least one word"));
            }
            LabelledTokenizer::File(path) if path.as_os_str().is_empty() => {
                let expected = "the path of a tokenizer.json";
                return Err(ConfigError::value("tokenizer.file", "no file is named", expected));
            }
            LabelledTokenizer::Run(path) if path.as_os_str().is_empty() => {
                return Err(ConfigError::value("tokenizer.run", "no run is named", "the folder of a run"));
            }
            _ => {}
        }
        if !(1..=1 << 20).contains(&self.length) {
            return Err(ConfigError::value("length", self.length.to_string(), "1 up to 1048576"));
        }
        self.test.check("test")?;
        self.validation.check("validation")?;
        self.train.unwrap_or(Share::Count(1)).check("train.fraction")?;
        if !(0.0..1.0).contains(&self.token_dropout) {
            let problem = format!("a probability of {}", self.token_dropout);
            return Err(ConfigError::value("token_dropout", problem, "0 up to but not including 1"));
        }
        if let Some(terms) = &self.terms {
            terms.check().map_err(|error| error.under("terms"))?;
            if self.embedding != EmbeddingConfig::default() {
                let problem = "terms have no embedding of tokens";
                return Err(ConfigError::value("embedding", problem, "nothing here, or no `terms`"));
            }
        }
        if let Some(masking) = &self.masking {
            masking.check().map_err(|error| error.under("masking"))?;
            let problem = "tokens are hidden, each in its place among the others";
            if self.terms.is_some() {
                return Err(ConfigError::value("terms", problem, "nothing beside data.masking"));
            }
            if self.token_dropout > 0.0 {
                return Err(ConfigError::value("token_dropout", problem, "0 beside data.masking"));
            }
        }
        Ok(())
    }
}

impl DataModel for LabelledTextConfig {
    fn open(&self, places: &Places) -> Result<Box<dyn OpenData>> {
        Ok(Box::new(OpenLabelledText::open(self, places)?))
    }

    fn restore(&self, preparation: &Preparation) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(LabelledTextEncoder::restore(preparation, self)?))
    }

    fn recognise(&self, path: &Path) -> Result<Option<Proposal>> {
        recognise::labelled(path)
    }

    fn modality(&self) -> Option<&dyn Modality> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let read: Result<LabelledTextConfig, ConfigError> = ansatz_core::parse(text.parse().expect("TOML"));
        let checked = read.and_then(|mut config| config.complete(&Registry::default()));
        checked.unwrap_err().to_string()
    }

    #[test]
    fn values_out_of_range_are_named() {
        assert!(message("length = 0").contains("`length`"));
        assert!(message("tokenizer = { words = 0 }").contains("`tokenizer.words`"));
        assert!(message("tokenizer = { file = '' }").contains("`tokenizer.file`"));
        assert!(message("token_dropout = 1.0").contains("`token_dropout`"));
        assert!(message("terms = { grams = 0 }").contains("`terms.grams`"));
        assert!(message("terms = { most = 0 }").contains("`terms.most`"));
        assert!(message("terms = { width = 0 }").contains("`terms.width`"));
        assert!(message("terms = { rarity_power = -1.0 }").contains("`terms.rarity_power`"));
        assert!(message("terms = { rarity_power = inf }").contains("`terms.rarity_power`"));
        assert!(message("terms = {}\nembedding = { scale = 2.0 }").contains("`embedding`"));
        assert!(message("validation = { fraction = -0.1 }").contains("`validation`"));
        assert!(message("source = { table = { path = 'a.csv', text = 'a', label = 'a' } }").contains("`a`"));
        assert!(message("source = { table = { path = 'a.csv', txt = 'a' } }").contains("`text`"));
        assert!(
            message("source = { table = { path = 'a.csv', text = 'a', separator = ';' } }")
                .contains("`source.table.label`")
        );
        assert!(message("train = { fraction = 1.0 }").contains("`train.fraction`"));
        assert!(message("masking = { share = 0.0 }").contains("`masking.share`"));
        assert!(message("masking = {}\nterms = {}").contains("`terms`"));
        assert!(message("masking = {}\ntoken_dropout = 0.1").contains("`token_dropout`"));
        assert!(message("lenght = 3").contains("did you mean `length`?"));
    }
}
