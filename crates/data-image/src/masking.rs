//! Hiding patches of pictures, for a network to tell them from those around them.

use ansatz_core::ConfigError;
use ansatz_data::{check_hidden_share, hidden_patches};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pictures::PictureSize;

/// Patches that are hidden, for the network to tell from those around them (Xie et al., SimMIM, 2022, arXiv:2111.09886,
/// section 3.2): on the scale of the network their pixels become 0, which is the mean of the training part where that is
/// taken off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Masking {
    /// Side of a hidden patch in pixels, at least 1, and less than a side of the picture. It need not be that of
    /// `stem.patches`: hidden pixels are hidden, whatever token they are in.
    pub size: usize,
    /// The share of the patches that is hidden, above 0 and below 1.
    pub share: f64,
}

impl Default for Masking {
    fn default() -> Self {
        Self { size: 4, share: 0.6 }
    }
}

impl Masking {
    /// Checks the ranges.
    ///
    /// # Errors
    /// With the key, what it says and its range.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.size == 0 {
            return Err(ConfigError::value("size", "0 pixels", "at least 1 pixel"));
        }
        check_hidden_share(self.share)
    }

    /// Refuses patches that are as large as a whole picture.
    pub(crate) fn fits(&self, size: PictureSize) -> Result<(), ConfigError> {
        if self.size < size.height || self.size < size.width {
            return Ok(());
        }
        let problem = format!("patches of {} pixels leave nothing of pictures of {size}", self.size);
        Err(ConfigError::value("masking.size", problem, "less than a side of the picture"))
    }

    /// Hides patches of `picture`, on the scale of the network, where 0 is the mean of the training part; adds to `hidden`
    /// which of its values are.
    pub(crate) fn apply(
        &self,
        picture: &mut [f32],
        size: PictureSize,
        hidden: &mut Vec<bool>,
        random: &mut impl Rng,
    ) {
        let [rows, columns] = [size.height, size.width].map(|side| side.div_ceil(self.size));
        let patches = hidden_patches(self.share, rows * columns, random);
        let of_row = size.width * size.channels;
        for (at, value) in picture.iter_mut().enumerate() {
            let (row, column) = (at / of_row / self.size, at % of_row / size.channels / self.size);
            let is_hidden = patches[row * columns + column];
            hidden.push(is_hidden);
            if is_hidden {
                *value = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_data::hiding;

    #[test]
    fn whole_patches_are_hidden_in_all_channels() {
        let size = PictureSize { height: 6, width: 5, channels: 2 };
        for index in 0..20 {
            let (mut picture, mut hidden) = (vec![1.0; size.values()], Vec::new());
            let masking = Masking { size: 2, share: 0.3 };
            masking.apply(&mut picture, size, &mut hidden, &mut hiding(None, index));
            let at = |row: usize, column: usize, channel: usize| hidden[(row * 5 + column) * 2 + channel];
            let mut patches = 0;
            for row in (0..6).step_by(2) {
                for column in (0..5).step_by(2) {
                    let first = at(row, column, 0);
                    patches += usize::from(first);
                    for below in 0..2 {
                        for beside in 0..2.min(5 - column) {
                            assert_eq!(
                                [0, 1].map(|channel| at(row + below, column + beside, channel)),
                                [first; 2]
                            );
                        }
                    }
                }
            }
            assert_eq!(patches, 3, "of nine");
            assert!(picture.iter().zip(&hidden).all(|(value, hidden)| (*value == 0.0) == *hidden));
        }
    }
}
