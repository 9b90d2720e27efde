//! Which examples an epoch consists of.

use ansatz_core::{ConfigError, OpenData, Part, Targets};
use ansatz_data::Balance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which examples an epoch of training consists of. Validation and test part are always judged whole, each example once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Sampling {
    /// Each example once.
    #[default]
    All,
    /// As many as there are, of each class equally many: those of rare classes come several times, and are varied alike
    /// each time within an epoch; of frequent classes others come in each epoch.
    Balanced,
}

/// Which examples of an epoch make a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Batching {
    /// Whoever comes next.
    #[default]
    Shuffled,
    /// Those that are about as long, so that little is padding: fifty batches at a time are sorted by length, cut, and
    /// shuffled.
    ByLength,
}

impl Batching {
    /// The lengths that batches are made by, where they are.
    ///
    /// # Errors
    /// When the examples are all of one length.
    pub(crate) fn lengths(self, data: &dyn OpenData) -> Result<Option<Vec<usize>>, ConfigError> {
        match self {
            Self::Shuffled => Ok(None),
            Self::ByLength => data.lengths(Part::Train).map(Some).ok_or_else(|| {
                let problem = "the examples are all of one length";
                ConfigError::value("train.batches", problem, "\"shuffled\", or texts of lengths that differ")
            }),
        }
    }
}

impl Sampling {
    /// What epochs of examples with these labels are drawn from, where each does not come once.
    ///
    /// # Errors
    /// When the classes of the examples are not known without reading them, or there are none.
    pub(crate) fn balance(self, labels: Option<&Targets>) -> Result<Option<Balance>, ConfigError> {
        match (self, labels) {
            (Self::All, _) => Ok(None),
            (Self::Balanced, Some(Targets::Classes(classes))) => Ok(Some(Balance::new(classes))),
            (Self::Balanced, _) => {
                let problem = "the examples have no class each that is known without reading them";
                Err(ConfigError::value("train.sampling", problem, "\"all\", or data with classes"))
            }
        }
    }
}
