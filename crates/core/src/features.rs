//! What flows between the parts of a network.

use burn::tensor::{Bool, Tensor};

use crate::Shared;

/// Height and width of a picture whose tokens stand row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Rows of tokens.
    pub height: usize,
    /// Tokens in a row.
    pub width: usize,
}

impl Grid {
    /// Tokens in the whole grid: `height × width`.
    pub fn tokens(&self) -> usize {
        self.height * self.width
    }
}

/// Tokens on their way through a network.
#[derive(Debug, Clone)]
pub struct Features {
    /// `[batch, length, width]`.
    pub tokens: Tensor<3>,
    /// `[batch, length]`, true where a token is real and false where it is padding; `None`: all are real.
    pub mask: Option<Tensor<2, Bool>>,
    /// Set when the tokens are a picture read row by row: `length = height × width`.
    pub grid: Option<Grid>,
    /// What earlier layers left for later ones.
    pub shared: Shared,
}

impl Features {
    /// A row of real tokens `[batch, length, width]`.
    pub fn row(tokens: Tensor<3>) -> Self {
        Self { tokens, mask: None, grid: None, shared: Shared::default() }
    }

    /// The same mask, grid and shared tensors around other tokens of the same length.
    pub fn with_tokens(&self, tokens: Tensor<3>) -> Self {
        Self { tokens, mask: self.mask.clone(), grid: self.grid, shared: self.shared.clone() }
    }

    /// What the mixers of this example set must know besides the tokens.
    pub fn context(&self) -> Context {
        Context { mask: self.mask.clone(), grid: self.grid, shared: self.shared.clone() }
    }
}

/// What a mixer may know about its tokens besides their values.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// `[batch, length]`, true where a token is real; `None`: all are real.
    pub mask: Option<Tensor<2, Bool>>,
    /// The picture the tokens were read from, if any.
    pub grid: Option<Grid>,
    /// What earlier layers left for later ones.
    pub shared: Shared,
}

/// The shape of [`Features`], known before any example is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureSpec {
    /// Values per token.
    pub width: usize,
    /// Tokens per example; the longest allowed one where lengths vary.
    pub length: usize,
    /// Set when the tokens are a picture.
    pub grid: Option<Grid>,
}

impl FeatureSpec {
    /// A row of `length` tokens.
    pub fn row(length: usize, width: usize) -> Self {
        Self { width, length, grid: None }
    }

    /// A picture of tokens.
    pub fn picture(grid: Grid, width: usize) -> Self {
        Self { width, length: grid.tokens(), grid: Some(grid) }
    }

    /// The same shape with another width.
    pub fn with_width(self, width: usize) -> Self {
        Self { width, ..self }
    }
}

impl std::fmt::Display for FeatureSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.grid {
            Some(Grid { height, width }) => write!(f, "{height}×{width} tokens of {}", self.width),
            None => write!(f, "{} tokens of {}", self.length, self.width),
        }
    }
}
