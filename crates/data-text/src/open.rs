//! A text, read, cut into tokens, and divided.

use std::ops::Range;

use ansatz_core::{Batch, Encoder, Error, Exhibit, OpenData, Part, Places, Result, Variation};
use ansatz_data::{Purpose, stream};
use rand::RngExt;

use crate::Masking;
use crate::config::TextConfig;
use crate::encoder::TextEncoder;
use crate::masking::{asked, mask_of};
use crate::tokenizer::Tokenizer;
use crate::tokens::{Tokens, TokensWriter};

/// Tokens from which on a text of bytes stays in its files, and its windows are read when they are asked for. It changes
/// no result.
const STREAMED_FROM: usize = 1 << 26;

/// A text, read, cut into tokens, and divided by place: training first, then validation, then test.
///
/// An example is a window of `length` tokens, and what is asked at each of them is the token behind it. Test
/// windows follow each other without a gap or overlap, so that every token of the part but the first is foretold
/// exactly once; the last window may be shorter. Training windows do the same from an offset that is drawn anew
/// every epoch. Where tokens are hidden, windows hold all tokens of a part, and what is asked at each place is what
/// was hidden there; the test part hides the same tokens whatever the run.
pub struct OpenText {
    encoder: TextEncoder,
    tokens: Tokens,
    length: usize,
    masking: Option<Masking>,
    train: Range<usize>,
    validation: Range<usize>,
    test: Range<usize>,
}

impl OpenText {
    /// Reads the source, and cuts and divides it.
    ///
    /// # Errors
    /// When the source is not there, or a part is shorter than one window.
    pub fn open(config: &TextConfig, places: &Places) -> Result<Self> {
        Self::open_streaming(config, places, STREAMED_FROM)
    }

    /// The same, where texts of at least so many bytes stay in their files.
    fn open_streaming(config: &TextConfig, places: &Places, streamed_from: usize) -> Result<Self> {
        let tokenizer = config.tokenizer.open()?;
        let files = config.source.files(places)?;
        let streamed = match tokenizer {
            Tokenizer::Bytes if !files.is_empty() => Some(Tokens::of_files(files)?),
            _ => None,
        };
        let tokens = match streamed.filter(|tokens| tokens.len() >= streamed_from) {
            Some(tokens) => tokens,
            None => {
                let (mut tokens, mut before) = (TokensWriter::default(), 0);
                config.source.read(places, |piece| {
                    tokens.push(&tokenizer.encode_behind(before, piece)?)?;
                    before += piece.len();
                    Ok(())
                })?;
                tokens.finish()?
            }
        };
        let total = tokens.len();
        // The first nine tenths of 5,057,198 bytes are 4,551,478: rounded down.
        let rest = ((1.0 - config.test) * total as f64 + 1e-9).floor() as usize;
        let kept = ((1.0 - config.validation) * rest as f64 + 1e-9).floor() as usize;
        if kept <= 2 * config.length {
            return Err(Error::input(
                "the training part",
                format!("it has {kept} tokens"),
                format!("more than two windows of {} tokens", config.length),
                "give more text, or a smaller `length`",
            ));
        }
        let mask = config.masking.as_ref().map(|_| mask_of(&tokenizer));
        let vocabulary = tokenizer.vocabulary().max(mask.map_or(0, |mask| mask as usize + 1));
        let encoder = TextEncoder::new(tokenizer, vocabulary, config.length, config.embedding.clone());
        Ok(Self {
            encoder: encoder.with_mask(mask),
            tokens,
            length: config.length,
            masking: config.masking.clone(),
            train: 0..kept,
            validation: kept..rest,
            test: rest..total,
        })
    }

    fn range(&self, part: Part) -> Range<usize> {
        match part {
            Part::Train => self.train.clone(),
            Part::Validation => self.validation.clone(),
            Part::Test => self.test.clone(),
        }
    }

    /// Where window `index` begins.
    fn first(&self, part: Part, index: usize, variation: Option<Variation>) -> usize {
        let offset = variation.map_or(0, |Variation { seed, epoch }| {
            stream(seed, Purpose::Order, epoch, 1).random_range(0..self.length)
        });
        self.range(part).start + offset + index * self.length
    }

