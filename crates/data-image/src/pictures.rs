//! Pictures as bytes, four times smaller than floats and exact: in memory, or decoded from files when they are asked for.

use std::borrow::Cow;
use std::path::PathBuf;

use ansatz_core::Result;
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

use crate::decode::Decoder;

/// Bytes of decoded pictures from which on they stay in their files. It changes no result.
pub(crate) const STREAMED_FROM: usize = 1 << 32;

/// Where the bytes of pictures are.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// In memory, `[examples, height, width, channels]`.
    Held(Vec<u8>),
    /// In files, each of which is decoded whenever it is asked for; where there is none, all is background.
    Files(Vec<Option<PathBuf>>, Decoder),
}

impl Pixels {
    /// Those of `places`, each `size` bytes, in this order.
    fn select(&self, places: &[usize], size: usize) -> Self {
        match self {
            Self::Held(all) => Self::Held(
                places.iter().flat_map(|&place| all[place * size..][..size].iter().copied()).collect(),
            ),
            Self::Files(all, decoder) => {
                Self::Files(places.iter().map(|&place| all[place].clone()).collect(), *decoder)
            }
        }
    }
}

/// Labelled pictures of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// The size of each.
    pub size: PictureSize,
    /// The byte that stands for full brightness, 1.0: 255, or 16 for the UCI digits.
    pub full_scale: u8,
    /// All pictures.
    pub pixels: Pixels,
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
    /// # Errors
    /// When its file is no longer there, or no longer a picture.
    ///
    /// # Panics
    /// If there is no such picture.
    pub fn bytes(&self, index: usize) -> Result<Cow<'_, [u8]>> {
        let values = self.size.values();
        match &self.pixels {
            Pixels::Held(all) => Ok(Cow::Borrowed(&all[index * values..][..values])),
            Pixels::Files(files, decoder) => match &files[index] {
                Some(file) => decoder.read(file).map(Cow::Owned),
                None => Ok(Cow::Owned(vec![decoder.background(); values])),
            },
        }
    }

    /// Writes one picture as values in 0–1.
    ///
    /// # Errors
    /// As [`Pictures::bytes`].
    ///
    /// # Panics
    /// If there is no such picture, or `into` is shorter than a picture.
    pub fn write(&self, index: usize, into: &mut [f32]) -> Result<()> {
        let full_scale = f32::from(self.full_scale);
        for (value, &byte) in into.iter_mut().zip(&*self.bytes(index)?) {
            *value = f32::from(byte) / full_scale;
        }
        Ok(())
    }

    /// The pictures of these indices, in this order.
    ///
    /// # Panics
    /// If one of them does not exist.
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            size: self.size,
            full_scale: self.full_scale,
            pixels: self.pixels.select(indices, self.size.values()),
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
        }
    }
}
