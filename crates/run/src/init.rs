//! `[init]`: another run that training starts from.

use std::path::{Path, PathBuf};

use ansatz_core::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Another run that training starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InitConfig {
    /// The folder of a run that has ended. Its weights are taken where name and shape are the same; all others are
    /// drawn, such as those of a head for other classes.
    pub from: PathBuf,
    /// Parts of the network that stay as they are, and behave while training as when they are judged: dotted paths,
    /// such as `stem` or `backbone.blocks.0`. `ansatz inspect` shows the paths.
    #[serde(default)]
    pub freeze: Vec<String>,
    /// What the learning rate of each block is multiplied by, once for each block between it and the head, above 0 up
    /// to 1: the head learns at the full rate, the last block at this share of it, the stem most slowly. 1: all alike.
    /// Clark et al., ELECTRA, 2020, arXiv:2003.10555, appendix B.
    #[serde(default = "one")]
    #[schemars(range(max = 1.0))]
    pub layer_decay: f64,
    /// Learns small changes of matrices in place of the matrices. Left out: all that is not frozen learns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
}

/// Matrices that stay, each with the product of two small ones beside it that learn: W + s A B (Hu et al., LoRA, 2021,
/// arXiv:2106.09685, equation 3). What was not taken from the run learns as a whole, all else stays; in the end the
/// products are added to the matrices, so that the run is one like any other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Columns of A and rows of B, 1 up to 4096.
    #[schemars(range(min = 1, max = 4096))]
    pub rank: usize,
    /// s, above 0; the paper's α / r.
    pub scale: f64,
    /// Parts of the network whose matrices are changed: dotted paths.
    pub layers: Vec<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 8, scale: 2.0, layers: vec!["backbone".to_owned()] }
    }
}

impl LoraConfig {
    fn check(&self) -> Result<(), ConfigError> {
        if !(1..=4096).contains(&self.rank) {
            return Err(ConfigError::value("rank", self.rank.to_string(), "1 up to 4096"));
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err(ConfigError::value("scale", self.scale.to_string(), "a number above 0"));
        }
        if self.layers.is_empty() || self.layers.iter().any(String::is_empty) {
            let expected = "dotted paths, such as backbone or backbone.blocks.0";
            return Err(ConfigError::value("layers", format!("{:?}", self.layers), expected));
        }
        Ok(())
    }
}

fn one() -> f64 {
    1.0
}

impl From<&Path> for InitConfig {
    /// All of the run in this folder, and all of it learns on.
    fn from(run: &Path) -> Self {
        Self { from: run.to_owned(), freeze: Vec::new(), layer_decay: one(), lora: None }
    }
}

impl InitConfig {
    /// Checks the values that can be checked without a network.
    ///
    /// # Errors
    /// With the key at fault.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.from.as_os_str().is_empty() {
            return Err(ConfigError::value("from", "no run is named", "the folder of a run"));
        }
        if let Some(index) = self.freeze.iter().position(String::is_empty) {
            let expected = "a dotted path, such as stem or backbone.blocks.0";
            return Err(ConfigError::value(format!("freeze[{index}]"), "an empty path", expected));
        }
        if let Some(lora) = &self.lora {
            lora.check().map_err(|error| error.under("lora"))?;
        }
        if self.layer_decay > 0.0 && self.layer_decay <= 1.0 {
            return Ok(());
        }
        Err(ConfigError::value("layer_decay", format!("a factor of {}", self.layer_decay), "above 0 up to 1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        let message = |text: &str| {
            let read: Result<InitConfig, ConfigError> = ansatz_core::parse(text.parse().expect("TOML"));
            read.and_then(|init| init.check()).unwrap_err().to_string()
        };
        assert!(message("from = ''").contains("`from`"));
        assert!(message("freeze = []").contains("`from`"));
        assert!(message("from = 'runs/a'\nfreeze = ['stem', '']").contains("`freeze[1]`"));
        assert!(message("from = 'runs/a'\nlayer_decay = 0.0").contains("`layer_decay`"));
        assert!(message("from = 'runs/a'\nlayer_decay = 1.5").contains("`layer_decay`"));
        assert!(message("from = 'runs/a'\nlora = { rank = 0 }").contains("`lora.rank`"));
        assert!(message("from = 'runs/a'\nlora = { scale = nan }").contains("`lora.scale`"));
        assert!(message("from = 'runs/a'\nlora = { layers = [] }").contains("`lora.layers`"));
        assert!(message("from = 'runs/a'\nfreze = []").contains("did you mean `freeze`?"));
    }
}