    /// The tokens of window `index`, and one more: all but the last are read, all but the first are asked.
    fn window(&self, part: Part, index: usize, variation: Option<Variation>) -> Result<Vec<u32>> {
        let first = self.first(part, index, variation);
        let last = (first + self.length).min(self.range(part).end - 1);
        self.tokens.read(first..last + 1)
    }

    /// The tokens that are read, some of them hidden, and those that are asked of window `index`.
    fn hidden(
        &self,
        masking: &Masking,
        part: Part,
        index: usize,
        variation: Option<Variation>,
    ) -> Result<(Vec<u32>, Vec<Option<u32>>)> {
        let first = self.first(part, index, variation);
        let last = (first + self.length).min(self.range(part).end);
        let mut row = self.tokens.read(first..last)?;
        let mut random = match variation {
            Some(Variation { seed, epoch }) => stream(seed, Purpose::Example, epoch, index as u64),
            // Follows from the place alone, so that figures of any two runs compare.
            None => stream(0, Purpose::Example, u64::MAX, first as u64),
        };
        let tokenizer = self.encoder.tokenizer();
        let (mask, vocabulary) = (self.encoder.mask().unwrap_or_default(), tokenizer.vocabulary() as u32);
        let asked = masking.apply(&mut row, mask, vocabulary, &mut random);
        Ok((row, asked))
    }
}

impl OpenData for OpenText {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn examples(&self, part: Part) -> usize {
        // A token is asked of the one before it, so that the first of a part is asked of none, unless it is hidden.
        let unasked = usize::from(self.masking.is_none());
        let asked = self.range(part).len().saturating_sub(unasked);
        match part {
            // Room for the offset of an epoch.
            Part::Train => (asked - self.length) / self.length,
            Part::Validation | Part::Test => asked.div_ceil(self.length),
        }
    }

    fn batch(&self, part: Part, indices: &[usize], variation: Option<Variation>) -> Result<Batch> {
        if let Some(masking) = &self.masking {
            let windows = indices.iter().map(|&index| self.hidden(masking, part, index, variation));
            let (read, hidden): (Vec<_>, Vec<_>) = windows.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            return Ok(self.encoder.batch(&read, asked(&hidden)));
        }
        let windows = indices.iter().map(|&index| self.window(part, index, variation));
        let windows = windows.collect::<Result<Vec<_>>>()?;
        let next: Vec<_> =
            windows.iter().map(|window| window[1..].iter().copied().map(Some).collect()).collect();
        let read: Vec<&[u32]> = windows.iter().map(|window| &window[..window.len() - 1]).collect();
        Ok(self.encoder.batch(&read, asked(&next)))
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        let window = self.window(part, index, None)?;
        let bytes = self.encoder.tokenizer().decode(&window[..window.len() - 1])?;
        Ok(Exhibit::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use ansatz_core::Targets;

    fn open(text: &str, length: usize, validation: f64) -> Result<OpenText> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, text).unwrap();
        let source = Source::Files(vec![path]);
        let config = TextConfig { source, length, validation, test: 0.25, ..TextConfig::default() };
        OpenText::open(&config, &Places { data: folder.path().to_owned() })
    }

    #[test]
    fn every_token_of_a_part_but_the_first_is_asked_once() {
        let text: String = (b'A'..=b'z').map(char::from).collect::<String>().repeat(4);
        for length in [3, 7, 16] {
            let data = open(&text, length, 0.125).unwrap();
            for part in [Part::Validation, Part::Test] {
                let count = data.examples(part);
                let mut asked = Vec::new();
                for index in 0..count {
                    asked.extend_from_slice(&data.window(part, index, None).unwrap()[1..]);
                }
                let range = data.range(part);
                assert_eq!(asked, data.tokens.read(range.start + 1..range.end).unwrap());
            }
        }
    }

