//! Each channel a token.

use ansatz_core::{FeatureSpec, Features, Inputs, Layer, Result, Stem};
use ansatz_ops::{Linear, LinearConfig};
use burn::module::Module;
use burn::tensor::Device;

use crate::InstanceNorm;
use crate::stem::{SeriesShape, project, projection_layer, read_columns, width};

/// Each channel a token, all its steps mapped linearly, and each calendar reading behind them (Liu et al.,
/// iTransformer, 2023, arXiv:2310.06625, section 3.1): `[batch, length, channels + readings]` →
/// `[batch, channels + readings, width]`. Without a width to map to, tokens are the steps themselves.
#[derive(Module, Debug)]
pub struct Channels {
    /// `[length, width]`, where tokens are projected.
    pub projection: Option<Linear>,
    #[module(skip)]
    shape: SeriesShape,
    #[module(skip)]
    norm: InstanceNorm,
}

impl Channels {
    /// A stem for windows of a shape.
    pub fn new(shape: SeriesShape, norm: InstanceNorm, width: Option<usize>, device: &Device) -> Self {
        let projection = width.map(|width| LinearConfig::new(shape.length, width).init(device));
        Self { projection, shape, norm }
    }
}

impl Stem for Channels {
    fn forward(&self, inputs: &Inputs) -> Result<Features> {
        let (columns, shared) = read_columns(inputs, self.shape, self.norm)?;
        let tokens = project(self.projection.as_ref(), columns.swap_dims(1, 2));
        Ok(Features { shared, ..Features::row(tokens) })
    }

    fn output(&self) -> FeatureSpec {
        let tokens = self.shape.channels + self.shape.marks;
        FeatureSpec::row(tokens, width(self.projection.as_ref(), self.shape.length))
    }

    fn layers(&self) -> Vec<Layer> {
        let tokens = self.shape.channels + self.shape.marks;
        self.projection.iter().map(|projection| projection_layer(projection, tokens)).collect()
    }
}
