//! What a network is trained towards.

use serde::{Deserialize, Serialize};

/// What the examples of a data set are labelled with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Target {
    /// One of the named classes.
    Classes {
        /// Names in the order of their indices.
        names: Vec<String>,
    },
    /// Any number of the named labels, each of which holds or does not.
    Labels {
        /// Names in the order of their indices.
        names: Vec<String>,
    },
    /// A token of a vocabulary at every position.
    Tokens {
        /// How many tokens there are.
        vocabulary: usize,
    },
    /// The token of a vocabulary that is hidden, at the positions where one is.
    MaskedTokens {
        /// How many tokens there are, the mask among them.
        vocabulary: usize,
    },
    /// The steps of a series that follow what is read.
    Series {
        /// Names of the channels, in their order.
        channels: Vec<String>,
        /// Steps that are foretold, at least 1.
        horizon: usize,
        /// Whether each channel passes the network as an example of its own, so that features come in rows of
        /// `[examples × channels, length, width]`, the channels of an example one behind the other.
        apart: bool,
        /// The mean absolute error over the training part of foretelling the value of a season before, for each channel on
        /// the scale that the network works with; 0 where a channel never differs from it. Empty where it is not known.
        #[serde(default)]
        naive: Vec<f64>,
    },
    /// A number, which the network foretells as `(value − mean) / deviation`.
    Number {
        /// What it is called.
        name: String,
        /// The mean over the training part, in the number's own unit.
        mean: f64,
        /// The standard deviation over the training part, above 0.
        deviation: f64,
    },
}

/// The labels of one batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// A class index per example.
    Classes(Vec<usize>),
    /// Which labels hold, row by row: `[batch × labels]`.
    Labels {
        /// Values per row.
        labels: usize,
        /// All rows, one behind the other.
        values: Vec<bool>,
    },
    /// A distribution over classes per example, row by row: `[batch × classes]`, each row summing to 1.
    Distribution {
        /// Values per row.
        classes: usize,
        /// All rows, one behind the other.
        values: Vec<f32>,
    },
    /// A token at every position, row by row: `[batch × length]`; `None` where nothing is asked.
    Tokens(Vec<Option<u32>>),
    /// Steps of a series, row by row: `[batch × horizon × channels]`.
    Series {
        /// Values, on the scale that the network works with.
        values: Vec<f32>,
        /// Which of them were observed, and so count; `None`: all.
        observed: Option<Vec<bool>>,
    },
    /// A number per example, on the scale that the network works with.
    Numbers(Vec<f32>),
    /// No labels are known, as when predicting.
    Unknown,
}
