//! `kind = "shrink"`: which units of a network are cut out.

use std::collections::BTreeMap;

use ansatz_core::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Cuts whole units out of a network, so that a smaller one of the same kind comes out: channels of convolutions,
/// neurons, heads, blocks.
///
/// A width is a whole number of the config, named by its path. Which axes of which weights belong to its units is found
/// by building the network with other numbers, and proved before anything is cut: units in another order must leave the
/// outputs as they are, and a network without some units must say what the whole one says when these are zero. What is
/// no width in this sense, such as one that a norm spans, is refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShrinkConfig {
    /// The share of the floating-point operations that is left, above 0 and below 1: widths are cut until no more
    /// remain. Left out: `widths` say how many units stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flops: Option<f64>,
    /// What is cut. Empty beside `flops`: every width of the backbone that can be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub widths: Vec<WidthConfig>,
    /// Whole blocks that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlocksConfig>,
    /// What the units that stay are a multiple of, where they were more: 8 suits the kernels of processors. 0 and 1: any
    /// number.
    pub multiple: usize,
    /// Which units go first.
    pub importance: Importance,
    /// Values at keys that the config leaves out, written into it before all else. They must leave the network as it is:
    /// `"backbone.pattern[0].head_width" = 16` makes heads of a size of their own, of which some can go.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub given: BTreeMap<String, usize>,
}

/// Units that are cut out of a width.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct WidthConfig {
    /// The path of the number in the config, such as `backbone.stages[0].widths[1]`. One that the config leaves out, such
    /// as `backbone.channels[0].hidden`, is found from the sizes of the weights.
    pub key: String,
    /// Paths of numbers that fall with it, in the same ratio.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// The share of the units that stays, above 0 and below 1. Left out beside `flops`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<f64>,
}

/// Blocks that are left out: those without which the loss on training data is least, one after the other.
///
/// Men et al., "ShortGPT: layers in large language models are more redundant than you expect", 2024, arXiv:2403.03853,
/// there by how little a block changes what passes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(inline)]
pub struct BlocksConfig {
    /// The path of their number in the config, such as `backbone.depth`.
    pub key: String,
    /// How many are left out, at least 1.
    #[schemars(range(min = 1))]
    pub drop: usize,
}

/// Which units go first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Importance {
    /// Those whose weights, coming in and going out, have the least Euclidean norm.
    #[default]
    L2,
    /// Those whose weights coming in have the least sum of magnitudes. Li et al., "Pruning filters for efficient
    /// ConvNets", 2017, arXiv:1608.08710, section 3.1.
    L1,
}

impl ShrinkConfig {
    /// Checks what can be checked without a network.
    ///
    /// # Errors
    /// With the path of the value at fault.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.flops.is_none() && self.widths.is_empty() && self.blocks.is_empty() {
            let expected = "`flops`, a share, or `widths` or `blocks`, lists";
            return Err(ConfigError::value("", "it says nothing to cut", expected));
        }
        share("flops", self.flops)?;
        for (index, width) in self.widths.iter().enumerate() {
            let path = |key: &str| format!("widths[{index}].{key}");
            key(&path("key"), &width.key)?;
            width.with.iter().try_for_each(|other| key(&path("with"), other))?;
            share(&path("keep"), width.keep)?;
            if self.flops.is_some() == width.keep.is_some() {
                let (problem, expected) = match width.keep {
                    Some(_) => ("`flops` says already how much is cut", "none beside `flops`"),
                    None => ("it is missing", "a share above 0 and below 1, or `flops` beside `widths`"),
                };
                return Err(ConfigError::value(path("keep"), problem, expected));
            }
        }
        for (index, blocks) in self.blocks.iter().enumerate() {
            key(&format!("blocks[{index}].key"), &blocks.key)?;
            if blocks.drop == 0 {
                let path = format!("blocks[{index}].drop");
                return Err(ConfigError::value(path, "0 leaves all", "a whole number, at least 1"));
            }
        }
        Ok(())
    }

    /// What units that stay are a multiple of, at least 1.
    pub(super) fn multiple(&self) -> usize {
        self.multiple.max(1)
    }
}

fn share(path: &str, given: Option<f64>) -> Result<(), ConfigError> {
    match given {
        Some(given) if !(given > 0.0 && given < 1.0) => {
            Err(ConfigError::value(path, format!("{given} is out of range"), "a share above 0 and below 1"))
        }
        _ => Ok(()),
    }
}

fn key(path: &str, given: &str) -> Result<(), ConfigError> {
    if given.is_empty() {
        let expected = "the path of a number, such as backbone.stages[0].widths[1]";
        return Err(ConfigError::value(path, "it is missing", expected));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_and_unknown_keys_are_refused() {
        let message = |text: &str| {
            let config: Result<ShrinkConfig, _> = toml::from_str(text);
            match config {
                Ok(config) => config.check().unwrap_err().to_string(),
                Err(error) => error.to_string(),
            }
        };
        for (text, problem) in [
            ("", "nothing to cut"),
            ("flops = 0.0", "`flops`: 0 is out of range"),
            ("flops = 1.0", "`flops`: 1 is out of range"),
            ("flops = nan", "`flops`: NaN is out of range"),
            ("flop = 0.5", "unknown field"),
            ("widths = [{ keep = 0.5 }]", "`widths[0].key`: it is missing"),
            ("widths = [{ key = 'a' }]", "`widths[0].keep`: it is missing"),
            ("widths = [{ key = 'a', keep = 0 }]", "`widths[0].keep`: 0 is out of range"),
            ("widths = [{ key = 'a', keep = 1 }]", "`widths[0].keep`: 1 is out of range"),
            ("flops = 0.5\nwidths = [{ key = 'a', keep = 0.5 }]", "says already"),
            ("widths = [{ key = 'a', keep = 0.5, with = [''] }]", "`widths[0].with`: it is missing"),
            ("blocks = [{ key = 'a' }]", "`blocks[0].drop`: 0 leaves all"),
            ("blocks = [{ drop = 1 }]", "`blocks[0].key`: it is missing"),
        ] {
            let message = message(text);
            assert!(message.contains(problem), "{text}: {message}");
        }
        let config: ShrinkConfig = toml::from_str("flops = 0.5\nwidths = [{ key = 'a' }]").unwrap();
        assert!(config.check().is_ok());
    }
}
