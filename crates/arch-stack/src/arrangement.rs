//! Where the norms of a block stand, and how a branch joins the tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the norms stand around the branch `f` of a sequence or channel mixer, and how it joins the tokens `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arrangement {
    /// `x + f(norm(x))`: Xiong et al. 2020, arXiv:2002.04745, table 1, right.
    #[default]
    Pre,
    /// `norm(x + f(x))`: Vaswani et al. 2017, arXiv:1706.03762, section 3.1.
    Post,
    /// `x + norm₂(f(norm₁(x)))`: Ding et al., CogView, 2021, arXiv:2105.13290, section 2.4; Gemma 2.
    Sandwich,
    /// `x + norm(f(x))`: OLMo 2, 2025, arXiv:2501.00656, section 3.2.
    Branch,
    /// `norm(x) + f(norm(x))`: MiniMax-01, 2025, arXiv:2501.08313.
    Carried,
}

impl Arrangement {
    /// Whether a branch has a second norm.
    pub(crate) fn doubled(self) -> bool {
        self == Self::Sandwich
    }
}

/// What the tokens and the branch are multiplied by before they are added.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scales {
    /// Factor of the tokens that skip the branch.
    pub skip: f64,
    /// Factor of the branch.
    pub branch: f64,
}

impl Default for Scales {
    fn default() -> Self {
        Self { skip: 1.0, branch: 1.0 }
    }
}
