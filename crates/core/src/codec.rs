//! From text to tokens and back.

use burn::tensor::TensorData;

use crate::{Error, Result};

/// A text on its own: with what the tokenizer puts around one, such as `[CLS]`, and not longer than the network
/// takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// How many tokens were cut off at the end.
    pub cut: usize,
}

/// What a network is given before it writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// The tokens that the first written one stands behind, at least one.
    pub tokens: Vec<u32>,
    /// The inputs by which a stem reads them, by name.
    pub inputs: Vec<(String, TensorData)>,
}

/// What turns text into the tokens of a vocabulary, and tokens into text.
pub trait Codec: Send + Sync {
    /// How many tokens there are.
    fn vocabulary(&self) -> usize;

    /// What tells one tokenizer from another: the text of its `tokenizer.json`, or `bytes`. A token means the same in
    /// two that say the same.
    ///
    /// # Errors
    /// When it cannot be written.
    fn tokenizer(&self) -> Result<String>;

    /// The tokens of `text`.
    ///
    /// # Errors
    /// When the text holds something that the vocabulary has no token for.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;

    /// `text` as a sentence of its own.
    ///
    /// # Errors
    /// Like [`Codec::encode`].
    fn encode_sentence(&self, text: &str) -> Result<Sentence>;

    /// The inputs by which a stem of text reads one row of tokens, by name.
    fn inputs(&self, tokens: &[u32]) -> Vec<(String, TensorData)>;

    /// What a network is given to write on from `text`, or to answer it: see [`Codec::answers`].
    ///
    /// # Errors
    /// Like [`Codec::encode`], and when `text` holds no token or too many.
    fn prompt(&self, text: &str) -> Result<Prompt> {
        let tokens = self.encode(text)?;
        if tokens.is_empty() {
            let expected = "at least one token";
            return Err(Error::input("the prompt", "it holds no token", expected, "give some text"));
        }
        Ok(Prompt { inputs: self.inputs(&tokens), tokens })
    }

    /// Whether what is written answers the prompt, as a translation does, and does not go on from it.
    fn answers(&self) -> bool {
        false
    }

    /// The token behind the last one of a text, where there is one.
    fn end(&self) -> Option<u32> {
        None
    }

    /// The bytes that `tokens` stand for. A token may be part of a character, so that only a whole text is sure to
    /// be valid UTF-8.
    ///
    /// # Errors
    /// When a token is not of the vocabulary.
    fn decode(&self, tokens: &[u32]) -> Result<Vec<u8>>;
}
