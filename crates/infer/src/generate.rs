//! Generating text: the prompt goes in whole, every further token is one step of the recurrent form.

use std::path::Path;

use ansatz_core::{Codec, Error, Prompt, Registry, Result, Target};
use ansatz_run::Trained;
use burn::tensor::Device;

use crate::stepper::Stepper;
use crate::{Sampler, Sampling};

/// When generating ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// The most tokens, at least 1.
    pub tokens: usize,
    /// Texts behind which generating ends; they are still handed out.
    pub stop: Vec<String>,
}

/// A trained language model that writes.
pub struct Generator {
    trained: Trained,
    device: Device,
}

impl Generator {
    /// Loads the network of the run folder `run` onto `device`.
    ///
    /// # Errors
    /// When there is no finished run at `run`, it is no language model, or it cannot be asked token by token.
    pub fn load(run: &Path, registry: &Registry, device: &Device) -> Result<Self> {
        let generator = Self { trained: Trained::load(run, registry, device)?, device: device.clone() };
        let refused = |problem: &str, remedy: &str| {
            Err(Error::input(run.display(), problem, "a causal language model", remedy))
        };
        if generator.trained.encoder.codec().is_none() {
            return refused("the run reads no text", "predict with it: ansatz predict RUN FILES");
        }
        let told = match generator.trained.encoder.target() {
            Target::Tokens { .. } => None,
            Target::MaskedTokens { .. } => Some("it tells hidden tokens, and no next ones"),
            _ => Some("it tells classes, and no next tokens"),
        };
        if let Some(problem) = told {
            return refused(problem, "train one with the task `language-model`");
        }
        if generator.trained.model.backbone.recurrent().is_none() {
            return refused(
                "its backbone looks ahead, or has no recurrent form",
                "train one of causal mixers, such as { kind = \"attention\", causal = true }",
            );
        }
        Ok(generator)
    }

    /// Whether what is written answers the prompt, as a translation does, and does not go on from it.
    pub fn answers(&self) -> bool {
        self.trained.encoder.codec().is_some_and(Codec::answers)
    }

