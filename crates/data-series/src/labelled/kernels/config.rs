//! Which kernels there are.

use ansatz_core::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kernels that a series is seen by: `kernels = { mini_rocket = {} }`, `kernels = { hydra = {} }` or both.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KernelsConfig {
    /// At how many steps each of 84 kernels answers more than a threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mini_rocket: Option<MiniRocketConfig>,
    /// How often, and by how much, a kernel of a group is the one that answers most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hydra: Option<HydraConfig>,
}

/// MiniRocket: Dempster, Schmidt and Webb, MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series
/// Classification, 2021, arXiv:2012.08791.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MiniRocketConfig {
    /// Responses of a series, 84 up to 1008000, rounded down to a multiple of 84.
    #[schemars(range(min = 84, max = 1008000))]
    pub features: usize,
    /// The most distances between the taps of a kernel, at least 1.
    #[schemars(range(min = 1))]
    pub dilations: usize,
}

/// Hydra: Dempster, Schmidt and Webb, Hydra: Competing Convolutional Kernels for Fast and Accurate Time Series
/// Classification, 2023, arXiv:2203.13652.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HydraConfig {
    /// Groups of kernels for each distance between taps, an even number, 2 up to 4096: half of them see a series, half how
    /// it changes from step to step.
    #[schemars(range(min = 2, max = 4096))]
    pub groups: usize,
    /// Kernels of a group, which compete, 2 up to 4096.
    #[schemars(range(min = 2, max = 4096))]
    pub kernels: usize,
}

impl Default for MiniRocketConfig {
    fn default() -> Self {
        Self { features: 9996, dilations: 32 }
    }
}

impl Default for HydraConfig {
    fn default() -> Self {
        Self { groups: 64, kernels: 8 }
    }
}

impl KernelsConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// With the key, what it says and its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.mini_rocket.is_none() && self.hydra.is_none() {
            return Err(ConfigError::value(
                "mini_rocket",
                "no kernels at all",
                "mini_rocket = {}, hydra = {}, or both",
            ));
        }
        if let Some(MiniRocketConfig { features, dilations }) = &self.mini_rocket {
            if !(84..=1_008_000).contains(features) {
                let problem = format!("{features} responses");
                return Err(ConfigError::value("mini_rocket.features", problem, "84 up to 1008000"));
            }
            if *dilations == 0 {
                return Err(ConfigError::value("mini_rocket.dilations", "0 distances", "at least 1"));
            }
        }
        if let Some(HydraConfig { groups, kernels }) = &self.hydra {
            if !(2..=4096).contains(groups) || groups % 2 == 1 {
                let problem = format!("{groups} groups");
                return Err(ConfigError::value("hydra.groups", problem, "an even number, 2 up to 4096"));
            }
            if !(2..=4096).contains(kernels) {
                let problem = format!("{kernels} kernels");
                return Err(ConfigError::value("hydra.kernels", problem, "2 up to 4096"));
            }
        }
        Ok(())
    }
}
