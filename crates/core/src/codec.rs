//! From text to tokens and back.

use burn::tensor::TensorData;

use crate::Result;

/// What turns text into the tokens of a vocabulary, and tokens into text.
pub trait Codec: Send + Sync {
    /// How many tokens there are.
    fn vocabulary(&self) -> usize;

    /// The tokens of `text`.
    ///
    /// # Errors
    /// When the text holds something that the vocabulary has no token for.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;

    /// The tokens of `text` as a sentence of its own, with what the tokenizer puts around one, such as `[CLS]`.
    ///
    /// # Errors
    /// Like [`Codec::encode`].
    fn encode_sentence(&self, text: &str) -> Result<Vec<u32>> {
        self.encode(text)
    }

    /// The inputs by which a stem of text reads one row of tokens, by name.
    fn inputs(&self, tokens: &[u32]) -> Vec<(String, TensorData)>;

    /// The bytes that `tokens` stand for. A token may be part of a character, so that only a whole text is sure to
    /// be valid UTF-8.
    ///
    /// # Errors
    /// When a token is not of the vocabulary.
    fn decode(&self, tokens: &[u32]) -> Result<Vec<u8>>;
}
