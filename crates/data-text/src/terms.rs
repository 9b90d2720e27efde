//! A text as the terms that it holds: tokens and short rows of tokens, weighted by how much they tell.

mod stem;
mod vocabulary;

use ansatz_core::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use stem::{TERMS, TermSum, WEIGHTS};
pub(crate) use vocabulary::{Terms, term_inputs};

/// Reads a text as a bag of terms in place of a row of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TermsConfig {
    /// Tokens of a term at the most, 1 up to 5: 2 takes tokens and pairs of neighbours.
    #[schemars(range(min = 1, max = 5))]
    pub grams: usize,
    /// Training texts in which a term comes at the least, 1 or more; a term of a single one says nothing of others.
    #[schemars(range(min = 1))]
    pub least: usize,
    /// Terms at the most, 1 or more: those that come in the most training texts.
    #[schemars(range(min = 1))]
    pub most: usize,
    /// Power of a term's rarity in its weight, 0 or more: 0 weighs rare terms as common ones, 1 is the published weight, 2
    /// leans on rare terms.
    #[schemars(range(min = 0.0))]
    pub rarity_power: f64,
    /// Values of the vector that a text becomes, 1 or more. Left out: as many as the backbone wants, or 64.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
}

impl Default for TermsConfig {
    fn default() -> Self {
        Self { grams: 2, least: 2, most: 100_000, rarity_power: 1.0, width: None }
    }
}

impl TermsConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(1..=5).contains(&self.grams) {
            return Err(ConfigError::value("grams", self.grams.to_string(), "1 up to 5"));
        }
        for (name, value) in [("least", self.least), ("most", self.most), ("width", self.width.unwrap_or(1))]
        {
            if value == 0 {
                return Err(ConfigError::value(name, "0", "1 or more"));
            }
        }
        if !(self.rarity_power.is_finite() && self.rarity_power >= 0.0) {
            let problem = format!("a power of {}", self.rarity_power);
            return Err(ConfigError::value("rarity_power", problem, "0 or more"));
        }
        Ok(())
    }
}
