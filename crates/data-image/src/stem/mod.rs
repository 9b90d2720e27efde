//! From a picture to tokens.

mod patches;
mod pixels;

use ansatz_core::{BoxedStem, ConfigError, Inputs, Layer};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use patches::Patches;
pub use pixels::Pixels;

use crate::pictures::PictureSize;

/// The name of the input: values `[batch, height, width, channels]`.
pub(crate) const INPUT: &str = "pixels";

/// How a picture becomes tokens: `stem = "pixels"`, or `stem = { patches = { size = 4 } }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StemConfig {
    /// Each pixel is a token.
    #[default]
    Pixels,
    /// Each square patch is a token.
    Patches(PatchesConfig),
}

/// Square patches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PatchesConfig {
    /// Side of a patch in pixels, at least 1; must divide height and width of the picture.
    pub size: usize,
}

impl Default for PatchesConfig {
    fn default() -> Self {
        Self { size: 4 }
    }
}

impl StemConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Patches(PatchesConfig { size: 0 }) => {
                Err(ConfigError::value("stem.patches.size", "0 pixels", "at least 1 pixel"))
            }
            Self::Pixels | Self::Patches(_) => Ok(()),
        }
    }

    /// Builds the stem for pictures of a size. With a `width`, tokens are projected to it linearly.
    ///
    /// # Errors
    /// When patches do not divide the picture.
    pub fn init(
        &self,
        size: PictureSize,
        width: Option<usize>,
        device: &Device,
    ) -> ansatz_core::Result<BoxedStem> {
        match self {
            Self::Pixels => Ok(BoxedStem::new(Pixels::new(size, width, device))),
            Self::Patches(patches) => Ok(BoxedStem::new(Patches::new(size, patches.size, width, device)?)),
        }
    }
}

/// The input `[batch, height, width, channels]`, as tall and wide as the stem was built for.
fn read(inputs: &Inputs, [height, width, channels]: [usize; 3]) -> ansatz_core::Result<Tensor<4>> {
    let pixels = inputs.float::<4>(INPUT)?;
    let [_, given_height, given_width, given_channels] = pixels.dims();
    if [given_height, given_width, given_channels] == [height, width, channels] {
        return Ok(pixels);
    }
    Err(ansatz_core::Error::input(
        "a batch of pictures",
        format!("{given_height}×{given_width}×{given_channels} values each"),
        format!("{height}×{width}×{channels}, the trained size"),
        "prepare the pictures with the encoder of the run",
    ))
}

/// The row of a projection in the table of layers.
fn projection_layer(projection: &Linear, tokens: usize) -> Layer {
    let [from, to] = projection.weight.dims();
    Layer {
        name: "projection".to_owned(),
        output: format!("{tokens} tokens of {to}"),
        parameters: from * to + projection.bias.as_ref().map_or(0, |bias| bias.dims()[0]),
        flops: (2 * tokens * from * to) as u64,
        activations: tokens * to,
    }
}
