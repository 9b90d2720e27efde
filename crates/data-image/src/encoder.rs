//! Fitted preprocessing: from a file to what the network reads.

use std::path::{Path, PathBuf};

use ansatz_core::{Batch, BoxedStem, Encoder, Result, Target, Targets};
use burn::tensor::{Device, TensorData};

use crate::decode::{Decoder, picture_files};
use crate::preparation::Preparation;
use crate::stem::{self, StemConfig};

/// Fitted preprocessing of pictures.
#[derive(Debug, Clone)]
pub struct ImageEncoder {
    preparation: Preparation,
    stem: StemConfig,
    target: Target,
}

impl ImageEncoder {
    /// An encoder from what was fitted and the stem's config.
    pub fn new(preparation: Preparation, stem: StemConfig) -> Self {
        let target = Target::Classes { names: preparation.classes.clone() };
        Self { preparation, stem, target }
    }

    /// What was fitted.
    pub fn fitted(&self) -> &Preparation {
        &self.preparation
    }

    /// A batch of normalised values `[examples, height, width, channels]`.
    pub(crate) fn batch(&self, mut values: Vec<f32>, targets: Targets) -> Batch {
        let size = self.preparation.size;
        self.preparation.normalisation.apply(&mut values);
        let examples = values.len() / size.values();
        let pixels = TensorData::new(values, [examples, size.height, size.width, size.channels]);
        Batch { examples, inputs: vec![(stem::INPUT.to_owned(), pixels)], targets }
    }
}

impl Encoder for ImageEncoder {
    fn target(&self) -> &Target {
        &self.target
    }

    fn preparation(&self) -> Result<ansatz_core::Preparation> {
        self.preparation.to_json()
    }

    fn stem(&self, width: Option<usize>, device: &Device) -> Result<BoxedStem> {
        self.stem.init(self.preparation.size, width, device)
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        picture_files(path)
    }

    fn encode(&self, path: &Path) -> Result<Batch> {
        let Preparation { size, background, invert, .. } = self.preparation;
        let bytes = Decoder { size, background, invert }.read(path)?;
        let values = bytes.into_iter().map(|byte| f32::from(byte) / 255.0).collect();
        Ok(self.batch(values, Targets::Unknown))
    }
}
