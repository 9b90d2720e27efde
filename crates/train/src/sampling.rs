//! Which examples an epoch consists of.

use ansatz_core::{ConfigError, Targets};
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
