//! Fitted preprocessing: from a text to what the network reads, and the names of the classes.

use std::path::{Path, PathBuf};

use ansatz_core::{
    Batch, BoxedStem, Build, Codec, ConfigError, Encoder, Error, FileBatches, Preparation, Result, Sentence,
    Target, Targets, Variation,
};
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};

use super::LabelledTextConfig;
use super::open::thinned;
use crate::encoder::{padded, padded_to};
use crate::source::text_files;
use crate::stem::{EmbeddingConfig, MASK, TOKENS};
use crate::terms::{TermSum, Terms, term_inputs};
use crate::tokenizer::Tokenizer;

/// Values of a token where the backbone takes any number.
const USUAL_WIDTH: usize = 64;

/// What a run must keep to read texts as it did in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prepared {
    /// The `tokenizer.json`; none where every byte is a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokenizer: Option<String>,
    /// How many tokens the network knows, which may be more than the tokenizer makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vocabulary: Option<usize>,
    /// The most tokens of a text.
    length: usize,
    /// Names of the classes, in the order of their indices.
    classes: Vec<String>,
    /// Whether a text may have several of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    several: bool,
    /// The token that stands for a hidden one, where tokens are hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask: Option<u32>,
    /// The terms that are known, where texts are read as such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<serde_json::Value>,
}

/// Fitted preprocessing of texts with classes.
#[derive(Debug, Clone)]
pub struct LabelledTextEncoder {
    tokenizer: Tokenizer,
    vocabulary: usize,
    length: usize,
    embedding: EmbeddingConfig,
    target: Target,
    mask: Option<u32>,
    terms: Option<Terms>,
    term_width: Option<usize>,
}

impl LabelledTextEncoder {
    pub(super) fn new(tokenizer: Tokenizer, target: Target, config: &LabelledTextConfig) -> Self {
        Self {
            vocabulary: tokenizer.vocabulary(),
            tokenizer,
            length: config.length,
            embedding: config.embedding.clone(),
            target,
            mask: None,
            terms: None,
            term_width: config.terms.as_ref().and_then(|terms| terms.width),
        }
    }

    /// The same for a network that knows at least so many tokens.
    pub(super) fn with_vocabulary(self, least: usize) -> Self {
        Self { vocabulary: self.vocabulary.max(least), ..self }
    }

    /// The same for texts of which tokens are hidden behind the token `mask`: these are told, and no label.
    pub(super) fn with_mask(self, mask: u32) -> Self {
        let vocabulary = self.vocabulary.max(mask as usize + 1);
        Self { vocabulary, mask: Some(mask), target: Target::MaskedTokens { vocabulary }, ..self }
    }

    /// The token that stands for a hidden one, and how many tokens there are to draw another from.
    pub(super) fn hiding(&self) -> (u32, u32) {
        (self.mask.unwrap_or_default(), self.tokenizer.vocabulary() as u32)
    }

    /// The same, which learns the terms of `texts` where the config asks for terms.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn with_terms(
        self,
        config: &LabelledTextConfig,
        texts: impl Iterator<Item = Result<Vec<u32>>>,
    ) -> Result<Self> {
        let terms = config.terms.as_ref().map(|config| Terms::learn(config, texts)).transpose()?;
        Ok(Self { terms, ..self })
    }

    /// From what a run kept.
    ///
    /// # Errors
    /// When `preparation` is of another data model.
    pub fn restore(preparation: &Preparation, config: &LabelledTextConfig) -> Result<Self> {
        let damaged = |problem: String| {
            let expected = "what the data model `labelled-text` keeps";
            Error::input("the run's preparation", problem, expected, "use a whole run of labelled texts")
        };
        let kept: Prepared =
            serde_json::from_value(preparation.clone()).map_err(|error| damaged(error.to_string()))?;
        let tokenizer = Tokenizer::restore(kept.tokenizer.as_deref()).map_err(damaged)?;
        let config = LabelledTextConfig { length: kept.length, ..config.clone() };
        let names = kept.classes;
        let target = if kept.several { Target::Labels { names } } else { Target::Classes { names } };
        let terms = kept.terms.as_ref().map(Terms::restore).transpose().map_err(damaged)?;
        let encoder = Self::new(tokenizer, target, &config).with_vocabulary(kept.vocabulary.unwrap_or(0));
        let encoder = match kept.mask {
            Some(mask) => encoder.with_mask(mask),
            None => encoder,
        };
        Ok(Self { terms, ..encoder })
    }

    /// The most tokens of a text.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The tokens of a text, cut at its end; of a text without any, the first token of the vocabulary.
    pub(super) fn tokens(&self, text: &str) -> Result<Sentence> {
        let mut sentence = self.tokenizer.encode_sentence(text, self.length)?;
        if sentence.tokens.is_empty() {
            sentence.tokens.push(0);
        }
        Ok(sentence)
    }

    /// What the network reads of texts, given by their indices and tokens, each token or term left out with probability
    /// `dropout` where they are varied. Rows of tokens are of `length`, or as long as the longest.
    pub(super) fn read(
        &self,
        texts: &[(usize, Vec<u32>)],
        length: Option<usize>,
        dropout: f64,
        variation: Option<Variation>,
    ) -> Vec<(String, TensorData)> {
        let variation = variation.filter(|_| dropout > 0.0);
        if let Some(terms) = &self.terms {
            let read = |(index, tokens): &(usize, Vec<u32>)| {
                let whole = terms.weigh(tokens);
                let Some(variation) = variation else { return whole };
                let left = thinned(&whole, dropout, variation, *index);
                left.into_iter().map(|(term, weight)| (term, weight / (1.0 - dropout as f32))).collect()
            };
            return term_inputs(&texts.iter().map(read).collect::<Vec<_>>());
        }
        let read = |(index, tokens): &(usize, Vec<u32>)| match variation {
            Some(variation) => thinned(tokens, dropout, variation, *index),
            None => tokens.clone(),
        };
        let rows: Vec<Vec<u32>> = texts.iter().map(read).collect();
        let names = [TOKENS, MASK];
        length.map_or_else(|| padded(&rows, names), |length| padded_to(length, &rows, names))
    }
}

