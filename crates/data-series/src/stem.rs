//! From a window to tokens.

mod channels;
mod patches;
mod steps;

use ansatz_core::{BoxedStem, ConfigError, Error, Grid, HiddenValues, Inputs, Layer, Result, Shared};
use ansatz_ops::Linear;
use burn::tensor::{Bool, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use channels::Channels;
pub use patches::{Layout, Patches, PatchesConfig};
pub use steps::Steps;

use crate::InstanceNorm;

/// The input of values `[batch, length, channels]`.
pub const VALUES: &str = "values";
/// The input of calendar readings `[batch, length, readings]`, where there are some.
pub const MARKS: &str = "marks";
/// The input of values `[batch, length, channels]` that are 1 where a value can be seen and 0 where it is hidden; left out
/// where nothing is.
pub const VISIBLE: &str = "visible";
/// The input of whole numbers `[batch, length]` that is 1 where a step is real and 0 where it is padding; may be left
/// out where all are real.
pub const MASK: &str = "mask";

/// How a window becomes tokens: `stem = "steps"`, `stem = "channels"`, or
/// `stem = { patches = { length = 16 } }`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StemConfig {
    /// Each step is a token: its channels, and what the calendar says of it.
    #[default]
    Steps,
    /// Each channel is a token: all its steps. So is each reading of the calendar, behind them.
    Channels,
    /// Each patch of successive steps of a channel is a token.
    Patches(PatchesConfig),
}

/// The shape of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesShape {
    /// Steps that are read.
    pub length: usize,
    /// Channels of a step.
    pub channels: usize,
    /// Calendar readings of a step, or marks of what was observed.
    pub marks: usize,
}

impl StemConfig {
    /// `marked`: whether something is said of each step besides its values.
    pub(crate) fn check(&self, length: usize, marked: bool) -> Result<(), ConfigError> {
        match self {
            Self::Steps | Self::Channels => Ok(()),
            Self::Patches(patches) if marked && patches.layout != Layout::Together => {
                let problem = "patches hold the values of a channel and nothing else";
                let expected =
                    "no readings, patches that hold all channels, or the stem `steps` or `channels`";
                Err(ConfigError::value("calendar", problem, expected))
            }
            Self::Patches(patches) => patches.check(length).map_err(|error| error.under("stem.patches")),
        }
    }

    /// How the values of windows of a shape stand, and the tokens that they become.
    pub(crate) fn hidden_values(&self, shape: SeriesShape) -> HiddenValues {
        let SeriesShape { length, channels, .. } = shape;
        let together = |tokens| HiddenValues {
            size: [1, length, channels],
            tokens: Grid { height: 1, width: tokens },
            rows: 1,
            learned: 0,
        };
        let by_channel = |tokens| HiddenValues {
            size: [channels, length, 1],
            tokens: Grid { height: channels, width: tokens },
            rows: 1,
            learned: 0,
        };
        match self {
            Self::Steps => together(length),
            Self::Channels => by_channel(1),
            Self::Patches(patches) => {
                let (count, learned) = (patches.count(length), usize::from(patches.class_token));
                match patches.layout {
                    Layout::Apart => HiddenValues { rows: channels, learned, ..by_channel(count) },
                    Layout::Grid => by_channel(count),
                    Layout::Together => HiddenValues { learned, ..together(count) },
                }
            }
        }
    }

    /// Whether each channel passes the network as an example of its own.
    pub fn is_apart(&self) -> bool {
        matches!(self, Self::Patches(PatchesConfig { layout: Layout::Apart, .. }))
    }

    /// Builds the stem for windows of a shape. With a `width`, tokens are projected to it linearly.
    ///
    /// # Errors
    /// When the patches do not fit the window.
    pub fn init(
        &self,
        shape: SeriesShape,
        norm: InstanceNorm,
        width: Option<usize>,
        device: &Device,
    ) -> Result<BoxedStem> {
        Ok(match self {
            Self::Steps => BoxedStem::new(Steps::new(shape, norm, width, device)),
            Self::Channels => BoxedStem::new(Channels::new(shape, norm, width, device)),
            Self::Patches(patches) => BoxedStem::new(patches.build(shape, norm, width, device)?),
        })
    }
}

/// The input `name`, `[batch, length, values]`, as long and wide as the stem was built for.
fn read(inputs: &Inputs, name: &str, [length, values]: [usize; 2]) -> Result<Tensor<3>> {
    let read = inputs.float::<3>(name)?;
    let [_, given_length, given_values] = read.dims();
    if [given_length, given_values] == [length, values] {
        return Ok(read);
    }
    Err(Error::input(
        format!("the {name} of a window"),
        format!("{given_length} steps of {given_values}"),
        format!("{length} steps of {values}, as in training"),
        "prepare the series with the encoder of the run",
    ))
}

/// The values of a window, `[batch, length, channels + marks]`: on a scale of its own, 0 where they are hidden, and behind
/// them what else is said of each step. What was taken off is left in the second.
fn read_columns(inputs: &Inputs, shape: SeriesShape, norm: InstanceNorm) -> Result<(Tensor<3>, Shared)> {
    let size = [shape.length, shape.channels];
    let values = read(inputs, VALUES, size)?;
    let visible = inputs.holds(VISIBLE).then(|| read(inputs, VISIBLE, size)).transpose()?;
    let shared = Shared::default();
    let values = norm.apply(values, visible, &shared);
    if shape.marks == 0 {
        return Ok((values, shared));
    }
    let marks = read(inputs, MARKS, [shape.length, shape.marks])?;
    Ok((Tensor::cat(vec![values, marks], 2), shared))
}

/// Where steps are real, `[batch, length]`; `None` where all are.
fn read_mask(inputs: &Inputs, length: usize) -> Result<Option<Tensor<2, Bool>>> {
    if !inputs.holds(MASK) {
        return Ok(None);
    }
    let mask = inputs.int::<2>(MASK)?;
    let [_, given] = mask.dims();
    if given == length {
        return Ok(Some(mask.equal_elem(1)));
    }
    Err(Error::input(
        "the mask of a series",
        format!("{given} steps"),
        format!("{length} steps, as in training"),
        "prepare the series with the encoder of the run",
    ))
}

/// `tokens`, projected where there is a projection.
fn project(projection: Option<&Linear>, tokens: Tensor<3>) -> Tensor<3> {
    match projection {
        Some(projection) => projection.forward(tokens),
        None => tokens,
    }
}

/// The width behind a projection, or else what the tokens have.
fn width(projection: Option<&Linear>, own: usize) -> usize {
    projection.map_or(own, |projection| projection.weight.dims()[1])
}

/// The row of a projection of so many tokens in the table of layers.
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
