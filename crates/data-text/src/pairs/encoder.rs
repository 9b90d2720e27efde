//! Fitted preprocessing: from two texts to what the network reads.

use std::path::{Path, PathBuf};

use ansatz_core::{
    Batch, BoxedStem, Build, Codec, Encoder, Error, FileBatches, Preparation, Prompt, Result, Sentence,
    Target, Targets,
};
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};

use super::{Layout, PairsConfig};
use crate::encoder::padded;
use crate::source::text_files;
use crate::stem::{MASK, SOURCE, SOURCE_MASK, TOKENS};
use crate::tokenizer::{Tokenizer, TokenizerConfig};

/// What a run must keep to read pairs as it did in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prepared {
    /// The `tokenizer.json`; none where every byte is a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokenizer: Option<String>,
    /// How many tokens the network knows.
    vocabulary: usize,
    /// The token that every target begins with.
    begin: u32,
    /// The token that every target ends with.
    end: u32,
}

/// A pair as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) source: Vec<u32>,
    /// Without the tokens at its ends.
    pub(super) target: Vec<u32>,
}

/// Fitted preprocessing of pairs.
///
/// ```text
/// apart:  source s₁ … sₙ                       in one row:
///         read   begin t₁ … tₘ                 read   s₁ … sₙ begin t₁ … tₘ
///         asked  t₁ … tₘ end                   asked  –  … –  t₁ … tₘ end
/// ```
#[derive(Debug, Clone)]
pub struct PairsEncoder {
    tokenizer: Tokenizer,
    begin: u32,
    end: u32,
    config: PairsConfig,
    target: Target,
}

impl PairsEncoder {
    /// For the tokenizer that `config` names, whose tokens `begin` and `end` stand at the ends of a target.
    ///
    /// # Errors
    /// When the tokenizer is not there, or has no such tokens.
    pub fn open(config: &PairsConfig) -> Result<Self> {
        let tokenizer = config.tokenizer.open()?;
        let named = |key: &str, name: &Option<String>, byte: u32| match (&config.tokenizer, name) {
            (TokenizerConfig::Bytes, _) => Ok(byte),
            (TokenizerConfig::File(path), Some(name)) => tokenizer.token(name).ok_or_else(|| {
                let problem = format!("it has no token {name:?}");
                let remedy = format!("name another one as data.{key}");
                Error::input(path.display(), problem, "the token at the end of a target", remedy)
            }),
            (TokenizerConfig::File(path), None) => Err(Error::input(
                path.display(),
                format!("nobody says with which of its tokens a target {key}s"),
                format!("data.{key}"),
                format!("name it, such as data.{key} = \"<s>\""),
            )),
        };
        let (begin, end) = (named("begin", &config.begin, 256)?, named("end", &config.end, 257)?);
        let vocabulary = tokenizer.vocabulary().max(begin.max(end) as usize + 1);
        Ok(Self::new(tokenizer, vocabulary, [begin, end], config))
    }

    /// For a vocabulary of `vocabulary` tokens, two of which stand at the ends of a target.
    pub fn new(tokenizer: Tokenizer, vocabulary: usize, ends: [u32; 2], config: &PairsConfig) -> Self {
        let [begin, end] = ends;
        Self { tokenizer, begin, end, config: config.clone(), target: Target::Tokens { vocabulary } }
    }

    /// From what a run kept.
    ///
    /// # Errors
    /// When `preparation` is of another data model.
    pub fn restore(preparation: &Preparation, config: &PairsConfig) -> Result<Self> {
        let damaged = |problem: String| {
            let expected = "what the data model `pairs` keeps";
            Error::input("the run's preparation", problem, expected, "use a whole run of pairs")
        };
        let kept: Prepared =
            serde_json::from_value(preparation.clone()).map_err(|error| damaged(error.to_string()))?;
        let tokenizer = Tokenizer::restore(kept.tokenizer.as_deref()).map_err(damaged)?;
        Ok(Self::new(tokenizer, kept.vocabulary, [kept.begin, kept.end], config))
    }

    /// The most tokens of a row that the backbone reads.
    fn length(&self) -> usize {
        let PairsConfig { source_length, target_length, .. } = self.config;
        match self.config.layout {
            Layout::Apart => target_length,
            Layout::Row => source_length + target_length,
        }
    }

