//! From several modalities to one X.

mod branch;
mod cross;
mod features;
mod gated;
#[cfg(test)]
mod tests;
mod tokens;

use ansatz_core::{ConfigError, FeatureSpec, Features, Inputs, Layer, Result, Stem};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use branch::Branch;
pub use cross::CrossAttention;
pub use features::ConcatFeatures;
pub use gated::Gated;
pub use tokens::ConcatTokens;

use crate::FusedConfig;

/// The input `[batch, modalities]` that is 1 where an example has a modality, else 0.
pub const PRESENT: &str = "present";

/// How modalities are joined: `join = "concat-features"`, or `join = { cross-attention = { heads = 4 } }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// Each modality becomes one vector; these, one behind the other, are X, a single token.
    #[default]
    ConcatFeatures,
    /// The tokens of all modalities one behind the other, each with a learned vector of its modality.
    ConcatTokens,
    /// The tokens of the first modality, which attend to those of the others.
    CrossAttention(JoinByAttention),
    /// Each modality becomes one vector, and gates that see all of them say how much of each there is in X, a single
    /// token.
    Gated,
}

/// Attention of the first modality's tokens to those of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JoinByAttention {
    /// Heads, at least 1; must divide the width.
    #[schemars(range(min = 1))]
    pub heads: usize,
}

impl Default for JoinByAttention {
    fn default() -> Self {
        Self { heads: 4 }
    }
}

/// Values of a token where the backbone takes any number.
const USUAL_WIDTH: usize = 64;

impl Join {
    pub(crate) fn check(&self, modalities: usize) -> Result<(), ConfigError> {
        match self {
            Self::CrossAttention(JoinByAttention { heads: 0 }) => {
                Err(ConfigError::value("cross-attention.heads", "0 heads", "at least 1"))
            }
            Self::CrossAttention(_) if modalities < 2 => {
                let problem = "there is no second modality to attend to";
                Err(ConfigError::value("", problem, "another join, or more modalities"))
            }
            _ => Ok(()),
        }
    }

    /// The width of the tokens that a modality's stem is asked for: features of any width can be concatenated.
    pub(crate) fn wanted_width(&self, width: Option<usize>) -> Option<usize> {
        match self {
            Self::ConcatFeatures | Self::Gated => None,
            Self::ConcatTokens | Self::CrossAttention(_) => Some(width.unwrap_or(USUAL_WIDTH)),
        }
    }
}

/// What comes out of the branches, as one.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has one of them")]
pub enum Joined {
    /// See [`Join::ConcatFeatures`].
    Features(ConcatFeatures),
    /// See [`Join::ConcatTokens`].
    Tokens(ConcatTokens),
    /// See [`Join::CrossAttention`].
    Attention(CrossAttention),
    /// See [`Join::Gated`].
    Gated(Gated),
}

/// A branch for each modality, and what joins them.
///
/// # Shapes
/// The inputs of each modality, named `modality/input`, and [`PRESENT`] → `[batch, length, width]`: one token where
/// features are joined, else the tokens of all modalities or of the first.
#[derive(Module, Debug)]
pub struct FusedStem {
    /// In the order of the config.
    pub branches: Vec<Branch>,
    /// What joins them.
    pub joined: Joined,
}

impl FusedStem {
    /// Joins `branches` for a backbone that wants tokens of `width` values or takes what comes.
    ///
    /// # Errors
    /// When the heads do not divide the width.
    pub(crate) fn new(
        branches: Vec<Branch>,
        config: &FusedConfig,
        width: Option<usize>,
        device: &Device,
    ) -> Result<Self> {
        let specs: Vec<FeatureSpec> = branches.iter().map(Branch::output).collect();
        let usual = width.unwrap_or(USUAL_WIDTH);
        let joined = match config.join {
            Join::ConcatFeatures => {
                Joined::Features(ConcatFeatures::new(&specs, &config.modalities, width, device))
            }
            Join::ConcatTokens => Joined::Tokens(ConcatTokens::new(&specs, usual, device)),
            Join::CrossAttention(JoinByAttention { heads }) => {
                let attention = CrossAttention::new(&specs, usual, heads, device);
                Joined::Attention(attention.map_err(|error| error.under("join.cross-attention"))?)
            }
            Join::Gated => Joined::Gated(Gated::new(&specs, &config.modalities, usual, device)),
        };
        Ok(Self { branches, joined })
    }
}

impl Stem for FusedStem {
    fn forward(&self, inputs: &Inputs) -> Result<Features> {
        let present = inputs.float::<2>(PRESENT)?;
        let [batch, _] = present.dims();
        let mut features = Vec::with_capacity(self.branches.len());
        let mut losses: Option<Tensor<1>> = None;
        for (index, branch) in self.branches.iter().enumerate() {
            let own = present.clone().narrow(1, index, 1).reshape([batch, 1, 1]);
            let found = branch.forward(inputs, own)?;
            if let Some(loss) = found.features.shared.loss() {
                losses = Some(match losses {
                    Some(sum) => sum + loss,
                    None => loss,
                });
            }
            features.push(found);
        }
        let joined = match &self.joined {
            Joined::Features(join) => join.forward(features),
            Joined::Tokens(join) => join.forward(features),
            Joined::Attention(join) => join.forward(features),
            Joined::Gated(join) => join.forward(features),
        };
        if let Some(loss) = losses {
            joined.shared.add_loss(loss);
        }
        Ok(joined)
    }

    fn output(&self) -> FeatureSpec {
        match &self.joined {
            Joined::Features(join) => join.output(),
            Joined::Tokens(join) => join.output(),
            Joined::Attention(join) => join.output(),
            Joined::Gated(join) => join.output(),
        }
    }

    fn layers(&self) -> Vec<Layer> {
        let output = self.output();
        let (parameters, flops) = match &self.joined {
            Joined::Features(join) => (join.num_params(), join.flops()),
            Joined::Tokens(join) => (join.num_params(), join.flops()),
            Joined::Attention(join) => (join.num_params(), join.flops()),
            Joined::Gated(join) => (join.num_params(), join.flops()),
        };
        let join = Layer {
            name: "joined".to_owned(),
            output: output.to_string(),
            parameters,
            flops,
            activations: output.length * output.width,
        };
        self.branches.iter().flat_map(Branch::layers).chain([join]).collect()
    }
}
