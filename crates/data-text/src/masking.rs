//! Hiding tokens, for a network to tell them from those around them.

use ansatz_core::{ConfigError, Targets};
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tokenizer::Tokenizer;

/// Names of the mask in published tokenizers.
const MASKS: [&str; 2] = ["[MASK]", "<mask>"];

/// Tokens that are hidden, for the network to tell from those around them (Devlin et al., BERT, 2018,
/// arXiv:1810.04805, section 3.1): of those that are asked most become a token that stands for nothing, some another
/// token, and some stay, so that no token can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Masking {
    /// The share of the tokens of an example that is asked, above 0 up to 1; at least one is.
    pub share: f64,
    /// Of these, the share that becomes the mask, 0 up to 1.
    pub masked: f64,
    /// Of these, the share that becomes a token drawn from the vocabulary, 0 up to 1. The rest stays as it is.
    pub random: f64,
}

impl Default for Masking {
    fn default() -> Self {
        Self { share: 0.15, masked: 0.8, random: 0.1 }
    }
}

impl Masking {
    /// Checks the ranges.
    ///
    /// # Errors
    /// With the key, what it says and its range.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err(ConfigError::value("share", format!("a share of {}", self.share), "above 0 up to 1"));
        }
        if !(0.0..=1.0).contains(&self.masked) {
            return Err(ConfigError::value("masked", format!("a share of {}", self.masked), "0 up to 1"));
        }
        // Shares are decimals, whose sum may be off by a rounding.
        if self.random >= 0.0 && self.masked + self.random <= 1.0 + 1e-9 {
            return Ok(());
        }
        let problem = format!("a share of {} beside {} for the mask", self.random, self.masked);
        Err(ConfigError::value("random", problem, "0 or more, and no more than is left"))
    }

    /// Hides tokens of `row`; gives what is asked at each place. `mask` stands for what is hidden, and a random token
    /// is below `vocabulary`.
    pub(crate) fn apply(
        &self,
        row: &mut [u32],
        mask: u32,
        vocabulary: u32,
        random: &mut impl Rng,
    ) -> Vec<Option<u32>> {
        let count = ((self.share * row.len() as f64).round() as usize).max(1).min(row.len());
        let mut asked = vec![None; row.len()];
        for place in rand::seq::index::sample(random, row.len(), count) {
            asked[place] = Some(row[place]);
            let fate: f64 = random.random();
            if fate < self.masked {
                row[place] = mask;
            } else if fate < self.masked + self.random {
                row[place] = random.random_range(0..vocabulary);
            }
        }
        asked
    }
}

/// The token that stands for a hidden one; behind its own tokens where the tokenizer has none.
pub(crate) fn mask_of(tokenizer: &Tokenizer) -> u32 {
    let own = MASKS.iter().find_map(|name| tokenizer.token(name));
    own.unwrap_or(tokenizer.vocabulary() as u32)
}

/// What is asked at each place of rows that are filled to the longest, where nothing is asked.
pub(crate) fn asked(rows: &[Vec<Option<u32>>]) -> Targets {
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    let places = |row: &Vec<Option<u32>>| {
        (0..longest).map(|place| row.get(place).copied().flatten()).collect::<Vec<_>>()
    };
    Targets::Tokens(rows.iter().flat_map(places).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_data::{Purpose, stream};

    #[test]
    fn of_fifteen_in_a_hundred_eight_in_ten_are_masked_one_is_drawn_and_one_stays() {
        let text: Vec<u32> = (0..1000).map(|place| place % 50).collect();
        let (mut masked, mut stayed, mut drawn) = (0, 0, 0);
        for example in 0..40 {
            let mut row = text.clone();
            let mut random = stream(1, Purpose::Example, 0, example);
            let asked = Masking::default().apply(&mut row, 50, 50, &mut random);
            assert_eq!(asked.iter().flatten().count(), 150);
            for (place, (now, was)) in row.iter().zip(&text).enumerate() {
                match asked[place] {
                    None => assert_eq!(now, was),
                    Some(token) => {
                        assert_eq!(token, *was);
                        masked += usize::from(*now == 50);
                        stayed += usize::from(now == was);
                        drawn += usize::from(*now != 50 && now != was);
                    }
                }
            }
        }
        // Of 6,000; a drawn token is the old one once in fifty times.
        assert!(
            (4650..4950).contains(&masked) && (500..720).contains(&stayed) && (490..690).contains(&drawn)
        );
    }

    #[test]
    fn a_single_token_is_asked_and_draws_repeat() {
        let hide = |epoch| {
            let mut row: Vec<u32> = (0..20).collect();
            let asked =
                Masking::default().apply(&mut row, 99, 20, &mut stream(1, Purpose::Example, epoch, 0));
            (row, asked)
        };
        assert_eq!(hide(3), hide(3));
        assert_ne!(hide(3), hide(4));
        let mut row = [7];
        let all = Masking { share: 0.01, masked: 1.0, random: 0.0 };
        let asked = all.apply(&mut row, 99, 20, &mut stream(1, Purpose::Example, 0, 0));
        assert_eq!((row, asked), ([99], vec![Some(7)]));
    }
}
