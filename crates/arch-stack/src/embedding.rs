//! Patches that may overlap: how a picture becomes coarser between stages.

use ansatz_core::{ConfigError, Features, Grid, Layer};
use ansatz_ops::convolve;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::Device;
use burn::tensor::ops::ConvOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a picture becomes one of fewer tokens: each is a linear map of a square patch, and patches may overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// Side of a patch in tokens, at least 1.
    #[schemars(range(min = 1))]
    pub kernel: usize,
    /// Tokens from one patch to the next, down and across, at least 1.
    #[schemars(range(min = 1))]
    pub stride: usize,
    /// Zeros around the picture on every side.
    pub padding: usize,
}

impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self { kernel: 2, stride: 2, padding: 0 }
    }
}

impl EmbeddingConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        for (key, value) in [("kernel", self.kernel), ("stride", self.stride)] {
            if value == 0 {
                return Err(ConfigError::value(key, "0 tokens", "at least 1"));
            }
        }
        Ok(())
    }

    /// The grid of patches of a picture: those that lie inside it and its zeros.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn output(&self, Grid { height, width }: Grid) -> Result<Grid, ConfigError> {
        let patches =
            |side: usize| Some((side + 2 * self.padding).checked_sub(self.kernel)? / self.stride + 1);
        match (patches(height), patches(width)) {
            (Some(height), Some(width)) => Ok(Grid { height, width }),
            _ => {
                let problem = format!("patches of {} tokens, the picture has {height}×{width}", self.kernel);
                Err(ConfigError::value("kernel", problem, "patches that the picture holds"))
            }
        }
    }

    /// A module for tokens of these widths in and out, drawn as PyTorch draws a convolution.
    pub(crate) fn init(&self, [inputs, outputs]: [usize; 2], device: &Device) -> Embedding {
        let Self { kernel, stride, padding } = *self;
        let config = Conv2dConfig::new([inputs, outputs], [kernel; 2])
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding));
        Embedding { convolution: config.init(device), config: *self }
    }
}

/// A linear map of each patch of a picture, `y = w ∗ x + b` (Dosovitskiy et al. 2021, arXiv:2010.11929, equation 1;
/// where patches overlap Yu et al. 2022, arXiv:2111.11418, section 3).
///
/// # Shapes
/// A picture of tokens → one of `(side + 2 padding − kernel) / stride + 1` tokens a side, rounded down.
#[derive(Module, Debug)]
pub struct Embedding {
    /// w `[outputs, inputs, kernel, kernel]` and b `[outputs]`.
    pub convolution: Conv2d,
    #[module(skip)]
    config: EmbeddingConfig,
}

impl Embedding {
    /// A picture of tokens → a coarser one.
    ///
    /// # Panics
    /// When the features have no grid: the hierarchy was built for another shape.
    pub fn forward(&self, features: Features) -> Features {
        let grid = features.grid.expect("a hierarchy is built for pictures only");
        let EmbeddingConfig { stride, padding, .. } = self.config;
        let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
        let picture = convolve(grid.picture(features.tokens), &self.convolution, options);
        Features { shared: features.shared, ..Features::of_picture(picture) }
    }

    /// The row of the table of layers; `tokens` leave.
    pub(crate) fn layer(&self, output: String, tokens: usize) -> Layer {
        let weights = self.convolution.weight.lazy_shape();
        Layer {
            name: "embedding".to_owned(),
            output,
            parameters: self.num_params(),
            flops: 2 * (weights.num_elements() * tokens) as u64,
            activations: tokens * weights[0],
        }
    }
}
