//! `[train.start]`: training that begins with the weights of another run.

use std::path::PathBuf;

use ansatz_core::{ConfigError, Model, Result};
use ansatz_run::{Masks, RunFolder, dequantized, load_weights};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The run whose weights training begins with. Weights that were pruned in it stay zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct StartConfig {
    /// The folder of a run of the same architecture.
    pub run: PathBuf,
}

impl StartConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        names_a_run(&self.run)
    }

    /// Reads the weights into `drawn`, a network without autodiff, and what was pruned of them.
    ///
    /// # Errors
    /// When there is no such run, or its network is another.
    pub(crate) fn load(&self, mut drawn: Model) -> Result<(Model, Masks)> {
        let folder = RunFolder::open(&self.run)?;
        load_weights(&mut drawn, &folder.weights())?;
        Ok((dequantized(drawn), Masks::read(&folder.masks())?))
    }
}

/// Refuses a run without a name.
pub(crate) fn names_a_run(run: &std::path::Path) -> Result<(), ConfigError> {
    if !run.as_os_str().is_empty() {
        return Ok(());
    }
    Err(ConfigError::value("run", "it names no run", "the folder of a trained run"))
}
