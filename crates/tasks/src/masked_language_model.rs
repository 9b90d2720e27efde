//! Masked language modelling: which tokens are hidden.

use ansatz_core::{
    BoxedHead, Component, ConfigError, Error, FeatureSpec, Registry, Result, Scorer, Target, TaskConfig,
};
use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LanguageModelConfig, LanguageScorer, TransformConfig};

/// Which tokens are hidden, told from all those around them: what a network learns of a language from text without
/// labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaskedLanguageModelConfig {
    /// A map, a nonlinearity and a norm before the logits.
    pub transform: TransformConfig,
    /// Whether the table of the stem is used, turned round, instead of a matrix of the head's own.
    pub tied: bool,
    /// Whether every token has a bias.
    pub bias: bool,
}

impl Default for MaskedLanguageModelConfig {
    fn default() -> Self {
        Self { transform: TransformConfig::default(), tied: true, bias: true }
    }
}

impl MaskedLanguageModelConfig {
    /// The same as a language model, whose head and loss it shares: only hidden tokens are asked.
    fn language_model(&self) -> LanguageModelConfig {
        let Self { transform, tied, bias } = self.clone();
        LanguageModelConfig { transform: Some(transform), tied, bias, ..LanguageModelConfig::default() }
    }
}

impl Component for MaskedLanguageModelConfig {
    const KIND: &'static str = "masked-language-model";
    const ABOUT: &'static str =
        "which tokens are hidden, by cross entropy: pretraining on text without labels";
    const CITATION: &'static str = "Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language \
        Understanding, 2018, arXiv:1810.04805";

    fn complete(&mut self, registry: &Registry) -> Result<(), ConfigError> {
        self.language_model().complete(registry)
    }
}

/// Tokens of the vocabulary.
fn vocabulary(target: &Target) -> Result<usize> {
    match target {
        Target::MaskedTokens { vocabulary } if *vocabulary > 0 => Ok(*vocabulary),
        _ => Err(Error::input(
            "the labels of the data",
            "no tokens are hidden",
            "text of which some tokens are hidden",
            "set data.masking = {} with the data model `text` or `labelled-text`, or choose another task",
        )),
    }
}

impl TaskConfig for MaskedLanguageModelConfig {
    fn head(&self, features: &FeatureSpec, target: &Target, device: &Device) -> Result<BoxedHead> {
        let head = self.language_model().build(features.width, vocabulary(target)?, device)?;
        Ok(BoxedHead::new(head))
    }

    fn scorer(&self, target: &Target) -> Result<Box<dyn Scorer>> {
        Ok(Box::new(LanguageScorer::new(vocabulary(target)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_tokens_are_asked_of_it_and_no_others() {
        let config = MaskedLanguageModelConfig::default();
        assert!(config.scorer(&Target::MaskedTokens { vocabulary: 3 }).is_ok());
        let said = config.scorer(&Target::Tokens { vocabulary: 3 }).err().expect("refused").to_string();
        assert!(said.contains("data.masking = {}"), "{said}");
        let plain = LanguageModelConfig::default();
        let said = plain.scorer(&Target::MaskedTokens { vocabulary: 3 }).err().expect("refused").to_string();
        assert!(said.contains("`masked-language-model`"), "{said}");
    }

    #[test]
    fn a_norm_out_of_range_is_named() {
        let read: Result<MaskedLanguageModelConfig, ConfigError> =
            ansatz_core::parse("transform = { norm = { epsilon = 0.0 } }".parse().unwrap());
        let checked = read.and_then(|mut config| config.complete(&Registry::default()));
        assert!(checked.unwrap_err().to_string().contains("`transform.norm.epsilon`"));
    }
}
