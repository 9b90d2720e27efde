//! Each patch of steps of a channel a token.

use ansatz_core::{ConfigError, FeatureSpec, Features, Grid, Inputs, Layer, Result, Stem};
use ansatz_ops::{Linear, LinearConfig};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Bool, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::InstanceNorm;
use crate::stem::{SeriesShape, project, projection_layer, read_columns, read_mask, width};

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
    /// Whether a learned token stands before the patches, as in BERT. Not for a picture.
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
    /// A patch holds all channels, and what else is said of its steps.
    Together,
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

    /// Values of a patch.
    fn values(&self, shape: SeriesShape) -> usize {
        match self.layout {
            Layout::Apart | Layout::Grid => self.length,
            Layout::Together => self.length * (shape.channels + shape.marks),
        }
    }

    /// Patches of a window of `length` steps, one at least.
    pub fn count(&self, length: usize) -> usize {
        (length + self.padding).saturating_sub(self.length) / self.stride + 1
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
        let own = self.values(shape);
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

/// Each patch of a channel, or of all channels together, a token, its steps mapped linearly (Nie et al., PatchTST,
/// 2023, arXiv:2211.14730, section 3.1). Without a width to map to, tokens are the steps of a patch themselves. A patch
/// of which a single step is real is real.
///
/// # Shapes
/// `[batch, length, channels]` → `[batch × channels, patches, width]`, the channels of an example one behind
/// the other; as a grid → `[batch, channels × patches, width]`; together → `[batch, patches, width]`.
#[derive(Module, Debug)]
pub struct Patches {
    /// `[patch, width]`, or `[channels × patch, width]` together, where tokens are projected.
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

    /// Rows of patches that an example becomes.
    fn strips(&self) -> usize {
        match self.config.layout {
            Layout::Apart | Layout::Grid => self.shape.channels,
            Layout::Together => 1,
        }
    }

    /// `[batch, length, columns]` → `[batch × strips, patches, columns / strips × patch]`.
    fn cut(&self, values: Tensor<3>, strips: usize) -> Tensor<3> {
        let [batch, length, columns] = values.dims();
        let PatchesConfig { length: patch, stride, padding, .. } = self.config;
        let values = values.swap_dims(1, 2);
        let values = if padding == 0 {
            values
        } else {
            let last = values.clone().narrow(2, length - 1, 1).expand([batch, columns, padding]);
            Tensor::cat(vec![values, last], 2)
        };
        let count = self.count();
        let used = patch + stride * (count - 1);
        let skipped = length + padding - used;
        let patches: Tensor<4> = values.narrow(2, skipped, used).unfold(2, patch, stride);
        let each = columns / strips;
        let patches = if each == 1 {
            patches
        } else {
            patches.reshape([batch * strips, each, count, patch]).swap_dims(1, 2)
        };
        patches.reshape([batch * strips, count, each * patch])
    }

    /// Where tokens are real, `[batch, tokens]`.
    fn mask(&self, inputs: &Inputs, strips: usize) -> Result<Option<Tensor<2, Bool>>> {
        let Some(steps) = read_mask(inputs, self.shape.length)? else { return Ok(None) };
        let [batch, length] = steps.dims();
        let count = self.count();
        let patches = self.cut(steps.float().reshape([batch, length, 1]), 1).max_dim(2);
        let mut tokens = patches.reshape([batch, 1, count]).expand([batch, strips, count]);
        let mut rows = [batch, strips * count];
        if self.config.layout == Layout::Apart {
            rows = [batch * strips, count];
        }
        if self.config.class_token {
            tokens = Tensor::cat(vec![tokens.clone().narrow(2, 0, 1).ones_like(), tokens], 2);
            rows[1] += 1;
        }
        Ok(Some(tokens.reshape(rows).greater_elem(0.5)))
    }
}

impl Stem for Patches {
    fn forward(&self, inputs: &Inputs) -> Result<Features> {
        let channels = self.shape.channels;
        let (columns, shared) = read_columns(inputs, self.shape, self.norm)?;
        let [batch, _, _] = columns.dims();
        let strips = self.strips();
        let tokens = project(self.projection.as_ref(), self.cut(columns, strips));
        let [rows, count, width] = tokens.dims();
        let tokens = match &self.class_token {
            Some(token) => {
                let first = token.val().reshape([1, 1, width]).expand([rows, 1, width]);
                Tensor::cat(vec![first, tokens], 1)
            }
            None => tokens,
        };
        let mask = self.mask(inputs, strips)?;
        Ok(match self.config.layout {
            Layout::Apart | Layout::Together => Features { shared, mask, ..Features::row(tokens) },
            Layout::Grid => Features {
                shared,
                mask,
                grid: Some(Grid { height: channels, width: count }),
                ..Features::row(tokens.reshape([batch, channels * count, width]))
            },
        })
    }

    fn output(&self) -> FeatureSpec {
        let width = width(self.projection.as_ref(), self.config.values(self.shape));
        match self.config.layout {
            Layout::Apart | Layout::Together => {
                FeatureSpec::row(self.count() + usize::from(self.config.class_token), width)
            }
            Layout::Grid => {
                FeatureSpec::picture(Grid { height: self.shape.channels, width: self.count() }, width)
            }
        }
    }

    fn rows(&self) -> usize {
        match self.config.layout {
            Layout::Apart => self.shape.channels,
            Layout::Grid | Layout::Together => 1,
        }
    }

    fn layers(&self) -> Vec<Layer> {
        let strips = self.strips();
        let tokens = self.count() * strips;
        let token = self.class_token.iter().map(|token| Layer {
            name: "class_token".to_owned(),
            output: format!("{strips} tokens of {}", token.dims()[0]),
            parameters: token.dims()[0],
            flops: 0,
            activations: strips * token.dims()[0],
        });
        self.projection.iter().map(|projection| projection_layer(projection, tokens)).chain(token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MARKS, MASK, VALUES};
    use burn::tensor::TensorData;

    #[test]
    fn patches_of_all_channels_hold_what_is_said_of_their_steps_and_are_masked() {
        let device = ansatz_device::open("cpu").unwrap();
        let config =
            PatchesConfig { length: 2, stride: 2, layout: Layout::Together, ..PatchesConfig::default() };
        let shape = SeriesShape { length: 5, channels: 2, marks: 1 };
        let stem = config.build(shape, InstanceNorm::None, None, &device).unwrap();
        assert_eq!(stem.output(), FeatureSpec::row(2, 6));
        let values: Vec<f32> = (0..5).flat_map(|step| [step as f32, 10.0 + step as f32]).collect();
        let marks: Vec<f32> = (0..5).map(|step| 20.0 + step as f32).collect();
        let inputs = vec![
            (VALUES.to_owned(), TensorData::new(values, [1, 5, 2])),
            (MARKS.to_owned(), TensorData::new(marks, [1, 5, 1])),
            (MASK.to_owned(), TensorData::new(vec![1i64, 1, 1, 0, 0], [1, 5])),
        ];
        let features = stem.forward(&Inputs::new(inputs, &device)).unwrap();
        // The oldest step is left out.
        let expected = [[[1.0f32, 2.0, 11.0, 12.0, 21.0, 22.0], [3.0, 4.0, 13.0, 14.0, 23.0, 24.0]]];
        features.tokens.into_data().assert_eq(&expected.into(), true);
        features.mask.expect("a mask").into_data().assert_eq(&[[true, false]].into(), false);
    }
}