    /// The tokens of a source, named `place` in errors.
    ///
    /// # Errors
    /// When there is none, there are too many, or the tokenizer has no token for something.
    pub(super) fn source(&self, text: &str, place: &str) -> Result<Vec<u32>> {
        let most = self.config.source_length;
        let tokens = match self.config.layout {
            // An encoder reads a sentence of its own, with what the tokenizer puts around one.
            Layout::Apart => self.tokenizer.encode_sentence(text, usize::MAX)?.tokens,
            Layout::Row => self.tokenizer.encode(text)?,
        };
        match tokens.len() {
            0 => Err(Error::input(place, "it holds no token", "at least one token", "give some text")),
            count if count > most => Err(Error::input(
                place,
                format!("the source has {count} tokens"),
                format!("at most {most}"),
                "shorten it, or train with a larger data.source_length",
            )),
            _ => Ok(tokens),
        }
    }

    /// The tokens of a target, named `place` in errors.
    ///
    /// # Errors
    /// When there are too many, or the tokenizer has no token for something.
    pub(super) fn target_tokens(&self, text: &str, place: &str) -> Result<Vec<u32>> {
        let tokens = self.tokenizer.encode(text)?;
        let most = self.config.target_length - 1;
        if tokens.len() > most {
            return Err(Error::input(
                place,
                format!("the target has {} tokens", tokens.len()),
                format!("at most {most} and its end"),
                "shorten it, or train with a larger data.target_length",
            ));
        }
        Ok(tokens)
    }

    /// Pairs as a batch; rows shorter than the longest are padded behind, and masked.
    pub(super) fn batch(&self, pairs: &[Pair]) -> Batch {
        let apart = self.config.layout == Layout::Apart;
        let before = |pair: &Pair| if apart { Vec::new() } else { pair.source.clone() };
        let read: Vec<Vec<u32>> =
            pairs.iter().map(|pair| [&before(pair)[..], &[self.begin], &pair.target].concat()).collect();
        let longest = read.iter().map(Vec::len).max().unwrap_or(0);
        let asked = pairs.iter().flat_map(|pair| {
            let unasked = before(pair).len();
            let target = pair.target.iter().chain([&self.end]).map(|token| Some(*token));
            std::iter::repeat_n(None, unasked).chain(target).chain(std::iter::repeat(None)).take(longest)
        });
        let targets = Targets::Tokens(asked.collect());
        let mut inputs = padded(&read, [TOKENS, MASK]);
        if apart {
            let sources: Vec<&[u32]> = pairs.iter().map(|pair| &pair.source[..]).collect();
            inputs.extend(padded(&sources, [SOURCE, SOURCE_MASK]));
        }
        Batch { examples: pairs.len(), inputs, targets }
    }
}

impl Codec for PairsEncoder {
    fn vocabulary(&self) -> usize {
        match self.target {
            Target::Tokens { vocabulary } => vocabulary,
            _ => 0,
        }
    }

    fn tokenizer(&self) -> Result<String> {
        self.tokenizer.identity()
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.encode(text)
    }

    fn encode_sentence(&self, text: &str) -> Result<Sentence> {
        self.tokenizer.encode_sentence(text, self.config.source_length)
    }

    fn inputs(&self, tokens: &[u32]) -> Vec<(String, TensorData)> {
        padded(&[tokens], [TOKENS, MASK])
    }

    fn prompt(&self, text: &str) -> Result<Prompt> {
        let source = self.source(text, "the prompt")?;
        let pair = Pair { source, target: Vec::new() };
        let tokens = match self.config.layout {
            Layout::Apart => vec![self.begin],
            Layout::Row => [&pair.source[..], &[self.begin]].concat(),
        };
        Ok(Prompt { tokens, inputs: self.batch(&[pair]).inputs })
    }

    fn answers(&self) -> bool {
        true
    }

    fn end(&self) -> Option<u32> {
        Some(self.end)
    }

    fn decode(&self, tokens: &[u32]) -> Result<Vec<u8>> {
        let ends = [self.begin, self.end];
        let said: Vec<u32> = tokens.iter().copied().filter(|token| !ends.contains(token)).collect();
        self.tokenizer.decode(&said)
    }
}

impl Encoder for PairsEncoder {
    fn target(&self) -> &Target {
        &self.target
    }

    fn preparation(&self) -> Result<Preparation> {
        let kept = Prepared {
            tokenizer: self.tokenizer.to_json()?,
            vocabulary: self.vocabulary(),
            begin: self.begin,
            end: self.end,
        };
        serde_json::to_value(kept)
            .map_err(|error| Error::Failed(format!("the preparation of pairs: {error}")))
    }

