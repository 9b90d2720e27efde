//! What a network is trained towards.

use serde::{Deserialize, Serialize};

use crate::Grid;

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
    /// All values of an example, some of which are hidden.
    HiddenValues(HiddenValues),
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

/// How the values of an example stand, some of which are hidden, and the tokens that it becomes.
///
/// Values stand as those of a picture do. A series is a picture of one row where a token is of all its channels, and has a
/// row for each channel where it is of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenValues {
    /// Rows, columns and channels.
    pub size: [usize; 3],
    /// The tokens of the stem, each of which stands for as many rows and columns.
    pub tokens: Grid,
    /// Rows of features that an example becomes: more than 1 where its rows pass the network one by one.
    pub rows: usize,
    /// Learned tokens in front of the others in each of these.
    pub learned: usize,
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
    /// All values of each example, row by row: `[batch × rows × columns × channels]`.
    HiddenValues {
        /// Values, on the scale that the network works with.
        values: Vec<f32>,
        /// Which of them are hidden, and so are asked.
        hidden: Vec<bool>,
    },
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
