//! From a picture to tokens.

mod patches;
mod pixels;

use ansatz_core::{BoxedStem, ConfigError, Grid, HiddenValues, Inputs, Layer};
use ansatz_ops::Linear;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use patches::Patches;
pub use pixels::Pixels;

use crate::pictures::PictureSize;

/// The name of the input: values `[batch, height, width, channels]`.
pub const INPUT: &str = "pixels";

/// How a picture becomes tokens: `stem = "pixels"`, or `stem = { patches = { size = 4 } }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StemConfig {
    /// Each pixel is a token.
    #[default]
    Pixels,
    /// Each patch is a token.
    Patches(PatchesConfig),
}

/// Patches, square unless a `width` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PatchesConfig {
    /// Side of a patch in pixels, at least 1; must divide height and width of the picture.
    pub size: usize,
    /// Width of a patch in pixels where it is no square, at least 1; `size` is then its height. Left out: `size`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Whether a learned token stands in front of the patches, for `task.pool = "first"`. The tokens are then a
    /// row, no longer a picture.
    pub class_token: bool,
    /// Whether a second learned token stands behind the class token, for `task.distilled`.
    pub distillation_token: bool,
}

impl Default for PatchesConfig {
    fn default() -> Self {
        Self { size: 4, width: None, class_token: false, distillation_token: false }
    }
}

impl PatchesConfig {
    /// Height and width of a patch in pixels.
    pub(crate) fn sides(&self) -> [usize; 2] {
        [self.size, self.width.unwrap_or(self.size)]
    }

    fn check(&self) -> Result<(), ConfigError> {
        for (key, side) in [("size", self.size), ("width", self.width.unwrap_or(1))] {
            if side == 0 {
                let path = format!("stem.patches.{key}");
                return Err(ConfigError::value(path, "0 pixels", "at least 1 pixel"));
            }
        }
        if self.distillation_token && !self.class_token {
            return Err(ConfigError::value(
                "stem.patches.distillation_token",
                "there is no class token in front of it",
                "false, or class_token = true beside it",
            ));
        }
        Ok(())
    }
}

impl StemConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Pixels => Ok(()),
            Self::Patches(patches) => patches.check(),
        }
    }

    /// How the values of pictures of a size stand, and the tokens that they become.
    pub(crate) fn hidden_values(&self, size: PictureSize) -> HiddenValues {
        let PictureSize { height, width, channels } = size;
        let ([high, wide], learned) = match self {
            Self::Pixels => ([1, 1], 0),
            Self::Patches(patches) => {
                (patches.sides(), usize::from(patches.class_token) + usize::from(patches.distillation_token))
            }
        };
        let tokens = Grid { height: height / high.max(1), width: width / wide.max(1) };
        HiddenValues { size: [height, width, channels], tokens, rows: 1, learned }
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
            Self::Patches(patches) => Ok(BoxedStem::new(Patches::new(size, patches, width, device)?)),
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
