//! No channel mixer.

use ansatz_core::{BoxedChannel, Build, ChannelConfig, Component, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stands in a pattern where a block has no channel mixer, as in Mamba.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NoneConfig {}

impl Component for NoneConfig {
    const KIND: &'static str = "none";
    const ABOUT: &'static str = "no channel mixer: the block ends behind its sequence mixer";
    const CITATION: &'static str = "";
}

impl ChannelConfig for NoneConfig {
    fn init(&self, _width: usize, _build: &Build) -> Result<BoxedChannel> {
        Err(Error::Failed("the channel mixer `none` is left out and never built".to_owned()))
    }

    fn is_none(&self) -> bool {
        true
    }
}
