//! Each step a token.

use ansatz_core::{FeatureSpec, Features, Inputs, Layer, Result, Stem};
use ansatz_ops::{Linear, LinearConfig};
use burn::module::Module;
use burn::tensor::Device;

use crate::InstanceNorm;
use crate::stem::{SeriesShape, project, projection_layer, read_columns, read_mask, width};

/// Each step a token, its channels and calendar readings mapped linearly:
/// `[batch, length, channels + readings]` → `[batch, length, width]`. Without a width to map to, tokens are
/// the channels and readings themselves.
#[derive(Module, Debug)]
pub struct Steps {
    /// `[channels + readings, width]`, where tokens are projected.
    pub projection: Option<Linear>,
    #[module(skip)]
    shape: SeriesShape,
    #[module(skip)]
    norm: InstanceNorm,
}

impl Steps {
    /// A stem for windows of a shape.
    pub fn new(shape: SeriesShape, norm: InstanceNorm, width: Option<usize>, device: &Device) -> Self {
        let own = shape.channels + shape.marks;
        let projection = width.map(|width| LinearConfig::new(own, width).init(device));
        Self { projection, shape, norm }
    }
}

impl Stem for Steps {
    fn forward(&self, inputs: &Inputs) -> Result<Features> {
        let (tokens, shared) = read_columns(inputs, self.shape, self.norm)?;
        let mask = read_mask(inputs, self.shape.length)?;
        Ok(Features { shared, mask, ..Features::row(project(self.projection.as_ref(), tokens)) })
    }

    fn output(&self) -> FeatureSpec {
        let own = self.shape.channels + self.shape.marks;
        FeatureSpec::row(self.shape.length, width(self.projection.as_ref(), own))
    }

    fn layers(&self) -> Vec<Layer> {
        self.projection.iter().map(|projection| projection_layer(projection, self.shape.length)).collect()
    }
}