    fn codec(&self) -> Option<&dyn Codec> {
        Some(self)
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        let width = width.unwrap_or(64);
        let stem = self.config.embedding.build(self.vocabulary(), self.length(), width, build.device)?;
        Ok(BoxedStem::new(match self.config.layout {
            Layout::Apart => stem.with_source(self.config.source_length),
            Layout::Row => stem,
        }))
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        text_files(path)
    }

    fn encode(&self, path: &Path) -> Result<FileBatches<'_>> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path, "read"))?;
        let source = self.source(text.trim_end(), &path.display().to_string())?;
        let batch = self.batch(&[Pair { source, target: Vec::new() }]);
        Ok(FileBatches::alone(Batch { targets: Targets::Unknown, ..batch }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder(layout: Layout) -> PairsEncoder {
        let config = PairsConfig { layout, source_length: 4, target_length: 3, ..PairsConfig::default() };
        PairsEncoder::open(&config).unwrap()
    }

    fn whole(inputs: &[(String, TensorData)], name: &str) -> Vec<i64> {
        let (_, data) = inputs.iter().find(|(known, _)| known == name).expect("the input");
        data.clone().try_to_vec::<i64>().unwrap()
    }

    #[test]
    fn a_target_is_asked_one_behind_and_a_source_never() {
        let long = Pair { source: vec![1, 2, 3], target: vec![4, 5] };
        let short = Pair { source: vec![6], target: vec![] };
        let pairs = [long, short];
        let Batch { inputs, targets, .. } = encoder(Layout::Apart).batch(&pairs);
        assert_eq!(whole(&inputs, TOKENS), [256, 4, 5, 256, 0, 0]);
        assert_eq!(whole(&inputs, MASK), [1, 1, 1, 1, 0, 0]);
        assert_eq!(whole(&inputs, SOURCE), [1, 2, 3, 6, 0, 0]);
        assert_eq!(whole(&inputs, SOURCE_MASK), [1, 1, 1, 1, 0, 0]);
        assert_eq!(targets, Targets::Tokens([Some(4), Some(5), Some(257), Some(257), None, None].into()));
        let Batch { inputs, targets, .. } = encoder(Layout::Row).batch(&pairs);
        assert_eq!(whole(&inputs, TOKENS), [1, 2, 3, 256, 4, 5, 6, 256, 0, 0, 0, 0]);
        let asked = [None, None, None, Some(4), Some(5), Some(257), None, Some(257), None, None, None, None];
        assert_eq!(targets, Targets::Tokens(asked.into()));
        assert_eq!(inputs.len(), 2);
    }

    #[test]
    fn a_prompt_is_a_source_and_the_first_token() {
        let apart = encoder(Layout::Apart).prompt("ab").unwrap();
        assert_eq!((&apart.tokens[..], whole(&apart.inputs, SOURCE)), (&[256][..], vec![97, 98]));
        let row = encoder(Layout::Row).prompt("ab").unwrap();
        assert_eq!((row.tokens, whole(&row.inputs, TOKENS)), (vec![97, 98, 256], vec![97, 98, 256]));
        for (prompt, problem) in [("", "no token"), ("abcde", "5 tokens")] {
            let message = encoder(Layout::Apart).prompt(prompt).unwrap_err().to_string();
            assert!(message.contains(problem), "{message}");
        }
    }

    #[test]
    fn the_ends_say_nothing_and_a_restored_encoder_is_the_one_that_was_kept() {
        let encoder = encoder(Layout::Apart);
        assert_eq!(encoder.decode(&[256, 97, 98, 257]).unwrap(), b"ab");
        let kept = encoder.preparation().unwrap();
        let restored = PairsEncoder::restore(&kept, &encoder.config).unwrap();
        assert_eq!((restored.preparation().unwrap(), restored.end()), (kept, Some(257)));
        assert!(PairsEncoder::restore(&serde_json::json!({ "size": 3 }), &encoder.config).is_err());
    }

    #[test]
    fn tokens_at_the_ends_that_are_not_there_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, crate::tokenizer::WORDS).unwrap();
        let open = |begin: Option<&str>, end: Option<&str>| {
            let [begin, end] = [begin, end].map(|name| name.map(str::to_owned));
            let tokenizer = TokenizerConfig::File(path.clone());
            PairsEncoder::open(&PairsConfig { tokenizer, begin, end, ..PairsConfig::default() })
        };
        let encoder = open(Some("?"), Some("be")).unwrap();
        assert_eq!((encoder.begin, encoder.end, encoder.vocabulary()), (0, 2, 3));
        assert!(open(Some("?"), None).unwrap_err().to_string().contains("data.end"));
        assert!(open(Some("<s>"), Some("be")).unwrap_err().to_string().contains("no token \"<s>\""));
    }
}
