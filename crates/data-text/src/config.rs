//! The typed config of the data model.

use std::path::Path;

use ansatz_core::{
    Component, ConfigError, DataModel, Encoder, OpenData, Places, Preparation, Proposal, Registry, Result,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Masking;
use crate::encoder::TextEncoder;
use crate::open::OpenText;
use crate::recognise;
use crate::source::Source;
use crate::stem::EmbeddingConfig;
use crate::tokenizer::TokenizerConfig;

/// Text, of which every next token is foretold, or some that are hidden.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TextConfig {
    /// Where the text comes from.
    pub source: Source,
    /// How it is cut into tokens.
    pub tokenizer: TokenizerConfig,
    /// Tokens of an example, 1 up to 1048576.
    #[schemars(range(min = 1, max = 1048576))]
    pub length: usize,
    /// The part of all tokens, at the end, that the figures are reported on; above 0 and below 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test: f64,
    /// The part of what is left, at its end, that choices are made by; 0 or more and below 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub validation: f64,
    /// Tokens that are hidden, for the task `masked-language-model`. Left out: every next token is foretold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masking: Option<Masking>,
    /// How a token becomes a vector.
    pub embedding: EmbeddingConfig,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            source: Source::default(),
            tokenizer: TokenizerConfig::default(),
            length: 64,
            test: 0.1,
            validation: 0.0,
            masking: None,
            embedding: EmbeddingConfig::default(),
        }
    }
}

impl Component for TextConfig {
    const KIND: &'static str = "text";
    const ABOUT: &'static str = "text, of which every next token is foretold: Shakespeare, or your own files";
    const CITATION: &'static str = "";

    fn complete(&mut self, _registry: &Registry) -> Result<(), ConfigError> {
        self.source.check()?;
        self.tokenizer.check()?;
        if !(1..=1 << 20).contains(&self.length) {
            return Err(ConfigError::value("length", self.length.to_string(), "1 up to 1048576"));
        }
        if !(self.test > 0.0 && self.test < 1.0) {
            return Err(ConfigError::value("test", self.test.to_string(), "above 0 and below 1"));
        }
        if let Some(masking) = &self.masking {
            masking.check().map_err(|error| error.under("masking"))?;
        }
        if !(0.0..1.0).contains(&self.validation) {
            return Err(ConfigError::value(
                "validation",
                self.validation.to_string(),
                "0 or more and below 1",
            ));
        }
        Ok(())
    }
}

impl DataModel for TextConfig {
    fn open(&self, places: &Places) -> Result<Box<dyn OpenData>> {
        Ok(Box::new(OpenText::open(self, places)?))
    }

    fn restore(&self, preparation: &Preparation) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(TextEncoder::restore(preparation, self.embedding.clone())?))
    }

    fn recognise(&self, path: &Path) -> Result<Option<Proposal>> {
        recognise::text(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let read: Result<TextConfig, ConfigError> = ansatz_core::parse(text.parse().expect("TOML"));
        let checked = read.and_then(|mut config| config.complete(&Registry::default()));
        checked.unwrap_err().to_string()
    }

    #[test]
    fn values_out_of_range_are_named() {
        assert!(message("length = 0").contains("`length`"));
        assert!(message("test = 0.0").contains("`test`"));
        assert!(message("validation = 1.0").contains("`validation`"));
        assert!(message("source = { files = [] }").contains("`source.files`"));
        assert!(message("source = { noise = 0 }").contains("`source.noise`"));
        assert!(message("tokenizer = { file = '' }").contains("`tokenizer.file`"));
        assert!(message("masking = { share = 0.0 }").contains("`masking.share`"));
        assert!(message("masking = { random = 0.3 }").contains("`masking.random`"));
        assert!(message("lenght = 3").contains("did you mean `length`?"));
    }

    #[test]
    fn a_restored_encoder_is_the_one_that_was_kept() {
        let encoder = TextEncoder::new(crate::Tokenizer::Bytes, 300, 12, EmbeddingConfig::default());
        let kept = encoder.preparation().unwrap();
        let restored = TextConfig::default().restore(&kept).unwrap();
        assert_eq!(restored.preparation().unwrap(), kept);
        assert_eq!(restored.target(), encoder.target());
        assert!(TextConfig::default().restore(&serde_json::json!({ "size": 3 })).is_err());
    }
}
