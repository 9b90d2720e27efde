//! Fitted preprocessing: from a file to what the network reads.

use std::path::{Path, PathBuf};

use ansatz_core::{Batch, BoxedStem, Build, Encoder, Error, Exhibit, FileBatches, Result, Target, Targets};
use burn::tensor::TensorData;
use rand::Rng;

use crate::config::ImageConfig;
use crate::contact_sheet::{beside, enlarge, to_png};
use crate::decode::picture_files;
use crate::masking::Masking;
use crate::preparation::Preparation;
use crate::stem::{self, StemConfig};

/// Fitted preprocessing of pictures.
#[derive(Debug, Clone)]
pub struct ImageEncoder {
    preparation: Preparation,
    stem: StemConfig,
    mirror: bool,
    target: Target,
}

impl ImageEncoder {
    /// An encoder from what was fitted and the config.
    pub fn new(preparation: Preparation, config: &ImageConfig) -> Self {
        let target = match config.masking {
            Some(_) => Target::HiddenValues(config.stem.hidden_values(preparation.size)),
            None => Target::Classes { names: preparation.classes.clone() },
        };
        Self { preparation, stem: config.stem.clone(), mirror: config.mirror, target }
    }

    /// What was fitted.
    pub fn fitted(&self) -> &Preparation {
        &self.preparation
    }

    /// A batch of normalised values `[examples, height, width, channels]`.
    pub(crate) fn batch(&self, mut values: Vec<f32>, targets: Targets) -> Batch {
        self.preparation.normalisation.apply(&mut values);
        self.scaled_batch(values, targets)
    }

    /// A batch of values that are normalised already.
    fn scaled_batch(&self, values: Vec<f32>, targets: Targets) -> Batch {
        let size = self.preparation.size;
        let examples = values.len() / size.values();
        let pixels = TensorData::new(values, [examples, size.height, size.width, size.channels]);
        Batch { examples, inputs: vec![(stem::INPUT.to_owned(), pixels)], targets }
    }

    /// The same, of which `masking` hides patches of each example as `random` of its place says.
    pub(crate) fn masked_batch<R: Rng>(
        &self,
        mut values: Vec<f32>,
        masking: &Masking,
        random: impl Fn(usize) -> R,
    ) -> Batch {
        let Preparation { size, normalisation, .. } = &self.preparation;
        normalisation.apply(&mut values);
        let (told, mut hidden) = (values.clone(), Vec::with_capacity(values.len()));
        for (place, picture) in values.chunks_exact_mut(size.values()).enumerate() {
            masking.apply(picture, *size, &mut hidden, &mut random(place));
        }
        self.scaled_batch(values, Targets::HiddenValues { values: told, hidden })
    }
}

impl Encoder for ImageEncoder {
    fn target(&self) -> &Target {
        &self.target
    }

    fn preparation(&self) -> Result<ansatz_core::Preparation> {
        self.preparation.to_json()
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        self.stem.init(self.preparation.size, width, build.device)
    }

    /// What the network saw, what it told, and what is there, side by side.
    fn restored(&self, asked: &Targets, _index: usize, outputs: &[f32]) -> Result<Option<Exhibit>> {
        /// The byte of a hidden pixel.
        const HIDDEN: u8 = 128;
        let Targets::HiddenValues { values, hidden } = asked else { return Ok(None) };
        let Preparation { size, normalisation, .. } = &self.preparation;
        let byte = |values: &[f32], at: usize| normalisation.to_byte(values[at], at % size.channels);
        let draw =
            |byte: &dyn Fn(usize) -> u8| enlarge(&(0..size.values()).map(byte).collect::<Vec<u8>>(), *size);
        let seen = draw(&|at| if hidden[at] { HIDDEN } else { byte(values, at) });
        let told = draw(&|at| byte(if hidden[at] { outputs } else { values }, at));
        to_png(&beside(&[seen, told, draw(&|at| byte(values, at))])).map(|png| Some(Exhibit::Png(png)))
    }

    /// The mirror images, where they are judged too.
    fn views(&self, batch: &Batch) -> Result<Vec<Batch>> {
        if !self.mirror {
            return Ok(Vec::new());
        }
        let mirrored = |(name, pixels): &(String, TensorData)| {
            let [.., width, channels] = pixels.shape()[..] else {
                return Err(Error::Failed(format!("input `{name}` is no picture")));
            };
            let shape = pixels.shape().clone();
            let values: Vec<f32> = pixels
                .iter::<f32>()
                .collect::<Vec<_>>()
                .chunks_exact(width * channels)
                .flat_map(|row| row.chunks_exact(channels).rev().flatten().copied().collect::<Vec<_>>())
                .collect();
            Ok((name.clone(), TensorData::new(values, shape)))
        };
        let inputs = batch.inputs.iter().map(mirrored).collect::<Result<_>>()?;
        Ok(vec![Batch { inputs, ..batch.clone() }])
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        picture_files(path)
    }

    fn usual_file(&self) -> &'static str {
        "PICTURE.png"
    }

    fn encode(&self, path: &Path) -> Result<FileBatches<'_>> {
        let bytes = self.preparation.decoder().read(path)?;
        let values = bytes.into_iter().map(|byte| f32::from(byte) / 255.0).collect();
        Ok(FileBatches::alone(self.batch(values, Targets::Unknown)))
    }
}
