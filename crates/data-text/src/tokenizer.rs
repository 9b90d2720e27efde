//! How text is cut into tokens.

use std::path::{Path, PathBuf};

use ansatz_core::{ConfigError, Error, Result, Sentence};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokenizers::{Normalizer as _, PreTokenizer as _};

/// How text is cut into tokens: `tokenizer = "bytes"`, or `tokenizer = { file = "tokenizer.json" }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenizerConfig {
    /// Every byte of the text's UTF-8 is a token; the vocabulary is 256.
    #[default]
    Bytes,
    /// A `tokenizer.json` as Hugging Face's tokenizers write it: BPE, WordPiece, Unigram or words.
    File(PathBuf),
}

impl TokenizerConfig {
    /// Checks that a file is named.
    ///
    /// # Errors
    /// When its name is empty.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::File(path) if path.as_os_str().is_empty() => {
                Err(ConfigError::value("tokenizer.file", "no file is named", "the path of a tokenizer.json"))
            }
            _ => Ok(()),
        }
    }

    /// Reads the tokenizer.
    ///
    /// # Errors
    /// When its file is not there or no tokenizer.
    pub fn open(&self) -> Result<Tokenizer> {
        match self {
            Self::Bytes => Ok(Tokenizer::Bytes),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(Error::file(path, "read"))?;
                Tokenizer::from_json(&text).map_err(|problem| {
                    Error::input(path.display(), problem, "a tokenizer.json", "fetch or restore the file")
                })
            }
        }
    }
}

/// A tokenizer that is ready for use.
#[derive(Debug, Clone)]
pub enum Tokenizer {
    /// Every byte is a token.
    Bytes,
    /// One that was learned, or given.
    Learned(Box<tokenizers::Tokenizer>),
}

impl Tokenizer {
    /// From the text of a `tokenizer.json`. Truncation and padding that the file asks for are left out: the length
    /// of an example is ours to choose.
    ///
    /// # Errors
    /// When it is none, in the words of the library that reads it.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let mut read: tokenizers::Tokenizer =
            text.parse().map_err(|error: tokenizers::Error| format!("no tokenizer: {error}"))?;
        read.with_truncation(None).map_err(|error| error.to_string())?;
        read.with_padding(None);
        Ok(Self::Learned(Box::new(read)))
    }

    /// That of the run in `folder`, and how many tokens its network knows.
    ///
    /// # Errors
    /// When there is no run, or it reads no text.
    pub(crate) fn of_run(folder: &Path) -> Result<(Self, usize)> {
        /// What every data model of text keeps, among other things.
        #[derive(Deserialize)]
        struct Kept {
            #[serde(default)]
            tokenizer: Option<String>,
            #[serde(default)]
            vocabulary: Option<usize>,
        }
        let path = folder.join("preparation.json");
        let wrong = |problem: String| {
            let expected = "the folder of a run that reads text";
            Error::input(folder.display(), problem, expected, "give data.tokenizer another run or a file")
        };
        if !path.is_file() {
            return Err(wrong("there is no run: preparation.json is not there".to_owned()));
        }
        let text = std::fs::read_to_string(&path).map_err(Error::file(&path, "read"))?;
        let Kept { tokenizer, vocabulary } = serde_json::from_str(&text)
            .map_err(|error| wrong(format!("preparation.json is damaged: {error}")))?;
        if tokenizer.is_none() && vocabulary.is_none() {
            return Err(wrong("the run keeps no tokenizer".to_owned()));
        }
        let tokenizer = Self::restore(tokenizer.as_deref()).map_err(wrong)?;
        let known = tokenizer.vocabulary();
        Ok((tokenizer, vocabulary.unwrap_or(known)))
    }

    /// The text that [`Tokenizer::from_json`] reads; `None` for bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn to_json(&self) -> Result<Option<String>> {
        match self {
            Self::Bytes => Ok(None),
            Self::Learned(inner) => inner
                .to_string(false)
                .map(Some)
                .map_err(|error| Error::Failed(format!("the tokenizer cannot be written: {error}"))),
        }
    }

    /// What tells it from another, see [`ansatz_core::Codec::tokenizer`].
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn identity(&self) -> Result<String> {
        Ok(self.to_json()?.unwrap_or_else(|| "bytes".to_owned()))
    }

    /// From what [`Tokenizer::to_json`] gave.
    ///
    /// # Errors
    /// When it is none, in the words of the library that reads it.
    pub(crate) fn restore(kept: Option<&str>) -> Result<Self, String> {
        kept.map_or(Ok(Self::Bytes), Self::from_json)
    }

    /// The tokens of `bytes`.
    ///
    /// # Errors
    /// When a tokenizer other than of bytes is given what is no UTF-8, or has no token for it.
    pub fn encode_bytes(&self, bytes: &[u8]) -> Result<Vec<u32>> {
        self.encode_behind(0, bytes)
    }

    /// The same for a piece of a text that `before` bytes stand before.
    pub(crate) fn encode_behind(&self, before: usize, bytes: &[u8]) -> Result<Vec<u32>> {
        match self {
            Self::Bytes => Ok(bytes.iter().map(|byte| u32::from(*byte)).collect()),
            Self::Learned(_) => {
                let text = std::str::from_utf8(bytes).map_err(|error| {
                    Error::input(
                        "the text",
                        format!("byte {} is no UTF-8", before + error.valid_up_to()),
                        "text in UTF-8",
                        "convert it, or choose tokenizer = \"bytes\", which takes any bytes",
                    )
                })?;
                self.encode(text)
            }
        }
    }
}

