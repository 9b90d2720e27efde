//! What a network is trained towards.

use serde::{Deserialize, Serialize};

/// What the examples of a data set are labelled with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Target {
    /// One of the named classes.
    Classes {
        /// Names in the order of their indices.
        names: Vec<String>,
    },
    /// A token of a vocabulary at every position.
    Tokens {
        /// How many tokens there are.
        vocabulary: usize,
    },
}

/// The labels of one batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// A class index per example.
    Classes(Vec<usize>),
    /// A distribution over classes per example, row by row: `[batch × classes]`, each row summing to 1.
    Distribution {
        /// Values per row.
        classes: usize,
        /// All rows, one behind the other.
        values: Vec<f32>,
    },
    /// A token at every position, row by row: `[batch × length]`; `None` where nothing is asked.
    Tokens(Vec<Option<u32>>),
    /// No labels are known, as when predicting.
    Unknown,
}
