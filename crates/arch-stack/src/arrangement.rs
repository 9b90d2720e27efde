//! Where the norms of a block stand, and how a branch joins the tokens.

use ansatz_ops::Norm;
use burn::tensor::{Bool, Tensor};
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
    /// `x + g(norm(f(x)))` with the channel mixer `g` on the branch of the sequence mixer `f`: ConvNeXt, Liu et al.
    /// 2022, arXiv:2201.03545, figure 4. Where there is no channel mixer, `x + f(x)`.
    Single,
}

/// What a norm brings to one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormOver {
    /// Each token by itself.
    #[default]
    Token,
    /// All tokens of an example together, as a group norm with one group: PoolFormer. A token then depends on those
    /// behind it, so that there is no recurrent form.
    Example,
}

impl NormOver {
    /// `[batch, length, width]` → the same, brought to one scale.
    pub(crate) fn apply(self, norm: &Norm, tokens: Tensor<3>, mask: Option<&Tensor<2, Bool>>) -> Tensor<3> {
        match self {
            Self::Token => norm.forward(tokens),
            Self::Example => norm.over_example(tokens, mask),
        }
    }
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