fn encode(tokenizer: &tokenizers::Tokenizer, text: &str, special: bool) -> Result<Vec<u32>> {
    let encoding = tokenizer.encode(text, special).map_err(|error| {
        let remedy = "use the tokenizer that the network was trained with";
        Error::input("the text", error.to_string(), "text that the tokenizer knows", remedy)
    })?;
    Ok(encoding.get_ids().to_vec())
}

impl Tokenizer {
    /// How many tokens there are.
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Bytes => 256,
            Self::Learned(inner) => inner.get_vocab_size(true),
        }
    }

    /// The token that is written `name`; bytes have no names.
    pub fn token(&self, name: &str) -> Option<u32> {
        match self {
            Self::Bytes => None,
            Self::Learned(inner) => inner.token_to_id(name),
        }
    }

    /// What `text` is cut into before tokens are looked up; bytes are cut into none.
    ///
    /// # Errors
    /// When the tokenizer cannot cut it.
    pub(crate) fn words(&self, text: &str) -> Result<Vec<String>> {
        let Self::Learned(inner) = self else { return Ok(Vec::new()) };
        let failed = |error: tokenizers::Error| Error::Failed(format!("cutting a text into words: {error}"));
        let mut cut = tokenizers::PreTokenizedString::from(text);
        if let Some(normalizer) = inner.get_normalizer() {
            cut.normalize(|part| normalizer.normalize(part)).map_err(failed)?;
        }
        if let Some(pre_tokenizer) = inner.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut cut).map_err(failed)?;
        }
        let places = (tokenizers::OffsetReferential::Normalized, tokenizers::OffsetType::Byte);
        Ok(cut.get_splits(places.0, places.1).into_iter().map(|(word, ..)| word.to_owned()).collect())
    }

    /// The tokens of `text`, and nothing around them.
    ///
    /// # Errors
    /// When the tokenizer has no token for something.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match self {
            Self::Bytes => self.encode_bytes(text.as_bytes()),
            Self::Learned(inner) => encode(inner, text, false),
        }
    }

    /// The tokens of `text` as a sentence of its own, of at most `most`: with what the tokenizer puts around one.
    ///
    /// # Errors
    /// When the tokenizer has no token for something.
    pub fn encode_sentence(&self, text: &str, most: usize) -> Result<Sentence> {
        let Self::Learned(inner) = self else {
            let mut tokens = self.encode(text)?;
            let cut = tokens.len().saturating_sub(most);
            tokens.truncate(most);
            return Ok(Sentence { tokens, cut });
        };
        let whole = encode(inner, text, true)?;
        if whole.len() <= most {
            return Ok(Sentence { tokens: whole, cut: 0 });
        }
        // The library cuts inside what stands around the sentence.
        let mut cutting = inner.clone();
        let truncation = tokenizers::TruncationParams { max_length: most, ..Default::default() };
        cutting
            .with_truncation(Some(truncation))
            .map_err(|error| Error::Failed(format!("a sentence of at most {most} tokens: {error}")))?;
        let tokens = encode(&cutting, text, true)?;
        let cut = whole.len() - tokens.len();
        Ok(Sentence { tokens, cut })
    }

    /// The bytes that `tokens` stand for.
    ///
    /// # Errors
    /// When a token is not of the vocabulary.
    pub fn decode(&self, tokens: &[u32]) -> Result<Vec<u8>> {
        let unknown = |token: u32| {
            let known = self.vocabulary();
            let expected = format!("0 up to {}", known - 1);
            Error::input(format!("token {token}"), "is not of the vocabulary", expected, "give other tokens")
        };
        match self {
            Self::Bytes => {
                tokens.iter().map(|token| u8::try_from(*token).map_err(|_| unknown(*token))).collect()
            }
            Self::Learned(inner) => {
                if let Some(token) = tokens.iter().find(|token| inner.id_to_token(**token).is_none()) {
                    return Err(unknown(*token));
                }
                let text = inner.decode(tokens, true);
                text.map(String::into_bytes)
                    .map_err(|error| Error::Failed(format!("decoding tokens: {error}")))
            }
        }
    }
}