    #[test]
    fn training_windows_move_from_epoch_to_epoch_and_stay_inside() {
        let text: String = (b'A'..=b'z').map(char::from).collect::<String>().repeat(4);
        let data = open(&text, 8, 0.0).unwrap();
        let start = |epoch| {
            let variation = Some(Variation { seed: 1, epoch });
            let last = data.examples(Part::Train) - 1;
            assert_eq!(data.window(Part::Train, last, variation).unwrap().len(), 9);
            data.first(Part::Train, 0, variation)
        };
        let starts: std::collections::HashSet<_> = (0..20).map(start).collect();
        assert!(starts.len() > 4);
        assert_eq!(data.examples(Part::Validation), 0);
    }

    #[test]
    fn a_text_that_stays_in_its_files_gives_the_same_batches() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("a.txt", "to be or not "), ("b.txt", "that is the question")] {
            std::fs::write(folder.path().join(name), text.repeat(20)).unwrap();
        }
        let places = Places { data: folder.path().to_owned() };
        for masking in [None, Some(Masking::default())] {
            let source = Source::Files(vec![folder.path().to_owned()]);
            let config = TextConfig { source, length: 16, masking, ..TextConfig::default() };
            let [held, streamed] =
                [usize::MAX, 0].map(|from| OpenText::open_streaming(&config, &places, from).unwrap());
            assert!(matches!(held.tokens, Tokens::Written { .. }));
            assert!(matches!(streamed.tokens, Tokens::Streamed(_)));
            for (part, variation) in
                [(Part::Train, Some(Variation { seed: 1, epoch: 2 })), (Part::Test, None)]
            {
                assert_eq!(held.examples(part), streamed.examples(part));
                let indices: Vec<usize> = (0..held.examples(part)).collect();
                let [one, other] =
                    [&held, &streamed].map(|data| data.batch(part, &indices, variation).unwrap());
                assert_eq!((one.inputs, one.targets), (other.inputs, other.targets));
            }
        }
    }

    #[test]
    fn a_shorter_last_window_is_masked() {
        let data = open(&"abcdefghij".repeat(4), 4, 0.0).unwrap();
        let last = data.examples(Part::Test) - 1;
        let batch = data.batch(Part::Test, &[0, last], None).unwrap();
        assert_eq!(batch.inputs.len(), 2);
        let Targets::Tokens(asked) = batch.targets else { unreachable!() };
        assert_eq!(asked.len(), 8);
        assert_eq!(asked.iter().filter(|token| token.is_none()).count(), 3);
    }

    #[test]
    fn every_token_is_in_a_window_and_the_test_part_hides_the_same_ones_always() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        std::fs::write(&path, "abcdefghij".repeat(20)).unwrap();
        let config = TextConfig {
            source: Source::Files(vec![path]),
            length: 16,
            test: 0.25,
            masking: Some(Masking::default()),
            ..TextConfig::default()
        };
        let data = OpenText::open(&config, &Places { data: folder.path().to_owned() }).unwrap();
        assert_eq!(data.encoder().target(), &ansatz_core::Target::MaskedTokens { vocabulary: 257 });
        // 50 tokens in three windows of 16 and one of 2.
        assert_eq!(data.examples(Part::Test), 4);
        let batch = |part, variation| data.batch(part, &[0, 3], variation).unwrap();
        let (first, again) = (batch(Part::Test, None), batch(Part::Test, None));
        assert_eq!((&first.inputs, &first.targets), (&again.inputs, &again.targets));
        let Targets::Tokens(asked) = &first.targets else { unreachable!() };
        // 0.15 × 16 is 2 and a bit; of two tokens one is asked; nothing of the padding.
        assert_eq!(asked.len(), 32);
        assert_eq!([&asked[..16], &asked[16..18]].map(|asked| asked.iter().flatten().count()), [2, 1]);
        assert!(asked[18..].iter().all(Option::is_none));
        let epoch = |epoch| batch(Part::Train, Some(Variation { seed: 1, epoch })).inputs;
        assert_eq!(epoch(0), epoch(0));
        assert_ne!(epoch(0), epoch(1));
        let restored =
            TextEncoder::restore(&data.encoder().preparation().unwrap(), config.embedding).unwrap();
        assert_eq!(restored.target(), data.encoder().target());
    }

    #[test]
    fn too_little_text_is_named() {
        let Err(error) = open("short", 8, 0.0) else { unreachable!() };
        assert!(error.to_string().contains("the training part: it has 3 tokens"), "{error}");
    }
}
