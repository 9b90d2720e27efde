//! Each step a token.

use ansatz_core::{FeatureSpec, Features, Inputs, Layer, Result, Shared, Stem};
use ansatz_ops::{Linear, LinearConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::InstanceNorm;
use crate::stem::{SeriesShape, VALUES, project, projection_layer, read, read_marks, read_mask, width};

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
        let values = read(inputs, VALUES, [self.shape.length, self.shape.channels])?;
        let shared = Shared::default();
        let values = self.norm.apply(values, &shared);
        let tokens = match read_marks(inputs, self.shape)? {
            Some(marks) => Tensor::cat(vec![values, marks], 2),
            None => values,
        };
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