/// A tokenizer of three words.
#[cfg(test)]
pub(crate) const WORDS: &str = r#"{
    "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
    "pre_tokenizer": { "type": "Whitespace" }, "post_processor": null, "decoder": null,
    "model": { "type": "WordLevel", "vocab": { "?": 0, "to": 1, "be": 2 }, "unk_token": "?" }
}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_come_back_as_they_were(text in ".*") {
            let tokens = Tokenizer::Bytes.encode(&text).unwrap();
            prop_assert_eq!(tokens.len(), text.len());
            prop_assert_eq!(Tokenizer::Bytes.decode(&tokens).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn a_given_tokenizer_is_read_and_written() {
        let tokenizer = Tokenizer::from_json(WORDS).unwrap();
        assert_eq!(tokenizer.vocabulary(), 3);
        assert_eq!(tokenizer.encode("to be or").unwrap(), [1, 2, 0]);
        assert_eq!(tokenizer.decode(&[1, 2]).unwrap(), b"to be");
        let again = Tokenizer::from_json(&tokenizer.to_json().unwrap().unwrap()).unwrap();
        assert_eq!(again.encode("be").unwrap(), [2]);
    }

    #[test]
    fn a_sentence_is_cut_inside_what_stands_around_it() {
        let mut file: serde_json::Value = serde_json::from_str(WORDS).unwrap();
        file["model"]["vocab"] = serde_json::json!({ "?": 0, "to": 1, "be": 2, "[": 3, "]": 4 });
        file["post_processor"] = serde_json::json!({
            "type": "BertProcessing", "sep": ["]", 4], "cls": ["[", 3]
        });
        let tokenizer = Tokenizer::from_json(&file.to_string()).unwrap();
        let sentence = |text: &str, most| tokenizer.encode_sentence(text, most).unwrap();
        assert_eq!(sentence("to be", 4), Sentence { tokens: vec![3, 1, 2, 4], cut: 0 });
        assert_eq!(sentence("to be to be", 4), Sentence { tokens: vec![3, 1, 2, 4], cut: 2 });
        assert_eq!(sentence("", 4), Sentence { tokens: vec![3, 4], cut: 0 });
        let bytes = Tokenizer::Bytes.encode_sentence("abc", 2).unwrap();
        assert_eq!(bytes, Sentence { tokens: vec![97, 98], cut: 1 });
    }

    #[test]
    fn what_is_no_tokenizer_or_no_token_is_named() {
        assert!(Tokenizer::from_json("{}").unwrap_err().contains("no tokenizer"));
        assert!(Tokenizer::Bytes.decode(&[256]).unwrap_err().to_string().contains("token 256"));
        let words = Tokenizer::from_json(WORDS).unwrap();
        assert!(words.decode(&[3]).unwrap_err().to_string().contains("token 3"));
        assert!(words.encode_bytes(&[b't', 0xff]).unwrap_err().to_string().contains("byte 1 is no UTF-8"));
        let absent = TokenizerConfig::File("no-such-tokenizer.json".into());
        assert!(absent.open().unwrap_err().to_string().contains("no-such-tokenizer.json"));
    }
}