impl Codec for LabelledTextEncoder {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn tokenizer(&self) -> Result<String> {
        self.tokenizer.identity()
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.encode(text)
    }

    fn encode_sentence(&self, text: &str) -> Result<Sentence> {
        self.tokens(text)
    }

    fn inputs(&self, tokens: &[u32]) -> Vec<(String, TensorData)> {
        self.read(&[(0, tokens.to_vec())], None, 0.0, None)
    }

    fn decode(&self, tokens: &[u32]) -> Result<Vec<u8>> {
        self.tokenizer.decode(tokens)
    }
}

impl Encoder for LabelledTextEncoder {
    fn target(&self) -> &Target {
        &self.target
    }

    fn preparation(&self) -> Result<Preparation> {
        let (classes, several) = match &self.target {
            Target::Classes { names } => (names.clone(), false),
            Target::Labels { names } => (names.clone(), true),
            _ => (Vec::new(), false),
        };
        let tokenizer = self.tokenizer.to_json()?;
        let vocabulary = Some(self.vocabulary);
        let terms = self.terms.as_ref().map(Terms::kept).transpose()?;
        let (length, mask) = (self.length, self.mask);
        let kept = Prepared { tokenizer, vocabulary, length, classes, several, mask, terms };
        serde_json::to_value(kept)
            .map_err(|error| Error::Failed(format!("the preparation of labelled texts: {error}")))
    }

    fn codec(&self) -> Option<&dyn Codec> {
        Some(self)
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        if let Some(terms) = &self.terms {
            if let (Some(wanted), Some(given)) = (width, self.term_width)
                && wanted != given
            {
                let problem = format!("the backbone wants tokens of {wanted} values, not {given}");
                return Err(
                    ConfigError::value("terms.width", problem, format!("{wanted}, or nothing")).into()
                );
            }
            let width = width.or(self.term_width).unwrap_or(USUAL_WIDTH);
            let (count, most) = (terms.count(), terms.most(self.length));
            return Ok(BoxedStem::new(TermSum::new(count, most, width, build.device)));
        }
        let width = width.unwrap_or(USUAL_WIDTH);
        Ok(BoxedStem::new(self.embedding.build(self.vocabulary, self.length, width, build.device)?))
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        text_files(path)
    }

    fn encode(&self, path: &Path) -> Result<FileBatches<'_>> {
        let bytes = std::fs::read(path).map_err(Error::file(path, "read"))?;
        let sentence = self.tokens(&String::from_utf8_lossy(&bytes))?;
        let inputs = self.inputs(&sentence.tokens);
        Ok(FileBatches::alone(Batch { examples: 1, inputs, targets: Targets::Unknown }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_encoder_is_the_one_that_was_kept() {
        let config = LabelledTextConfig { length: 3, ..LabelledTextConfig::default() };
        let classes = vec!["no".to_owned(), "yes".to_owned()];
        let target = Target::Labels { names: classes };
        let encoder = LabelledTextEncoder::new(Tokenizer::Bytes, target, &config).with_vocabulary(257);
        let kept = encoder.preparation().unwrap();
        let restored = LabelledTextEncoder::restore(&kept, &LabelledTextConfig::default()).unwrap();
        assert_eq!(restored.preparation().unwrap(), kept);
        assert_eq!(restored.target(), encoder.target());
        assert_eq!(restored.tokens("abcd").unwrap(), Sentence { tokens: vec![97, 98, 99], cut: 1 });
        assert_eq!(restored.tokens("").unwrap(), Sentence { tokens: vec![0], cut: 0 });
        assert!(LabelledTextEncoder::restore(&serde_json::json!({ "size": 3 }), &config).is_err());
        let hiding = encoder.with_mask(300);
        assert_eq!(hiding.target(), &Target::MaskedTokens { vocabulary: 301 });
        let restored = LabelledTextEncoder::restore(&hiding.preparation().unwrap(), &config).unwrap();
        assert_eq!((restored.target(), restored.hiding()), (hiding.target(), (300, 256)));
    }
}
