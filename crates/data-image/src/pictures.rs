//! Pictures in memory, as bytes: four times smaller than floats and exact.

use serde::{Deserialize, Serialize};

/// Height, width and channels of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureSize {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Values per pixel: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
}

impl PictureSize {
    /// Values in a picture: `height × width × channels`.
    pub fn values(&self) -> usize {
        self.height * self.width * self.channels
    }
}

impl std::fmt::Display for PictureSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}×{}", self.height, self.width, self.channels)
    }
}

/// Labelled pictures of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pictures {
    /// The size of each.
    pub size: PictureSize,
    /// The byte that stands for full brightness, 1.0: 255, or 16 for the UCI digits.
    pub full_scale: u8,
    /// All pictures, `[examples, height, width, channels]`.
    pub pixels: Vec<u8>,
    /// The class of each picture.
    pub labels: Vec<usize>,
}

impl Pictures {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The bytes of one picture, `[height, width, channels]`.
    ///
    /// # Panics
    /// If there is no such picture.
    pub fn bytes(&self, index: usize) -> &[u8] {
        let values = self.size.values();
        &self.pixels[index * values..][..values]
    }

    /// Writes one picture as values in 0–1.
    ///
    /// # Panics
    /// If there is no such picture, or `into` is shorter than a picture.
    pub fn write(&self, index: usize, into: &mut [f32]) {
        let full_scale = f32::from(self.full_scale);
        for (value, &byte) in into.iter_mut().zip(self.bytes(index)) {
            *value = f32::from(byte) / full_scale;
        }
    }

    /// The pictures of these indices, in this order.
    ///
    /// # Panics
    /// If one of them does not exist.
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            size: self.size,
            full_scale: self.full_scale,
            pixels: indices.iter().flat_map(|&index| self.bytes(index).iter().copied()).collect(),
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
        }
    }
}
