//! Noisy points around one centre per class.

use std::path::{Path, PathBuf};

use ansatz_core::{
    Batch, BoxedStem, Build, Component, DataModel, Encoder, Error, Exhibit, FeatureSpec, Features,
    FileBatches, Inputs, Layer, OpenData, Part, Places, Preparation, Result, Stem, Target, Targets,
    Variation,
};
use ansatz_data::{Purpose, stream};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::TensorData;
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const CLASSES: usize = 4;
const LENGTH: usize = 3;
const WIDTH: usize = 5;

/// Noisy points around one centre per class.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Blobs {
    pub(crate) train: usize,
    pub(crate) validation: usize,
    pub(crate) test: usize,
    /// Stands for data that blow up the loss.
    pub(crate) scale: f64,
    pub(crate) seed: u64,
}

impl Default for Blobs {
    fn default() -> Self {
        Self { train: 53, validation: 21, test: 30, scale: 1.0, seed: 1 }
    }
}

impl Component for Blobs {
    const KIND: &'static str = "blobs";
    const ABOUT: &'static str = "noisy points around one centre per class";
    const CITATION: &'static str = "";
}

impl DataModel for Blobs {
    fn open(&self, _places: &Places) -> Result<Box<dyn OpenData>> {
        Ok(Box::new(Opened { config: self.clone(), encoder: BlobEncoder::new(self) }))
    }

    fn restore(&self, _preparation: &Preparation) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(BlobEncoder::new(self)))
    }
}

struct Opened {
    config: Blobs,
    encoder: BlobEncoder,
}

impl OpenData for Opened {
    fn encoder(&self) -> &dyn Encoder {
        &self.encoder
    }

    fn examples(&self, part: Part) -> usize {
        match part {
            Part::Train => self.config.train,
            Part::Validation => self.config.validation,
            Part::Test => self.config.test,
        }
    }

    fn batch(&self, part: Part, indices: &[usize], variation: Option<Variation>) -> Result<Batch> {
        let mut values = Vec::new();
        for &index in indices {
            let mut example = stream(self.config.seed, Purpose::Sample, part as u64, index as u64);
            let mut varied = variation
                .map(|Variation { seed, epoch }| stream(seed, Purpose::Example, epoch, index as u64));
            for position in 0..LENGTH * WIDTH {
                let centre = if position % WIDTH == index % CLASSES { 1.0 } else { 0.0 };
                let shift = varied.as_mut().map_or(0.0, noise);
                values.push((centre + noise(&mut example) + 0.1 * shift) * self.config.scale as f32);
            }
        }
        let data = TensorData::new(values, [indices.len(), LENGTH, WIDTH]);
        Ok(Batch {
            examples: indices.len(),
            inputs: vec![("points".to_owned(), data)],
            targets: Targets::Classes(indices.iter().map(|index| index % CLASSES).collect()),
        })
    }

    fn exhibit(&self, part: Part, index: usize) -> Result<Exhibit> {
        Ok(Exhibit::Text(format!("{part} {index}")))
    }
}

fn noise(random: &mut impl Rng) -> f32 {
    random.random_range(-1.0..1.0)
}

struct BlobEncoder {
    target: Target,
    seed: u64,
}

impl BlobEncoder {
    fn new(config: &Blobs) -> Self {
        let names = (0..CLASSES).map(|class| format!("class {class}")).collect();
        Self { target: Target::Classes { names }, seed: config.seed }
    }
}

impl Encoder for BlobEncoder {
    fn target(&self) -> &Target {
        &self.target
    }

    fn preparation(&self) -> Result<Preparation> {
        Ok(serde_json::json!({ "seed": self.seed }))
    }

    fn stem(&self, width: Option<usize>, build: &Build) -> Result<BoxedStem> {
        let width = width.unwrap_or(WIDTH);
        Ok(BoxedStem::new(PointStem { linear: LinearConfig::new(WIDTH, width).init(build.device) }))
    }

    fn files(&self, path: &Path) -> Result<Vec<PathBuf>> {
        Ok(vec![path.to_owned()])
    }

    fn encode(&self, path: &Path) -> Result<FileBatches<'_>> {
        Err(Error::Failed(format!("{}: points are made up, not read", path.display())))
    }
}

#[derive(Module, Debug)]
struct PointStem {
    linear: Linear,
}

impl Stem for PointStem {
    fn forward(&self, inputs: &Inputs) -> Result<Features> {
        Ok(Features::row(self.linear.forward(inputs.float::<3>("points")?)))
    }

    fn output(&self) -> FeatureSpec {
        FeatureSpec::row(LENGTH, self.linear.weight.dims()[1])
    }

    fn layers(&self) -> Vec<Layer> {
        Vec::new()
    }
}
