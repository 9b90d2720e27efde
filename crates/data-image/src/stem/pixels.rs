//! Each pixel a token.

use ansatz_core::{FeatureSpec, Features, Grid, Inputs, Layer, Result, Stem};
use ansatz_ops::{Linear, LinearConfig};
use burn::module::Module;
use burn::tensor::Device;

use crate::pictures::PictureSize;
use crate::stem::{projection_layer, read};

/// Each pixel a token, row by row: `[batch, height, width, channels]` → `[batch, height × width, channels]`,
/// or `[…, width]` after a linear projection of each pixel.
#[derive(Module, Debug)]
pub struct Pixels {
    projection: Option<Linear>,
    height: usize,
    width: usize,
    channels: usize,
}

impl Pixels {
    /// A stem for pictures of a size; with `token_width`, pixels are projected to it.
    pub fn new(size: PictureSize, token_width: Option<usize>, device: &Device) -> Self {
        let PictureSize { height, width, channels } = size;
        let projection = token_width.map(|to| LinearConfig::new(channels, to).init(device));
        Self { projection, height, width, channels }
    }
}

impl Stem for Pixels {
    fn forward(&self, inputs: &Inputs) -> Result<Features> {
        let pixels = read(inputs, [self.height, self.width, self.channels])?;
        let [batch, height, width, channels] = pixels.dims();
        let tokens = pixels.reshape([batch, height * width, channels]);
        let tokens = match &self.projection {
            Some(projection) => projection.forward(tokens),
            None => tokens,
        };
        Ok(Features { grid: Some(Grid { height, width }), ..Features::row(tokens) })
    }

    fn output(&self) -> FeatureSpec {
        let width = self.projection.as_ref().map_or(self.channels, |projection| projection.weight.dims()[1]);
        FeatureSpec::picture(Grid { height: self.height, width: self.width }, width)
    }

    fn layers(&self) -> Vec<Layer> {
        let tokens = self.height * self.width;
        self.projection.iter().map(|projection| projection_layer(projection, tokens)).collect()
    }
}
