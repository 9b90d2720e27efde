//! Fitted preprocessing: from a text to what the network reads.

use std::path::{Path, PathBuf};

use ansatz_core::{
    Batch, BoxedStem, Build, Codec, Encoder, Error, FileBatches, Preparation, Result, Sentence, Target,
    Targets,
};
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};

use crate::source::text_files;
use crate::stem::{EmbeddingConfig, MASK, TOKENS};
use crate::tokenizer::Tokenizer;

/// What a run must keep to read text as it did in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepared {
    /// The `tokenizer.json`; none where every byte is a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// How many tokens the network knows, which may be more than the tokenizer makes.
    pub vocabulary: usize,
    /// Tokens of an example.
    pub length: usize,
    /// The most tokens of a sentence that stands alone, where that is not `length`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence: Option<usize>,
    /// The token behind the last one of a text, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u32>,
    /// The token that stands for a hidden one, where tokens are hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<u32>,
}

/// Fitted preprocessing of text.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    tokenizer: Tokenizer,
    vocabulary: usize,
    length: usize,
    sentence: Option<usize>,
    end: Option<u32>,
    mask: Option<u32>,
    embedding: EmbeddingConfig,
    target: Target,
}

impl TextEncoder {
    /// For examples of `length` tokens of a vocabulary of `vocabulary`.
    pub fn new(tokenizer: Tokenizer, vocabulary: usize, length: usize, embedding: EmbeddingConfig) -> Self {
        let target = Target::Tokens { vocabulary };
        Self { tokenizer, vocabulary, length, sentence: None, end: None, mask: None, embedding, target }
    }

    /// The same, cutting sentences that stand alone at `most` tokens.
    pub fn with_sentence(self, most: usize) -> Self {
        Self { sentence: Some(most), ..self }
    }

    /// The same for texts that end with the token `end`.
    pub fn with_end(self, end: Option<u32>) -> Self {
        Self { end, ..self }
    }

    /// The same for text of which tokens are hidden behind the token `mask`, where there is one.
    pub fn with_mask(self, mask: Option<u32>) -> Self {
        let vocabulary = self.vocabulary;
        let target = match mask {
            Some(_) => Target::MaskedTokens { vocabulary },
            None => Target::Tokens { vocabulary },
        };
        Self { mask, target, ..self }
    }

    /// The token that stands for a hidden one, where tokens are hidden.
    pub fn mask(&self) -> Option<u32> {
        self.mask
    }

    /// From what a run kept.
    ///
    /// # Errors
    /// When `preparation` is of another data model.
    pub fn restore(preparation: &Preparation, embedding: EmbeddingConfig) -> Result<Self> {
        let damaged = |problem: String| {
            let expected = "what the data model `text` keeps";
            Error::input("the run's preparation", problem, expected, "use a whole run of text")
        };
        let kept: Prepared =
            serde_json::from_value(preparation.clone()).map_err(|error| damaged(error.to_string()))?;
        let tokenizer = Tokenizer::restore(kept.tokenizer.as_deref()).map_err(damaged)?;
        let encoder = Self::new(tokenizer, kept.vocabulary, kept.length, embedding).with_mask(kept.mask);
        Ok(Self { sentence: kept.sentence, end: kept.end, ..encoder })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Rows of tokens as a batch; rows shorter than the longest are padded behind, and masked.
    pub(crate) fn batch<R: AsRef<[u32]>>(&self, rows: &[R], targets: Targets) -> Batch {
        Batch { examples: rows.len(), inputs: padded(rows, [TOKENS, MASK]), targets }
    }
}

/// Rows of tokens as the input `tokens`; rows shorter than the longest are padded behind, and `mask` says where.
pub(crate) fn padded<R: AsRef<[u32]>>(rows: &[R], names: [&str; 2]) -> Vec<(String, TensorData)> {
    let longest = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    padded_to(longest, rows, names)
}

/// The same, of `length` tokens each, which no row exceeds.
pub(crate) fn padded_to<R: AsRef<[u32]>>(
    length: usize,
    rows: &[R],
    [tokens, mask]: [&str; 2],
) -> Vec<(String, TensorData)> {
    let shape = [rows.len(), length];
    let fill = |value: &dyn Fn(&[u32], usize) -> i64| -> TensorData {
        let values = rows.iter().flat_map(|row| (0..length).map(|place| value(row.as_ref(), place)));
        TensorData::new::<i64, _>(values.collect(), shape)
    };
    let token = |row: &[u32], place: usize| row.get(place).map_or(0, |token| i64::from(*token));
    let mut inputs = vec![(tokens.to_owned(), fill(&token))];
    if rows.iter().any(|row| row.as_ref().len() < length) {
        inputs.push((mask.to_owned(), fill(&|row, place| i64::from(place < row.len()))));
    }
    inputs
}

impl Codec for TextEncoder {
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
        self.tokenizer.encode_sentence(text, self.sentence.unwrap_or(self.length))
    }

    fn inputs(&self, tokens: &[u32]) -> Vec<(String, TensorData)> {
        self.batch(&[tokens], Targets::Unknown).inputs
    }

    fn end(&self) -> Option<u32> {
        self.end
    }

    fn decode(&self, tokens: &[u32]) -> Result<Vec<u8>> {
        self.tokenizer.decode(tokens)
    }
}

impl Encoder for TextEncoder {
    fn target(&self) -> &Target {
        &self.target
    }

    fn preparation(&self) -> Result<Preparation> {
        let kept = Prepared {
            tokenizer: self.tokenizer.to_json()?,
            vocabulary: self.vocabulary,
            length: self.length,
            sentence: self.sentence,
            end: self.end,
            mask: self.mask,
        };
        serde_json::to_value(kept).map_err(|error| Error::Failed(format!("the preparation of text: {error}")))
    }

    fn codec(&self) -> Option<&dyn Codec> {
        Some(self)
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        let width = width.unwrap_or(64);
        Ok(BoxedStem::new(self.embedding.build(self.vocabulary, self.length, width, build.device)?))
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        text_files(path)
    }

    fn encode(&self, path: &Path) -> Result<FileBatches<'_>> {
        let bytes = std::fs::read(path).map_err(Error::file(path, "read"))?;
        let tokens = self.tokenizer.encode_bytes(&bytes)?;
        if tokens.is_empty() {
            return Err(Error::input(
                path.display(),
                "the file is empty",
                "at least one token",
                "give some text",
            ));
        }
        let read = &tokens[..tokens.len().min(self.length)];
        Ok(FileBatches::alone(self.batch(&[read], Targets::Unknown)))
    }
}
