//! Each square patch a token.

use ansatz_core::{ConfigError, FeatureSpec, Features, Grid, Inputs, Layer, Stem};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;

use crate::pictures::PictureSize;
use crate::stem::{projection_layer, read};

/// Each square patch of `p × p` pixels a token, row by row, flattened and projected (Dosovitskiy et al.
/// 2021, "An image is worth 16×16 words", eq. 1: `x_p E`; positions are the backbone's business):
/// `[batch, height, width, channels]` → `[batch, (height / p) × (width / p), width]`.
///
/// Without a width to project to, tokens are the flattened patches of `p × p × channels` values.
#[derive(Module, Debug)]
pub struct Patches {
    projection: Option<Linear>,
    size: usize,
    height: usize,
    width: usize,
    channels: usize,
}

impl Patches {
    /// A stem for pictures of a size, with patches of `patch` pixels a side.
    ///
    /// # Errors
    /// When the patches do not divide the picture.
    pub fn new(
        size: PictureSize,
        patch: usize,
        token_width: Option<usize>,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        let PictureSize { height, width, channels } = size;
        if patch == 0 || height % patch != 0 || width % patch != 0 {
            let problem = format!("patches of {patch} pixels do not divide pictures of {height}×{width}");
            let divisors = (1..=height.min(width)).filter(|side| height % side == 0 && width % side == 0);
            let divisors: Vec<String> = divisors.map(|side| side.to_string()).collect();
            return Err(ConfigError::value(
                "stem.patches.size",
                problem,
                format!("one of {}", divisors.join(", ")),
            ));
        }
        let projection = token_width.map(|to| LinearConfig::new(patch * patch * channels, to).init(device));
        Ok(Self { projection, size: patch, height, width, channels })
    }

    fn grid(&self) -> Grid {
        Grid { height: self.height / self.size, width: self.width / self.size }
    }
}

impl Stem for Patches {
    fn forward(&self, inputs: &Inputs) -> ansatz_core::Result<Features> {
        let pixels = read(inputs, [self.height, self.width, self.channels])?;
        let [batch, _, _, channels] = pixels.dims();
        let (patch, grid) = (self.size, self.grid());
        // [batch, rows, patch, columns, patch, channels] → [batch, rows, columns, patch, patch, channels]
        let split = pixels.reshape([batch, grid.height, patch, grid.width, patch * channels]);
        let tokens = split.swap_dims(2, 3).reshape([batch, grid.tokens(), patch * patch * channels]);
        let tokens = match &self.projection {
            Some(projection) => projection.forward(tokens),
            None => tokens,
        };
        Ok(Features { grid: Some(grid), ..Features::row(tokens) })
    }

    fn output(&self) -> FeatureSpec {
        let flat = self.size * self.size * self.channels;
        let width = self.projection.as_ref().map_or(flat, |projection| projection.weight.dims()[1]);
        FeatureSpec::picture(self.grid(), width)
    }

    fn layers(&self) -> Vec<Layer> {
        let tokens = self.grid().tokens();
        self.projection.iter().map(|projection| projection_layer(projection, tokens)).collect()
    }
}
