//! Blanking a square (DeVries & Taylor 2017, "Improved regularization of convolutional neural networks
//! with cutout").

use ansatz_core::ConfigError;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::augment::in_range;
use crate::pictures::PictureSize;

/// A square that is blanked, its centre uniform over all pixels; parts outside the picture are cut off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Erase {
    /// Probability that a picture gets one, 0–1.
    pub probability: f64,
    /// Side of the square in pixels, at least 1. An even square reaches one pixel further up and left.
    pub size: usize,
}

impl Default for Erase {
    fn default() -> Self {
        Self { probability: 0.0, size: 8 }
    }
}

impl Erase {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        in_range("probability", self.probability, 0.0, 1.0)?;
        if self.size == 0 {
            return Err(ConfigError::value("size", "0 pixels", "at least 1 pixel"));
        }
        Ok(())
    }

    pub(super) fn apply(&self, picture: &mut [f32], size: PictureSize, fill: f32, random: &mut ChaCha8Rng) {
        if self.probability <= 0.0 || !random.random_bool(self.probability) {
            return;
        }
        let rows = self.around(random.random_range(0..size.height), size.height);
        let columns = self.around(random.random_range(0..size.width), size.width);
        let row_values = size.width * size.channels;
        for row in rows {
            let values = &mut picture[row * row_values..][..row_values];
            values[columns.start * size.channels..columns.end * size.channels].fill(fill);
        }
    }

    fn around(&self, centre: usize, length: usize) -> std::ops::Range<usize> {
        let before = self.size / 2;
        centre.saturating_sub(before)..(centre + self.size - before).min(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_cut_at_the_border() {
        let erase = Erase { probability: 1.0, size: 8 };
        assert_eq!(erase.around(14, 28), 10..18);
        assert_eq!(erase.around(0, 28), 0..4);
        assert_eq!(erase.around(27, 28), 23..28);
        assert_eq!(Erase { probability: 1.0, size: 1 }.around(5, 28), 5..6);
    }
}
