//! What flows between the parts of a network.

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Shared};

/// Height and width of a picture whose tokens stand row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

    /// Tokens of this grid as a picture: `[batch, height × width, channels]` → `[batch, channels, height, width]`.
    pub fn picture(&self, tokens: Tensor<3>) -> Tensor<4> {
        let [batch, _, channels] = tokens.dims();
        // A picture of one channel lies in memory as its tokens do.
        match channels {
            1 => tokens.reshape([batch, 1, self.height, self.width]),
            _ => tokens.swap_dims(1, 2).reshape([batch, channels, self.height, self.width]),
        }
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

    /// A picture `[batch, channels, height, width]` as tokens, row by row. All of them are real.
    pub fn of_picture(picture: Tensor<4>) -> Self {
        let [batch, channels, height, width] = picture.dims();
        let tokens = picture.reshape([batch, channels, height * width]).swap_dims(1, 2);
        Self { grid: Some(Grid { height, width }), ..Self::row(tokens) }
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

    /// The grid that `component` needs.
    ///
    /// # Errors
    /// When the features are no picture.
    pub fn grid_for(&self, component: &str) -> Result<Grid> {
        self.grid.ok_or_else(|| {
            Error::input(
                component,
                format!("its input is a row of {self}, not a picture"),
                "features with a height and a width",
                "choose a data model of pictures without learned tokens beside them, or a component for rows",
            )
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData};

    #[test]
    fn tokens_become_a_picture_and_come_back() {
        let device = ansatz_device::open("cpu").unwrap();
        let grid = Grid { height: 3, width: 4 };
        for channels in [1, 3] {
            let tokens = Tensor::<3>::random([2, 12, channels], Distribution::Default, &device);
            let picture = grid.picture(tokens.clone());
            assert_eq!(picture.dims(), [2, channels, 3, 4]);
            let at = |picture: TensorData| picture.try_to_vec::<f32>().unwrap();
            let pixel = picture.clone().slice([1..2, channels - 1..channels, 2..3, 1..2]);
            let token = tokens.clone().slice([1..2, 9..10, channels - 1..channels]);
            assert_eq!(at(pixel.into_data()), at(token.into_data()));
            let back = Features::of_picture(picture);
            assert_eq!(back.grid, Some(grid));
            back.tokens.into_data().assert_eq(&tokens.into_data(), true);
        }
    }

    #[test]
    fn a_row_has_no_grid_to_give() {
        let picture = FeatureSpec::picture(Grid { height: 2, width: 3 }, 4);
        assert_eq!(picture.grid_for("pool").unwrap(), Grid { height: 2, width: 3 });
        let message = FeatureSpec::row(6, 4).grid_for("pool").unwrap_err().to_string();
        assert!(message.contains("pool: its input is a row of 6 tokens of 4, not a picture"), "{message}");
    }
}