    /// Writes on from `prompt`, or answers it, handing each piece of text to `say` as soon as it is whole characters.
    /// Ends where the text does, and early where `say` answers `false`.
    ///
    /// # Errors
    /// When the prompt is empty, is too long, or holds what the tokenizer does not know, or a value of `sampling`
    /// is out of range.
    pub fn generate(
        &self,
        prompt: &str,
        sampling: Sampling,
        limits: &Limits,
        say: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Written> {
        let codec = self.codec()?;
        let mut sampler = Sampler::new(sampling)?;
        let Prompt { tokens: prompt, inputs } = codec.prompt(prompt)?;
        sampler.see(&prompt);
        let mut stepper = Stepper::new(&self.trained.model, codec, &self.device)?;
        let clock = std::time::Instant::now();
        let mut logits = stepper.take(inputs)?;
        let prefill_seconds = clock.elapsed().as_secs_f64();
        let mut written = Written {
            text: String::new(),
            prompt_tokens: prompt.len(),
            tokens: 0,
            prefill_seconds,
            seconds: 0.0,
        };
        let clock = std::time::Instant::now();
        let mut reader = Reader::new(codec);
        loop {
            let token = sampler.draw(&logits);
            let ended = codec.end() == Some(token);
            let mut goes_on = !ended;
            if goes_on {
                written.tokens += 1;
                let new = reader.read(token)?;
                written.text.push_str(&new);
                goes_on = new.is_empty() || say(&new);
            }
            let stopped =
                limits.stop.iter().any(|stop| !stop.is_empty() && written.text.ends_with(stop.as_str()));
            if !goes_on || stopped || written.tokens >= limits.tokens || stepper.is_full() {
                written.seconds = clock.elapsed().as_secs_f64();
                return Ok(written);
            }
            logits = stepper.step(&[token])?;
        }
    }

    fn codec(&self) -> Result<&dyn Codec> {
        let codec = self.trained.encoder.codec();
        codec.ok_or_else(|| Error::Failed("the run reads no text".to_owned()))
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Written {
    /// The text behind the prompt.
    pub text: String,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens that were written.
    pub tokens: usize,
    /// Seconds for the prompt.
    pub prefill_seconds: f64,
    /// Seconds for what was written.
    pub seconds: f64,
}

/// Turns tokens into text as they come.
///
/// What a token says may depend on the one before it (a space, a part of a character), but not on all that were
/// before: so a few are decoded again with every new one, and the cost of a token does not grow with the text.
struct Reader<'a> {
    codec: &'a dyn Codec,
    /// Tokens from the last ones on whose text was handed out.
    tokens: Vec<u32>,
    /// How many of them were handed out.
    said: usize,
}

impl<'a> Reader<'a> {
    fn new(codec: &'a dyn Codec) -> Self {
        Self { codec, tokens: Vec::new(), said: 0 }
    }

    /// The text that `token` completes.
    fn read(&mut self, token: u32) -> Result<String> {
        self.tokens.push(token);
        let before = whole_characters(self.codec.decode(&self.tokens[..self.said])?);
        let whole = whole_characters(self.codec.decode(&self.tokens)?);
        let new = whole.get(before.len()..).unwrap_or_default().to_owned();
        if !new.is_empty() {
            self.tokens.drain(..self.said);
            self.said = self.tokens.len();
        }
        Ok(new)
    }
}

/// The text of `bytes` up to a character that is not whole yet; bytes that never become one are replaced.
fn whole_characters(bytes: Vec<u8>) -> String {
    let cut = match std::str::from_utf8(&bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    String::from_utf8_lossy(&bytes[..cut]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens are the bytes of a text, and every third one says a space before itself unless it is the first.
    struct Spaced;

    impl Codec for Spaced {
        fn vocabulary(&self) -> usize {
            256
        }

        fn tokenizer(&self) -> Result<String> {
            Ok("spaced".to_owned())
        }
        fn encode(&self, text: &str) -> Result<Vec<u32>> {
            Ok(text.bytes().map(u32::from).collect())
        }

        fn encode_sentence(&self, text: &str) -> Result<ansatz_core::Sentence> {
            Ok(ansatz_core::Sentence { tokens: self.encode(text)?, cut: 0 })
        }

        fn inputs(&self, _: &[u32]) -> Vec<(String, burn::tensor::TensorData)> {
            Vec::new()
        }

        fn decode(&self, tokens: &[u32]) -> Result<Vec<u8>> {
            let byte = |(place, token): (usize, &u32)| {
                let space = place > 0 && token.is_multiple_of(3) && *token < 128;
                space.then_some(b' ').into_iter().chain([*token as u8])
            };
            Ok(tokens.iter().enumerate().flat_map(byte).collect())
        }
    }

    #[test]
    fn text_that_comes_token_by_token_is_that_of_all_tokens() {
        let tokens = Spaced.encode("a cold ß→ and 日本語, once more\u{1f600}!").unwrap();
        let mut reader = Reader::new(&Spaced);
        let text: String = tokens.iter().map(|token| reader.read(*token).unwrap()).collect();
        assert_eq!(text, String::from_utf8(Spaced.decode(&tokens).unwrap()).unwrap());
        assert!(reader.tokens.len() < 8, "{} tokens are decoded again", reader.tokens.len());
    }

    #[test]
    fn a_character_is_said_when_it_is_whole() {
        let bytes = "aß→".as_bytes();
        let said: Vec<String> =
            (0..=bytes.len()).map(|end| whole_characters(bytes[..end].to_vec())).collect();
        assert_eq!(said, ["", "a", "a", "aß", "aß", "aß", "aß→"]);
        assert_eq!(whole_characters(vec![b'a', 0xff, b'b']), "a\u{fffd}b");
    }
}
