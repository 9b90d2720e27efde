//! The typed config of the data model.

use std::path::Path;

use ansatz_core::{
    Component, ConfigError, DataModel, Encoder, OpenData, Places, Preparation, Proposal, Registry, Result,
};
use ansatz_data::Share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{OpenPairs, PairSource, PairsEncoder};
use crate::recognise;
use crate::stem::EmbeddingConfig;
use crate::tokenizer::TokenizerConfig;

/// Pairs of texts: the target is foretold token by token, with an eye on the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PairsConfig {
    /// Where the pairs come from.
    pub source: PairSource,
    /// How both texts are cut into tokens.
    pub tokenizer: TokenizerConfig,
    /// How a network is given the source.
    pub layout: Layout,
    /// The most tokens of a source, 1 up to 1048576.
    #[schemars(range(min = 1, max = 1048576))]
    pub source_length: usize,
    /// The most tokens of a target, and one more for its end; 2 up to 1048576.
    #[schemars(range(min = 2, max = 1048576))]
    pub target_length: usize,
    /// The token of a tokenizer file that every target begins with. Bytes have one of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begin: Option<String>,
    /// The token of a tokenizer file that every target ends with. Bytes have one of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// What the figures are reported on. Pairs of the same source stay together.
    pub test: Share,
    /// What choices are made by, off what is left.
    pub validation: Share,
    /// Seed of these two; independent of the run's seed.
    pub split_seed: u64,
    /// How a token becomes a vector.
    pub embedding: EmbeddingConfig,
}

/// How a network is given the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Apart from the target, for a backbone that has an encoder.
    #[default]
    Apart,
    /// Before the target, in one row of tokens, for any causal backbone.
    Row,
}

impl Default for PairsConfig {
    fn default() -> Self {
        Self {
            source: PairSource::default(),
            tokenizer: TokenizerConfig::default(),
            layout: Layout::default(),
            source_length: 64,
            target_length: 64,
            begin: None,
            end: None,
            test: Share::Fraction(0.1),
            validation: Share::Fraction(0.05),
            split_seed: 0,
            embedding: EmbeddingConfig::default(),
        }
    }
}

impl Component for PairsConfig {
    const KIND: &'static str = "pairs";
    const ABOUT: &'static str =
        "pairs of texts, of which the second is made of the first: translations, answers";
    const CITATION: &'static str = "Sutskever et al., Sequence to Sequence Learning with Neural Networks, 2014, \
        arXiv:1409.3215";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        self.source.check()?;
        self.tokenizer.check()?;
        for (name, length, least) in
            [("source_length", self.source_length, 1), ("target_length", self.target_length, 2)]
        {
            if !(least..=1 << 20).contains(&length) {
                return Err(ConfigError::value(name, length.to_string(), format!("{least} up to 1048576")));
            }
        }
        for (name, token) in [("begin", &self.begin), ("end", &self.end)] {
            if let (TokenizerConfig::Bytes, Some(token)) = (&self.tokenizer, token) {
                let problem = format!("{token:?} beside a tokenizer of bytes, which has its own");
                return Err(ConfigError::value(name, problem, "a tokenizer file, or no such key"));
            }
        }
        self.test.check("test")?;
        self.validation.check("validation")?;
        Ok(())
    }
}

impl DataModel for PairsConfig {
    fn open(&self, _places: &Places) -> Result<Box<dyn OpenData>> {
        Ok(Box::new(OpenPairs::open(self)?))
    }

    fn restore(&self, preparation: &Preparation) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(PairsEncoder::restore(preparation, self)?))
    }

    fn recognise(&self, path: &Path) -> Result<Option<Proposal>> {
        recognise::pairs(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let read: Result<PairsConfig, ConfigError> = ansatz_core::parse(text.parse().expect("TOML"));
        let checked = read.and_then(|mut config| config.complete(&Registry::default()));
        checked.unwrap_err().to_string()
    }

    #[test]
    fn values_out_of_range_are_named() {
        assert!(message("source_length = 0").contains("`source_length`"));
        assert!(message("target_length = 1").contains("`target_length`"));
        assert!(message("test = { fraction = 1.0 }").contains("`test`"));
        assert!(message("begin = '<s>'").contains("`begin`"));
        assert!(message("source = { files = [] }").contains("`source.files`"));
        assert!(message("source = { reversed = 0 }").contains("`source.reversed`"));
        assert!(message("layout = 'beside'").contains("apart"));
        assert!(message("lenght = 3").contains("`lenght`"));
    }
}
