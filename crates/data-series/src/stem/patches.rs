//! Each patch of steps of a channel a token.

use ansatz_core::{ConfigError, FeatureSpec, Features, Grid, Inputs, Layer, Result, Shared, Stem};
use ansatz_ops::{Linear, LinearConfig};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::InstanceNorm;
use crate::stem::{SeriesShape, VALUES, project, projection_layer, read, width};

/// Patches of successive steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PatchesConfig {
    /// Steps of a patch, at least 1 and no more than the window has.
    pub length: usize,
    /// Steps from one patch to the next, at least 1. The last patch ends with the window; the oldest steps
    /// are left out where patches do not fill it.
    pub stride: usize,
    /// How many times the last step is repeated behind the window before it is cut.
    pub padding: usize,
    /// How the channels stand.
    pub layout: Layout,
    /// Whether the map from a patch to a token adds a bias.
    pub bias: bool,
    /// Whether a learned token stands before the patches, as in BERT. Needs channels that are apart.
    pub class_token: bool,
}

/// How the channels of patches stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Each channel is an example of its own, and none sees another.
    #[default]
    Apart,
    /// A picture: each channel is a row of it, each patch a column.
    Grid,
}

impl Default for PatchesConfig {
    fn default() -> Self {
        Self { length: 16, stride: 8, padding: 0, layout: Layout::default(), bias: true, class_token: false }
    }
}

impl PatchesConfig {
    pub(crate) fn check(&self, window: usize) -> Result<(), ConfigError> {
        if self.stride == 0 {
            return Err(ConfigError::value("stride", "0 steps", "at least 1"));
        }
        if self.length == 0 || self.length > window + self.padding {
            let problem = format!("{} steps of a window of {window}", self.length);
            return Err(ConfigError::value("length", problem, format!("1 up to {}", window + self.padding)));
        }
        if self.class_token && self.layout == Layout::Grid {
            let problem = "a token of its own does not fit into a picture";
            return Err(ConfigError::value("class_token", problem, "false, or layout = \"apart\""));
        }
        Ok(())
    }

    /// Patches of a window of `length` steps.
    pub fn count(&self, length: usize) -> usize {
        (length + self.padding - self.length) / self.stride + 1
    }

    /// Builds the stem for windows of a shape.
    ///
    /// # Errors
    /// When the patches do not fit the window, or a class token has no width.
    pub fn build(
        &self,
        shape: SeriesShape,
        norm: InstanceNorm,
        width: Option<usize>,
        device: &Device,
    ) -> Result<Patches> {
        self.check(shape.length).map_err(|error| error.under("stem.patches"))?;
        let own = self.length;
        let projection = width.map(|width| LinearConfig::new(own, width).with_bias(self.bias).init(device));
        let class_token = match (self.class_token, width) {
            (false, _) => None,
            (true, Some(width)) => Some(Initializer::Normal { mean: 0.0, std: 0.02 }.init([width], device)),
            (true, None) => {
                let problem = "the backbone takes tokens as they come";
                let expected = "false, or a backbone that asks for a width";
                return Err(ConfigError::value("stem.patches.class_token", problem, expected).into());
            }
        };
        Ok(Patches { projection, class_token, config: self.clone(), shape, norm })
    }
}

/// Each patch of a channel a token, its steps mapped linearly (Nie et al., PatchTST, 2023, arXiv:2211.14730,
/// section 3.1). Without a width to map to, tokens are the steps of a patch themselves.
///
/// # Shapes
/// `[batch, length, channels]` → `[batch × channels, patches, width]`, the channels of an example one behind
/// the other; as a grid → `[batch, channels × patches, width]`.
#[derive(Module, Debug)]
pub struct Patches {
    /// `[patch, width]`, where tokens are projected.
    pub projection: Option<Linear>,
    /// `[width]`, where a token stands before the patches.
    pub class_token: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: PatchesConfig,
    #[module(skip)]
    shape: SeriesShape,
    #[module(skip)]
    norm: InstanceNorm,
}

impl Patches {
    fn count(&self) -> usize {
        self.config.count(self.shape.length)
    }

    /// `[batch, length, channels]` → `[batch × channels, patches, patch]`.
    fn cut(&self, values: Tensor<3>) -> Tensor<3> {
        let [batch, length, channels] = values.dims();
        let PatchesConfig { length: patch, stride, padding, .. } = self.config;
        let values = values.swap_dims(1, 2);
        let values = if padding == 0 {
            values
        } else {
            let last = values.clone().narrow(2, length - 1, 1).expand([batch, channels, padding]);
            Tensor::cat(vec![values, last], 2)
        };
        let count = self.count();
        let used = patch + stride * (count - 1);
        let skipped = length + padding - used;
        let patches: Tensor<4> = values.narrow(2, skipped, used).unfold(2, patch, stride);
        patches.reshape([batch * channels, count, patch])
    }
}

impl Stem for Patches {
    fn forward(&self, inputs: &Inputs) -> Result<Features> {
        let SeriesShape { length, channels, .. } = self.shape;
        let values = read(inputs, VALUES, [length, channels])?;
        let [batch, _, _] = values.dims();
        let shared = Shared::default();
        let tokens = project(self.projection.as_ref(), self.cut(self.norm.apply(values, &shared)));
        let [rows, count, width] = tokens.dims();
        let tokens = match &self.class_token {
            Some(token) => {
                let first = token.val().reshape([1, 1, width]).expand([rows, 1, width]);
                Tensor::cat(vec![first, tokens], 1)
            }
            None => tokens,
        };
        Ok(match self.config.layout {
            Layout::Apart => Features { shared, ..Features::row(tokens) },
            Layout::Grid => Features {
                shared,
                grid: Some(Grid { height: channels, width: count }),
                ..Features::row(tokens.reshape([batch, channels * count, width]))
            },
        })
    }

    fn output(&self) -> FeatureSpec {
        let width = width(self.projection.as_ref(), self.config.length);
        match self.config.layout {
            Layout::Apart => FeatureSpec::row(self.count() + usize::from(self.config.class_token), width),
            Layout::Grid => {
                FeatureSpec::picture(Grid { height: self.shape.channels, width: self.count() }, width)
            }
        }
    }

    fn rows(&self) -> usize {
        match self.config.layout {
            Layout::Apart => self.shape.channels,
            Layout::Grid => 1,
        }
    }

    fn layers(&self) -> Vec<Layer> {
        let tokens = self.count() * self.shape.channels;
        let token = self.class_token.iter().map(|token| Layer {
            name: "class_token".to_owned(),
            output: format!("{} tokens of {}", self.shape.channels, token.dims()[0]),
            parameters: token.dims()[0],
            flops: 0,
            activations: self.shape.channels * token.dims()[0],
        });
        self.projection.iter().map(|projection| projection_layer(projection, tokens)).chain(token).collect()
    }
}
